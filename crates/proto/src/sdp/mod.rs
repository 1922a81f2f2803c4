//! SDP, RFC 8866: how the two ends of a call agree on sound, by offer and answer (RFC 3264).

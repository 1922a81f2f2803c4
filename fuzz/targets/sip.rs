//! SIP messages: what is read, what is refused, and the answer to what is broken.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::sip::parse::{is_keep_alive, parse_datagram};

fuzz_target!(|datagram: &[u8]| {
    is_keep_alive(datagram);
    match parse_datagram(datagram) {
        Ok(message) => {
            // What was read is written so that it reads as the same again.
            let written = message.to_bytes();
            let again = parse_datagram(&written).expect("what we write can be read");
            assert_eq!(again.to_bytes(), written);
        }
        Err(error) => {
            if let Some(reply) = error.reply() {
                // It gives back what it was sent, broken or not, and little more.
                let bytes = reply.to_bytes();
                assert!(bytes.starts_with(b"SIP/2.0 ") && bytes.len() < datagram.len() + 1_024);
            }
        }
    }
});

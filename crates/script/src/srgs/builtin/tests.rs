//! The builtin types, keyed and spoken.

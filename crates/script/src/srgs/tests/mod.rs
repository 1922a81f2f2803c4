//! Grammars in both forms, read, linked, matched and understood.

mod shared;

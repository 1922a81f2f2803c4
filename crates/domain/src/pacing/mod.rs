//! How many contacts to dial now, one file per pacing mode.

pub mod unattended;

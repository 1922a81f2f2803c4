//! Pages of actions: JSON that says what to do in a call, page after page.
//!
//! [`Runner`] is the machine; the rest is its parts, one file for each action. [`check`] finds
//! mistakes without running. docs/api/aculab.md tells the language.

mod collect;
mod conference;
mod connect;
mod connecting;
mod fetching;
mod get_input;
mod get_number;
mod instance;
mod json;
mod limits;
mod locate;
mod page;
mod play;
mod reader;
mod record;
mod redirect;
mod run_menu;
mod run_speech_menu;
mod runner;
mod send_digits;
mod sleep;
mod speech;
mod transcription;

pub use instance::Instance;
pub use limits::Limits;
pub use page::check;
pub use play::{PageMethod, WebPage};
pub use runner::Runner;

//! The PostgreSQL driver: a session that pipelines what is handed over, the writer, the readers.

mod connect;
mod session;
mod tls;
mod together;
mod values;
mod writer;

pub use connect::Known;
pub(crate) use connect::{Purpose, Target};
pub(crate) use session::Session;
pub(crate) use values::cell;
pub(crate) use writer::{ReadOnly, Writer};

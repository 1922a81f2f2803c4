//! The whole API over real sockets: server, engine, store and a customer's web server.

mod accounts;
mod deployments;
mod events;
mod examples;
mod fuse;
mod harness;
mod idempotency;
mod imports;
mod limits;
mod native;
mod plum;
mod rules;
mod status;
mod webhooks;

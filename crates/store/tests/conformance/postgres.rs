//! PostgreSQL, a real one: the same rules, and those of several nodes and of lost connections.

mod accounts;
mod attempts;
mod contacts;
mod deployments;
mod dial_queue;
mod driver;
mod endpoints;
mod events;
mod follow;
mod histories;
mod imports;
mod kill;
mod nodes;
mod rules;
mod server;
mod support;
mod terms;
mod tls;
mod uploads;
mod webhooks;

/// What these tests are about.
const DATABASE: support::Database = support::Database::Postgres;

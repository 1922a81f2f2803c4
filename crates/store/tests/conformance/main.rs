//! SQLite: the store's rules, one by one and in random histories, and what a killed process leaves.

mod accounts;
mod attempts;
mod contacts;
mod deployments;
mod dial_queue;
mod driver;
mod endpoints;
mod events;
mod histories;
mod imports;
mod kill;
mod rules;
mod server;
mod sqlite_file;
mod support;
mod terms;
mod uploads;
mod webhooks;

/// What these tests are about.
const DATABASE: support::Database = support::Database::Sqlite;

//! The store's rules, one by one and in random histories, and what a killed process leaves behind.

mod accounts;
mod attempts;
mod contacts;
mod dial_queue;
mod driver;
mod histories;
mod kill;
mod support;
mod uploads;
mod webhooks;

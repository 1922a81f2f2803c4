//! VoiceXML scripts run whole: our own golden documents, chance, and the W3C's pages.

mod beside;
mod bombs;
mod chance;
mod conformance;
mod golden;
mod language;
mod pages;
mod site;
mod world;

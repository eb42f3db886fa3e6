//! Exchanges with a real server on loopback. The server is the test itself, so it says each byte, and when.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod abort;
mod apis;
mod connections;
mod floods;
mod flow;
mod heartbeat;
mod midstream;
mod native;
mod refusals;
mod support;
mod timeouts;
mod whole;

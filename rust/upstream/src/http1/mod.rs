//! HTTP/1.1 as a client of one provider, and no more of it than an exchange needs.
//!
//! A general client hands a body's pieces from a task per connection to the task that wants them, and keeps two buffers
//! of 8 KiB for each open connection. Here the exchange's own task reads its socket, into a buffer that all
//! connections of a thread share: a chunk costs one wake-up, and an idle stream holds no read buffer.
//!
//! * [`head`] and [`body`] are bytes without sockets: RFC 9112 for messages, RFC 9110 for what they mean.
//! * [`Connection`] is one socket with at most one exchange on it.
//! * `connect` makes them: names, addresses, TLS, all within one timeout.
//! * [`Client`] keeps those that can be used again.
//!
//! Redirects, proxies, cookies and compression don't exist here: the first two would carry the key elsewhere.
//!
//! HTTP/2 is not spoken. With it, all streams of a worker would share the provider's one connection, its flow control
//! and its fate; with HTTP/1.1 a stalled or reset stream is alone.

mod body;
mod client;
mod connect;
mod connection;
mod head;
mod outgoing;

pub(crate) use client::Client;
pub use connect::root_certificates_der;
pub(crate) use connection::Connection;
pub(crate) use head::{RequestHead, ResponseHead};
pub(crate) use outgoing::Outgoing;

//! One exchange with a provider: the request goes out, its answer comes back as blocks of finished frames.
//!
//! * [`Upstream`] is one endpoint of a provider ([`config`], `endpoint`) with its connections (`http1`).
//! * [`Upstream::start`] spawns the exchange as one tokio task (`pump`) and returns an [`Exchange`] at once.
//! * The task feeds what it reads to `llmgw_core` and puts whole frames into a shared slot (`shared`), from which
//!   [`Exchange::poll_block`] takes everything that is ready. A slot that is not taken stops the reading.
//! * `deadlines` holds the timers, `refusal` reads the bodies of error statuses, [`error`] names what went wrong,
//!   [`Report`] is the account of it all.
//!
//! Nothing is handed out before the first good event or the first heartbeat. Until then every failure is an
//! [`ExchangeError`], so that another upstream can be tried; afterwards failures are error frames in the stream.
//! Dropping an [`Exchange`] aborts its task and closes the connection, before the response headers too.

mod aside;
pub mod config;
mod deadlines;
mod endpoint;
pub mod error;
mod exchange;
mod http1;
mod label;
mod lock;
mod pump;
mod refusal;
mod report;
mod shared;
mod upstream;

pub use config::{ConfigError, Timeouts, UpstreamConfig};
pub use endpoint::{ExchangeRequest, Heartbeat};
pub use error::{Cause, ErrorKind, ExchangeError, is_about_the_request};
pub use exchange::Exchange;
pub use http;
pub use http1::root_certificates_der;
pub use report::Report;
pub use upstream::Upstream;

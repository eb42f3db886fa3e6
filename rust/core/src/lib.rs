//! llmgw's bytes: what comes in from a client or an upstream, and what goes out, with no I/O in between.
//!
//! * [`json`]: a validating scanner that yields spans, and edits that splice them. No tree is ever built.
//! * [`sse`]: an incremental parser of event streams, to the letter of the WHATWG specification.
//! * [`request`]: one scan of a chat-completions body, one rewrite for the upstream; [`dialect`] knows how each
//!   family of models spells its thinking switch.
//! * [`answer`]: an upstream's answer, as a stream, merged or whole, made what the contract promises.
//! * [`refusal`]: what an upstream says of itself when it fails; [`secret`] keeps its key out of that.
//! * [`seal`]: reasoning that the client carries for us.
//! * [`api`]: the APIs beside chat, and what each is to an exchange.
//! * [`turn`]: the reasoning of an answer that the next request will need again.
//!
//! This crate knows no sockets and no Python, so each of its rules is tested on plain bytes.

pub mod answer;
pub mod api;
mod cut;
pub mod dialect;
pub mod json;
mod named;
pub mod refusal;
pub mod request;
pub mod seal;
pub mod secret;
mod spare;
pub mod sse;
pub mod turn;

pub use cut::cut;

//! llmgw's bytes: what comes in from a client or an upstream, and what goes out, with no I/O in between.
//!
//! * [`json`]: a validating scanner that yields spans, and edits that splice them. No tree is ever built.
//! * [`sse`]: an incremental parser of event streams, to the letter of the WHATWG specification.
//! * [`request`]: one scan of a chat-completions body, one rewrite for the upstream; [`dialect`] knows how each
//!   family of models spells its thinking switch.
//! * [`stream`]: an upstream's events in, the contract's frames out. [`chunk`] reads one of them.
//! * [`merge`]: a stream of frames into one `chat.completion`; [`completion`]: the clean-up of one that came whole;
//!   [`think`]: reasoning that stands inline in content; [`turn`]: reasoning that the next request will need again.
//! * [`summary`]: what the ledger wants to know of an answer; [`error`]: everything that can go wrong, typed.
//!
//! This crate knows no sockets and no Python, so each of its rules is tested on plain bytes.

#![forbid(unsafe_code)]

pub mod chunk;
pub mod completion;
pub mod dialect;
pub mod error;
pub mod json;
pub mod merge;
pub mod request;
pub mod sse;
pub mod stream;
pub mod summary;
mod template;
pub mod think;
pub mod turn;

//! An upstream's answer, on its way to the client.
//!
//! * [`context`]: what is known of the request. [`chunk`] reads one chunk or one whole answer, [`usage`] its token counts.
//! * [`stream`]: events in, finished frames out. [`merge`]: a stream of frames into one `chat.completion`.
//!   [`completion`]: the clean-up of an answer that came whole. [`think`]: reasoning inline in content.
//! * [`reasoning`]: where it is, whatever it is called.
//! * [`finish`]: how upstreams spell finish reasons.
//! * [`form`]: whether a body is events or JSON, whatever its label says.
//! * [`summary`]: what the ledger wants to know; [`error`]: everything that can go wrong; [`bounds`]: how much of an
//!   answer is taken.

pub mod bounds;
pub(crate) mod choices;
pub mod chunk;
pub mod completion;
pub mod context;
mod echo;
pub mod error;
pub(crate) mod finish;
pub mod form;
mod keeper;
pub mod merge;
mod reasoning;
pub mod stream;
pub mod summary;
pub(crate) mod template;
pub mod think;
pub mod usage;

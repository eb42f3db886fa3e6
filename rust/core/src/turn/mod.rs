//! The reasoning of answers that called tools, known again when the turn comes back. `answer::keeper` gathers it.
//!
//! DeepSeek and Kimi refuse a request in which an assistant message called tools and lost its reasoning. So the
//! gateway keeps the reasoning of such an answer for a while, under a [`key::TurnKey`], and the next request's messages are
//! looked up by the same key. The key is a digest over
//!
//! * the scope: whose turn it is. Keys of two scopes never meet;
//! * the id of the turn's first tool call, as the client saw it. Most providers draw ids at random, and then that is
//!   enough, whatever a client does to the rest of its history;
//! * where the id is only a name and a number (Kimi's `get_weather:0`), or very short, the same id comes again in other
//!   conversations. There the key also covers the function's name, its arguments, and all that was said before: each
//!   earlier message byte for byte; system messages are excluded, because clients put the current time there.
//!
//! Arguments are compared as JSON, without white space and with escapes read: SDKs parse them and write them anew.

pub mod key;

#[cfg(test)]
mod tests;

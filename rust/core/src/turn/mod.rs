//! The reasoning of answers, known again when their turns come back. `answer::keeper` gathers it.
//!
//! DeepSeek and Kimi refuse a request in which an assistant message lost its reasoning: Kimi where the message called
//! tools, DeepSeek in every message of a request that has tools. So the gateway keeps the reasoning of an answer for a
//! while, and the next request's messages are looked up by the same [`key::TurnKeys`]. A key is a digest over
//!
//! * the scope: whose turn it is. Keys of two scopes never meet;
//! * the id of the turn's first tool call, as the client saw it. Most providers draw ids at random, and then that is
//!   enough, whatever a client does to the rest of its history;
//! * where there is no call, or the id is only a name and a number (Kimi's `get_weather:0`), which come again in other
//!   conversations: what the turn says and all that was said before.
//!
//! What counts is what messages *say* ([`conversation`]), not how they are written: clients parse their history, store it
//! and write it anew, with other white space, other escapes, other order of keys, members more or less.
//!
//! Clients also shorten a history that has become too long: they drop its oldest messages, or replace them by a
//! summary, or cut old results of tools. Then the key of the whole conversation leads nowhere, and the provider would
//! refuse that conversation for ever. So each such turn has hints as well, which lead to its key: what it says with
//! what was said since the user last spoke (that stays when the oldest messages go), and what it says alone, if that is
//! long enough not to be said twice by chance. Two conversations of one client may still share a hint; whoever keeps
//! hints forgets one that has led to two turns, since no reasoning is better than another conversation's.

mod canonical;
pub(crate) mod conversation;
pub mod key;
pub(crate) mod text;

#[cfg(test)]
mod tests;

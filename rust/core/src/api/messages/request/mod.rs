//! A Messages body in chat's words.
//!
//! One pass over the body. Texts stay escaped and are moved as spans, so the bytes of a prompt are those that the client
//! wrote: a conversation that grows has the same prefix each time, and the provider's cache knows it.
//!
//! * [`turn`]: messages. `system` becomes the first one; one in mid-conversation stays there. What an assistant thinks is
//!   `reasoning_content` beside its text and calls; results come right behind their calls, in their order, and then what else
//!   was said, images of results first. A call without a result gets one that says so, a result without a call is the
//!   user's text: histories that were cut are mended, not refused.
//! * [`block`]: content blocks. [`content`]: how a content is written.
//! * [`tools`]: tools and `tool_choice`.
//! * [`options`]: all other fields. What chat has under the same name passes, and so do fields that nobody knows: some
//!   provider may. Chat's own name wins where a client gives both.
//!
//! What has no counterpart is left out and named: see [`Dropped`](crate::api::dropped::Dropped). Left out without a word is what says nothing to a model:
//! `cache_control` (unless it is to stay), signatures, the billing line of Claude Code's system prompt, empty texts, null
//! members, and of ids those that only tell which call a result belongs to.

mod block;
mod content;
mod options;
mod tools;
mod turn;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::api::reply::{Converted, Reply};
use crate::api::tokens;
use crate::json::{self, JsonError, JsonErrorKind, Kind, Scanner};
use crate::request::error::RequestError;
use crate::request::refusal::Refusal;
use crate::seal::Seal;

use super::MessagesReply;

use self::options::Fields;
use self::turn::Turns;

/// How to convert.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Makes and opens the signatures of the client's thinking blocks.
    pub seal: Option<&'a Seal>,
    /// The models whose upstreams know `cache_control`: in requests for them, marks stay.
    pub keep_marks_of: &'a [String],
}

impl Options<'_> {
    /// Whether the marks in this body stay. Which model it is for may come behind them.
    fn keeps_marks(&self, body: &[u8]) -> bool {
        if self.keep_marks_of.is_empty() {
            return false;
        }
        let mut keeps = false;
        // What is no JSON is refused later. The walk ends at the model.
        let _ = Scanner::new(body).object(|scanner, key| {
            let value = scanner.value()?;
            if !key.text.is("model") {
                return Ok(());
            }
            let model = value.as_text(body);
            keeps = model.is_some_and(|model| self.keep_marks_of.iter().any(|known| model.is(known)));
            Err(JsonError { kind: JsonErrorKind::TrailingData, offset: scanner.position() })
        });
        keeps
    }
}

/// The body as a chat-completions body.
///
/// # Errors
/// Where the body breaks a rule of this API, or one of chat's fields has the wrong type; the field's path is the one in
/// `body`.
pub fn convert(body: &[u8], options: Options<'_>) -> Result<Converted, RequestError> {
    read(body, options).map_err(|refusal| refusal.into_error(body))
}

fn read(body: &[u8], options: Options<'_>) -> Result<Converted, Refusal> {
    json::check_utf8(body)?;
    let mut scanner = Scanner::new(body);
    if scanner.peek()? != Kind::Object {
        let value = scanner.value()?;
        scanner.end()?;
        return Err(Refusal::NoObject { offset: value.span.start });
    }
    let mut turns = Turns::new(body, options.seal, options.keeps_marks(body));
    let mut fields = Fields::default();
    let span = scanner.object(|scanner, key| fields.read(scanner, &key, &mut turns))?;
    scanner.end()?;
    let written = fields.write(body, &mut turns, span.end - 1)?;
    let reply = MessagesReply {
        model: written.model,
        input_tokens: tokens::estimate(&turns.output),
        thinking: written.thinking,
        seal: options.seal.cloned(),
        stop_sequences: written.stop_sequences,
    };
    Ok(Converted {
        chat: turns.output,
        reply: Reply::Messages(Arc::new(reply)),
        dropped: turns.dropped.into_kinds(),
        media: turns.media,
        user: None,
        kept_items: None,
    })
}

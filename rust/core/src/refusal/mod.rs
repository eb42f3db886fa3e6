//! What an upstream says of itself when it fails: the body of an error status, an event, a chunk without choices, a whole
//! answer. There is one reader for all of them, because each provider spells its errors in its own way and most of them
//! use the same spelling in all four places.
//!
//! Names of members are compared without case, `_` and `-`, so `errorMessage`, `error_message` and `ErrorMessage` are one.
//! What stands further inside is nearer to the cause: its message and its status come first. A number that is an HTTP
//! status comes before any word.

mod code;
mod said;
mod words;

use std::ops::RangeInclusive;

use crate::cut;
use crate::json::Value;
use crate::secret::Secret;
use crate::sse::{Item, Parser, SseLimits};

use said::Said;

/// The HTTP statuses of errors.
pub const ERROR_STATUSES: RangeInclusive<u16> = 400..=599;
/// An upstream's message is cut at this length before anybody sees it.
pub const MAX_MESSAGE_BYTES: usize = 2048;
/// The same for its code.
pub const MAX_CODE_BYTES: usize = 64;

/// A longer text is not read: it is an error that says nothing.
const MAX_READ_BYTES: usize = 64 * 1024;

/// What an upstream says when it fails. The texts are decoded and as long as the upstream wrote them: see
/// [`Refusal::without`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status that it names, or that its words mean: from 400 to 599.
    pub status: Option<u16>,
    /// Its own name for the error: `invalid_api_key`, `Throttling.RateQuota`, `1302`.
    pub code: Option<String>,
    /// Its own sentence.
    pub message: Option<String>,
}

impl Refusal {
    /// Read what is an error for certain, because its HTTP status or its event's type says so. It may be JSON, events, or
    /// anything else, of which nothing is read.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        if body.len() > MAX_READ_BYTES {
            return Self::default();
        }
        let decoded = String::from_utf8_lossy(body);
        let text = decoded.trim_start_matches('\u{feff}').trim_ascii_start();
        let json = if text.starts_with(['{', '[', '"']) { Some(text.into()) } else { first_event(body) };
        let said = json.as_deref().and_then(Said::of_json);
        said.unwrap_or_else(|| Said { kind: one_word(text), ..Said::default() }).into()
    }

    /// Read JSON that may be an answer as well: none unless it is an error for certain.
    #[must_use]
    pub fn find(json: &[u8]) -> Option<Self> {
        if json.len() > MAX_READ_BYTES {
            return None;
        }
        let decoded = String::from_utf8_lossy(json);
        Said::of_json(&decoded).filter(|said| said.is_error).map(Self::from)
    }

    /// Read the value of a member `error`.
    #[must_use]
    pub fn of_error(input: &[u8], error: Value) -> Option<Self> {
        if error.span.len() > MAX_READ_BYTES {
            return Some(Self::default());
        }
        Said::nested(input, error, 0).map(Self::from)
    }

    /// Read the value of a member `base_resp` (MiniMax); none where that tells of a success.
    #[must_use]
    pub fn of_base_resp(input: &[u8], base_resp: Value) -> Option<Self> {
        Said::of_base_resp(input, base_resp).map(Self::from)
    }

    /// What may be shown: without the upstream's key, and then cut.
    #[must_use]
    pub fn without(self, secret: &Secret) -> Self {
        let shown = |text: String, max_bytes| {
            let mut text = secret.blank(text);
            cut(&mut text, max_bytes);
            text
        };
        Self {
            status: self.status,
            code: self.code.map(|code| shown(code, MAX_CODE_BYTES)),
            message: self.message.map(|message| shown(message, MAX_MESSAGE_BYTES)),
        }
    }
}

impl From<Said> for Refusal {
    fn from(said: Said) -> Self {
        let word = |word: &Option<String>| word.as_deref().and_then(words::status_of);
        let head = || said.message.as_deref().and_then(words::status_of_head);
        let status = said.status.or_else(|| word(&said.code)).or_else(|| word(&said.kind)).or_else(head);
        Self { status, code: said.code.or(said.kind), message: said.message }
    }
}

/// The data of the first event, or the value of the first bare `error:` line, where the body is a stream.
fn first_event(body: &[u8]) -> Option<String> {
    let text = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes).into_owned());
    let mut parser = Parser::new(SseLimits::default());
    let mut reader = parser.read(body);
    while let Ok(Some(item)) = reader.next() {
        match item {
            Item::Event(event) if !event.data.is_empty() => return text(event.data),
            Item::Unknown { name: b"error", value } => return text(value),
            Item::Event(_) | Item::Unknown { .. } => {}
        }
    }
    match parser.finish() {
        Ok(Some(Item::Event(event))) => text(event.data),
        _ => None,
    }
}

/// A text that is nothing but a word.
fn one_word(text: &str) -> Option<String> {
    let text = text.trim_ascii_end();
    (!text.is_empty() && text.len() <= MAX_CODE_BYTES && !text.contains(|sign: char| !is_of_a_word(sign)))
        .then(|| text.to_owned())
}

fn is_of_a_word(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '.')
}

#[cfg(test)]
mod tests;

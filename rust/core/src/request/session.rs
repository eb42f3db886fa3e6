//! Which conversation a request belongs to, for those that send all turns of one to the same place.
//!
//! # What a client says
//! `prompt_cache_key`, and the session that Claude Code names along with the user. Longer ones than
//! [`MAX_SESSION_BYTES`] are as good as none.
//!
//! # The opening
//! Where a client says nothing, every turn of its conversation still repeats how that began: the system messages before the
//! first user message, and that message. The scan remembers where they are; [`Opening::digest`] reads them when it is
//! asked to. It is the same
//! * for every turn, whatever follows the first user message;
//! * in every spelling of the JSON: order of keys, white space, escapes;
//! * for a text as a string or as parts, cut anywhere (into [`MAX_PIECES`] at most), and for `developer` and `system`;
//! * whatever else a message or part has: names, `cache_control` marks, unknown members;
//! * whatever comes behind the first [`MAX_READ_BYTES`] of a message: there some clients put what changes each time. The first
//!   line of a text is passed over where it is [`BILLING`], which Claude Code begins with.
//!
//! Of more than [`MAX_SYSTEM_MESSAGES`] system messages the first count. Media count by how long they are, and those of up to
//! [`MAX_MEDIA_BYTES`] by what they say. A conversation that no user has spoken in has no opening.

use crate::json::{JsonError, Kind, Scanner, Span, Text, Value};

use super::user::client_session;

/// A longer name of a session is no name.
pub const MAX_SESSION_BYTES: usize = 256;

/// So much of a message's text tells a conversation from others; escapes read.
const MAX_READ_BYTES: usize = 4096;

/// Of one message: texts and media.
const MAX_PIECES: usize = 16;

/// Before the first user message.
const MAX_SYSTEM_MESSAGES: usize = 4;

/// Media with more text than this, escapes read, are not read again.
const MAX_MEDIA_BYTES: usize = 4096;

/// A billing line is not longer.
const MAX_BILLING_BYTES: usize = 512;

/// How long one character may be in JSON, and so a byte of text.
const ESCAPED_BYTES: usize = 6;

/// What Claude Code begins its system prompt with: it has another value each time.
const BILLING: &str = "x-anthropic-billing-header:";

/// What the scan finds.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// `prompt_cache_key`
    pub cache_key: Option<String>,
    /// The session in the user that Claude Code names.
    pub client: Option<String>,
    pub(super) opening: Opening,
}

impl Session {
    /// Before anything has been read.
    pub(super) const NONE: Self = Self { cache_key: None, client: None, opening: Opening::NONE };

    /// Take a top-level field into account.
    pub(super) fn field(&mut self, name: &[u8], value: Value, input: &[u8]) {
        match name {
            b"prompt_cache_key" => self.cache_key = value.as_text(input).and_then(session_name),
            b"user" => self.client = value.as_text(input).and_then(client_session).and_then(named),
            _ => {}
        }
    }
}

/// What a client calls a session; none where it is empty or too long.
fn session_name(given: Text<'_>) -> Option<String> {
    if given.raw().len() > ESCAPED_BYTES * MAX_SESSION_BYTES {
        return None;
    }
    named(given.decode().into_owned())
}

fn named(given: String) -> Option<String> {
    Some(given).filter(|name| !name.is_empty() && name.len() <= MAX_SESSION_BYTES)
}

/// How a conversation begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    /// Of its messages so far, and of the one that is being read.
    pieces: Vec<Piece>,
    /// Where the message begins that is being read.
    begin: usize,
    system_messages: usize,
    /// The first user message is among them.
    is_whole: bool,
}

#[derive(Clone, Copy, Debug)]
enum Piece {
    /// Between its quotes.
    Text(Span),
    /// What a part holds, and how long the strings in it are, their escapes read.
    Media(Value, usize),
    /// The end of a message of the user's, or of a system message.
    End { by_user: bool },
}

impl Opening {
    const NONE: Self = Self { pieces: Vec::new(), begin: 0, system_messages: 0, is_whole: false };

    /// The message that is being read has this text, or this as a part of it.
    pub(super) fn text(&mut self, text: Span) {
        self.add(Piece::Text(text));
    }

    /// It holds this medium.
    pub(super) fn media(&mut self, media: Value, text_bytes: usize) {
        self.add(Piece::Media(media, text_bytes));
    }

    fn add(&mut self, piece: Piece) {
        if !self.is_whole && self.pieces.len() - self.begin < MAX_PIECES {
            self.pieces.push(piece);
        }
    }

    /// It is over, and this is who said it.
    pub(super) fn end(&mut self, role: Option<Text<'_>>) {
        if self.is_whole {
            return;
        }
        let is = |name| role.is_some_and(|role| role.is(name));
        self.is_whole = is("user");
        let is_system = is("system") || is("developer");
        self.system_messages += usize::from(is_system);
        if self.is_whole || (is_system && self.system_messages <= MAX_SYSTEM_MESSAGES) {
            self.pieces.push(Piece::End { by_user: self.is_whole });
        } else {
            self.pieces.truncate(self.begin);
        }
        self.begin = self.pieces.len();
    }

    /// 64 bits that tell it from other openings; none where there is no opening. `body`: what was scanned.
    pub(super) fn digest(&self, body: &[u8]) -> Option<u64> {
        if !self.is_whole {
            return None;
        }
        let mut digest = Digest::default();
        let (mut said, mut media) = (Vec::new(), 0_u64);
        for &piece in &self.pieces {
            match piece {
                Piece::Text(span) => add_text(Text::new(span.of(body)), &mut said),
                // In any order: that of an object's members does not count.
                Piece::Media(value, text_bytes) => {
                    let told = if text_bytes > MAX_MEDIA_BYTES { 0 } else { strings(body, value) };
                    media = media.wrapping_add(text_bytes as u64 + 1).wrapping_add(told);
                }
                Piece::End { by_user } => {
                    digest.bytes(&said);
                    digest.word(media);
                    digest.word(u64::from(by_user));
                    said.clear();
                    media = 0;
                }
            }
        }
        Some(digest.0)
    }
}

/// Add a text to what a message says, up to [`MAX_READ_BYTES`].
fn add_text(text: Text<'_>, said: &mut Vec<u8>) {
    if !text.starts_with(BILLING) {
        return text.append_to(said, MAX_READ_BYTES);
    }
    let mut begin = Vec::new();
    text.append_to(&mut begin, MAX_BILLING_BYTES + MAX_READ_BYTES);
    if let Some(line) = memchr::memchr(b'\n', &begin) {
        said.extend_from_slice(&begin[line + 1..]);
        said.truncate(MAX_READ_BYTES);
    }
}

/// The sum of the digests of all strings in a value.
fn strings(body: &[u8], value: Value) -> u64 {
    let mut sum = 0_u64;
    // It has been scanned before.
    let _ = add_strings(&mut Scanner::of(body, value), &mut sum);
    sum
}

fn add_strings(scanner: &mut Scanner<'_>, sum: &mut u64) -> Result<(), JsonError> {
    match scanner.peek()? {
        Kind::Object => scanner.object(|scanner, _| add_strings(scanner, sum)).map(|_| ()),
        Kind::Array => scanner.array(|scanner, _| add_strings(scanner, sum)).map(|_| ()),
        _ => {
            let (input, value) = (scanner.input(), scanner.value()?);
            if let Some(text) = value.as_text(input) {
                let mut digest = Digest::default();
                digest.bytes(text.decode().as_bytes());
                *sum = sum.wrapping_add(digest.0);
            }
            Ok(())
        }
    }
}

/// 64 bits of what it is given, the same on every machine: folded multiplication, word by word. It may be easy to
/// find two openings with the same: a client that does so only sends both to one target.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(Self::BEGIN)
    }
}

impl Digest {
    /// Without a pattern: the golden ratio, and a multiplier of `MurmurHash3`.
    const BEGIN: u64 = 0x9e37_79b9_7f4a_7c15;
    const MULTIPLIER: u64 = 0xff51_afd7_ed55_8ccd;

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
    }

    #[allow(clippy::cast_possible_truncation, reason = "the two halves of it")]
    const fn word(&mut self, word: u64) {
        let product = (self.0 ^ word) as u128 * Self::MULTIPLIER as u128;
        self.0 = (product as u64 ^ (product >> 64) as u64).wrapping_add(Self::BEGIN);
    }
}

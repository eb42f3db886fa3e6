//! What limits, budgets and prices need to know of a request before it is sent. All of it comes out of the one scan.
//!
//! # What is text
//! What a model reads, in bytes of UTF-8 with the escapes read; a half of a surrogate pair counts two.
//! * Of messages: `content` that is a string; of parts the `text`, and of those that hold no media every string but the
//!   `type`; `reasoning_content`, `reasoning`, `refusal`; every string of `tool_calls` and `function_call`, ids too: templates
//!   put more around a call than those.
//! * `tools`, `functions` and `response_format` as the JSON that they are: so templates put them in.
//! * Every string of `prompt`, `suffix`, `input`, `query`, `documents`, and what rerank calls `instruct` or `instruction`. A token
//!   that a client gives by its number counts [`TOKEN_BYTES`].
//!
//! Media do not count: they are counted apart. Nor do names, roles, ids, and fields that no model reads.
//!
//! # What is believed
//! Nonsense is the upstream's business, and no word about it is lost here: a limit that is no whole number or a huge one is
//! none, a number of choices that is none is one, and no prompt has more than [`MAX_CHOICES`], since no answer has.

use crate::answer::bounds::MAX_CHOICES;
use crate::answer::usage::whole;
use crate::json::{JsonError, Kind, Scanner, Text, Value};

use super::media::is_media;
use super::user::user_name;

/// What a token is taken for that comes as a number.
pub const TOKEN_BYTES: usize = 4;

/// A limit of output above this is no limit: no model writes as much.
const MAX_OUTPUT_TOKENS: u64 = 100_000_000;

/// What one scan finds of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of all text that a model reads: see [the module](self).
    pub text_bytes: usize,
    /// How many images, and other parts that are no text.
    pub images: usize,
    /// The least of `max_tokens`, `max_completion_tokens` and `max_output_tokens`, of one choice.
    pub max_output_tokens: Option<u64>,
    /// The user whom the client names: see [`super::user`].
    pub user: Option<String>,
    /// The most of `n` and `best_of`.
    asked: u64,
    /// How many prompts the body has, where it is one of text completions with a list of them.
    pub(super) prompts: usize,
}

impl Facts {
    /// Before anything has been read.
    pub(super) const NOTHING: Self =
        Self { text_bytes: 0, images: 0, max_output_tokens: None, user: None, asked: 1, prompts: 1 };

    /// Of a request whose answer is not written by a model, but computed: nothing limits it.
    pub(crate) fn of_no_answer(self) -> Self {
        Self { max_output_tokens: None, asked: 1, prompts: 1, ..self }
    }

    /// How many answers are written: for each prompt as many as are asked for, at least one.
    #[must_use]
    pub fn choices(&self) -> u64 {
        self.asked.max(1).saturating_mul(self.prompts.max(1) as u64)
    }

    /// A limit of the output. 0 is one where `may_be_nothing`; elsewhere some servers take it for none.
    pub(super) fn limit(&mut self, value: Value, input: &[u8], may_be_nothing: bool) {
        let least = u64::from(!may_be_nothing);
        let limit = whole(input, value).filter(|limit| (least..=MAX_OUTPUT_TOKENS).contains(limit));
        self.max_output_tokens = self.max_output_tokens.into_iter().chain(limit).min();
    }

    /// Consume a top-level field that has no rule of its own. Of several users the last counts.
    pub(super) fn read_other(&mut self, name: &[u8], scanner: &mut Scanner<'_>) -> Result<Value, JsonError> {
        let input = scanner.input();
        let before = scanner.text_bytes();
        let value = scanner.value()?;
        match name {
            b"user" => self.user = value.as_text(input).and_then(user_name),
            b"n" | b"best_of" => {
                let asked = whole(input, value).unwrap_or(1);
                self.asked = self.asked.max(asked.min(MAX_CHOICES as u64));
            }
            b"max_output_tokens" => self.limit(value, input, false),
            b"suffix" | b"instruct" | b"instruction" => self.text_bytes += scanner.text_bytes() - before,
            b"functions" if value.kind != Kind::Null => self.as_json(value),
            _ => {}
        }
        Ok(value)
    }

    /// What a template puts in as it stands.
    pub(super) const fn as_json(&mut self, value: Value) {
        self.text_bytes += value.span.len();
    }

    /// Consume texts and tokens, in lists and objects, among them media under their names.
    pub(super) fn read_texts(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let before = scanner.text_bytes();
        self.texts(scanner)?;
        self.text_bytes += scanner.text_bytes() - before;
        Ok(())
    }

    fn texts(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        match scanner.peek()? {
            Kind::Array => {
                scanner.array(|scanner, _| {
                    if scanner.peek()? == Kind::Number {
                        self.text_bytes += TOKEN_BYTES;
                    }
                    self.texts(scanner)
                })?;
            }
            Kind::Object => {
                scanner.object(|scanner, key| {
                    if !is_media(key.text) {
                        return self.texts(scanner);
                    }
                    let before = scanner.text_bytes();
                    self.images += usize::from(scanner.value()?.kind != Kind::Null);
                    scanner.count_on_from(before);
                    Ok(())
                })?;
            }
            _ => {
                scanner.value()?;
            }
        }
        Ok(())
    }

    /// Consume a prompt, or a list of them.
    pub(super) fn read_prompt(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let before = scanner.text_bytes();
        if scanner.peek()? == Kind::Array {
            let mut prompts = 0;
            scanner.array(|scanner, _| {
                if scanner.peek()? == Kind::Number {
                    self.text_bytes += TOKEN_BYTES;
                } else {
                    prompts += 1;
                }
                self.texts(scanner)
            })?;
            self.prompts = prompts;
        } else {
            scanner.value()?;
        }
        self.text_bytes += scanner.text_bytes() - before;
        Ok(())
    }
}

/// Whether a model reads a message's member of this name, one without a rule of its own.
pub(super) fn is_read(key: Text<'_>) -> bool {
    ["function_call", "reasoning", "refusal"].into_iter().any(|name| key.is(name))
}

//! What limits, budgets and prices need to know of a request before it is sent. It all comes out of the one scan.
//!
//! # What is text
//! What a model reads, in bytes of UTF-8 with the escapes read. Half of a surrogate pair counts two.
//! * Of messages: every string in `content`, but the `type` of its parts, and of parts with media only the `text`;
//!   `reasoning_content`, `reasoning`, `refusal`; every string in `tool_calls` and `function_call`. (Ids of calls are not read,
//!   but stand for what templates put around a call, which is more.)
//! * `tools`, `functions` and `response_format` whole, as the JSON that they are: templates put it in.
//! * Every string in `prompt`, `suffix`, `input`, `query`, `documents`, and in what rerank calls `instruct` or `instruction`; media
//!   under their names apart. A token that comes as a number counts [`TOKEN_BYTES`].
//!
//! Media are counted apart, by their number. Names, roles and fields that no model reads do not count.
//!
//! # What is believed
//! Nonsense is for the upstream to refuse. Here a limit that is negative, huge or no whole number counts as absent; a number of
//! choices likewise, and it is at most [`MAX_CHOICES`], because no answer may have more.

use crate::answer::bounds::MAX_CHOICES;
use crate::json::{JsonError, Kind, Scanner, Text, Value};

use super::media::is_media;
use super::user::user_name;

/// What a token is taken for that comes as a number.
pub const TOKEN_BYTES: usize = 4;

/// No model writes as much: a higher limit limits nothing.
const MAX_OUTPUT_TOKENS: u64 = 100_000_000;

/// What one scan finds.
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

    /// Of embeddings and rerank, whose answers no model writes: there is nothing to limit.
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
        let limit = value.as_whole(input).filter(|limit| (least..=MAX_OUTPUT_TOKENS).contains(limit));
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
                let asked = value.as_whole(input).unwrap_or(1);
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

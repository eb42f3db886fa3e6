//! Token counts: how upstreams spell them, and whether they are of a whole answer.

use std::fmt::Write;

use crate::json::{JsonError, Kind, Scanner, Value};
use crate::named_enum;

/// Token counts as the upstream gave them. Absent members stay `None`: nothing is ever computed or guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// `prompt_tokens`, cached ones included.
    pub prompt_tokens: Option<u64>,
    /// `completion_tokens`, with the reasoning in them unless that is apart: see [`Usage::in_parts`].
    pub completion_tokens: Option<u64>,
    /// `completion_tokens_details.reasoning_tokens`, else `reasoning_tokens` (Moonshot, Azure).
    pub reasoning_tokens: Option<u64>,
    /// `prompt_tokens_details.cached_tokens`, else `cached_tokens` (Moonshot), else `prompt_cache_hit_tokens` (DeepSeek).
    pub cached_tokens: Option<u64>,
    /// What of the prompt was written to a cache: `cache_creation_input_tokens` (Anthropic, and `DashScope` in
    /// `prompt_tokens_details`), else `prompt_tokens_details.cache_write_tokens` (`OpenRouter`).
    pub cache_write_tokens: Option<u64>,
    /// The completion tokens leave the reasoning out, as xAI's do: the total is that of prompt, completion and reasoning.
    pub reasoning_apart: bool,
}

impl Usage {
    /// The same for an account, where reasoning is a part of the completion, and what a cache had or got is one of the
    /// prompt. Upstreams tell of larger parts than wholes (`OpenRouter` of reasoning, Mistral of what was cached): there the
    /// whole is right, for it is what is billed. A client is shown the counts as they came.
    #[must_use]
    pub fn in_parts(self) -> Self {
        let apart = self.reasoning_tokens.filter(|_| self.reasoning_apart).unwrap_or(0);
        let completion_tokens = self.completion_tokens.map(|completion| completion.saturating_add(apart));
        let within = |part: Option<u64>, whole: Option<u64>| part.map(|part| part.min(whole.unwrap_or(part)));
        let cached_tokens = within(self.cached_tokens, self.prompt_tokens);
        let uncached = self.prompt_tokens.map(|prompt| prompt - cached_tokens.unwrap_or(0));
        Self {
            prompt_tokens: self.prompt_tokens,
            completion_tokens,
            reasoning_tokens: within(self.reasoning_tokens, completion_tokens),
            cached_tokens,
            cache_write_tokens: within(self.cache_write_tokens, uncached),
            reasoning_apart: false,
        }
    }
}

named_enum! {
    /// Where the token counts of an answer come from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum UsageSource {
        /// The upstream's usage of a whole answer.
        Upstream = "upstream",
        /// The upstream's usage so far, of an answer that broke off.
        Partial = "partial",
        /// The upstream never said.
        None = "none",
    }
}

/// Counts under several names: the first that is not 0 wins, for some gateways fill in both sets and one of them with
/// zeros.
#[derive(Clone, Copy, Debug, Default)]
struct Count(Option<u64>);

impl Count {
    fn or(self, other: Self) -> Self {
        if self.says_nothing() && other.0.is_some() { other } else { self }
    }

    fn says_nothing(self) -> bool {
        self.0.is_none_or(|count| count == 0)
    }
}

/// What a `usage` object says, by its members' names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    prompt: Count,
    completion: Count,
    reasoning: Count,
    cached: Count,
    input: Count,
    output: Count,
    reasoning_at_top: Count,
    cached_at_top: Count,
    cache_hit: Count,
    cache_read: Count,
    cache_written: Count,
    /// In the details of the prompt.
    cache_written_inside: Count,
    total: Count,
    /// Whether one of OpenAI's two names is there, whatever it says.
    has_openai: bool,
    has_total: bool,
}

/// Token counts from a `usage` object.
///
/// OpenAI's chat API says `prompt_tokens` and `completion_tokens`; its newer one and Anthropic's `input_tokens` and
/// `output_tokens`. OpenAI nests `reasoning_tokens` and `cached_tokens` in details, Moonshot and Azure have them at the
/// top, DeepSeek says `prompt_cache_hit_tokens`. Anthropic's `input_tokens` leaves out what it read from the cache and
/// wrote to it, so these are added; in the details of OpenAI's names, both are parts of the prompt.
#[must_use]
pub fn read_usage(input: &[u8], usage: Value) -> Usage {
    Names::of(input, usage).usage()
}

/// The usage with OpenAI's names added, where it has only another API's; none where it has them.
///
/// OpenAI's SDKs take these three for granted. What the upstream sent stays beside them.
pub(crate) fn with_openai_names(input: &[u8], usage: Value) -> Option<Vec<u8>> {
    Names::of(input, usage).with_openai(input, usage)
}

impl Names {
    /// Those of a `usage` object that has been scanned before.
    pub(crate) fn of(input: &[u8], usage: Value) -> Self {
        let mut names = Self::default();
        // So it can't fail now.
        let _ = Scanner::of(input, usage).object(|scanner, key| {
            let value = scanner.member(&key)?.value;
            names.read(&key.text.key(), input, value);
            Ok::<_, JsonError>(())
        });
        names
    }

    /// See [`with_openai_names`]. Of the same usage.
    pub(crate) fn with_openai(&self, input: &[u8], usage: Value) -> Option<Vec<u8>> {
        if self.has_openai {
            return None;
        }
        let Usage { prompt_tokens, completion_tokens, .. } = self.usage();
        let (prompt, completion) = (prompt_tokens?, completion_tokens?);
        let mut text = format!("{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},");
        if !self.has_total {
            let _ = write!(text, "\"total_tokens\":{},", prompt.saturating_add(completion));
        }
        let mut text = text.into_bytes();
        text.extend_from_slice(&usage.span.of(input)[1..]);
        Some(text)
    }

    /// Usage that comes in several objects (Anthropic's streams): under each name the later count wins, unless it is 0, for
    /// some say 0 first and some last.
    pub(crate) fn go_on(&mut self, mut later: Self) {
        for (earlier, later) in self.counts().into_iter().zip(later.counts()) {
            *earlier = if later.says_nothing() { earlier.or(*later) } else { *later };
        }
    }

    const fn counts(&mut self) -> [&mut Count; 13] {
        [
            &mut self.prompt,
            &mut self.completion,
            &mut self.reasoning,
            &mut self.cached,
            &mut self.input,
            &mut self.output,
            &mut self.reasoning_at_top,
            &mut self.cached_at_top,
            &mut self.cache_hit,
            &mut self.cache_read,
            &mut self.cache_written,
            &mut self.cache_written_inside,
            &mut self.total,
        ]
    }

    fn read(&mut self, name: &[u8], input: &[u8], value: Value) {
        let slot = match name {
            b"prompt_tokens" => &mut self.prompt,
            b"completion_tokens" => &mut self.completion,
            b"input_tokens" => &mut self.input,
            b"output_tokens" => &mut self.output,
            b"reasoning_tokens" => &mut self.reasoning_at_top,
            b"cached_tokens" => &mut self.cached_at_top,
            b"prompt_cache_hit_tokens" => &mut self.cache_hit,
            b"cache_read_input_tokens" => &mut self.cache_read,
            b"cache_creation_input_tokens" => &mut self.cache_written,
            b"completion_tokens_details" | b"output_tokens_details" => {
                self.reasoning = self.reasoning.or(read_count(input, value, "reasoning_tokens"));
                return;
            }
            b"prompt_tokens_details" | b"input_tokens_details" => {
                self.cached = self.cached.or(read_count(input, value, "cached_tokens"));
                for name in ["cache_creation_input_tokens", "cache_write_tokens"] {
                    self.cache_written_inside = self.cache_written_inside.or(read_count(input, value, name));
                }
                return;
            }
            b"total_tokens" => &mut self.total,
            _ => return,
        };
        *slot = Count(value.as_whole(input));
        self.has_openai |= matches!(name, b"prompt_tokens" | b"completion_tokens");
        self.has_total |= name == b"total_tokens";
    }

    pub(crate) fn usage(&self) -> Usage {
        let from_cache = self.cache_read.0.unwrap_or(0).saturating_add(self.cache_written.0.unwrap_or(0));
        let input = Count(self.input.0.map(|input| input.saturating_add(from_cache)));
        let cached = [self.cached_at_top, self.cache_hit, self.cache_read];
        let mut usage = Usage {
            prompt_tokens: self.prompt.or(input).0,
            completion_tokens: self.completion.or(self.output).0,
            reasoning_tokens: self.reasoning.or(self.reasoning_at_top).0,
            cached_tokens: cached.into_iter().fold(self.cached, Count::or).0,
            cache_write_tokens: self.cache_written.or(self.cache_written_inside).0,
            reasoning_apart: false,
        };
        usage.reasoning_apart = self.is_reasoning_apart(&usage);
        usage
    }

    /// Whether the total is right only with the reasoning beside the completion.
    fn is_reasoning_apart(&self, usage: &Usage) -> bool {
        let sum = || {
            let reasoning = usage.reasoning_tokens.filter(|&reasoning| reasoning > 0)?;
            usage.prompt_tokens?.checked_add(usage.completion_tokens?)?.checked_add(reasoning)
        };
        self.total.0.is_some_and(|total| Some(total) == sum())
    }
}

fn read_count(input: &[u8], object: Value, name: &str) -> Count {
    let mut count = Count::default();
    if object.kind == Kind::Object {
        let _ = Scanner::of(input, object).object(|scanner, key| {
            let value = scanner.value()?;
            if key.text.is(name) {
                count = Count(value.as_whole(input));
            }
            Ok::<_, JsonError>(())
        });
    }
    count
}

#[cfg(test)]
mod tests;

//! Token counts: how upstreams spell them, and whether they are of a whole answer.

use crate::json::{JsonError, Kind, Scanner, Value};
use crate::named_enum;

/// Token counts as the upstream gave them. Absent members stay `None`: nothing is ever computed or guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// `prompt_tokens`.
    pub prompt_tokens: Option<u64>,
    /// `completion_tokens`, reasoning included.
    pub completion_tokens: Option<u64>,
    /// `completion_tokens_details.reasoning_tokens`, else `reasoning_tokens` (Moonshot, Azure).
    pub reasoning_tokens: Option<u64>,
    /// `prompt_tokens_details.cached_tokens`, else `cached_tokens` (Moonshot), else `prompt_cache_hit_tokens` (DeepSeek).
    pub cached_tokens: Option<u64>,
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

/// Token counts from a `usage` object.
///
/// The counts are in different places: OpenAI nests `reasoning_tokens` and `cached_tokens` in details, Moonshot and Azure
/// have them at the top, DeepSeek says `prompt_cache_hit_tokens`.
#[must_use]
pub fn read_usage(input: &[u8], usage: Value) -> Usage {
    let mut read = Usage::default();
    let (mut reasoning_at_top, mut cached_at_top, mut cache_hit) = (None, None, None);
    let mut scanner = Scanner::of(input, usage);
    // It has been scanned before, so it can't fail now.
    let _ = scanner.object(|scanner, key| {
        let value = scanner.member(&key)?.value;
        match key.text.raw() {
            b"prompt_tokens" => read.prompt_tokens = value.as_u64(input),
            b"completion_tokens" => read.completion_tokens = value.as_u64(input),
            b"reasoning_tokens" => reasoning_at_top = value.as_u64(input),
            b"cached_tokens" => cached_at_top = value.as_u64(input),
            b"prompt_cache_hit_tokens" => cache_hit = value.as_u64(input),
            b"completion_tokens_details" => {
                read.reasoning_tokens = read_count(input, value, b"reasoning_tokens");
            }
            b"prompt_tokens_details" => read.cached_tokens = read_count(input, value, b"cached_tokens"),
            _ => {}
        }
        Ok::<_, JsonError>(())
    });
    read.reasoning_tokens = read.reasoning_tokens.or(reasoning_at_top);
    read.cached_tokens = read.cached_tokens.or(cached_at_top).or(cache_hit);
    read
}

fn read_count(input: &[u8], object: Value, name: &[u8]) -> Option<u64> {
    let mut count = None;
    if object.kind == Kind::Object {
        let _ = Scanner::of(input, object).object(|scanner, key| {
            let value = scanner.value()?;
            if key.text.raw() == name {
                count = value.as_u64(input);
            }
            Ok::<_, JsonError>(())
        });
    }
    count
}

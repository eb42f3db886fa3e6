//! How many tokens a Messages body has, as an upstream counts them: `{"input_tokens": 12}`.

use crate::answer::completion::Cleaned;
use crate::answer::context::AnswerContext;
use crate::answer::error::StreamError;
use crate::answer::summary::Summary;
use crate::answer::usage::Usage;
use crate::refusal::Refusal;

use super::events::{document, members};

/// Read an answer. Its bytes stay as they are, and the count is the summary's `prompt_tokens`.
///
/// # Errors
/// Where it is an error, or counts nothing.
pub fn clean(body: &[u8], context: &AnswerContext) -> Result<Cleaned, StreamError> {
    let counted = document(body).and_then(|answer| members(body, answer, ["input_tokens"]));
    let counted = counted.ok().and_then(|[tokens]| tokens?.as_u64(body));
    let Some(prompt_tokens) = counted else {
        return Err(match Refusal::find(body) {
            Some(refusal) => StreamError::told(refusal, &context.secret),
            None => StreamError::not_a("count of tokens"),
        });
    };
    let usage = Usage { prompt_tokens: Some(prompt_tokens), ..Usage::default() };
    let summary = Summary { frames: 1, complete: true, usage: Some(usage), ..Summary::default() };
    Ok(Cleaned { body: None, summary })
}

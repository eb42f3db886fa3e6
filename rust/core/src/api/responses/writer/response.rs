//! The response object, which the first events have empty and the last one has whole.

use crate::answer::context::AnswerContext;
use crate::answer::error::StreamError;
use crate::answer::summary::Summary;
use crate::answer::usage::Usage;
use crate::api::responses::ResponsesReply;
use crate::json::text::write_string;

use super::events::write_number;

/// An id of OpenAI's may have 64 bytes; so much of the request's is in each of ours, between a prefix and a number.
const MAX_ID_STEM_BYTES: usize = 48;

/// What stands of a response from its beginning on.
#[derive(Debug)]
pub(super) struct ResponseHead {
    /// What the ids of the response and of its items have in common.
    id_stem: Vec<u8>,
    created_s: u64,
}

/// How a response stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status<'a> {
    InProgress,
    Completed,
    /// The reason.
    Incomplete(&'static str),
    Failed(&'a StreamError),
}

impl Status<'_> {
    /// That of an answer that has come to its end.
    pub(super) fn of(summary: &Summary) -> Self {
        match summary.finish_reason.as_deref() {
            Some("length") => Self::Incomplete("max_output_tokens"),
            Some("content_filter") => Self::Incomplete("content_filter"),
            _ => Self::Completed,
        }
    }

    /// The event that brings the response in this status.
    pub(super) const fn event(self) -> &'static str {
        match self {
            Self::InProgress => "response.in_progress",
            Self::Completed => "response.completed",
            Self::Incomplete(_) => "response.incomplete",
            Self::Failed(_) => "response.failed",
        }
    }

    const fn name(self) -> &'static [u8] {
        match self {
            Self::InProgress => b"in_progress",
            Self::Completed => b"completed",
            Self::Incomplete(_) => b"incomplete",
            Self::Failed(_) => b"failed",
        }
    }
}

impl ResponseHead {
    pub(super) fn new(context: &AnswerContext) -> Self {
        let request_id = context.request_id.as_bytes();
        let stem = request_id.strip_prefix(b"req_").unwrap_or(request_id).iter().copied();
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let id_stem = stem.filter(is_plain).take(MAX_ID_STEM_BYTES).collect();
        Self { id_stem, created_s: context.created_s }
    }

    /// The id of the item at this place.
    pub(super) fn item_id(&self, prefix: &str, index: usize) -> Vec<u8> {
        let mut id = [prefix.as_bytes(), &self.id_stem, b"_"].concat();
        write_number(index as u64, &mut id);
        id
    }

    /// Append the response, with these items.
    pub(super) fn write<'a>(
        &self,
        reply: &ResponsesReply,
        status: Status<'_>,
        items: impl IntoIterator<Item = &'a [u8]>,
        usage: Option<Usage>,
        output: &mut Vec<u8>,
    ) {
        for piece in [b"{\"id\":\"resp_", &self.id_stem[..], b"\",\"object\":\"response\",\"created_at\":"] {
            output.extend_from_slice(piece);
        }
        write_number(self.created_s, output);
        for piece in [b",\"status\":\"", status.name(), b"\",\"error\":"] {
            output.extend_from_slice(piece);
        }
        match status {
            Status::Failed(error) => write_error(error, output),
            _ => output.extend_from_slice(b"null"),
        }
        output.extend_from_slice(b",\"incomplete_details\":");
        match status {
            Status::Incomplete(reason) => {
                for piece in [b"{\"reason\":\"", reason.as_bytes(), b"\"}"] {
                    output.extend_from_slice(piece);
                }
            }
            _ => output.extend_from_slice(b"null"),
        }
        output.extend_from_slice(b",\"model\":");
        write_string(&reply.model, output);
        output.extend_from_slice(b",\"output\":[");
        for (place, item) in items.into_iter().enumerate() {
            if place > 0 {
                output.push(b',');
            }
            output.extend_from_slice(item);
        }
        output.extend_from_slice(b"],\"usage\":");
        write_usage(usage, output);
        if !reply.echo.is_empty() {
            output.push(b',');
            output.extend_from_slice(&reply.echo);
        }
        output.push(b'}');
    }
}

fn write_error(error: &StreamError, output: &mut Vec<u8>) {
    for piece in [b"{\"code\":\"", error_code(error).as_bytes(), b"\",\"message\":"] {
        output.extend_from_slice(piece);
    }
    write_string(&error.message, output);
    output.push(b'}');
}

/// OpenAI's code of an error. Codex asks again after a `server_error` or a `rate_limit_exceeded`, shortens the conversation
/// after a `context_length_exceeded`, and gives up after an `invalid_prompt`.
pub(in crate::api) fn error_code(error: &StreamError) -> &'static str {
    if error.code.as_deref() == Some("context_length_exceeded") {
        return "context_length_exceeded";
    }
    match error.status {
        Some(429) => "rate_limit_exceeded",
        Some(400 | 413 | 415 | 422 | 451) => "invalid_prompt",
        _ => "server_error",
    }
}

/// Null where the upstream did not count both. What it did not say of their parts is 0, for OpenAI's types want numbers.
fn write_usage(usage: Option<Usage>, output: &mut Vec<u8>) {
    let Some(Usage {
        prompt_tokens: Some(input),
        completion_tokens: Some(answer),
        reasoning_tokens,
        cached_tokens,
        ..
    }) = usage
    else {
        return output.extend_from_slice(b"null");
    };
    for (name, count) in [
        ("{\"input_tokens\":", input),
        (
            ",\"input_tokens_details\":{\"cache_write_tokens\":0,\"cached_tokens\":",
            cached_tokens.unwrap_or(0),
        ),
        ("},\"output_tokens\":", answer),
        (",\"output_tokens_details\":{\"reasoning_tokens\":", reasoning_tokens.unwrap_or(0)),
        ("},\"total_tokens\":", input.saturating_add(answer)),
    ] {
        output.extend_from_slice(name.as_bytes());
        write_number(count, output);
    }
    output.push(b'}');
}

//! The event with which an answer breaks off, in the words of its API.

use std::fmt::Write as _;

use crate::answer::error::StreamError;
use crate::json::text::string;

use super::responses;
use crate::api::messages::error_type;
use crate::api::responses::error_code;

/// `event: error` of Anthropic's Messages.
pub(super) fn message(error: &StreamError, request_id: &str, output: &mut Vec<u8>) {
    output.extend_from_slice(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"");
    output.extend_from_slice(error_type(error).as_bytes());
    output.extend_from_slice(b"\",\"message\":");
    output.extend_from_slice(&string(&error.message));
    output.extend_from_slice(b"},\"request_id\":");
    output.extend_from_slice(&string(request_id));
    output.extend_from_slice(b"}\n\n");
}

/// `response.failed` of OpenAI's Responses. Items that came before are not repeated.
pub(super) fn response(
    error: &StreamError,
    reader: &responses::Reader,
    created_s: u64,
    output: &mut Vec<u8>,
) {
    let code = error_code(error);
    let number = reader.number.map_or(0, |number| number.saturating_add(1));
    let (id, model) = match &reader.named {
        Some((id, model)) => (&id[..], &model[..]),
        None => (&b"resp_failed"[..], &b""[..]),
    };
    let mut head =
        String::from("event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":");
    let _ = write!(head, "{number},\"response\":{{\"id\":\"");
    output.extend_from_slice(head.as_bytes());
    output.extend_from_slice(id);
    let mut middle = String::new();
    let _ = write!(
        middle,
        "\",\"object\":\"response\",\"created_at\":{created_s},\"status\":\"failed\",\"error\":{{\"code\":\"{code}\",\
         \"message\":"
    );
    output.extend_from_slice(middle.as_bytes());
    output.extend_from_slice(&string(&error.message));
    output.extend_from_slice(b"},\"incomplete_details\":null,\"model\":\"");
    output.extend_from_slice(model);
    output.extend_from_slice(
        b"\",\"output\":[],\"parallel_tool_calls\":true,\"tool_choice\":\"auto\",\"tools\":[],\"usage\":null}}\n\n",
    );
}

//! One event by itself: what it says that it is, its data as text, and the frame of an error.

use crate::answer::bounds::MAX_REPLACED_BYTES;
use crate::answer::error::StreamError;
use crate::json::Scanner;
use crate::json::text::write_string;
use crate::refusal::ERROR_STATUSES;
use crate::sse::Event;

/// Append the frame that tells a client, in the midst of a stream, that it broke. `message` is always a string: that
/// is what makes the SDKs raise.
pub(super) fn write_error_frame(error: &StreamError, output: &mut Vec<u8>) {
    output.extend_from_slice(b"data: {\"error\":{\"message\":");
    write_string(&error.message, output);
    output.extend_from_slice(b",\"type\":\"upstream_error\",\"param\":null,\"code\":\"");
    output.extend_from_slice(error.kind.code().as_bytes());
    output.extend_from_slice(b"\"}}\n\n");
}

/// Its type says so, or the status that a comment gives it.
pub(super) fn is_error(event: &Event<'_>) -> bool {
    event.event_type == b"error" || event.http_status.is_some_and(is_error_status)
}

pub(super) fn is_error_status(status: u16) -> bool {
    ERROR_STATUSES.contains(&status)
}

/// The data of an event as text in one line: the specification decodes a stream as UTF-8 with replacement, and a line feed
/// can only be white space here. False where there is too much to replace: each bad byte becomes three.
pub(super) fn decode_into(payload: &mut Vec<u8>, data: &[u8]) -> bool {
    payload.reserve(data.len());
    for piece in data.utf8_chunks() {
        payload.extend_from_slice(piece.valid().as_bytes());
        if !piece.invalid().is_empty() {
            payload.extend_from_slice("\u{fffd}".as_bytes());
        }
        if payload.len() > data.len() + MAX_REPLACED_BYTES {
            return false;
        }
    }
    payload.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    true
}

pub(super) fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

pub(super) fn is_json(data: &[u8]) -> bool {
    let mut scanner = Scanner::new(data);
    scanner.value().and_then(|_| scanner.end()).is_ok()
}

//! Events or JSON? Told by what a body is, and not by its label: servers and proxies put the wrong one on it, or none.
//!
//! The first bytes are certain: no event stream begins with `{` or `[`, and no JSON with `data:`.

use super::bounds::MAX_TEXT_CHOICES;
use super::completion::Cleaned;
use super::context::AnswerContext;
use super::error::StreamError;
use super::merge::Merger;
use crate::json::edit::{Edits, MemberChanges};
use crate::json::{JsonError, Key, Kind, Member, Scanner, Span, Value};
use crate::sse::SseLimits;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An event stream.
    Events,
    /// One JSON value.
    Json,
    /// Neither, as far as its beginning tells.
    Other,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// How a stream's lines begin; `error:` is no field of the specification, but one provider's.
const FIELDS: [&[u8]; 6] = [b"data:", b"event:", b"id:", b"retry:", b"error:", b":"];

impl Form {
    /// By the first bytes; none where they do not tell yet.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        if BYTE_ORDER_MARK.starts_with(head) {
            return None;
        }
        let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
        match text.first()? {
            b'{' | b'[' => Some(Self::Json),
            _ if FIELDS.iter().any(|field| text.starts_with(field)) => Some(Self::Events),
            _ if FIELDS.iter().any(|field| field.starts_with(text)) => None,
            _ => Some(Self::Other),
        }
    }
}

/// Whether a JSON value ends here, and not only where the body does.
#[must_use]
pub fn is_whole(json: &[u8]) -> bool {
    Scanner::new(json).value().is_ok()
}

/// A whole answer as a stream of one event: its messages as deltas. What is no answer stays as it is, for the stream's
/// reader to judge.
#[must_use]
pub fn as_events(answer: &[u8]) -> Vec<u8> {
    let mut edits = Edits::new();
    let mut choices = 0;
    // Where it is no JSON, the stream's reader says so.
    let _ = Scanner::new(answer).object(|scanner, key| {
        if key.text.is("choices") && scanner.peek()? == Kind::Array {
            scanner.array(|scanner, _| {
                choices += 1;
                // More of them are refused, so they need no edits.
                if choices > MAX_TEXT_CHOICES {
                    scanner.value().map(|_| ())
                } else {
                    as_delta(scanner, &mut edits)
                }
            })?;
            return Ok(());
        }
        scanner.value().map(|_| ())
    });
    let mut events = Vec::with_capacity(answer.len() + 64);
    events.extend_from_slice(b"data: ");
    edits.apply(answer, &mut events);
    // In JSON, line ends are white space.
    events.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    events.extend_from_slice(b"\n\ndata: [DONE]\n\n");
    events
}

/// One choice: `message` is called `delta`, and there is a finish reason.
fn as_delta(scanner: &mut Scanner<'_>, edits: &mut Edits) -> Result<(), JsonError> {
    if scanner.peek()? != Kind::Object {
        return scanner.value().map(|_| ());
    }
    let input = scanner.input();
    let (mut members, mut calls) = (0, false);
    let (mut name, mut finish) = (None, None::<Member>);
    let span = scanner.object(|scanner, key| {
        members += 1;
        let member = scanner.member(&key)?;
        if key.text.is("message") {
            name = Some(written(&key));
            calls = has_calls(input, member.value);
        } else if key.text.is("finish_reason") {
            finish = Some(member);
        }
        Ok::<_, JsonError>(())
    })?;
    if let Some(name) = name {
        edits.replace(name, &b"\"delta\""[..]);
    }
    if finish.is_none_or(|finish| finish.value.is_blank(input)) {
        let mut changes = MemberChanges::new();
        let reason = if calls { &b"\"tool_calls\""[..] } else { b"\"stop\"" };
        changes.set(edits, finish, "finish_reason", reason);
        changes.finish(edits, input, span, members);
    }
    Ok(())
}

/// Where a key stands, its quotes included.
fn written(key: &Key<'_>) -> Span {
    Span { start: key.start, end: key.start + key.text.raw().len() + 2 }
}

fn has_calls(input: &[u8], message: Value) -> bool {
    let mut found = false;
    if message.kind == Kind::Object {
        let _ = Scanner::of(input, message).object(|scanner, key| {
            let value = scanner.value()?;
            found |= key.text.is("tool_calls") && !value.is_blank(input);
            Ok::<_, JsonError>(())
        });
    }
    found
}

/// A stream that was read whole, as one answer.
///
/// # Errors
/// Where it is an error, or breaks off.
pub(crate) fn merged(
    events: &[u8],
    context: &AnswerContext,
    limits: SseLimits,
) -> Result<Cleaned, StreamError> {
    let mut merger = Merger::new(context.clone(), limits);
    merger.feed(events);
    merger.finish();
    let summary = merger.summary().clone();
    Ok(Cleaned { body: Some(merger.into_completion()?), summary })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let rows: [(&[u8], Option<Form>); 22] = [
            (b"{\"id\"", Some(Form::Json)),
            (b"\xef\xbb\xbf \r\n\t{", Some(Form::Json)),
            (b"[", Some(Form::Json)),
            (b"data: {", Some(Form::Events)),
            (b"data:{", Some(Form::Events)),
            (b"\xef\xbb\xbfdata:", Some(Form::Events)),
            (b"\n\n: hi", Some(Form::Events)),
            (b"event: x", Some(Form::Events)),
            (b"id:1", Some(Form::Events)),
            (b"retry: 1", Some(Form::Events)),
            (b"error: {", Some(Form::Events)),
            (b":", Some(Form::Events)),
            (b"", None),
            (b"\xef\xbb", None),
            (b"\xef\xbb\xbf", None),
            (b" \n", None),
            (b"dat", None),
            (b"i", None),
            (b"<html>", Some(Form::Other)),
            (b"data {", Some(Form::Other)),
            (b"\"text\"", Some(Form::Other)),
            (b"upstream connect error", Some(Form::Other)),
        ];
        for (head, form) in rows {
            assert_eq!(Form::of(head), form, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn a_whole_answer_as_events() {
        let rows = [
            (
                "{\"choices\":[{\"message\":{\"content\":\"a\"},\n\"finish_reason\":\"length\"}]}",
                r#"{"choices":[{"delta":{"content":"a"}, "finish_reason":"length"}]}"#,
            ),
            (
                r#"{"choices":[{"m\u0065ssage":{},"finish_reason":null},{"message":{"tool_calls":[{}]}}]}"#,
                r#"{"choices":[{"delta":{},"finish_reason":"stop"},{"delta":{"tool_calls":[{}]},"finish_reason":"tool_calls"}]}"#,
            ),
            (r#"{"error":"no"}"#, r#"{"error":"no"}"#),
            (r#"[{"error":"no"}]"#, r#"[{"error":"no"}]"#),
            (r#"{"choices":[7,"#, r#"{"choices":[7,"#),
        ];
        for (answer, event) in rows {
            let events = String::from_utf8(as_events(answer.as_bytes())).unwrap();
            assert_eq!(events, format!("data: {event}\n\ndata: [DONE]\n\n"), "{answer}");
        }
    }
}

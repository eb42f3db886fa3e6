//! Chat frames, as the transformer writes them, read for a writer of another API: what each says, in its order.
//!
//! Texts stay escaped: they are what stands between the quotes of a JSON string. Only the first choice is read: the APIs
//! that are written from it have one. A frame that differs from the last one only in its one string, and in what comes behind
//! its choices, is not read again (see [`Template`]).

use crate::answer::chunk::{CallKind, Choice, Chunk, Holder, ToolCall, text_of};
use crate::answer::template::Template;
use crate::json::{JsonError, Kind, Scanner, Text, Value};

const HEAD: &[u8] = b"data: ";

/// What a frame says of the first choice. All texts are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta<'a> {
    /// More reasoning; never empty.
    Reasoning(&'a [u8]),
    /// More text; never empty.
    Text(&'a [u8]),
    /// More of a refusal; never empty.
    Refusal(&'a [u8]),
    /// A tool call, or more of it.
    Call(CallDelta<'a>),
    /// The stop sequence that was met (`stop_reason` of vLLM).
    StopSequence(&'a [u8]),
}

/// A tool call, or more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallDelta<'a> {
    /// Which one, from 0.
    pub index: u64,
    /// With the call's first delta.
    pub id: Option<Text<'a>>,
    /// With the call's first delta.
    pub name: Option<Text<'a>>,
    /// What is called.
    pub kind: CallKind,
    /// More of its arguments or its input; may be empty.
    pub arguments: &'a [u8],
}

/// What the one string of a template is.
#[derive(Clone, Copy, Debug)]
enum Repeated {
    Reasoning,
    Text,
    Arguments(u64, CallKind),
}

/// Reads frames.
#[derive(Debug, Default)]
pub struct FrameReader {
    chunk: Chunk,
    template: Template,
    repeated: Option<Repeated>,
}

impl FrameReader {
    /// Read whole frames of a chat stream and give each delta to `take`. The error frame and `[DONE]` say nothing here.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn read<'a, E>(
        &mut self,
        frames: &'a [u8],
        mut take: impl FnMut(Delta<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = 0;
        // The payloads are JSON in one line, so the first line feed ends the frame.
        for end in memchr::memchr_iter(b'\n', frames) {
            let line = &frames[start.min(end)..end];
            start = end + 1;
            if let Some(payload) = line.strip_prefix(HEAD) {
                self.frame(payload, &mut take)?;
            }
        }
        Ok(())
    }

    fn frame<'a, E>(
        &mut self,
        payload: &'a [u8],
        take: &mut impl FnMut(Delta<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(repeated) = self.repeated
            && let Some((string, rest)) = self.template.string_and_rest(payload)
            && !may_have_choices(rest)
        {
            return take(match repeated {
                Repeated::Reasoning => Delta::Reasoning(string),
                Repeated::Text => Delta::Text(string),
                Repeated::Arguments(index, kind) => {
                    Delta::Call(CallDelta { index, id: None, name: None, kind, arguments: string })
                }
            });
        }
        self.repeated = None;
        let mut chunk = std::mem::take(&mut self.chunk);
        let result = if chunk.read(payload, Holder::Delta).is_ok() {
            self.deltas(&chunk, payload, take)
        } else {
            Ok(())
        };
        chunk.release();
        self.chunk = chunk;
        result
    }

    fn deltas<'a, E>(
        &mut self,
        chunk: &Chunk,
        payload: &'a [u8],
        take: &mut impl FnMut(Delta<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_first = |choice: &&Choice| {
            choice.index.and_then(|index| index.value.as_u64(payload)).unwrap_or_default() == 0
        };
        for choice in chunk.choices.iter().filter(is_first) {
            let delta = &choice.delta;
            let reasoning = said(delta.reasoning_content.map(|member| member.value), payload);
            let text = said(delta.content.map(|member| member.value), payload);
            let calls = &chunk.tool_calls[choice.tool_calls_start..choice.tool_calls_end];
            if let Some((_, reasoning)) = reasoning {
                take(Delta::Reasoning(reasoning))?;
            }
            if let Some((_, text)) = text {
                take(Delta::Text(text))?;
            }
            if delta.says_more
                && let Some(refusal) = string_in(payload, choice.delta_member.map(|it| it.value), "refusal")
            {
                take(Delta::Refusal(refusal))?;
            }
            for call in calls {
                take(Delta::Call(call_delta(call, payload)))?;
            }
            if choice.says_more
                && let Some(met) =
                    string_in(payload, Some(Value { kind: Kind::Object, span: choice.span }), "stop_reason")
            {
                take(Delta::StopSequence(met))?;
            }
            if chunk.choices.len() == 1 && !delta.says_more && !choice.says_more {
                let end = chunk.choices_member.map_or(payload.len(), |member| member.span.end);
                self.remember(&payload[..end], reasoning, text, calls);
            }
        }
        Ok(())
    }

    /// Remember the frame, which is `payload` up to the end of its choices, where it says one thing only.
    fn remember(
        &mut self,
        payload: &[u8],
        reasoning: Option<(Value, &[u8])>,
        text: Option<(Value, &[u8])>,
        calls: &[ToolCall],
    ) {
        let (value, repeated) = match (reasoning, text, calls) {
            (Some((value, _)), None, []) => (value, Repeated::Reasoning),
            (None, Some((value, _)), []) => (value, Repeated::Text),
            (None, None, [call]) if call.id.is_none() && call.name.is_none() => {
                let Some((value, _)) = said(call.arguments.map(|member| member.value), payload) else {
                    return;
                };
                let index = call.index.and_then(|index| index.value.as_u64(payload)).unwrap_or_default();
                (value, Repeated::Arguments(index, call.payload_kind))
            }
            _ => return,
        };
        self.template.remember(payload, value, payload, value.span.start);
        self.repeated = Some(repeated);
    }
}

/// Whether there may be choices in what comes behind the choices: a member may come twice, and be spelled in escapes.
fn may_have_choices(rest: &[u8]) -> bool {
    memchr::memchr(b'\\', rest).is_some() || memchr::memmem::find(rest, b"\"choices\"").is_some()
}

/// A string that says something, and its inside.
fn said(value: Option<Value>, input: &[u8]) -> Option<(Value, &[u8])> {
    let value = value?;
    let text = value.as_text(input)?;
    (!text.is_empty()).then_some((value, text.raw()))
}

fn call_delta<'a>(call: &ToolCall, input: &'a [u8]) -> CallDelta<'a> {
    CallDelta {
        index: call.index.and_then(|index| index.value.as_u64(input)).unwrap_or_default(),
        id: text_of(call.id.as_ref(), input),
        name: text_of(call.name.as_ref(), input),
        kind: call.payload_kind,
        arguments: call.arguments.and_then(|member| member.value.as_text(input)).map_or(b"", Text::raw),
    }
}

/// The inside of a string member that says something.
fn string_in<'a>(input: &'a [u8], object: Option<Value>, name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    let object = object.filter(|value| value.kind == Kind::Object)?;
    // It has been scanned before, so it can't fail now.
    let _ = Scanner::of(input, object).object(|scanner, key| {
        let value = scanner.value()?;
        if key.text.is(name) {
            found = said(Some(value), input).map(|(_, text)| text);
        }
        Ok::<_, JsonError>(())
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deltas_of(payloads: &[&str]) -> Vec<String> {
        let mut reader = FrameReader::default();
        let mut said = Vec::new();
        for payload in payloads {
            let frame = [HEAD, payload.as_bytes(), b"\n\n"].concat();
            let result: Result<(), ()> = reader.read(&frame, |delta| {
                said.push(match delta {
                    Delta::Reasoning(text) => format!("r:{}", String::from_utf8_lossy(text)),
                    Delta::Text(text) => format!("t:{}", String::from_utf8_lossy(text)),
                    Delta::Refusal(text) => format!("no:{}", String::from_utf8_lossy(text)),
                    Delta::StopSequence(text) => format!("stop:{}", String::from_utf8_lossy(text)),
                    Delta::Call(CallDelta { index, id, name, kind, arguments }) => format!(
                        "call {index} {:?} {:?} {} {}",
                        id.map(|id| id.decode().into_owned()),
                        name.map(|name| name.decode().into_owned()),
                        kind.as_str(),
                        String::from_utf8_lossy(arguments),
                    ),
                });
                Ok(())
            });
            assert_eq!(result, Ok(()));
        }
        said
    }

    #[test]
    fn deltas_in_their_order() {
        let call = r#"{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"A"}}]}}"#;
        let rows: [(&str, &[&str], &[&str]); 9] = [
            (
                "reasoning before text",
                &[r#"{"choices":[{"index":0,"delta":{"content":"a\n","reasoning_content":"b"}}]}"#],
                &["r:b", "t:a\\n"],
            ),
            (
                "the same but for the string",
                &[
                    r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#,
                    r#"{"choices":[{"index":0,"delta":{"content":"b"}}]}"#,
                    r#"{"choices":[{"index":0,"delta":{"reasoning_content":"c"}}]}"#,
                    r#"{"choices":[{"index":0,"delta":{"reasoning_content":"d"}}]}"#,
                ],
                &["t:a", "t:b", "r:c", "r:d"],
            ),
            (
                "calls",
                &[
                    r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
                    &format!("{{\"choices\":[{call}]}}"),
                    &format!("{{\"choices\":[{}]}}", call.replace('A', "B")),
                ],
                &[
                    r#"call 1 Some("c") Some("f") function "#,
                    "call 1 None None function A",
                    "call 1 None None function B",
                ],
            ),
            (
                "a custom call",
                &[
                    r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"custom","custom":{"name":"f","input":"x"}}]}}]}"#,
                ],
                &[r#"call 0 Some("c") Some("f") custom x"#],
            ),
            (
                "something else behind the choices",
                &[
                    r#"{"choices":[{"index":0,"delta":{"content":"a"}}],"x":"1"}"#,
                    r#"{"choices":[{"index":0,"delta":{"content":"b"}}],"x":"2"}"#,
                    r#"{"choices":[{"index":0,"delta":{"content":"c"}}],"x":"\n"}"#,
                    r#"{"choices":[{"index":0,"delta":{"content":"d"},"x":1}]}"#,
                ],
                &["t:a", "t:b", "t:c", "t:d"],
            ),
            ("another choice", &[r#"{"choices":[{"index":1,"delta":{"content":"a"}}]}"#], &[]),
            (
                "a refusal and a stop sequence",
                &[
                    r#"{"choices":[{"index":0,"delta":{"refusal":"no"},"stop_reason":"END","finish_reason":"stop"}]}"#,
                ],
                &["no:no", "stop:END"],
            ),
            ("an error", &[r#"{"error":{"message":"x"}}"#], &[]),
            ("the end", &["[DONE]"], &[]),
        ];
        for (name, payloads, expected) in rows {
            assert_eq!(deltas_of(payloads), expected, "{name}");
        }
    }
}

//! Where reasoning is in a message or a delta, whatever it is called there.
//!
//! Upstreams have put it into members of many names (`reasoning`, `reasoning_text`, `thinking`), into lists of blocks
//! (`reasoning_details`, `thinking_blocks`, content as a list), and into objects of their own with any of these inside
//! (`provider_specific_fields`). Streams show it once, under one name; whole answers do not show it at all.

use super::bounds::MAX_PART_DEPTH;
use crate::json::edit::Edits;
use crate::json::{JsonError, Kind, Member, Scanner, Value};

/// What a member with such a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Reasoning, where it is a string.
    Text,
    /// Something else about reasoning: blocks, signatures, what is encrypted.
    Other,
}

/// Longer names are not looked at further than this.
const MAX_NAME_LETTERS: usize = 40;

/// What a member's name says of it; none where it has nothing to do with reasoning. Case, `_` and `-` do not matter.
pub(crate) fn name_of(key: &[u8]) -> Option<Name> {
    let mut letters = [0; MAX_NAME_LETTERS];
    let mut length = 0;
    for &byte in key.iter().filter(|byte| !matches!(byte, b'_' | b'-')).take(MAX_NAME_LETTERS) {
        letters[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    match &letters[..length] {
        b"reasoning" | b"reasoningcontent" | b"reasoningtext" | b"reasoningsummary" | b"thinking"
        | b"thinkingcontent" | b"thinkingtext" | b"thought" | b"thoughts" => Some(Name::Text),
        // How many tokens it took is no reasoning; nor is a signature that must come back with the next turn (Gemini).
        letters if letters.ends_with(b"tokens") || letters == b"thoughtsignature" => None,
        letters => mentions(letters).then_some(Name::Other),
    }
}

fn mentions(letters: &[u8]) -> bool {
    [&b"reasoning"[..], b"thinking"].iter().any(|word| memchr::memmem::find(letters, word).is_some())
}

/// Whether an unknown member's value may have reasoning inside. Keys are hardly ever escaped; one that is counts.
pub(crate) fn may_hide(input: &[u8], value: Value) -> bool {
    const WORDS: [&[u8]; 4] = [b"easoning", b"hinking", b"hought", b"\\u00"];
    let bytes = value.span.of(input);
    matches!(value.kind, Kind::Object | Kind::Array)
        && WORDS.iter().any(|word| memchr::memmem::find(bytes, word).is_some())
}

/// Content as a list of parts, taken apart: Mistral's `{type: "text"}` and `{type: "thinking"}`, Anthropic's blocks,
/// OpenRouter's details. Still escaped.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) text: Vec<u8>,
    pub(crate) reasoning: Vec<u8>,
}

impl Parts {
    pub(crate) fn read(input: &[u8], list: Value) -> Self {
        let mut parts = Self::default();
        parts.read_value(input, list, false, MAX_PART_DEPTH);
        parts
    }

    /// A string, an object or a list of them; `reasons` where the surroundings say that it is reasoning.
    fn read_value(&mut self, input: &[u8], value: Value, reasons: bool, depth: usize) {
        // It has been scanned before, so it can't fail now. Each level is scanned once more than the one around it.
        let mut scanner = Scanner::of(input, value);
        match value.kind {
            Kind::String => self.say(inside(input, value), reasons),
            Kind::Array if depth > 0 => {
                let _ = scanner.array(|scanner, _| {
                    let item = scanner.value()?;
                    self.read_value(input, item, reasons, depth - 1);
                    Ok::<_, JsonError>(())
                });
            }
            Kind::Object if depth > 0 => {
                let reasons = reasons || is_reasoning_part(input, value);
                let _ = scanner.object(|scanner, key| {
                    let member = scanner.value()?;
                    self.read_member(input, &key.text.key(), member, reasons, depth);
                    Ok::<_, JsonError>(())
                });
            }
            _ => {}
        }
    }

    fn read_member(&mut self, input: &[u8], key: &[u8], value: Value, reasons: bool, depth: usize) {
        match key {
            b"text" if value.kind == Kind::String => self.say(inside(input, value), reasons),
            b"content" | b"summary" if reasons => self.read_value(input, value, true, depth - 1),
            _ if name_of(key) == Some(Name::Text) => self.read_value(input, value, true, depth - 1),
            _ => {}
        }
    }

    fn say(&mut self, text: &[u8], reasons: bool) {
        if reasons { &mut self.reasoning } else { &mut self.text }.extend_from_slice(text);
    }
}

/// Whether a part calls itself reasoning: by its `type`, or as Gemini's parts do.
fn is_reasoning_part(input: &[u8], part: Value) -> bool {
    let mut reasons = false;
    let _ = Scanner::of(input, part).object(|scanner, key| {
        let value = scanner.value()?;
        reasons |= match &*key.text.key() {
            b"type" => value.as_text(input).is_some_and(|kind| name_of(&kind.key()).is_some()),
            b"thought" => value.as_bool(input) == Some(true),
            _ => false,
        };
        Ok::<_, JsonError>(())
    });
    reasons
}

/// The reasoning in a list of blocks or in one of them, still escaped.
pub(crate) fn blocks_text(input: &[u8], blocks: Value) -> Vec<u8> {
    let mut parts = Parts::default();
    if matches!(blocks.kind, Kind::Array | Kind::Object) {
        parts.read_value(input, blocks, true, MAX_PART_DEPTH);
    }
    parts.reasoning
}

fn inside(input: &[u8], string: Value) -> &[u8] {
    &input[string.span.start + 1..string.span.end - 1]
}

/// The reasoning of a message that has more of it than its usual members.
#[derive(Debug, Default)]
pub(crate) struct More {
    /// Members that hold nothing but its text, under whatever name but `reasoning_content`.
    pub(crate) aliases: Vec<Member>,
    /// All other members with a name of reasoning.
    pub(crate) others: Vec<Member>,
    /// Members without a rule that may have reasoning inside.
    pub(crate) hiding: Vec<Member>,
    /// The first text that is not in a string of the message itself, still escaped.
    pub(crate) text: Vec<u8>,
}

impl More {
    /// Look through a message.
    pub(crate) fn read(input: &[u8], message: Value) -> Self {
        let mut more = Self::default();
        let _ = Scanner::of(input, message).object(|scanner, key| {
            let member = scanner.member(&key)?;
            more.take(input, &key.text.key(), member);
            Ok::<_, JsonError>(())
        });
        more
    }

    fn take(&mut self, input: &[u8], key: &[u8], member: Member) {
        let text = match name_of(key) {
            _ if has_rule(key) => return,
            Some(Name::Text) => {
                self.aliases.push(member);
                blocks_text(input, member.value)
            }
            Some(Name::Other) => {
                self.others.push(member);
                blocks_text(input, member.value)
            }
            None if may_hide(input, member.value) => {
                self.hiding.push(member);
                hidden_text(input, member.value, MAX_PART_DEPTH)
            }
            None => return,
        };
        if self.text.is_empty() {
            self.text = text;
        }
    }
}

/// Members of a message or its choice that are not searched: they have rules of their own.
fn has_rule(key: &[u8]) -> bool {
    matches!(
        key,
        b"role"
            | b"content"
            | b"tool_calls"
            | b"function_call"
            | b"reasoning_content"
            | b"refusal"
            | b"logprobs"
            | b"message"
            | b"usage"
            | b"error"
    )
}

/// The first reasoning in a value without a rule, still escaped.
fn hidden_text(input: &[u8], value: Value, depth: usize) -> Vec<u8> {
    let mut found = Vec::new();
    if depth == 0 {
        return found;
    }
    let mut scanner = Scanner::of(input, value);
    let _ = match value.kind {
        Kind::Object => scanner.object(|scanner, key| {
            let value = scanner.value()?;
            if found.is_empty() {
                found = match (name_of(&key.text.key()), value.kind) {
                    (Some(Name::Text), Kind::String) => inside(input, value).to_vec(),
                    (Some(_), _) => blocks_text(input, value),
                    (None, _) => hidden_text(input, value, depth - 1),
                };
            }
            Ok::<_, JsonError>(())
        }),
        Kind::Array => scanner.array(|scanner, _| {
            let item = scanner.value()?;
            if found.is_empty() {
                found = hidden_text(input, item, depth - 1);
            }
            Ok::<_, JsonError>(())
        }),
        _ => return found,
    };
    found
}

/// Collect the edits that take reasoning out of a value without a rule.
pub(crate) fn remove_hidden(input: &[u8], value: Value, edits: &mut Edits) {
    remove_within(input, value, MAX_PART_DEPTH, edits);
}

fn remove_within(input: &[u8], value: Value, depth: usize, edits: &mut Edits) {
    if !may_hide(input, value) {
        return;
    }
    // What is nested deeper than any known answer is not searched.
    if depth == 0 {
        return edits.replace(value.span, &b"null"[..]);
    }
    let (mut count, mut removed) = (0, Vec::new());
    let mut scanner = Scanner::of(input, value);
    let _ = match value.kind {
        Kind::Object => scanner.object(|scanner, key| {
            count += 1;
            let member = scanner.member(&key)?;
            if name_of(&key.text.key()).is_some() {
                removed.push(member);
            } else {
                remove_within(input, member.value, depth - 1, edits);
            }
            Ok::<_, JsonError>(())
        }),
        _ => scanner.array(|scanner, ordinal| {
            count += 1;
            let value = scanner.value()?;
            if value.kind == Kind::Object && is_reasoning_part(input, value) {
                removed.push(Member { ordinal, span: value.span, value });
            } else {
                remove_within(input, value, depth - 1, edits);
            }
            Ok::<_, JsonError>(())
        }),
    };
    if !removed.is_empty() {
        edits.members(input, value.span, count, &mut removed, &[], ",");
    }
}

/// A value without a rule, without the reasoning in it; none where there is none.
pub(crate) fn without_hidden(input: &[u8], value: Value) -> Option<Vec<u8>> {
    let value_bytes = value.span.of(input);
    let value = Scanner::new(value_bytes).value().ok().filter(|value| may_hide(value_bytes, *value))?;
    let mut edits = Edits::new();
    remove_hidden(value_bytes, value, &mut edits);
    let mut output = Vec::with_capacity(value_bytes.len());
    edits.apply(value_bytes, &mut output);
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (expected, names) in [
            (
                Some(Name::Text),
                &["reasoning", "reasoning_text", "reasoningContent", "thinking", "Thinking", "thought"][..],
            ),
            (
                Some(Name::Other),
                &[
                    "reasoning_details",
                    "reasoning_opaque",
                    "thinking_blocks",
                    "redacted_thinking",
                    "reasoning_signature",
                    "reasoning_items",
                    "reasoning.text",
                ],
            ),
            (
                None,
                &[
                    "content",
                    "reason",
                    "finish_reason",
                    "reasoning_tokens",
                    "thought_signature",
                    "annotations",
                    "think",
                    "",
                ],
            ),
        ] {
            for name in names {
                assert_eq!(name_of(name.as_bytes()), expected, "{name}");
            }
        }
    }

    fn value(json: &str) -> Value {
        Scanner::new(json.as_bytes()).value().unwrap()
    }

    #[test]
    fn parts_are_told_apart_by_their_type() {
        for (list, text, reasoning) in [
            (r#"["a",{"type":"text","text":"b"}]"#, "ab", ""),
            (r#"[{"type":"thinking","thinking":"r","signature":"s"},{"type":"text","text":"a"}]"#, "a", "r"),
            (r#"[{"type":"thinking","thinking":[{"type":"text","text":"r"}]},{"text":"a"}]"#, "a", "r"),
            (r#"[{"text":"r","type":"reasoning"},{"type":"redacted_thinking","data":"x"}]"#, "", "r"),
            (
                r#"[{"type":"reasoning","summary":[{"type":"summary_text","text":"r"}],"encrypted_content":"x"}]"#,
                "",
                "r",
            ),
            (r#"[{"type":"reasoning","content":[{"type":"reasoning_text","text":"r"}]}]"#, "", "r"),
            (r#"[{"text":"r","thought":true},{"text":"a","thought":false}]"#, "a", "r"),
            (r#"[{"reasoningContent":{"reasoningText":{"text":"r"}}},{"text":"a"}]"#, "a", "r"),
            (r#"[{"type":"image_url","image_url":{"url":"u"}}, 1, null]"#, "", ""),
            (r#"[[[[[["deep"]]]]]]"#, "", ""),
        ] {
            let parts = Parts::read(list.as_bytes(), value(list));
            let found = [parts.text, parts.reasoning].map(|text| String::from_utf8(text).unwrap());
            assert_eq!(found, [text, reasoning], "{list}");
        }
    }

    #[test]
    fn what_is_hidden_is_found_and_removed() {
        for (json, text, left) in [
            (r#"{"reasoning_content":"r","x":1}"#, "r", r#"{"x":1}"#),
            (
                r#"{"a":{"thinking_blocks":[{"type":"thinking","thinking":"r"}]}, "citations":[1]}"#,
                "r",
                r#"{"a":{}, "citations":[1]}"#,
            ),
            (r#"{"a":[{"reasoning":{"text":"r"}},{"b":2}]}"#, "r", r#"{"a":[{},{"b":2}]}"#),
            (
                r#"[{"type":"thinking","thinking":"r"},{"type":"text","text":"a"}]"#,
                "r",
                r#"[{"type":"text","text":"a"}]"#,
            ),
            (r#"{"reasoning\u005fopaque":"x"}"#, "", "{}"),
            (r#"{"google":{"thought_signature":"s"}}"#, "", r#"{"google":{"thought_signature":"s"}}"#),
            (r#"{"a":{"b":{"c":{"d":{"reasoning":"r"}}}}}"#, "", r#"{"a":{"b":{"c":{"d":null}}}}"#),
        ] {
            let mut edits = Edits::new();
            remove_hidden(json.as_bytes(), value(json), &mut edits);
            let mut output = Vec::new();
            edits.apply(json.as_bytes(), &mut output);
            assert_eq!(String::from_utf8(output).unwrap(), left, "{json}");
            let found = hidden_text(json.as_bytes(), value(json), MAX_PART_DEPTH);
            assert_eq!(String::from_utf8(found).unwrap(), text, "{json}");
        }
    }
}

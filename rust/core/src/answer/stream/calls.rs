//! Tool calls in deltas: which call a delta belongs to, and what it may still say of it.
//!
//! OpenAI's rule is simple: `index` says which call; `id`, `type` and `name` come once, `arguments` in pieces.
//! Upstreams break each part of it. What is made of them:
//!
//! | an upstream's delta | is taken for |
//! | --- | --- |
//! | a known index, the known id or none | a further piece of that call |
//! | a known index, another id, a name | a new call (Gemini, Ollama: every call has index 0) |
//! | a known index, another id, no name | a further piece (ids that change under one index) |
//! | a known index, no id, another name than the known one | a new call |
//! | no index, a known id | a further piece of that call |
//! | no index, an unknown id | a new call (Mistral) |
//! | no index, no id, a name | a new call |
//! | no index, no id, no name | a further piece of the last call |
//!
//! New calls are numbered from 0 without gaps. A call that came without an id gets one.

use crate::answer::chunk::{ToolCall, text_of};
use crate::json::edit::{Edits, MemberChanges};
use crate::json::text::{Text, quoted, write_escaped};
use crate::json::{Kind, Member, Value};

/// One call of a choice, as far as it has come.
#[derive(Debug)]
pub(super) struct CallState {
    upstream_index: Option<u64>,
    /// The upstream's id, still escaped; empty where it gave none.
    id: Vec<u8>,
    /// The name, still escaped; empty until it has come.
    name: Vec<u8>,
}

/// What a delta says that tells its call apart from others.
struct Clues<'a> {
    index: Option<u64>,
    id: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
}

impl CallState {
    /// Collect the edits that one entry of `tool_calls` needs. `choice` is the choice's index and the request's id, of
    /// which new ids are made.
    pub(super) fn shape(
        calls: &mut Vec<Self>,
        entry: &ToolCall,
        input: &[u8],
        choice: (u64, &str),
        edits: &mut Edits,
    ) {
        let clues = Clues {
            index: entry.index.and_then(|index| index.value.as_u64(input)),
            id: text_of(entry.id.as_ref(), input).map(Text::raw),
            name: text_of(entry.name.as_ref(), input).map(Text::raw),
        };
        let known = find(calls, &clues);
        let number = known.unwrap_or_else(|| {
            let id = clues.id.unwrap_or_default().to_vec();
            calls.push(Self { upstream_index: clues.index, id, name: Vec::new() });
            calls.len() - 1
        });
        let call = &mut calls[number];
        let mut changes = MemberChanges::new();
        if clues.index != Some(number as u64) {
            changes.set(edits, entry.index, "index", number.to_string().into_bytes());
        }
        if known.is_none() {
            if clues.id.is_none() {
                changes.set(edits, entry.id, "id", quoted(new_call_id(choice, number).as_bytes()));
            }
            if text_of(entry.kind.as_ref(), input).is_none() {
                changes.set(edits, entry.kind, "type", &b"\"function\""[..]);
            }
        } else {
            for said_once in [entry.id, entry.kind].into_iter().flatten() {
                changes.remove(said_once);
            }
        }
        match entry.function {
            Some(function) if function.value.kind == Kind::Object => {
                call.function(entry, function, &clues, input, edits);
            }
            function if known.is_none() => {
                changes.set(edits, function, "function", &b"{\"arguments\":\"\"}"[..]);
            }
            Some(function) => changes.remove(function),
            None => {}
        }
        changes.finish(edits, input, entry.span, entry.members);
    }

    fn function(
        &mut self,
        entry: &ToolCall,
        function: Member,
        clues: &Clues<'_>,
        input: &[u8],
        edits: &mut Edits,
    ) {
        let mut changes = MemberChanges::new();
        match (clues.name, entry.name) {
            (Some(name), _) if self.name.is_empty() => self.name = name.to_vec(),
            (_, Some(name)) => changes.remove(name),
            _ => {}
        }
        if entry.arguments.is_none_or(|arguments| arguments.value.kind != Kind::String) {
            let value = write_arguments(input, entry.arguments.map(|arguments| arguments.value));
            changes.set(edits, entry.arguments, "arguments", value);
        }
        changes.finish(edits, input, function.value.span, entry.function_members);
    }
}

/// The call that a delta goes on with; none where it begins a new one. See the table above.
fn find(calls: &[CallState], clues: &Clues<'_>) -> Option<usize> {
    let last_with = |matches: &dyn Fn(&CallState) -> bool| calls.iter().rposition(matches);
    let Some(index) = clues.index else {
        return match (clues.id, clues.name) {
            (Some(id), _) => last_with(&|call| call.id == id),
            (None, Some(_)) => None,
            (None, None) => calls.len().checked_sub(1),
        };
    };
    if let Some(id) = clues.id
        && let Some(known) = last_with(&|call| call.upstream_index == Some(index) && call.id == id)
    {
        return Some(known);
    }
    let known = last_with(&|call| call.upstream_index == Some(index))?;
    let call = &calls[known];
    let begins_anew = match (clues.id, clues.name) {
        (_, None) => false,
        // A first delta without an id may be followed by one that brings it; only a second name tells them apart.
        (Some(_), Some(_)) if call.name.is_empty() => false,
        (Some(_), Some(_)) => true,
        (None, Some(name)) => !call.name.is_empty() && call.name != name,
    };
    (!begins_anew).then_some(known)
}

/// An id for a call that came without one: unique within the request, and the same however the stream is cut.
pub(crate) fn new_call_id((choice, request_id): (u64, &str), number: usize) -> String {
    format!("call_{request_id}_{choice}_{number}")
}

/// Arguments as a JSON string: a string as it is, nothing as `""`, and any other value as its own text.
pub(crate) fn write_arguments(input: &[u8], arguments: Option<Value>) -> Vec<u8> {
    let Some(value) = arguments.filter(|value| value.kind != Kind::Null) else { return b"\"\"".to_vec() };
    if value.kind == Kind::String {
        return value.span.of(input).to_vec();
    }
    let mut output = vec![b'"'];
    write_escaped(value.span.of(input), &mut output);
    output.push(b'"');
    output
}

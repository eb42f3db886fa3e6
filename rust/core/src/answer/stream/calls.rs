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

use std::collections::BTreeMap;

use crate::answer::bounds::Calls;
use crate::answer::chunk::{ToolCall, text_of};
use crate::json::edit::{Edits, MemberChanges};
use crate::json::text::{Text, quoted, write_escaped};
use crate::json::{Kind, Member, Value};

/// The calls of one choice. Found by what tells them apart in as many steps as there are digits in their number, not calls.
#[derive(Debug, Default)]
pub(super) struct CallStates {
    calls: Vec<CallState>,
    /// The last call of each of the upstream's indices.
    by_index: BTreeMap<u64, usize>,
    /// Where each of the upstream's ids, still escaped, came first and last.
    by_id: BTreeMap<Vec<u8>, Places>,
    /// The last call of each index and id; the id as its first place.
    by_both: BTreeMap<(u64, usize), usize>,
    name_bytes: usize,
}

/// One call, as far as it has come.
#[derive(Debug, Default)]
struct CallState {
    /// The name, still escaped; empty until it has come.
    name: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Places {
    first: usize,
    last: usize,
}

/// What a delta says that tells its call apart from others.
struct Clues<'a> {
    index: Option<u64>,
    id: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
}

impl CallStates {
    pub(super) const fn amount(&self) -> Calls {
        Calls { count: self.calls.len(), name_bytes: self.name_bytes }
    }

    /// Collect the edits that one entry of `tool_calls` needs. `choice` is the choice's index and the request's id, of
    /// which new ids are made.
    pub(super) fn shape(&mut self, entry: &ToolCall, input: &[u8], choice: (u64, &str), edits: &mut Edits) {
        let clues = Clues {
            index: entry.index.and_then(|index| index.value.as_u64(input)),
            id: text_of(entry.id.as_ref(), input).map(Text::raw),
            name: text_of(entry.name.as_ref(), input).map(Text::raw),
        };
        let known = self.find(&clues);
        let number = known.unwrap_or_else(|| self.begin(&clues));
        let call = &mut self.calls[number];
        let named_before = call.name.len();
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
        self.name_bytes += call.name.len() - named_before;
    }

    /// A new call; returns its number.
    fn begin(&mut self, clues: &Clues<'_>) -> usize {
        let number = self.calls.len();
        self.calls.push(CallState::default());
        if let Some(id) = clues.id {
            self.name_bytes += id.len();
            let places = self.by_id.entry(id.to_vec()).or_insert(Places { first: number, last: number });
            places.last = number;
            if let Some(index) = clues.index {
                self.by_both.insert((index, places.first), number);
            }
        }
        if let Some(index) = clues.index {
            self.by_index.insert(index, number);
        }
        number
    }

    /// The call that a delta goes on with; none where it begins a new one. See the table above.
    fn find(&self, clues: &Clues<'_>) -> Option<usize> {
        let places = clues.id.and_then(|id| self.by_id.get(id));
        let Some(index) = clues.index else {
            return match (clues.id, clues.name) {
                (Some(_), _) => places.map(|places| places.last),
                (None, Some(_)) => None,
                (None, None) => self.calls.len().checked_sub(1),
            };
        };
        if let Some(known) = places.and_then(|places| self.by_both.get(&(index, places.first))) {
            return Some(*known);
        }
        let known = *self.by_index.get(&index)?;
        let call = &self.calls[known];
        let begins_anew = match (clues.id, clues.name) {
            (_, None) => false,
            // A first delta without an id may be followed by one that brings it; only a second name tells them apart.
            (Some(_), Some(_)) if call.name.is_empty() => false,
            (Some(_), Some(_)) => true,
            (None, Some(name)) => !call.name.is_empty() && call.name != name,
        };
        (!begins_anew).then_some(known)
    }
}

impl CallState {
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

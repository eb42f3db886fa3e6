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
//! | a known index, no id, the known name again, in the same delta or behind whole arguments | a new call (Gemini) |
//! | no index, a known id | a further piece of that call |
//! | no index, an unknown id | a new call (Mistral) |
//! | no index, no id, a name | a new call, but for the name of a last call that has none, or no whole arguments yet |
//! | no index, no id, no name | a further piece of the last call |
//!
//! A call comes out once its name has come, with all that was said of it before; a call without a name is none. Calls
//! are numbered from 0 without gaps, in the order in which they come out. A call that came without an id gets one.

use std::collections::BTreeMap;

use super::held::{Arguments, Held, Progress};
use crate::answer::bounds::Calls;
use crate::answer::chunk::{CallKind, ToolCall, text_of};
use crate::answer::completion::Called;
use crate::json::edit::{Edits, MemberChanges};
use crate::json::text::{Text, quoted, write_escaped};
use crate::json::{Kind, Value};

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
    /// How many have come out.
    sent: usize,
    /// How many there were before this delta.
    before: usize,
    /// How much text this delta says of them: arguments, and each name once.
    said_bytes: usize,
}

/// One call, as far as it has come.
#[derive(Debug, Default)]
struct CallState {
    /// Its number for the client; none until its name has come.
    number: Option<usize>,
    /// The name, still escaped; empty until it has come.
    name: Vec<u8>,
    /// The upstream's id, as it came first.
    id: Vec<u8>,
    /// Whether a piece that begins with the same name can belong to it.
    arguments: Arguments,
    /// What came before the name.
    held: Held,
    kind: CallKind,
    /// Of a kind without a rule here: see [`ToolCall::is_foreign`].
    is_foreign: bool,
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

/// What becomes of an entry of `tool_calls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    ComesOut,
    /// It waits for the call's name.
    IsHeld,
}

impl CallStates {
    pub(super) const fn amount(&self) -> Calls {
        Calls { count: self.calls.len(), name_bytes: self.name_bytes }
    }

    /// What has come of them so far.
    pub(super) const fn called(&self) -> Called {
        match (self.sent, self.calls.is_empty()) {
            (0, true) => Called::None,
            (0, false) => Called::Nothing,
            _ => Called::Something,
        }
    }

    /// Another delta begins.
    pub(super) const fn begin_delta(&mut self) {
        self.before = self.calls.len();
        self.said_bytes = 0;
    }

    /// How much text the delta said, its names and arguments.
    pub(super) const fn said_bytes(&self) -> usize {
        self.said_bytes
    }

    /// Collect the edits that one entry of `tool_calls` needs. `choice` is the choice's index and the request's id, of
    /// which new ids are made.
    pub(super) fn shape(
        &mut self,
        entry: &ToolCall,
        input: &[u8],
        choice: (u64, &str),
        edits: &mut Edits,
    ) -> Fate {
        let clues = Clues {
            index: entry.index.and_then(|index| index.value.as_u64(input)),
            id: text_of(entry.id.as_ref(), input).map(Text::raw),
            name: text_of(entry.name.as_ref(), input).map(Text::raw),
        };
        let place = self.find(&clues, entry, input).unwrap_or_else(|| self.begin(&clues));
        if self.calls[place].id.is_empty()
            && let Some(id) = clues.id
        {
            self.know_id(place, id, clues.index);
        }
        let call = &mut self.calls[place];
        let bytes_before = call.bytes();
        call.arguments.go_on(entry, input);
        self.said_bytes += entry.argument_bytes(input);
        let fate = if let Some(number) = call.number {
            call.further(number, &clues, entry, input, edits);
            Fate::ComesOut
        } else if entry.is_named(input) {
            call.number = Some(self.sent);
            self.sent += 1;
            self.said_bytes += clues.name.map_or(0, |name| Text::new(name).decoded_bytes());
            call.first(self.sent - 1, &clues, entry, input, choice, edits);
            Fate::ComesOut
        } else {
            call.held.add(entry, input);
            Fate::IsHeld
        };
        self.name_bytes = self.name_bytes + call.bytes() - bytes_before;
        fate
    }

    /// A new call; returns its place.
    fn begin(&mut self, clues: &Clues<'_>) -> usize {
        let place = self.calls.len();
        self.calls.push(CallState::default());
        if let Some(index) = clues.index {
            self.by_index.insert(index, place);
        }
        place
    }

    fn know_id(&mut self, place: usize, id: &[u8], index: Option<u64>) {
        self.calls[place].id = id.to_vec();
        self.name_bytes += id.len();
        let places = self.by_id.entry(id.to_vec()).or_insert(Places { first: place, last: place });
        places.last = place;
        if let Some(index) = index {
            self.by_both.insert((index, places.first), place);
        }
    }

    /// The call that a delta goes on with; none where it begins a new one. See the table above.
    fn find(&self, clues: &Clues<'_>, entry: &ToolCall, input: &[u8]) -> Option<usize> {
        let places = clues.id.and_then(|id| self.by_id.get(id));
        let Some(index) = clues.index else {
            if clues.id.is_some() {
                return places.map(|places| places.last);
            }
            let last = self.calls.len().checked_sub(1)?;
            let goes_on = clues.name.is_none_or(|name| self.calls[last].may_repeat(name));
            return goes_on.then_some(last);
        };
        if let Some(known) = places.and_then(|places| self.by_both.get(&(index, places.first))) {
            return Some(*known);
        }
        let known = *self.by_index.get(&index)?;
        let call = &self.calls[known];
        let begins_anew = match (clues.id, clues.name) {
            (_, None) => false,
            // A first delta without an id may be followed by one that brings it; only a second name tells them apart.
            (_, Some(_)) if call.is_foreign => true,
            (Some(_), Some(_)) if call.name.is_empty() => !call.id.is_empty() && call.held.says_nothing(),
            (Some(_), Some(_)) => true,
            (None, Some(_)) if call.name.is_empty() => false,
            (None, Some(name)) => {
                call.name != name
                    || known >= self.before
                    || (call.arguments.progress == Progress::Whole
                        && text_of(entry.arguments.as_ref(), input).is_some())
            }
        };
        (!begins_anew).then_some(known)
    }
}

impl CallState {
    /// What it costs to know it, its id apart.
    const fn bytes(&self) -> usize {
        self.name.len() + self.held.bytes
    }

    /// Whether a piece that says this name can belong to it.
    fn may_repeat(&self, name: &[u8]) -> bool {
        self.name.is_empty() && !self.is_foreign
            || self.name == name && self.arguments.progress == Progress::Begun
    }

    /// The first delta that comes out.
    fn first(
        &mut self,
        number: usize,
        clues: &Clues<'_>,
        entry: &ToolCall,
        input: &[u8],
        choice: (u64, &str),
        edits: &mut Edits,
    ) {
        let held = std::mem::take(&mut self.held);
        let mut changes = MemberChanges::new();
        set_index(number, clues, entry, edits, &mut changes);
        if self.id.is_empty() {
            changes.set(edits, entry.id, "id", quoted(new_call_id(choice, number).as_bytes()));
        } else if clues.id != Some(&self.id) {
            changes.set(edits, entry.id, "id", quoted(&self.id));
        }
        self.name = clues.name.unwrap_or_default().to_vec();
        (self.kind, self.is_foreign) = (entry.payload_kind, clues.name.is_none());
        match (entry.payload_object(), entry.payload) {
            (Some(payload), _) => {
                set_kind(entry, &held, input, edits, &mut changes);
                let mut inside = MemberChanges::new();
                set_arguments(entry, &held.arguments, input, edits, &mut inside);
                inside.finish(edits, input, payload.value.span, entry.payload_members);
            }
            (None, Some(payload)) => changes.remove(payload),
            (None, None) => {}
        }
        if let Some(spare) = entry.spare {
            changes.remove(spare);
        }
        held.add_extras(entry, input, &mut changes);
        changes.finish(edits, input, entry.span, entry.members);
    }

    /// A further piece.
    fn further(&self, number: usize, clues: &Clues<'_>, entry: &ToolCall, input: &[u8], edits: &mut Edits) {
        let mut changes = MemberChanges::new();
        set_index(number, clues, entry, edits, &mut changes);
        let said_once = [entry.id, entry.kind, entry.spare].into_iter().flatten();
        said_once.for_each(|member| changes.remove(member));
        match (entry.payload_object(), entry.payload) {
            (Some(payload), _) if entry.payload_kind != self.kind && !self.is_foreign => {
                let arguments = write_arguments(input, entry.arguments.map(|arguments| arguments.value));
                let (kind, name) = (self.kind.as_str(), self.kind.arguments());
                let piece = [format!("\"{kind}\":{{\"{name}\":").as_bytes(), &arguments, b"}"].concat();
                edits.replace(payload.span, piece);
            }
            (Some(payload), _) if !self.is_foreign => {
                let mut inside = MemberChanges::new();
                if let Some(name) = entry.name {
                    inside.remove(name);
                }
                set_arguments(entry, &[], input, edits, &mut inside);
                inside.finish(edits, input, payload.value.span, entry.payload_members);
            }
            (_, Some(payload)) => changes.remove(payload),
            (_, None) => {}
        }
        changes.finish(edits, input, entry.span, entry.members);
    }
}

fn set_index(
    number: usize,
    clues: &Clues<'_>,
    entry: &ToolCall,
    edits: &mut Edits,
    changes: &mut MemberChanges,
) {
    if clues.index != Some(number as u64) {
        changes.set(edits, entry.index, "index", number.to_string().into_bytes());
    }
}

/// The `type`, where the entry has none, or the one of the other payload.
fn set_kind(entry: &ToolCall, held: &Held, input: &[u8], edits: &mut Edits, changes: &mut MemberChanges) {
    if let Some(kind) = kind_to_set(entry, input) {
        let kind = held.foreign_kind.as_deref().unwrap_or(kind.as_bytes());
        changes.set(edits, entry.kind, "type", quoted(kind));
    }
}

/// What a call's `type` has to be, where that is not what it is. Types that are not OpenAI's stay.
pub(crate) fn kind_to_set(call: &ToolCall, input: &[u8]) -> Option<&'static str> {
    let (right, wrong) = match call.payload_kind {
        CallKind::Function => (CallKind::Function, CallKind::Custom),
        CallKind::Custom => (CallKind::Custom, CallKind::Function),
    };
    let is_wrong = text_of(call.kind.as_ref(), input).is_none_or(|kind| kind.is(wrong.as_str()));
    is_wrong.then_some(right.as_str())
}

/// Arguments as a string, with those in front that came before.
pub(crate) fn set_arguments(
    call: &ToolCall,
    before: &[u8],
    input: &[u8],
    edits: &mut Edits,
    changes: &mut MemberChanges,
) {
    let is_string = call.arguments.is_some_and(|arguments| arguments.value.kind == Kind::String);
    if !is_string || !before.is_empty() {
        let mut value = write_arguments(input, call.arguments.map(|arguments| arguments.value));
        value.splice(1..1, before.iter().copied());
        changes.set(edits, call.arguments, call.payload_kind.arguments(), value);
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
    let quotes = memchr::memchr_iter(b'"', value.span.of(input)).count();
    let mut output = Vec::with_capacity(value.span.len() + quotes + 2);
    output.push(b'"');
    write_escaped(value.span.of(input), &mut output);
    output.push(b'"');
    output
}

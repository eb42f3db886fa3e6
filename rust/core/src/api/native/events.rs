//! What the events of both APIs have in common: members are looked for by name, once, and the answer's account.

use crate::answer::finish::{Reason, translate};
use crate::answer::summary::Summary;
use crate::answer::usage::Names;
use crate::json::{JsonError, Kind, Scanner, Text, Value};

use super::kept::Kept;

/// Where an event stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It opens the stream and says nothing yet: what follows may still be an error that is better raised than told.
    Opening,
    /// It says something.
    Good,
    /// It is the last one.
    Last,
}

/// The named members of an object, in the order of the names; of several with one name, the last.
pub(super) fn members<const N: usize>(
    input: &[u8],
    object: Value,
    names: [&str; N],
) -> Result<[Option<Value>; N], JsonError> {
    let mut found = [None; N];
    if object.kind == Kind::Object {
        Scanner::of(input, object).object(|scanner, key| {
            let value = scanner.value()?;
            if let Some(at) = names.iter().position(|name| key.text.is(name)) {
                found[at] = Some(value);
            }
            Ok::<_, JsonError>(())
        })?;
    }
    Ok(found)
}

/// A document that is one object.
pub(super) fn document(input: &[u8]) -> Result<Value, JsonError> {
    let mut scanner = Scanner::new(input);
    let value = scanner.value()?;
    scanner.end()?;
    Ok(value)
}

/// The inside of a string that says something.
pub(super) fn text(input: &[u8], value: Option<Value>) -> Option<Text<'_>> {
    value?.as_text(input).filter(|text| !text.is_empty())
}

/// Each item of an array; none where it is none.
pub(super) fn items(
    input: &[u8],
    array: Option<Value>,
    mut take: impl FnMut(Value) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    if let Some(array) = array.filter(|array| array.kind == Kind::Array) {
        Scanner::of(input, array).array(|scanner, _| {
            let item = scanner.value()?;
            take(item)
        })?;
    }
    Ok(())
}

/// The account of an answer, and its turn.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) summary: Summary,
    pub(super) kept: Kept,
    usage: Names,
    /// Whether the turn is wanted.
    pub(super) keeps: bool,
}

impl Account {
    pub(super) fn new(keeps: bool) -> Self {
        Self { keeps, ..Self::default() }
    }

    pub(super) fn reason(&mut self, raw: &[u8]) {
        self.summary.reasoning_seen |= !raw.is_empty();
        if self.keeps {
            self.kept.reason(raw);
        }
    }

    pub(super) fn text(&mut self, raw: &[u8]) {
        if self.keeps {
            self.kept.text(raw);
        }
    }

    /// More of the answer's text, whatever it is: see [`Summary::output_bytes`].
    pub(super) fn said(&mut self, text: Option<Text<'_>>) {
        self.summary.output_bytes += text.map_or(0, Text::decoded_bytes) as u64;
    }

    /// Of usage that comes in several events, later counts win.
    pub(super) fn usage(&mut self, input: &[u8], usage: Option<Value>) {
        let Some(usage) = usage.filter(|usage| usage.kind == Kind::Object) else { return };
        self.usage.go_on(Names::of(input, usage));
        self.summary.usage = Some(self.usage.usage());
        self.summary.metered();
    }

    /// The upstream's reason, in chat's words.
    pub(super) fn finish(&mut self, reason: &str) {
        match translate(reason) {
            Reason::Translated(known) => self.summary.finish(known.to_owned()),
            Reason::AsIs | Reason::Error => self.summary.finish(reason.to_owned()),
            Reason::NotYet => {}
        }
    }

    /// The answer has come to its proper end.
    pub(super) fn complete(&mut self) {
        if self.summary.finish_reason.is_none() {
            let reason = if self.kept.has_called() { "tool_calls" } else { "stop" };
            self.summary.finish(reason.to_owned());
        }
        self.summary.complete = true;
        if self.keeps {
            self.summary.turns.extend(self.kept.finish());
        }
    }
}

//! Members without rules of their own, merged.

use std::collections::BTreeMap;

use crate::answer::bounds::{Excess, MAX_EXTRAS, MAX_TOOL_CALLS};
use crate::answer::chunk::ChunkError;
use crate::answer::reasoning;
use crate::json::{Kind, Scanner, Value};

/// How much more one merged answer may have, in all its objects together.
#[derive(Debug)]
pub(super) struct Room {
    extras: usize,
    calls: usize,
}

impl Room {
    pub(super) const fn new() -> Self {
        Self { extras: MAX_EXTRAS, calls: MAX_TOOL_CALLS }
    }

    pub(super) fn take_extra(&mut self) -> Result<(), Excess> {
        take_one(&mut self.extras).ok_or(Excess::Extras)
    }

    pub(super) fn take_call(&mut self) -> Result<(), Excess> {
        take_one(&mut self.calls).ok_or(Excess::ToolCalls)
    }
}

fn take_one(left: &mut usize) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

/// Objects within objects that are merged member by member. Below, the last value stays.
const MAX_MERGED_DEPTH: usize = 4;

/// The value of one, and its place among them.
#[derive(Debug)]
struct Extra {
    value: Merged,
    place: usize,
}

#[derive(Debug)]
enum Merged {
    /// As it came.
    Value(Vec<u8>),
    Object(Extras),
}

/// Members by their keys, which are still escaped; written in the order in which they first came.
#[derive(Debug, Default)]
pub(super) struct Extras(BTreeMap<Vec<u8>, Extra>);

impl Extras {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The last value stays, unless it is null.
    pub(super) fn set(
        &mut self,
        key: &[u8],
        input: &[u8],
        value: Value,
        room: &mut Room,
    ) -> Result<(), Excess> {
        if value.kind == Kind::Null {
            return Ok(());
        }
        let value = value.span.of(input);
        match self.0.get_mut(key).map(|extra| &mut extra.value) {
            Some(Merged::Value(before)) => value.clone_into(before),
            Some(before) => *before = Merged::Value(value.to_vec()),
            None => self.insert(key, Merged::Value(value.to_vec()), room)?,
        }
        Ok(())
    }

    fn insert(&mut self, key: &[u8], value: Merged, room: &mut Room) -> Result<(), Excess> {
        room.take_extra()?;
        let place = self.0.len();
        self.0.insert(key.to_vec(), Extra { value, place });
        Ok(())
    }

    /// [`Self::set`], without the reasoning inside.
    pub(super) fn set_shown(
        &mut self,
        key: &[u8],
        input: &[u8],
        value: Value,
        room: &mut Room,
    ) -> Result<(), ChunkError> {
        match reasoning::without_hidden(input, value) {
            Some(shown) => Ok(self.set(key, &shown, Scanner::new(&shown).value()?, room)?),
            None => Ok(self.set(key, input, value, room)?),
        }
    }

    /// [`Self::extend`], without the reasoning inside.
    pub(super) fn extend_shown(
        &mut self,
        key: &[u8],
        input: &[u8],
        value: Value,
        room: &mut Room,
    ) -> Result<(), ChunkError> {
        match reasoning::without_hidden(input, value) {
            Some(shown) => self.extend(key, &shown, Scanner::new(&shown).value()?, room),
            None => self.extend(key, input, value, room),
        }
    }

    /// Arrays are concatenated, objects merged member by member; of anything else, the last value stays.
    pub(super) fn extend(
        &mut self,
        key: &[u8],
        input: &[u8],
        value: Value,
        room: &mut Room,
    ) -> Result<(), ChunkError> {
        self.extend_within(key, input, value, room, MAX_MERGED_DEPTH)
    }

    fn extend_within(
        &mut self,
        key: &[u8],
        input: &[u8],
        value: Value,
        room: &mut Room,
        depth: usize,
    ) -> Result<(), ChunkError> {
        if value.kind == Kind::Object && depth > 0 {
            return self.extend_object(key, input, value, room, depth - 1);
        }
        match self.0.get_mut(key).map(|extra| &mut extra.value) {
            Some(Merged::Value(before)) if value.kind == Kind::Array && before.first() == Some(&b'[') => {
                concatenate(before, value.span.of(input));
                Ok(())
            }
            _ => Ok(self.set(key, input, value, room)?),
        }
    }

    fn extend_object(
        &mut self,
        key: &[u8],
        input: &[u8],
        value: Value,
        room: &mut Room,
        depth: usize,
    ) -> Result<(), ChunkError> {
        if !self.0.contains_key(key) {
            self.insert(key, Merged::Object(Self::new()), room)?;
        }
        let Some(Extra { value: merged, .. }) = self.0.get_mut(key) else { return Ok(()) };
        if matches!(merged, Merged::Value(_)) {
            *merged = Merged::Object(Self::new());
        }
        let Merged::Object(members) = merged else { return Ok(()) };
        Scanner::of(input, value).object(|scanner, key| {
            let value = scanner.value()?;
            members.extend_within(key.text.raw(), input, value, room, depth)?;
            Ok::<_, ChunkError>(())
        })?;
        Ok(())
    }

    pub(super) fn write(&self, output: &mut Vec<u8>) {
        let mut extras: Vec<_> = self.0.iter().collect();
        extras.sort_unstable_by_key(|(_, extra)| extra.place);
        for (key, extra) in extras {
            output.extend_from_slice(b",\"");
            output.extend_from_slice(key);
            output.extend_from_slice(b"\":");
            match &extra.value {
                Merged::Value(value) => output.extend_from_slice(value),
                Merged::Object(members) => members.write_object(output),
            }
        }
    }

    fn write_object(&self, output: &mut Vec<u8>) {
        let start = output.len();
        self.write(output);
        // The first comma becomes the brace.
        if output.len() == start {
            output.push(b'{');
        } else {
            output[start] = b'{';
        }
        output.push(b'}');
    }
}

/// Append the items of one array to another.
fn concatenate(array: &mut Vec<u8>, other: &[u8]) {
    let items = other[1..other.len() - 1].trim_ascii();
    if items.is_empty() {
        return;
    }
    array.pop();
    array.truncate(array.trim_ascii_end().len());
    if array.len() > 1 {
        array.push(b',');
    }
    array.extend_from_slice(items);
    array.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_joined_whatever_white_space_is_in_them() {
        for (array, other, expected) in [
            ("[]", "[]", "[]"),
            ("[]", "[1]", "[1]"),
            ("[ ]", "[ 1 ]", "[1]"),
            ("[1]", "[ ]", "[1]"),
            ("[1 ]", "[2, 3]", "[1,2, 3]"),
        ] {
            let mut joined = array.as_bytes().to_vec();
            concatenate(&mut joined, other.as_bytes());
            assert_eq!(String::from_utf8_lossy(&joined), expected, "{array} and {other}");
        }
    }
}

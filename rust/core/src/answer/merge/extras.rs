//! Members without rules of their own, merged.

use std::collections::BTreeMap;

use crate::answer::bounds::{Excess, MAX_EXTRAS, MAX_TOOL_CALLS};
use crate::json::{Kind, Value};

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

/// The value of one, as it came, and its place among them.
#[derive(Debug)]
struct Extra {
    value: Vec<u8>,
    place: usize,
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
        if let Some(extra) = self.0.get_mut(key) {
            value.clone_into(&mut extra.value);
            return Ok(());
        }
        room.take_extra()?;
        let place = self.0.len();
        self.0.insert(key.to_vec(), Extra { value: value.to_vec(), place });
        Ok(())
    }

    /// Arrays are concatenated; of anything else, the last value stays.
    pub(super) fn extend(
        &mut self,
        key: &[u8],
        input: &[u8],
        value: Value,
        room: &mut Room,
    ) -> Result<(), Excess> {
        match self.0.get_mut(key) {
            Some(extra) if value.kind == Kind::Array && extra.value.first() == Some(&b'[') => {
                concatenate(&mut extra.value, value.span.of(input));
                Ok(())
            }
            _ => self.set(key, input, value, room),
        }
    }

    pub(super) fn write(&self, output: &mut Vec<u8>) {
        let mut extras: Vec<_> = self.0.iter().collect();
        extras.sort_unstable_by_key(|(_, extra)| extra.place);
        for (key, extra) in extras {
            output.extend_from_slice(b",\"");
            output.extend_from_slice(key);
            output.extend_from_slice(b"\":");
            output.extend_from_slice(&extra.value);
        }
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

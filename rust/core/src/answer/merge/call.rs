//! Tool calls, merged.

use super::extras::{Extras, Room};
use super::{Growing, Read, keep_first};
use crate::answer::chunk::{CallKind, ChunkError};
use crate::json::{Kind, Scanner, Value};

/// A call that grows.
#[derive(Debug, Default)]
pub(super) struct Call {
    id: Vec<u8>,
    /// The `type`, as it came.
    kind: Vec<u8>,
    /// None where the type is not OpenAI's: then all of it is in `extras`.
    payload_kind: Option<CallKind>,
    name: Growing,
    arguments: Growing,
    payload_extras: Extras,
    extras: Extras,
}

impl Call {
    /// An entry of `tool_calls`.
    pub(super) fn add(&mut self, input: &[u8], entry: Value, room: &mut Room) -> Read {
        Scanner::of(input, entry).object(|scanner, key| {
            let value = scanner.value()?;
            match (&*key.text.key(), value.kind) {
                (b"id", _) => keep_first(&mut self.id, input, value),
                (b"type", _) => keep_first(&mut self.kind, input, value),
                (b"function", Kind::Object) => self.add_payload(CallKind::Function, input, value, room)?,
                (b"custom", Kind::Object) => self.add_payload(CallKind::Custom, input, value, room)?,
                (b"index" | b"function" | b"custom", _) => {}
                _ => self.extras.set(key.text.raw(), input, value, room)?,
            }
            Ok::<_, ChunkError>(())
        })?;
        Ok(())
    }

    /// What is called: `function`, `custom`, or `function_call`.
    pub(super) fn add_payload(
        &mut self,
        kind: CallKind,
        input: &[u8],
        payload: Value,
        room: &mut Room,
    ) -> Read {
        let kind = *self.payload_kind.get_or_insert(kind);
        Scanner::of(input, payload).object(|scanner, key| {
            let value = scanner.value()?;
            if key.text.is("name") {
                self.name.append(input, value);
            } else if key.text.is(kind.arguments()) {
                self.arguments.append(input, value);
            } else {
                self.payload_extras.set(key.text.raw(), input, value, room)?;
            }
            Ok::<_, ChunkError>(())
        })?;
        Ok(())
    }

    pub(super) fn write(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(b"{\"id\":");
        output.extend_from_slice(if self.id.is_empty() { b"\"\"" } else { &self.id });
        output.extend_from_slice(b",\"type\":");
        output.extend_from_slice(if self.kind.is_empty() { b"\"function\"" } else { &self.kind });
        if let Some(kind) = self.payload_kind {
            output.extend_from_slice(b",\"");
            output.extend_from_slice(kind.as_str().as_bytes());
            output.extend_from_slice(b"\":");
            self.write_payload(output);
        }
        self.extras.write(output);
        output.push(b'}');
    }

    pub(super) fn write_payload(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(b"{\"name\":");
        self.name.write(output);
        output.extend_from_slice(b",\"");
        output.extend_from_slice(self.payload_kind.unwrap_or_default().arguments().as_bytes());
        output.extend_from_slice(b"\":");
        self.arguments.write(output);
        self.payload_extras.write(output);
        output.push(b'}');
    }
}

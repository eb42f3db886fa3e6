//! Log probabilities, merged.

use super::extras::{Extras, Room};
use super::{About, Read};
use crate::answer::chunk::ChunkError;
use crate::answer::reasoning;
use crate::json::{Kind, Scanner, Value};

/// The `logprobs` of a choice. Those of reasoning are left out, as the reasoning is.
#[derive(Debug, Default)]
pub(super) struct Logprobs {
    content: Option<Items>,
    refusal: Option<Items>,
    extras: Extras,
}

/// The items of an array that grows, with commas and without brackets.
#[derive(Debug, Default)]
struct Items(Vec<u8>);

impl Items {
    fn append(&mut self, input: &[u8], array: Value) {
        let items = input[array.span.start + 1..array.span.end - 1].trim_ascii();
        if !items.is_empty() {
            if !self.0.is_empty() {
                self.0.push(b',');
            }
            self.0.extend_from_slice(items);
        }
    }
}

impl Logprobs {
    pub(super) fn add(&mut self, input: &[u8], logprobs: Value, about: About, room: &mut Room) -> Read {
        Scanner::of(input, logprobs).object(|scanner, key| {
            let value = scanner.value()?;
            match (&*key.text.key(), value.kind) {
                (b"content", Kind::Array) => {
                    let content = self.content.get_or_insert_default();
                    if about == About::Content {
                        content.append(input, value);
                    }
                }
                (b"refusal", Kind::Array) => self.refusal.get_or_insert_default().append(input, value),
                (b"content" | b"refusal", _) => {}
                (name, _) if reasoning::name_of(name).is_some() => {}
                _ => self.extras.extend_shown(key.text.raw(), input, value, room)?,
            }
            Ok::<_, ChunkError>(())
        })?;
        Ok(())
    }

    pub(super) fn write(&self, output: &mut Vec<u8>) {
        for (name, items) in [(&b"{\"content\":"[..], &self.content), (b",\"refusal\":", &self.refusal)] {
            output.extend_from_slice(name);
            match items {
                None => output.extend_from_slice(b"null"),
                Some(Items(items)) => {
                    output.push(b'[');
                    output.extend_from_slice(items);
                    output.push(b']');
                }
            }
        }
        self.extras.write(output);
        output.push(b'}');
    }
}

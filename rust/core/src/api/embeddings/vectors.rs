//! Vectors from one form into the other: a list of numbers, or base64 of little-endian 32-bit floats.
//!
//! * Base64 was asked for, and a list of numbers has come: it is encoded. A list that holds anything else than numbers
//!   within a float's range (a vector of each token, nulls) stays as it is: SDKs take a list for what it is.
//! * Floats were asked for, and a string has come: it is decoded, each number as the shortest one that is the same float.
//!   What can't be decoded is an error: nobody who asked for numbers can use it.
//!
//! Everything around the vectors stays as it is. The new text takes at most three times as many bytes as the old one.

use std::io::Write;

use crate::answer::context::Vectors;
use crate::json::{JsonError, Kind, Scanner, Value};

use super::base64;

const FLOAT_BYTES: usize = size_of::<f32>();

/// A string where numbers were asked for is no base64 of finite floats.
pub(super) struct NoFloats;

impl From<JsonError> for NoFloats {
    fn from(_: JsonError) -> Self {
        Self
    }
}

/// The new text of `list`, the `data` of an answer; none where nothing changes.
pub(super) fn converted(input: &[u8], list: Value, wanted: Vectors) -> Result<Option<Vec<u8>>, NoFloats> {
    let from = match wanted {
        Vectors::AsTheyCome => return Ok(None),
        Vectors::Base64 => Kind::Array,
        Vectors::Floats => Kind::String,
    };
    let mut writer = Writer { input, copied: list.span.start, output: Vec::new(), floats: Vec::new() };
    Scanner::of(input, list).array(|scanner, _| {
        if scanner.peek()? != Kind::Object {
            scanner.value()?;
            return Ok(());
        }
        scanner.object(|scanner, key| {
            if !key.text.is("embedding") || scanner.peek()? != from {
                scanner.value()?;
                return Ok(());
            }
            if from == Kind::Array { writer.encode(scanner) } else { writer.decode(scanner) }
        })?;
        Ok::<_, NoFloats>(())
    })?;
    Ok(writer.end(list.span.end))
}

/// The new text as it grows, in one pass: one edit per vector would cost more than the smallest vectors.
struct Writer<'a> {
    input: &'a [u8],
    /// Up to here, the input is in the output, or stands there in its other form.
    copied: usize,
    output: Vec<u8>,
    /// One vector, used again for the next.
    floats: Vec<u8>,
}

impl Writer<'_> {
    /// Consume a list; base64 takes its place, where it has only numbers.
    fn encode(&mut self, scanner: &mut Scanner<'_>) -> Result<(), NoFloats> {
        self.floats.clear();
        let start = scanner.position();
        let mut fits = true;
        let span = scanner.array(|scanner, _| {
            let value = scanner.value()?;
            match float(self.input, value) {
                Some(float) if fits => self.floats.extend_from_slice(&float.to_le_bytes()),
                _ => fits = false,
            }
            Ok::<_, JsonError>(())
        })?;
        if fits {
            self.copy_to(start);
            self.output.push(b'"');
            base64::encode(&self.floats, &mut self.output);
            self.output.push(b'"');
            self.copied = span.end;
        }
        Ok(())
    }

    /// Consume a string; the list of its numbers takes its place.
    fn decode(&mut self, scanner: &mut Scanner<'_>) -> Result<(), NoFloats> {
        self.floats.clear();
        let value = scanner.value()?;
        let text = value.as_text(self.input).ok_or(NoFloats)?.decode();
        base64::decode(text.as_bytes(), &mut self.floats).ok_or(NoFloats)?;
        self.copy_to(value.span.start);
        self.copied = value.span.end;
        let (floats, rest) = self.floats.as_chunks::<FLOAT_BYTES>();
        if !rest.is_empty() {
            return Err(NoFloats);
        }
        self.output.push(b'[');
        for (index, float) in floats.iter().enumerate() {
            let float = f32::from_le_bytes(*float);
            if !float.is_finite() {
                return Err(NoFloats);
            }
            if index > 0 {
                self.output.push(b',');
            }
            // Writing to a vector does not fail. This form has an exponent where the number is far from one.
            let _ = write!(self.output, "{float:?}");
        }
        self.output.push(b']');
        Ok(())
    }

    fn copy_to(&mut self, position: usize) {
        self.output.extend_from_slice(&self.input[self.copied..position]);
    }

    /// The text up to `position`, the list's end, where it is another one.
    fn end(mut self, position: usize) -> Option<Vec<u8>> {
        if self.output.is_empty() {
            return None;
        }
        self.copy_to(position);
        Some(self.output)
    }
}

/// The nearest float to a number that one can hold.
fn float(input: &[u8], value: Value) -> Option<f32> {
    if value.kind != Kind::Number {
        return None;
    }
    let number: f32 = str::from_utf8(value.span.of(input)).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

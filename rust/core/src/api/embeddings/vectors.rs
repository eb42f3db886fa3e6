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

use super::base64::{self, Decoder, Encoder};

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
    let mut writer = Writer { input, copied: list.span.start, output: Vec::new() };
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

/// The new text as it grows, in one pass: an edit for each vector would cost more than the smallest vectors.
struct Writer<'a> {
    input: &'a [u8],
    /// Up to here, the input is in the output, or stands there in its other form.
    copied: usize,
    output: Vec<u8>,
}

impl Writer<'_> {
    /// Consume a list; base64 takes its place, where it has only numbers.
    fn encode(&mut self, scanner: &mut Scanner<'_>) -> Result<(), NoFloats> {
        let (before, copied) = (self.output.len(), self.copied);
        self.copy_to(scanner.position());
        self.output.push(b'"');
        let mut encoder = Encoder::default();
        let mut fits = true;
        let span = scanner.array(|scanner, _| {
            let value = scanner.value()?;
            match float(self.input, value) {
                Some(float) if fits => {
                    make_room(&mut self.output, base64::STEP_SIGNS);
                    encoder.push(float.to_le_bytes(), &mut self.output);
                }
                _ => fits = false,
            }
            Ok::<_, JsonError>(())
        })?;
        if !fits {
            self.output.truncate(before);
            self.copied = copied;
            return Ok(());
        }
        encoder.finish(&mut self.output);
        self.output.push(b'"');
        self.copied = span.end;
        Ok(())
    }

    /// Consume a string; the list of its numbers takes its place.
    fn decode(&mut self, scanner: &mut Scanner<'_>) -> Result<(), NoFloats> {
        /// A comma, a sign, nine digits and their point, an exponent.
        const LONGEST_FLOAT: usize = 16;
        let value = scanner.value()?;
        let text = value.as_text(self.input).ok_or(NoFloats)?.decode();
        self.copy_to(value.span.start);
        self.copied = value.span.end;
        self.output.push(b'[');
        let mut is_first = true;
        for step in Decoder::new(text.as_bytes()).ok_or(NoFloats)? {
            let step = step.ok_or(NoFloats)?;
            let (floats, rest) = step.as_chunks::<FLOAT_BYTES>();
            if !rest.is_empty() {
                return Err(NoFloats);
            }
            for &float in floats {
                let float = f32::from_le_bytes(float);
                if !float.is_finite() {
                    return Err(NoFloats);
                }
                make_room(&mut self.output, LONGEST_FLOAT);
                if !is_first {
                    self.output.push(b',');
                }
                is_first = false;
                // Writing to a vector does not fail. This form has an exponent where the number is far from one.
                let _ = write!(self.output, "{float:?}");
            }
        }
        self.output.push(b']');
        Ok(())
    }

    fn copy_to(&mut self, position: usize) {
        let text = &self.input[self.copied..position];
        make_room(&mut self.output, text.len() + 1);
        self.output.extend_from_slice(text);
        self.copied = position;
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

/// Grow by an eighth: twice as much, as vectors do of themselves, is much where an answer is large.
fn make_room(output: &mut Vec<u8>, bytes: usize) {
    if output.capacity() - output.len() < bytes {
        output.reserve_exact(bytes.max(output.capacity() / 8));
    }
}

/// The nearest float to a number, where it is within their range.
fn float(input: &[u8], value: Value) -> Option<f32> {
    if value.kind != Kind::Number {
        return None;
    }
    let number: f32 = str::from_utf8(value.span.of(input)).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

//! One walk over a document, which checks it and yields its values.

use super::block::{self, Escapes};
use super::error::{JsonError, JsonErrorKind};
use super::text::{self, Text};
use super::value::{Key, Kind, Member, Span, Value};

/// Objects and arrays may nest this deep. A value inside 128 containers is fine, a 129th is refused.
pub const MAX_DEPTH: usize = 128;

/// Check that the input is UTF-8; everything else in this module relies on it.
///
/// # Errors
/// [`JsonErrorKind::InvalidUtf8`] at the first byte that is none.
pub fn check_utf8(input: &[u8]) -> Result<(), JsonError> {
    if simdutf8::basic::from_utf8(input).is_ok() {
        return Ok(());
    }
    // The quick check says only that something is wrong; where is asked once, on the way to a refusal.
    let offset = std::str::from_utf8(input).err().map_or(0, |error| error.valid_up_to());
    Err(JsonError { kind: JsonErrorKind::InvalidUtf8, offset })
}

/// Walks over one document, value by value.
///
/// [`Scanner::object`] and [`Scanner::array`] call back at each member; the callback consumes that one value, by
/// [`Scanner::value`], or by descending into it.
#[derive(Debug)]
pub struct Scanner<'a> {
    input: &'a [u8],
    position: usize,
    depth: usize,
    /// How long the strings among the values so far are, their escapes read.
    text_bytes: usize,
    /// How much longer all escapes so far are than what they stand for.
    escape_bytes: usize,
}

impl<'a> Scanner<'a> {
    /// At the start of the input. Does not check UTF-8: see [`check_utf8`].
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self::at_offset(input, 0)
    }

    /// At an offset at which a value begins.
    #[must_use]
    pub(crate) const fn at_offset(input: &'a [u8], position: usize) -> Self {
        Self { input, position, depth: 0, text_bytes: 0, escape_bytes: 0 }
    }

    /// At the start of a value that has been scanned before.
    #[must_use]
    pub const fn of(input: &'a [u8], value: Value) -> Self {
        Self::at_offset(input, value.span.start)
    }

    /// Consume the next value as if it were in one container more: so deep it comes to be.
    pub(crate) fn value_one_deeper(&mut self) -> Result<Value, JsonError> {
        self.depth += 1;
        let value = self.value();
        self.depth -= 1;
        value
    }

    /// The input, with the lifetime of the input.
    #[must_use]
    pub const fn input(&self) -> &'a [u8] {
        self.input
    }

    /// The offset of the next byte to be read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// How many bytes of text the values have that were consumed: what is in their strings, keys apart, as UTF-8 with the
    /// escapes read. Half a surrogate pair counts two.
    #[must_use]
    pub const fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Count on from so many bytes of text: what was consumed since then is no text to the caller.
    pub(crate) const fn count_on_from(&mut self, text_bytes: usize) {
        self.text_bytes = text_bytes;
    }

    const fn error<T>(&self, kind: JsonErrorKind) -> Result<T, JsonError> {
        Err(JsonError { kind, offset: self.position })
    }

    /// The type of the next value; white space before it is consumed, the value is not.
    ///
    /// # Errors
    /// Where no value begins.
    #[inline]
    pub fn peek(&mut self) -> Result<Kind, JsonError> {
        match self.next_byte()? {
            b'{' => Ok(Kind::Object),
            b'[' => Ok(Kind::Array),
            b'"' => Ok(Kind::String),
            b'-' | b'0'..=b'9' => Ok(Kind::Number),
            b't' | b'f' => Ok(Kind::Boolean),
            b'n' => Ok(Kind::Null),
            _ => self.error(JsonErrorKind::UnexpectedByte),
        }
    }

    /// Consume the next value, whatever it is.
    ///
    /// # Errors
    /// Where it is not JSON.
    #[inline]
    pub fn value(&mut self) -> Result<Value, JsonError> {
        let kind = self.peek()?;
        let start = self.position;
        match kind {
            Kind::String => {
                let escape_bytes = self.escape_bytes;
                let text = self.string()?;
                self.text_bytes += text.raw().len() - (self.escape_bytes - escape_bytes);
            }
            Kind::Number => self.number()?,
            Kind::Object => {
                self.object(|scanner, _| scanner.value().map(|_| ()))?;
            }
            Kind::Array => {
                self.array(|scanner, _| scanner.value().map(|_| ()))?;
            }
            Kind::Boolean if self.input[start] == b't' => self.literal(b"true")?,
            Kind::Boolean => self.literal(b"false")?,
            Kind::Null => self.literal(b"null")?,
        }
        Ok(Value { kind, span: Span { start, end: self.position } })
    }

    /// Consume the next value, which must be an object; `member` is called after each key and consumes its value.
    ///
    /// # Errors
    /// Where it is not an object, or what the callback says.
    #[inline]
    pub fn object<E, F>(&mut self, mut member: F) -> Result<Span, E>
    where
        E: From<JsonError>,
        F: FnMut(&mut Self, Key<'a>) -> Result<(), E>,
    {
        let start = self.open(b'{')?;
        if self.next_byte()? == b'}' {
            return Ok(self.close(start));
        }
        let mut ordinal = 0;
        loop {
            if self.next_byte()? != b'"' {
                return Err(self.unexpected().into());
            }
            let key_start = self.position;
            let text = self.string()?;
            if self.next_byte()? != b':' {
                return Err(self.unexpected().into());
            }
            self.position += 1;
            member(self, Key { text, start: key_start, ordinal })?;
            ordinal += 1;
            match self.next_byte()? {
                b',' => self.position += 1,
                b'}' => return Ok(self.close(start)),
                _ => return Err(self.unexpected().into()),
            }
            self.next_byte()?;
        }
    }

    /// Consume the next value, which must be an array; `item` is called at each item, with its index, and consumes it.
    ///
    /// # Errors
    /// Where it is not an array, or what the callback says.
    #[inline]
    pub fn array<E, F>(&mut self, mut item: F) -> Result<Span, E>
    where
        E: From<JsonError>,
        F: FnMut(&mut Self, usize) -> Result<(), E>,
    {
        let start = self.open(b'[')?;
        if self.next_byte()? == b']' {
            return Ok(self.close(start));
        }
        for index in 0.. {
            item(self, index)?;
            match self.next_byte()? {
                b',' => self.position += 1,
                b']' => break,
                _ => return Err(self.unexpected().into()),
            }
        }
        Ok(self.close(start))
    }

    /// Consume the value after a key, and name both.
    ///
    /// # Errors
    /// Where it is not JSON.
    #[inline]
    pub fn member(&mut self, key: &Key<'a>) -> Result<Member, JsonError> {
        let value = self.value()?;
        Ok(Member { ordinal: key.ordinal, span: Span { start: key.start, end: value.span.end }, value })
    }

    /// Consume the value after a key: with `read` where it is of this kind, else as whatever it is.
    ///
    /// # Errors
    /// Where it is not JSON, or what `read` says.
    #[inline]
    pub fn member_with<E, F>(&mut self, key: &Key<'a>, kind: Kind, read: F) -> Result<Member, E>
    where
        E: From<JsonError>,
        F: FnOnce(&mut Self) -> Result<(), E>,
    {
        if self.peek()? != kind {
            return Ok(self.member(key)?);
        }
        let start = self.position;
        read(self)?;
        let span = Span { start, end: self.position };
        Ok(Member {
            ordinal: key.ordinal,
            span: Span { start: key.start, end: span.end },
            value: Value { kind, span },
        })
    }

    /// Check that nothing but white space follows.
    ///
    /// # Errors
    /// [`JsonErrorKind::TrailingData`].
    pub fn end(&mut self) -> Result<(), JsonError> {
        self.skip_whitespace();
        if self.position == self.input.len() { Ok(()) } else { self.error(JsonErrorKind::TrailingData) }
    }

    const fn unexpected(&self) -> JsonError {
        JsonError { kind: JsonErrorKind::UnexpectedByte, offset: self.position }
    }

    #[inline]
    fn open(&mut self, bracket: u8) -> Result<usize, JsonError> {
        if self.next_byte()? != bracket {
            return self.error(JsonErrorKind::UnexpectedByte);
        }
        if self.depth >= MAX_DEPTH {
            return self.error(JsonErrorKind::TooDeep);
        }
        self.depth += 1;
        let start = self.position;
        self.position += 1;
        Ok(start)
    }

    #[inline]
    const fn close(&mut self, start: usize) -> Span {
        self.depth -= 1;
        self.position += 1;
        Span { start, end: self.position }
    }

    #[inline]
    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.input.get(self.position) {
            self.position += 1;
        }
    }

    /// The next byte that is not white space; not consumed.
    #[inline]
    fn next_byte(&mut self) -> Result<u8, JsonError> {
        self.skip_whitespace();
        match self.input.get(self.position) {
            Some(&byte) => Ok(byte),
            None => self.error(JsonErrorKind::UnexpectedEnd),
        }
    }

    fn literal(&mut self, literal: &'static [u8]) -> Result<(), JsonError> {
        for &expected in literal {
            match self.input.get(self.position) {
                Some(&byte) if byte == expected => self.position += 1,
                Some(_) => return self.error(JsonErrorKind::UnexpectedByte),
                None => return self.error(JsonErrorKind::UnexpectedEnd),
            }
        }
        Ok(())
    }

    /// Consume a string; the position is at its first quote.
    #[inline]
    fn string(&mut self) -> Result<Text<'a>, JsonError> {
        let start = self.position + 1;
        // Most strings are short, and none of their bytes is special.
        self.position = text::find_special(self.input, start);
        if self.input.get(self.position) != Some(&b'"') {
            self.rest_of_string()?;
        }
        let raw = &self.input[start..self.position];
        self.position += 1;
        Ok(Text::new(raw))
    }

    /// From a special byte of a string to its closing quote.
    #[inline(never)]
    fn rest_of_string(&mut self) -> Result<(), JsonError> {
        self.skip_text()?;
        loop {
            self.position = text::find_special(self.input, self.position);
            match self.input.get(self.position) {
                Some(b'"') => return Ok(()),
                // Escapes come in runs (Chinese as `\u4f60\u597d`, a line feed and a quote).
                Some(b'\\') => {
                    while self.input.get(self.position) == Some(&b'\\') {
                        self.escape()?;
                    }
                }
                Some(_) => return self.error(JsonErrorKind::ControlCharacter),
                None => return self.error(JsonErrorKind::UnexpectedEnd),
            }
        }
    }

    /// Go on in a string, a block at a time; up to its closing quote, or to less than a block before the input's end.
    ///
    /// Prompts have an escape every line or two, so a block's escapes are found and counted together. Only rare ones are
    /// looked at by themselves.
    fn skip_text(&mut self) -> Result<(), JsonError> {
        let mut run = Escapes::default();
        while let Some(block) = self.input[self.position..].first_chunk() {
            let begin = self.position;
            if run.open || block::special_bits(block) != 0 {
                let quotes = block::bits_of(block, b'"');
                let backslashes = block::bits_of(block, b'\\');
                let escaped = run.escaped(backslashes);
                let ends = (quotes | block::control_bits(block)) & !escaped;
                let before_end = ends.wrapping_sub(1) & !ends;
                let frequent =
                    quotes | backslashes | block::bits_of(block, b'n') | block::bits_of(block, b't');
                self.escape_bytes += (escaped & frequent & before_end).count_ones() as usize;
                let mut others = escaped & !frequent & before_end;
                while others != 0 {
                    self.position = begin + others.trailing_zeros() as usize - 1;
                    self.escape()?;
                    others &= others - 1;
                }
                if ends != 0 {
                    self.position = begin + ends.trailing_zeros() as usize;
                    let is_quote = self.input[self.position] == b'"';
                    return if is_quote { Ok(()) } else { self.error(JsonErrorKind::ControlCharacter) };
                }
            }
            self.position = begin + block.len();
        }
        // What follows is read from its backslash on.
        self.position -= usize::from(run.open);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.position += 1;
        match self.input.get(self.position) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.position += 1;
                self.escape_bytes += 1;
                Ok(())
            }
            Some(b'u') => {
                self.position += 1;
                let digits = self.position;
                if let Some(unit) = text::unit(&self.input[digits..]) {
                    self.position += text::UNIT_ESCAPE_BYTES - r"\u".len();
                    self.escape_bytes += text::UNIT_ESCAPE_BYTES - text::unit_bytes(unit);
                    return Ok(());
                }
                // Which of them is none?
                for _ in 0..4 {
                    match self.input.get(self.position) {
                        Some(byte) if byte.is_ascii_hexdigit() => self.position += 1,
                        Some(_) => return self.error(JsonErrorKind::InvalidEscape),
                        None => return self.error(JsonErrorKind::UnexpectedEnd),
                    }
                }
                self.error(JsonErrorKind::InvalidEscape)
            }
            Some(_) => self.error(JsonErrorKind::InvalidEscape),
            None => self.error(JsonErrorKind::UnexpectedEnd),
        }
    }

    /// Consume a number; the position is at its first byte, a digit or a minus.
    #[inline]
    fn number(&mut self) -> Result<(), JsonError> {
        if self.input.get(self.position) == Some(&b'-') {
            self.position += 1;
        }
        if self.input.get(self.position) == Some(&b'0') {
            self.position += 1;
            if self.input.get(self.position).is_some_and(u8::is_ascii_digit) {
                return self.error(JsonErrorKind::InvalidNumber);
            }
        } else {
            self.digits()?;
        }
        if self.input.get(self.position) == Some(&b'.') {
            self.position += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.input.get(self.position) {
            self.position += 1;
            if let Some(b'+' | b'-') = self.input.get(self.position) {
                self.position += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    #[inline]
    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.position;
        while self.input.get(self.position).is_some_and(u8::is_ascii_digit) {
            self.position += 1;
        }
        if self.position > start {
            return Ok(());
        }
        let at_end = self.position == self.input.len();
        self.error(if at_end { JsonErrorKind::UnexpectedEnd } else { JsonErrorKind::InvalidNumber })
    }
}

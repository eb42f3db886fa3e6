//! What a scan yields: values, members and keys, as spans of the input.

use super::text::Text;

/// A range of bytes in the input that the scanner was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes themselves.
    #[must_use]
    pub fn of(self, input: &[u8]) -> &[u8] {
        &input[self.start..self.end]
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether the span holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// The type of a JSON value. As wide as an offset: a [`Value`] has no gaps then, which the compiler copies in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// `-1.5e3`
    Number,
    /// `true`, `false`
    Boolean,
    /// `null`
    Null,
}

/// A value: its type and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its type.
    pub kind: Kind,
    /// From its first byte to one past its last.
    pub span: Span,
}

impl Value {
    /// The boolean, where it is one.
    #[must_use]
    pub fn as_bool(self, input: &[u8]) -> Option<bool> {
        (self.kind == Kind::Boolean).then(|| input[self.span.start] == b't')
    }

    /// A non-negative integer that fits, where it is one.
    #[must_use]
    pub fn as_u64(self, input: &[u8]) -> Option<u64> {
        if self.kind != Kind::Number {
            return None;
        }
        self.span.of(input).iter().try_fold(0_u64, |number, byte| {
            let digit = u64::from(byte.wrapping_sub(b'0'));
            (digit < 10).then(|| number.checked_mul(10)?.checked_add(digit)).flatten()
        })
    }

    /// The same, however the integer is spelled (`12.0`, `1.2e1`).
    #[must_use]
    pub fn as_whole(self, input: &[u8]) -> Option<u64> {
        /// Up to here a float tells every integer from its neighbours.
        const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
        self.as_u64(input).or_else(|| {
            let number = self.as_number(input)?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
            (number.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&number)).then_some(number as u64)
        })
    }

    /// The number, as near as a float comes to it, where it is one.
    #[must_use]
    pub fn as_number(self, input: &[u8]) -> Option<f64> {
        if self.kind != Kind::Number {
            return None;
        }
        std::str::from_utf8(self.span.of(input)).ok()?.parse().ok()
    }

    /// The string, where it is one.
    #[must_use]
    pub fn as_text(self, input: &[u8]) -> Option<Text<'_>> {
        (self.kind == Kind::String).then(|| Text::new(&input[self.span.start + 1..self.span.end - 1]))
    }

    /// Whether it is `""`, `null`, `[]` or `{}`: a value that says nothing.
    #[must_use]
    pub fn is_blank(self, input: &[u8]) -> bool {
        match self.kind {
            Kind::Null => true,
            Kind::String => self.span.len() == 2,
            Kind::Array | Kind::Object => {
                input[self.span.start + 1..self.span.end - 1].iter().all(u8::is_ascii_whitespace)
            }
            Kind::Number | Kind::Boolean => false,
        }
    }
}

/// A member of an object: which one, its key, its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its place among the members of its object, from 0.
    pub ordinal: usize,
    /// From the key's first quote to one past the value's last byte.
    pub span: Span,
    /// Its value.
    pub value: Value,
}

/// A key of an object, handed to the callback of [`super::Scanner::object`].
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The key's text.
    pub text: Text<'a>,
    /// Offset of its first quote.
    pub start: usize,
    /// Its place among the members of its object, from 0.
    pub ordinal: usize,
}

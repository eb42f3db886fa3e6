//! An incremental parser of event streams, to the letter of the WHATWG specification
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>).
//!
//! Bytes go in as they come, cut anywhere; events come out. Lines end with LF, CRLF or CR, also when a CRLF is cut
//! between two reads; one BOM at the very start is skipped. Data stays bytes here: its reader decodes it, so no
//! character can be harmed by a cut inside it.
//!
//! Two things go beyond the specification, both reported and left to the caller to judge: a field with a name that
//! the specification does not know ([`Item::Unknown`]; one provider writes its errors so), and the event that the
//! stream's end left without its blank line ([`Parser::finish`]; several providers end so).

use crate::json::Span;

/// How much of an unfinished event is kept before the parser gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SseLimits {
    /// For one line, its terminator not counted.
    pub max_line_bytes: usize,
    /// For the data of one event, over all its `data:` lines.
    pub max_event_bytes: usize,
}

impl SseLimits {
    /// 16 MiB: above any image or tool result that a provider is known to stream in one event.
    pub const DEFAULT_BYTES: usize = 16 * 1024 * 1024;
}

impl Default for SseLimits {
    fn default() -> Self {
        Self { max_line_bytes: Self::DEFAULT_BYTES, max_event_bytes: Self::DEFAULT_BYTES }
    }
}

/// A cap was passed. The stream can't be read on from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SseError {
    /// A line is longer than [`SseLimits::max_line_bytes`].
    LineTooLong {
        /// The cap.
        limit: usize,
    },
    /// An event's data is longer than [`SseLimits::max_event_bytes`].
    EventTooLarge {
        /// The cap.
        limit: usize,
    },
}

impl std::fmt::Display for SseError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LineTooLong { limit } => write!(formatter, "a line is longer than {limit} bytes"),
            Self::EventTooLarge { limit } => write!(formatter, "an event is longer than {limit} bytes"),
        }
    }
}

impl std::error::Error for SseError {}

/// One dispatched event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The values of its `data:` lines, joined with LF.
    pub data: &'a [u8],
    /// The value of its last `event:` line; empty means `message`.
    pub event_type: &'a [u8],
    /// The last `id:` seen on the stream; of use to the conformance tests alone, as [`Parser::retry_ms`].
    pub last_event_id: &'a [u8],
    /// The event's own bytes, where they are exactly `data: `, the data, and two LFs: nothing to normalise.
    pub canonical: Option<&'a [u8]>,
}

/// What the parser finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An event.
    Event(Event<'a>),
    /// A line `name: value` with a name that the specification tells a reader to ignore.
    Unknown {
        /// What is before the colon.
        name: &'a [u8],
        /// What is after it, less one space.
        value: &'a [u8],
    },
}

/// The data of the event that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    None,
    /// One line, still where it came in.
    Line {
        value: Span,
        /// `data: ` in front of it and LF after it.
        canonical: bool,
    },
    /// Several lines, in [`Parser::joined`].
    Joined,
}

/// A line and its terminator.
#[derive(Clone, Copy)]
struct Line {
    content: Span,
    /// Where the next line begins.
    next: usize,
    ends_with_lf: bool,
}

/// What [`Parser::advance`] found, as spans, so that the borrow of the buffer begins only afterwards.
enum Found {
    Event { data: Data, canonical_end: Option<usize> },
    Unknown { name: Span, value: Span },
}

/// The parser's state between two reads.
#[derive(Debug)]
pub struct Parser {
    limits: SseLimits,
    /// Bytes that may still be needed: the unfinished event's only data line, then what has not been read.
    buffer: Vec<u8>,
    /// Start of the line that is to be read next.
    line_start: usize,
    /// Up to here that line is known to hold no terminator.
    searched: usize,
    /// The first byte that a compaction must keep.
    keep_from: usize,
    data: Data,
    joined: Vec<u8>,
    event_type: Vec<u8>,
    last_event_id: Vec<u8>,
    retry_ms: Option<u64>,
    /// The last read ended with a CR: an LF at the start of the next one belongs to it.
    skip_lf: bool,
    at_start: bool,
    /// The event handed out last; its state is reset when the next one is asked for.
    dispatched: bool,
}

impl Parser {
    /// At the start of a stream.
    #[must_use]
    pub const fn new(limits: SseLimits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            line_start: 0,
            searched: 0,
            keep_from: 0,
            data: Data::None,
            joined: Vec::new(),
            event_type: Vec::new(),
            last_event_id: Vec::new(),
            retry_ms: None,
            skip_lf: false,
            at_start: true,
            dispatched: false,
        }
    }

    /// The reconnection time that the stream asked for, in milliseconds. The gateway does not reconnect; the conformance
    /// tests hold the parser to the whole of the specification.
    #[must_use]
    pub const fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Take in what was read. Call [`Parser::next`] until it has no more, then push again.
    pub fn push(&mut self, bytes: &[u8]) {
        self.reset_dispatched();
        self.compact();
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item of what has been pushed; `None` until more is pushed.
    ///
    /// # Errors
    /// [`SseError`] once a cap is passed; then, and ever after.
    // Not an iterator: each item borrows the parser's buffer.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, SseError> {
        self.reset_dispatched();
        let found = self.advance()?;
        Ok(found.map(|found| self.item(&found)))
    }

    /// At the end of the stream: the event that is left without its blank line, which the specification discards.
    /// Its last line may have been cut anywhere.
    ///
    /// # Errors
    /// As [`Parser::next`].
    pub fn finish(&mut self) -> Result<Option<Item<'_>>, SseError> {
        self.reset_dispatched();
        if self.line_start < self.buffer.len() {
            let content = Span { start: self.line_start, end: self.buffer.len() };
            let line = Line { content, next: content.end, ends_with_lf: false };
            self.line_start = line.next;
            if let Some(found) = self.field(line)? {
                return Ok(Some(self.item(&found)));
            }
        }
        let found = self.dispatch(None);
        Ok(found.map(|found| self.item(&found)))
    }

    fn advance(&mut self) -> Result<Option<Found>, SseError> {
        while let Some(line) = self.next_line()? {
            self.line_start = line.next;
            self.searched = line.next;
            let found = if line.content.is_empty() {
                let canonical_end = line.ends_with_lf.then_some(line.next);
                self.dispatch(canonical_end)
            } else {
                self.field(line)?
            };
            if self.data == Data::None || self.data == Data::Joined {
                self.keep_from = self.line_start;
            }
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The next whole line, found but not consumed.
    fn next_line(&mut self) -> Result<Option<Line>, SseError> {
        if self.at_start && !self.skip_byte_order_mark() {
            return Ok(None);
        }
        if self.skip_lf && self.line_start < self.buffer.len() {
            self.skip_lf = false;
            if self.buffer[self.line_start] == b'\n' {
                self.line_start += 1;
                self.searched = self.line_start;
            }
        }
        let Some(at) = memchr::memchr2(b'\n', b'\r', &self.buffer[self.searched..]) else {
            self.searched = self.buffer.len();
            self.check_line(self.buffer.len() - self.line_start)?;
            return Ok(None);
        };
        let end = self.searched + at;
        self.check_line(end - self.line_start)?;
        let ends_with_lf = self.buffer[end] == b'\n';
        let mut next = end + 1;
        if !ends_with_lf {
            match self.buffer.get(next) {
                Some(b'\n') => next += 1,
                Some(_) => {}
                None => self.skip_lf = true,
            }
        }
        Ok(Some(Line { content: Span { start: self.line_start, end }, next, ends_with_lf }))
    }

    const fn check_line(&self, length: usize) -> Result<(), SseError> {
        let limit = self.limits.max_line_bytes;
        if length > limit { Err(SseError::LineTooLong { limit }) } else { Ok(()) }
    }

    /// Whether the start of the stream is known; skips the mark where it is one.
    fn skip_byte_order_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
            return false;
        }
        if self.buffer.starts_with(MARK) {
            self.line_start = MARK.len();
            self.searched = MARK.len();
        }
        self.at_start = false;
        true
    }

    /// Read one line that is not blank.
    fn field(&mut self, line: Line) -> Result<Option<Found>, SseError> {
        let bytes = line.content.of(&self.buffer);
        let colon = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
        let name = &bytes[..colon];
        let spaced = bytes.get(colon + 1) == Some(&b' ');
        let value_start = bytes.len().min(colon + 1 + usize::from(spaced));
        let value = Span { start: line.content.start + value_start, end: line.content.end };
        match name {
            b"data" => self.data_line(value, line.ends_with_lf && spaced)?,
            b"event" => {
                self.event_type.clear();
                self.event_type.extend_from_slice(value.of(&self.buffer));
            }
            b"id" => {
                if memchr::memchr(0, value.of(&self.buffer)).is_none() {
                    self.last_event_id.clear();
                    self.last_event_id.extend_from_slice(value.of(&self.buffer));
                }
            }
            b"retry" => {
                let digits = value.of(&self.buffer);
                if digits.iter().all(u8::is_ascii_digit) {
                    let retry_ms = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                    self.retry_ms = retry_ms.or(self.retry_ms);
                }
            }
            // A comment.
            b"" => {}
            _ => {
                let name = Span { start: line.content.start, end: line.content.start + colon };
                return Ok(Some(Found::Unknown { name, value }));
            }
        }
        Ok(None)
    }

    fn data_line(&mut self, value: Span, canonical: bool) -> Result<(), SseError> {
        let mut length = value.len();
        match self.data {
            Data::None => self.data = Data::Line { value, canonical },
            Data::Line { value: first, .. } => {
                self.joined.clear();
                self.joined.extend_from_slice(first.of(&self.buffer));
                self.data = Data::Joined;
            }
            Data::Joined => {}
        }
        if self.data == Data::Joined {
            self.joined.push(b'\n');
            self.joined.extend_from_slice(value.of(&self.buffer));
            length = self.joined.len();
        } else {
            self.keep_from = value.start - DATA_PREFIX.len().min(value.start);
        }
        let limit = self.limits.max_event_bytes;
        if length > limit { Err(SseError::EventTooLarge { limit }) } else { Ok(()) }
    }

    /// A blank line: an event, where there was data.
    fn dispatch(&mut self, canonical_end: Option<usize>) -> Option<Found> {
        self.dispatched = true;
        match self.data {
            Data::None => {
                self.reset_dispatched();
                None
            }
            data => Some(Found::Event { data, canonical_end }),
        }
    }

    fn reset_dispatched(&mut self) {
        if self.dispatched {
            self.dispatched = false;
            self.data = Data::None;
            self.event_type.clear();
            self.keep_from = self.line_start;
        }
    }

    fn item(&self, found: &Found) -> Item<'_> {
        match *found {
            Found::Unknown { name, value } => {
                Item::Unknown { name: name.of(&self.buffer), value: value.of(&self.buffer) }
            }
            Found::Event { data, canonical_end } => {
                let (data, canonical) = match data {
                    Data::Line { value, canonical } => {
                        // The blank line's LF comes right after the data line's: no line is between them.
                        let end = canonical_end.filter(|&end| canonical && end == value.end + 2);
                        let start = value.start - DATA_PREFIX.len().min(value.start);
                        (value.of(&self.buffer), end.map(|end| &self.buffer[start..end]))
                    }
                    Data::Joined => (&self.joined[..], None),
                    Data::None => (&[][..], None),
                };
                Item::Event(Event {
                    data,
                    event_type: &self.event_type,
                    last_event_id: &self.last_event_id,
                    canonical,
                })
            }
        }
    }

    /// Drop what has been read: once for each push, not once for each line.
    fn compact(&mut self) {
        let read = self.keep_from.min(self.line_start);
        if read == 0 {
            return;
        }
        self.buffer.drain(..read);
        self.line_start -= read;
        self.searched = self.searched.max(read) - read;
        self.keep_from -= read;
        if let Data::Line { value, .. } = &mut self.data {
            value.start -= read;
            value.end -= read;
        }
    }
}

const DATA_PREFIX: &[u8] = b"data: ";

#[cfg(test)]
mod tests;

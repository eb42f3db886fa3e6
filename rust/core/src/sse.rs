//! An incremental parser of event streams, to the letter of the WHATWG specification
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>).
//!
//! Bytes go in as they come, cut anywhere; events come out, in place: only what a read has cut is copied, and comments and
//! unknown fields are never kept. Lines end with LF, CRLF or CR, also when a CRLF is cut between two reads; one BOM at the
//! very start is skipped. Data stays bytes here: its reader decodes it, so no character can be harmed by a cut inside it.
//!
//! Two things go beyond the specification, both reported and left to the caller to judge: a field with a name that
//! the specification does not know ([`Item::Unknown`]; one provider writes its errors so), and the event that the
//! stream's end left without its blank line ([`Parser::finish`]; several providers end so).

use crate::json::Span;
use crate::spare::clear;

/// How much of an unfinished event is kept before the parser gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SseLimits {
    /// For one line, its terminator not counted.
    pub max_line_bytes: usize,
    /// For what one event holds: its data, over all its `data:` lines, its type and the last id.
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
    /// The status in a comment `:HTTP_STATUS/429` among its lines (DashScope).
    pub http_status: Option<u16>,
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
    /// One line, still where it came in: in the read at hand.
    InPlace {
        value: Span,
        /// `data: ` in front of it and LF after it.
        canonical: bool,
    },
    /// In [`Parser::held`], from here on.
    Held {
        start: usize,
        /// One line, with `data: ` in front of it, and LF came after it.
        canonical: bool,
    },
}

/// A line without its terminator.
#[derive(Clone, Copy)]
struct Line {
    place: Place,
    ends_with_lf: bool,
}

/// Where a line is.
#[derive(Clone, Copy)]
enum Place {
    /// In the read at hand.
    InPlace(Span),
    /// In [`Parser::line`]: a read has cut it.
    Carried,
}

/// What was found, as spans of its line: so the borrow of an item begins only afterwards.
enum Found {
    Event { canonical: bool },
    Unknown { place: Place, name: Span, value: Span },
}

/// What of the parser an item borrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lent {
    Nothing,
    Line,
    Event,
}

/// The parser's state between two reads: nothing but what a read has cut.
#[derive(Debug)]
pub struct Parser {
    limits: SseLimits,
    /// The start of a line whose end has not come.
    line: Vec<u8>,
    /// The open event's data, once it is not in the read at hand any more.
    held: Vec<u8>,
    data: Data,
    /// The data line was the last line.
    after_data: bool,
    event_type: Vec<u8>,
    http_status: Option<u16>,
    last_event_id: Vec<u8>,
    retry_ms: Option<u64>,
    /// The last read ended with a CR: an LF at the start of the next one belongs to it.
    skip_lf: bool,
    at_start: bool,
    /// What the last item borrows, until the next one is asked for.
    lent: Lent,
    failed: Option<SseError>,
}

/// Goes through one read. To be used until it has no more: what is left then is kept for the next read.
#[derive(Debug)]
pub struct Reader<'a> {
    parser: &'a mut Parser,
    input: &'a [u8],
    /// Start of the line that is to be read next.
    position: usize,
}

impl Parser {
    /// At the start of a stream.
    #[must_use]
    pub const fn new(limits: SseLimits) -> Self {
        Self {
            limits,
            line: Vec::new(),
            held: Vec::new(),
            data: Data::None,
            after_data: false,
            event_type: Vec::new(),
            http_status: None,
            last_event_id: Vec::new(),
            retry_ms: None,
            skip_lf: false,
            at_start: true,
            lent: Lent::Nothing,
            failed: None,
        }
    }

    /// The reconnection time that the stream asked for, in milliseconds. The gateway does not reconnect; the conformance
    /// tests hold the parser to the whole of the specification.
    #[must_use]
    pub const fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// How many bytes the next read may have to be joined with.
    #[must_use]
    pub const fn carried_bytes(&self) -> usize {
        self.line.len() + self.held.len()
    }

    /// The items of what was read.
    pub const fn read<'a>(&'a mut self, input: &'a [u8]) -> Reader<'a> {
        Reader { parser: self, input, position: 0 }
    }

    /// At the end of the stream: the event that is left without its blank line, which the specification discards.
    /// Its last line may have been cut anywhere. Where that is an unknown field, it comes first; ask twice.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub fn finish(&mut self) -> Result<Option<Item<'_>>, SseError> {
        self.reset();
        self.check()?;
        if !self.line.is_empty() {
            let line = Line { place: Place::Carried, ends_with_lf: false };
            if let Some(found) = self.line(line, &[])? {
                return Ok(Some(self.item(&found, &[])));
            }
        }
        let found = self.dispatch(false);
        Ok(found.map(|found| self.item(&found, &[])))
    }

    fn check(&self) -> Result<(), SseError> {
        self.failed.map_or(Ok(()), Err)
    }

    fn fail<T>(&mut self, error: SseError) -> Result<T, SseError> {
        self.failed = Some(error);
        (self.line, self.held) = (Vec::new(), Vec::new());
        Err(error)
    }

    fn check_line(&mut self, length: usize) -> Result<(), SseError> {
        let limit = self.limits.max_line_bytes;
        if length > limit { self.fail(SseError::LineTooLong { limit }) } else { Ok(()) }
    }

    /// What the open event holds: data, and around it what its other lines said.
    fn check_event(&mut self) -> Result<(), SseError> {
        let data = match self.data {
            Data::None => 0,
            Data::InPlace { value, .. } => value.len(),
            Data::Held { start, .. } => self.held.len() - start,
        };
        let limit = self.limits.max_event_bytes;
        if data + self.event_type.len() + self.last_event_id.len() > limit {
            return self.fail(SseError::EventTooLarge { limit });
        }
        Ok(())
    }

    /// Read one line that is not blank.
    fn line(&mut self, line: Line, input: &[u8]) -> Result<Option<Found>, SseError> {
        let found = self.field(line, input)?;
        if matches!(line.place, Place::Carried) {
            self.lent = Lent::Line;
            if found.is_none() {
                self.reset();
            }
        }
        Ok(found)
    }

    fn field(&mut self, line: Line, input: &[u8]) -> Result<Option<Found>, SseError> {
        let bytes = match line.place {
            Place::InPlace(span) => span.of(input),
            Place::Carried => &self.line,
        };
        let colon = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
        let spaced = bytes.get(colon + 1) == Some(&b' ');
        let value = &bytes[bytes.len().min(colon + 1 + usize::from(spaced))..];
        let value_span = Span { start: bytes.len() - value.len(), end: bytes.len() };
        self.after_data = false;
        match &bytes[..colon] {
            b"data" => {
                self.data_line(line, value_span, line.ends_with_lf && spaced, input);
                self.check_event()?;
            }
            b"event" => {
                value.clone_into(&mut self.event_type);
                self.check_event()?;
            }
            b"id" => {
                if memchr::memchr(0, value).is_none() {
                    value.clone_into(&mut self.last_event_id);
                    self.check_event()?;
                }
            }
            b"retry" => {
                if value.iter().all(u8::is_ascii_digit) {
                    let retry_ms = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                    self.retry_ms = retry_ms.or(self.retry_ms);
                }
            }
            // A comment.
            b"" => self.http_status = http_status(value).or(self.http_status),
            _ => {
                let name = Span { start: 0, end: colon };
                return Ok(Some(Found::Unknown { place: line.place, name, value: value_span }));
            }
        }
        Ok(None)
    }

    /// `value` is a span of the line.
    fn data_line(&mut self, line: Line, value: Span, canonical: bool, input: &[u8]) {
        match (self.data, line.place) {
            (Data::None, Place::InPlace(span)) => {
                let value = Span { start: span.start + value.start, end: span.end };
                self.data = Data::InPlace { value, canonical };
                self.after_data = true;
            }
            (Data::None, Place::Carried) => {
                std::mem::swap(&mut self.line, &mut self.held);
                self.data = Data::Held { start: value.start, canonical };
                self.after_data = true;
            }
            _ => {
                self.hold(input);
                self.held.push(b'\n');
                let line = match line.place {
                    Place::InPlace(span) => span.of(input),
                    Place::Carried => &self.line,
                };
                self.held.extend_from_slice(value.of(line));
                if let Data::Held { canonical, .. } = &mut self.data {
                    *canonical = false;
                }
            }
        }
    }

    /// Keep the open event's data beyond the read that it came in.
    fn hold(&mut self, input: &[u8]) {
        if let Data::InPlace { value, canonical } = self.data {
            let start = if canonical { DATA_PREFIX.len() } else { 0 };
            self.held.clear();
            self.held.extend_from_slice(&input[value.start - start..value.end]);
            self.data = Data::Held { start, canonical };
        }
    }

    /// A blank line: an event, where there was data.
    fn dispatch(&mut self, ends_with_lf: bool) -> Option<Found> {
        self.lent = Lent::Event;
        let canonical = match &mut self.data {
            Data::None => {
                self.reset();
                return None;
            }
            Data::InPlace { canonical, .. } | Data::Held { canonical, .. } => {
                *canonical && self.after_data && ends_with_lf
            }
        };
        if canonical && matches!(self.data, Data::Held { .. }) {
            self.held.extend_from_slice(FRAME_END);
        }
        Some(Found::Event { canonical })
    }

    fn reset(&mut self) {
        match std::mem::replace(&mut self.lent, Lent::Nothing) {
            Lent::Nothing => {}
            Lent::Line => clear(&mut self.line),
            Lent::Event => {
                self.data = Data::None;
                clear(&mut self.held);
                clear(&mut self.event_type);
                self.http_status = None;
            }
        }
    }

    fn item<'a>(&'a self, found: &Found, input: &'a [u8]) -> Item<'a> {
        match *found {
            Found::Unknown { place, name, value } => {
                let line = match place {
                    Place::InPlace(span) => span.of(input),
                    Place::Carried => &self.line,
                };
                Item::Unknown { name: name.of(line), value: value.of(line) }
            }
            Found::Event { canonical } => {
                let (data, frame) = match self.data {
                    Data::InPlace { value, .. } if canonical => {
                        let start = value.start - DATA_PREFIX.len();
                        (value.of(input), Some(&input[start..value.end + FRAME_END.len()]))
                    }
                    Data::InPlace { value, .. } => (value.of(input), None),
                    Data::Held { start, .. } if canonical => {
                        (&self.held[start..self.held.len() - FRAME_END.len()], Some(&self.held[..]))
                    }
                    Data::Held { start, .. } => (&self.held[start..], None),
                    Data::None => (&[][..], None),
                };
                Item::Event(Event {
                    data,
                    event_type: &self.event_type,
                    last_event_id: &self.last_event_id,
                    http_status: self.http_status,
                    canonical: frame,
                })
            }
        }
    }
}

impl Reader<'_> {
    /// The next item; `None` once the rest of the read is kept for the next one.
    ///
    /// # Errors
    /// [`SseError`] once a cap is passed; then, and ever after.
    // Not an iterator: each item borrows the parser.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, SseError> {
        self.parser.reset();
        self.parser.check()?;
        while let Some(line) = self.line()? {
            let is_blank = match line.place {
                Place::InPlace(span) => span.is_empty(),
                Place::Carried => false,
            };
            let found = if is_blank {
                self.parser.dispatch(line.ends_with_lf)
            } else {
                self.parser.line(line, self.input)?
            };
            if let Some(found) = found {
                return Ok(Some(self.parser.item(&found, self.input)));
            }
        }
        Ok(None)
    }

    /// The next whole line.
    fn line(&mut self) -> Result<Option<Line>, SseError> {
        if !self.begin() {
            return Ok(None);
        }
        let rest = &self.input[self.position..];
        let Some(length) = memchr::memchr2(b'\n', b'\r', rest) else {
            self.parser.check_line(self.parser.line.len() + rest.len())?;
            self.keep(rest.len());
            return Ok(None);
        };
        self.parser.check_line(self.parser.line.len() + length)?;
        let span = Span { start: self.position, end: self.position + length };
        let ends_with_lf = rest[length] == b'\n';
        self.position = span.end + 1;
        if !ends_with_lf {
            self.parser.skip_lf = true;
            self.skip_lf();
        }
        if self.parser.line.is_empty() {
            return Ok(Some(Line { place: Place::InPlace(span), ends_with_lf }));
        }
        self.parser.line.extend_from_slice(span.of(self.input));
        Ok(Some(Line { place: Place::Carried, ends_with_lf }))
    }

    /// Whether the next line begins here, what belongs to no line being read.
    fn begin(&mut self) -> bool {
        if self.parser.at_start && !self.skip_byte_order_mark() {
            return false;
        }
        self.skip_lf();
        true
    }

    /// What ends a line that a CR has ended already.
    fn skip_lf(&mut self) {
        if self.parser.skip_lf && self.position < self.input.len() {
            self.parser.skip_lf = false;
            self.position += usize::from(self.input[self.position] == b'\n');
        }
    }

    /// Whether the start of the stream is known; skips the mark where it is one.
    fn skip_byte_order_mark(&mut self) -> bool {
        let carried = self.parser.line.len();
        let missing = &BYTE_ORDER_MARK[carried..];
        if self.input.len() < missing.len() && missing.starts_with(self.input) {
            self.keep(self.input.len());
            return false;
        }
        if self.input.starts_with(missing) {
            self.position = missing.len();
            self.parser.line.clear();
        }
        self.parser.at_start = false;
        true
    }

    /// Keep what the end of this read has cut: a line, which is so long up to here, and an open event.
    fn keep(&mut self, length: usize) {
        let end = self.position + length;
        self.parser.line.extend_from_slice(&self.input[self.position..end]);
        self.position = end;
        self.parser.hold(self.input);
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const FRAME_END: &[u8] = b"\n\n";
/// What a comment `:HTTP_STATUS/429` says.
fn http_status(comment: &[u8]) -> Option<u16> {
    let digits = comment.strip_prefix(b"HTTP_STATUS/")?;
    std::str::from_utf8(digits).ok()?.trim_ascii().parse().ok()
}

const DATA_PREFIX: &[u8] = b"data: ";

#[cfg(test)]
mod tests;

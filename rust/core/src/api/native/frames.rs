//! An event stream cut into its frames, byte for byte: each with the blank line that ends it.
//!
//! [`crate::sse`] reads what events say; here it matters how they are written, since they go out as they came.

use crate::spare::clear;
use crate::sse::SseLimits;

/// An event stream's mark at its start, which is no part of it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A frame is longer than its cap. The stream can't be read on from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameTooLarge;

/// Cuts frames. Keeps nothing but what a read has cut.
#[derive(Debug)]
pub(super) struct Frames {
    max_bytes: usize,
    /// The open frame, as far as earlier reads had it.
    carried: Vec<u8>,
    /// Nothing of the current line has come yet.
    at_line_start: bool,
    /// The last read ended with a CR: an LF at the start of the next one belongs to it.
    after_cr: bool,
    at_start: bool,
}

impl Frames {
    /// At the start of a stream.
    pub(super) const fn new(limits: SseLimits) -> Self {
        Self {
            max_bytes: limits.max_event_bytes,
            carried: Vec::new(),
            at_line_start: true,
            after_cr: false,
            at_start: true,
        }
    }

    /// How many bytes the next read may have to be joined with.
    pub(super) const fn carried_bytes(&self) -> usize {
        self.carried.len()
    }

    /// Give each frame that the read completes to `take`, until that says false.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), FrameTooLarge> {
        let (mut start, mut position) = (0, 0);
        if std::mem::take(&mut self.after_cr) && input.first() == Some(&b'\n') {
            position = 1;
            // The frame that this line end belongs to has gone out: a CR alone ends a line too.
            start = usize::from(self.carried.is_empty());
        }
        while let Some(offset) = memchr::memchr2(b'\n', b'\r', &input[position..]) {
            let at = position + offset;
            let is_blank = self.at_line_start && offset == 0;
            self.at_line_start = true;
            position = at + 1;
            if input[at] == b'\r' {
                self.after_cr = position == input.len();
                position += usize::from(input.get(position) == Some(&b'\n'));
            }
            if is_blank {
                let frame = &input[start..position];
                start = position;
                if !self.complete(frame, &mut take)? {
                    return Ok(());
                }
            }
        }
        self.at_line_start &= position == input.len();
        self.carried.extend_from_slice(&input[start..]);
        if self.carried.len() > self.max_bytes { Err(FrameTooLarge) } else { Ok(()) }
    }

    /// What is left at the stream's end, where its last frame lacks its blank line: with one.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.carried);
        if rest.is_empty() {
            return None;
        }
        rest.extend_from_slice(if self.at_line_start { b"\n" } else { b"\n\n" });
        Some(self.without_mark(&rest).to_vec())
    }

    fn complete(
        &mut self,
        frame: &[u8],
        take: &mut impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, FrameTooLarge> {
        if self.carried.len() + frame.len() > self.max_bytes {
            return Err(FrameTooLarge);
        }
        if self.carried.is_empty() {
            let frame = self.without_mark(frame);
            return Ok(take(frame));
        }
        self.carried.extend_from_slice(frame);
        let carried = std::mem::take(&mut self.carried);
        let goes_on = take(self.without_mark(&carried));
        self.carried = carried;
        clear(&mut self.carried);
        Ok(goes_on)
    }

    fn without_mark<'a>(&mut self, frame: &'a [u8]) -> &'a [u8] {
        let mark = if std::mem::take(&mut self.at_start) { BYTE_ORDER_MARK } else { b"" };
        frame.strip_prefix(mark).unwrap_or(frame)
    }
}

/// What a frame says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said<'a> {
    /// The value of its last `event:` line.
    pub(super) event_type: &'a [u8],
    /// The values of its `data:` lines, joined with LF.
    pub(super) data: std::borrow::Cow<'a, [u8]>,
}

/// What a frame says; none where it has no data, so that no client hears of it.
pub(super) fn said(frame: &[u8]) -> Option<Said<'_>> {
    let (mut event_type, mut data) = (&b""[..], None::<std::borrow::Cow<'_, [u8]>>);
    for line in frame.split(|&byte| byte == b'\n' || byte == b'\r') {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => event_type = value,
            b"data" => match &mut data {
                None => data = Some(value.into()),
                Some(earlier) => {
                    let joined = earlier.to_mut();
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                }
            },
            _ => {}
        }
    }
    Some(Said { event_type, data: data? })
}

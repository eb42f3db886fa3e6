//! The framing of a response body (RFC 9112, sections 6 and 7): what of the bytes on the wire is the body.

/// The extensions of all chunks of a body, and what else pads their sizes: white space, zeros in front. None are sent in
/// practice; a peer must not keep us reading them.
const MAX_PADDING_BYTES: usize = 16 * 1024;
/// The trailer section. It is skipped.
const MAX_TRAILER_BYTES: usize = 16 * 1024;

/// The bytes are not HTTP, or none that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Takes the framing off a body, wherever its bytes are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BodyDecoder {
    framing: Framing,
    /// See [`MAX_PADDING_BYTES`].
    padding: usize,
    /// There was more than the body: what came after it does not belong to any request of ours.
    excess: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// This many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    /// The connection's end is the body's.
    UntilClose,
}

/// What comes next in the chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunked {
    /// The first digit of a size.
    Size,
    MoreSize(u64),
    /// White space after a size.
    BehindSize(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// The start of a trailer line, or of the empty line that ends all.
    TrailerLine(usize),
    Trailer(usize),
    TrailerLf(usize),
    EndLf,
    Done,
    /// Nothing after this point can be told apart.
    Broken,
}

impl BodyDecoder {
    pub(crate) const fn length(length: u64) -> Self {
        Self::new(Framing::Length(length))
    }

    pub(crate) const fn chunked() -> Self {
        Self::new(Framing::Chunked(Chunked::Size))
    }

    pub(crate) const fn until_close() -> Self {
        Self::new(Framing::UntilClose)
    }

    const fn new(framing: Framing) -> Self {
        Self { framing, padding: 0, excess: false }
    }

    /// The whole body has been decoded. Never true of one that ends with its connection.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.framing, Framing::Length(0) | Framing::Chunked(Chunked::Done))
    }

    /// The bytes are not such a body, from the end of what was decoded on.
    pub(crate) const fn is_broken(&self) -> bool {
        matches!(self.framing, Framing::Chunked(Chunked::Broken))
    }

    /// The body may end where its connection does.
    pub(crate) const fn ends_with_connection(&self) -> bool {
        matches!(self.framing, Framing::UntilClose)
    }

    /// Bytes came after the body's end.
    pub(crate) const fn has_excess(&self) -> bool {
        self.excess
    }

    /// How many bytes the body still has, where that was announced.
    pub(crate) const fn announced(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked(_) | Framing::UntilClose => None,
        }
    }

    /// Decode what was read, in place: returns how many bytes of the body are now at its front.
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> usize {
        match &mut self.framing {
            Framing::UntilClose => bytes.len(),
            Framing::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= length as u64;
                self.excess |= length < bytes.len();
                length
            }
            Framing::Chunked(state) => {
                let (mut from, mut to) = (0, 0);
                while from < bytes.len() && !matches!(state, Chunked::Done | Chunked::Broken) {
                    if let Chunked::Data(left) = *state {
                        let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - from);
                        bytes.copy_within(from..from + length, to);
                        (from, to) = (from + length, to + length);
                        let left = left - length as u64;
                        *state = if left == 0 { Chunked::DataCr } else { Chunked::Data(left) };
                    } else {
                        *state = state.next(bytes[from]).unwrap_or(Chunked::Broken);
                        from += 1;
                        self.padding += usize::from(state.is_padding());
                        if self.padding > MAX_PADDING_BYTES {
                            *state = Chunked::Broken;
                        }
                    }
                }
                self.excess |= from < bytes.len();
                to
            }
        }
    }
}

impl Chunked {
    /// The byte before this state says nothing of a chunk's size.
    const fn is_padding(self) -> bool {
        matches!(self, Self::MoreSize(0) | Self::BehindSize(_) | Self::Extension(_))
    }

    /// The state after one byte of framing; none where that byte can't stand there.
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size, _) => Self::MoreSize(digit(byte)?),
            (Self::MoreSize(size) | Self::BehindSize(size) | Self::Extension(size), b'\r') => {
                Self::SizeLf(size)
            }
            (Self::MoreSize(size) | Self::BehindSize(size), b' ' | b'\t') => Self::BehindSize(size),
            (Self::MoreSize(size) | Self::BehindSize(size), b';') => Self::Extension(size),
            (Self::MoreSize(size), _) => Self::MoreSize(size.checked_mul(16)? | digit(byte)?),
            (Self::Extension(size), _) if byte != b'\n' => Self::Extension(size),
            (Self::SizeLf(0), b'\n') => Self::TrailerLine(0),
            (Self::SizeLf(size), b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size,
            (Self::TrailerLine(_), b'\r') => Self::EndLf,
            (Self::Trailer(seen), b'\r') => Self::TrailerLf(seen),
            (Self::TrailerLine(seen) | Self::Trailer(seen), _)
                if byte != b'\n' && seen < MAX_TRAILER_BYTES =>
            {
                Self::Trailer(seen + 1)
            }
            (Self::TrailerLf(seen), b'\n') => Self::TrailerLine(seen),
            (Self::EndLf, b'\n') => Self::Done,
            _ => return None,
        })
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows the decoded bytes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum End {
        Open,
        Done,
        Excess,
        Broken,
    }

    fn decode(mut decoder: BodyDecoder, pieces: &[&[u8]]) -> (String, End) {
        let mut body = Vec::new();
        for piece in pieces {
            let mut piece = piece.to_vec();
            let length = decoder.decode(&mut piece);
            body.extend_from_slice(&piece[..length]);
        }
        let end = match (decoder.is_broken(), decoder.is_done(), decoder.has_excess()) {
            (true, ..) => End::Broken,
            (_, true, true) => End::Excess,
            (_, true, false) => End::Done,
            (_, false, _) => End::Open,
        };
        (String::from_utf8(body).unwrap(), end)
    }

    /// The same outcome however the bytes are cut: in two at every byte, and byte by byte.
    fn decoded(decoder: &BodyDecoder, input: &[u8]) -> (String, End) {
        let whole = decode(decoder.clone(), &[input]);
        for cut in 0..input.len() {
            let (first, second) = input.split_at(cut);
            assert_eq!(decode(decoder.clone(), &[first, second]), whole, "cut at {cut}");
        }
        let bytes: Vec<_> = input.chunks(1).collect();
        assert_eq!(decode(decoder.clone(), &bytes), whole, "byte by byte");
        whole
    }

    #[test]
    fn chunked_bodies() {
        let rows = [
            ("empty", "0\r\n\r\n", "", End::Done),
            ("one chunk", "3\r\nabc\r\n0\r\n\r\n", "abc", End::Done),
            ("two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", End::Done),
            ("both cases", "A\r\n0123456789\r\nb\r\n0123456789a\r\n", "01234567890123456789a", End::Open),
            ("leading zeros", "0003\r\nabc\r\n000\r\n\r\n", "abc", End::Done),
            ("line breaks are data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", End::Done),
            ("white space behind a size", "3 \t\r\nabc\r\n", "abc", End::Open),
            ("an extension", "3;a=\"b\"\r\nabc\r\n0;c\r\n\r\n", "abc", End::Done),
            ("trailers", "0\r\na: b\r\nc: d\r\n\r\n", "", End::Done),
            ("cut within data", "5\r\nabc", "abc", End::Open),
            ("cut within the end", "0\r\n\r", "", End::Open),
            ("more behind the end", "0\r\n\r\nHTTP/1.1", "", End::Excess),
            ("no size", "\r\nabc\r\n", "", End::Broken),
            ("not a size", "x\r\n", "", End::Broken),
            ("not a size, later", "3\r\nabc\r\nx\r\n", "abc", End::Broken),
            ("a sign", "+3\r\nabc\r\n", "", End::Broken),
            ("a digit behind white space", "3 3\r\n", "", End::Broken),
            ("a size without CR", "3\nabc\r\n", "", End::Broken),
            ("a size without LF", "3\rabc\r\n", "", End::Broken),
            ("data longer than its size", "3\r\nabcd\r\n", "abc", End::Broken),
            ("a size of 2^64", "10000000000000000\r\n", "", End::Broken),
            ("a line feed within an extension", "3;a\nabc\r\n", "", End::Broken),
            ("a line feed within a trailer", "0\r\na: b\n\r\n", "", End::Broken),
        ];
        for (name, input, body, end) in rows {
            assert_eq!(decoded(&BodyDecoder::chunked(), input.as_bytes()), (body.to_owned(), end), "{name}");
        }
    }

    /// A body with so many of something.
    type Body<'a> = &'a dyn Fn(usize) -> String;

    #[test]
    fn framing_without_end() {
        let sizes =
            |size: &str, count: usize| format!("{}0\r\n\r\n", format!("{size}\r\na\r\n").repeat(count));
        let rows: [(&str, Body<'_>, usize); 5] = [
            (
                "one extension",
                &|length| format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(length)),
                MAX_PADDING_BYTES - 2,
            ),
            ("extensions", &|count| sizes("1;x", count), (MAX_PADDING_BYTES - 1) / 2),
            ("white space", &|count| sizes("1\t \t ", count), (MAX_PADDING_BYTES - 1) / 4),
            ("zeros", &|count| sizes("0001", count), (MAX_PADDING_BYTES - 1) / 3),
            ("trailers", &|count| format!("0\r\n{}\r\n", "x:y\r\n".repeat(count)), MAX_TRAILER_BYTES / 3),
        ];
        for (name, body, most) in rows {
            assert_eq!(decode(BodyDecoder::chunked(), &[body(most).as_bytes()]).1, End::Done, "{name}");
            assert_eq!(decode(BodyDecoder::chunked(), &[body(most + 1).as_bytes()]).1, End::Broken, "{name}");
        }
    }

    #[test]
    fn the_largest_size() {
        let input = b"ffffffffffffffff\r\nabc";
        assert_eq!(decoded(&BodyDecoder::chunked(), input), ("abc".to_owned(), End::Open));
    }

    #[test]
    fn bodies_of_a_known_length() {
        for (length, input, body, end) in [
            (0, "", "", End::Done),
            (3, "ab", "ab", End::Open),
            (3, "abc", "abc", End::Done),
            (3, "abcd", "abc", End::Excess),
            (0, "x", "", End::Excess),
        ] {
            let expected = (body.to_owned(), end);
            assert_eq!(decoded(&BodyDecoder::length(length), input.as_bytes()), expected, "{length} {input}");
        }
        assert_eq!(BodyDecoder::length(7).announced(), Some(7));
        assert_eq!(BodyDecoder::chunked().announced(), None);
    }

    #[test]
    fn a_body_that_ends_with_its_connection() {
        let decoder = BodyDecoder::until_close();
        assert_eq!(decoded(&decoder, b"5\r\nabc"), ("5\r\nabc".to_owned(), End::Open));
        assert!(decoder.ends_with_connection());
    }
}

//! HTTP/1.1, as much as the two ends need: heads by `httparse`, bodies by length, in chunks or up to the end.
//!
//! The chunked decoder is a second one on purpose: the bench is an independent witness of what the gateway reads.

use std::fmt;

use memchr::memchr;

const MAX_HEADERS: usize = 64;

/// What can be wrong with the other side's HTTP.
#[derive(Debug)]
pub(crate) enum HttpError {
    Head(httparse::Error),
    Length,
    ChunkSize,
    ChunkEnd,
}

impl fmt::Display for HttpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => write!(formatter, "bad HTTP head: {error}"),
            Self::Length => formatter.write_str("bad content-length"),
            Self::ChunkSize => formatter.write_str("bad size of an HTTP chunk"),
            Self::ChunkEnd => formatter.write_str("an HTTP chunk is longer than its size says"),
        }
    }
}

impl std::error::Error for HttpError {}

/// A request's first lines.
pub(crate) struct RequestHead {
    pub(crate) bytes: usize,
    pub(crate) post: bool,
    pub(crate) path: String,
    pub(crate) body: Body,
    pub(crate) expects_continue: bool,
}

/// A response's first lines.
pub(crate) struct ResponseHead {
    pub(crate) bytes: usize,
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) closes: bool,
}

/// The head at the start of `input`; None until it is all there.
pub(crate) fn request_head(input: &[u8]) -> Result<Option<RequestHead>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(bytes) = request.parse(input).map_err(HttpError::Head)? else {
        return Ok(None);
    };
    let fields = Fields::of(request.headers)?;
    Ok(Some(RequestHead {
        bytes,
        post: request.method == Some("POST"),
        path: request.path.unwrap_or_default().to_owned(),
        body: if fields.chunked { Body::chunked() } else { Body::Length(fields.length.unwrap_or(0)) },
        expects_continue: fields.expects_continue,
    }))
}

/// The same for a response.
pub(crate) fn response_head(input: &[u8]) -> Result<Option<ResponseHead>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(bytes) = response.parse(input).map_err(HttpError::Head)? else {
        return Ok(None);
    };
    let fields = Fields::of(response.headers)?;
    let (body, closes) = match fields.length {
        _ if fields.chunked => (Body::chunked(), fields.closes),
        Some(length) => (Body::Length(length), fields.closes),
        None => (Body::UntilClose, true),
    };
    Ok(Some(ResponseHead { bytes, status: response.code.unwrap_or(0), body, closes }))
}

#[derive(Default)]
struct Fields {
    length: Option<usize>,
    chunked: bool,
    closes: bool,
    expects_continue: bool,
}

impl Fields {
    fn of(headers: &[httparse::Header<'_>]) -> Result<Self, HttpError> {
        let mut fields = Self::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let text = std::str::from_utf8(header.value).map_err(|_| HttpError::Length)?;
                fields.length = Some(text.trim().parse().map_err(|_| HttpError::Length)?);
            } else if is("transfer-encoding") {
                fields.chunked = header.value.eq_ignore_ascii_case(b"chunked");
            } else if is("connection") {
                fields.closes = header.value.eq_ignore_ascii_case(b"close");
            } else if is("expect") {
                fields.expects_continue = true;
            }
        }
        Ok(fields)
    }
}

/// Where a body ends, and how far it has been read.
#[derive(Debug)]
pub(crate) enum Body {
    /// This many bytes are still to come.
    Length(usize),
    Chunked(ChunkPart),
    UntilClose,
    Ended,
}

/// The part of a chunked body that comes next.
#[derive(Debug)]
pub(crate) enum ChunkPart {
    Size,
    Data(usize),
    DataEnd,
    Trailer,
}

impl Body {
    fn chunked() -> Self {
        Self::Chunked(ChunkPart::Size)
    }

    pub(crate) fn ended(&self) -> bool {
        matches!(self, Self::Ended | Self::Length(0))
    }

    /// Decodes what is in `input`, appends it to `output` and says how many bytes it took.
    ///
    /// It leaves an unfinished size line, and everything after the end.
    pub(crate) fn feed(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, HttpError> {
        match self {
            Self::Ended => Ok(0),
            Self::UntilClose => {
                output.extend_from_slice(input);
                Ok(input.len())
            }
            Self::Length(left) => {
                let taken = input.len().min(*left);
                output.extend_from_slice(&input[..taken]);
                *left -= taken;
                Ok(taken)
            }
            Self::Chunked(_) => self.feed_chunks(input, output),
        }
    }

    fn feed_chunks(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, HttpError> {
        let mut at = 0;
        while let Self::Chunked(part) = self {
            let rest = &input[at..];
            if let ChunkPart::Data(left) = part {
                let taken = rest.len().min(*left);
                output.extend_from_slice(&rest[..taken]);
                at += taken;
                *left -= taken;
                if *left > 0 {
                    break;
                }
                *part = ChunkPart::DataEnd;
                continue;
            }
            let Some(end) = memchr(b'\n', rest) else { break };
            let line = rest[..end].trim_ascii_end();
            at += end + 1;
            match part {
                ChunkPart::Size => {
                    let size = chunk_size(line)?;
                    *part = if size == 0 { ChunkPart::Trailer } else { ChunkPart::Data(size) };
                }
                ChunkPart::Trailer if line.is_empty() => *self = Self::Ended,
                ChunkPart::DataEnd if line.is_empty() => *part = ChunkPart::Size,
                ChunkPart::DataEnd => return Err(HttpError::ChunkEnd),
                ChunkPart::Trailer | ChunkPart::Data(_) => {}
            }
        }
        Ok(at)
    }
}

fn chunk_size(line: &[u8]) -> Result<usize, HttpError> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let text = std::str::from_utf8(digits.trim_ascii()).map_err(|_| HttpError::ChunkSize)?;
    usize::from_str_radix(text, 16).map_err(|_| HttpError::ChunkSize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body decoded from reads that are cut at `cut`, and whether it ended.
    fn decoded(mut body: Body, input: &[u8], cut: usize) -> Result<(Vec<u8>, bool), HttpError> {
        let (mut output, mut pending) = (Vec::new(), Vec::new());
        for part in [&input[..cut], &input[cut..]] {
            pending.extend_from_slice(part);
            let taken = body.feed(&pending, &mut output)?;
            pending.drain(..taken);
        }
        Ok((output, body.ended()))
    }

    #[test]
    fn chunked_bodies_are_decoded_wherever_the_reads_are_cut() {
        let rows: [(&str, &[u8], &[u8], bool); 4] = [
            ("two chunks", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde", true),
            ("extension and trailer", b"3;x=1\r\nabc\r\n0\r\nname: value\r\n\r\n", b"abc", true),
            ("upper-case size", b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", true),
            ("not ended", b"3\r\nabc\r\n", b"abc", false),
        ];
        for (name, input, expected, ended) in rows {
            for cut in 0..input.len() {
                let outcome = decoded(Body::chunked(), input, cut).unwrap();
                assert_eq!(outcome, (expected.to_vec(), ended), "{name}, cut at {cut}");
            }
        }
    }

    #[test]
    fn wrong_chunks_are_errors() {
        assert!(matches!(decoded(Body::chunked(), b"xyz\r\n", 2), Err(HttpError::ChunkSize)));
        assert!(matches!(decoded(Body::chunked(), b"2\r\nabc\r\n", 2), Err(HttpError::ChunkEnd)));
    }

    #[test]
    fn a_body_of_known_length_leaves_what_follows() {
        let mut body = Body::Length(3);
        let mut output = Vec::new();
        assert_eq!(body.feed(b"abcHTTP", &mut output).unwrap(), 3);
        assert!(body.ended());
        assert_eq!(output, b"abc");
    }

    #[test]
    fn heads_say_how_the_body_ends() {
        let rows: [(&[u8], bool, bool); 3] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, false),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n", false, true),
            (b"HTTP/1.1 200 OK\r\n\r\n", false, true),
        ];
        for (input, ended, closes) in rows {
            let head = response_head(input).unwrap().unwrap();
            assert_eq!((head.status, head.body.ended(), head.closes), (200, ended, closes));
            assert!(response_head(&input[..input.len() - 1]).unwrap().is_none());
        }
    }
}

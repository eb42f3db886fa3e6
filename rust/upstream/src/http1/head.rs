//! The heads of a request and of its response.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::body::{BodyDecoder, Malformed};

/// The whole head; informational ones before it may have as much again. nginx allows 4 to 8 KiB, browsers 256 KiB.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
const EMPTY_LINE: &[u8] = b"\n\r\n";

/// What all requests to one URL have in common, written once.
pub(crate) struct RequestHead {
    common: Bytes,
}

impl RequestHead {
    /// A `POST` to `url`, which has a host.
    pub(crate) fn post(url: &Uri, headers: &[(HeaderName, HeaderValue)]) -> Self {
        let mut head = Vec::new();
        head.extend_from_slice(b"POST ");
        head.extend_from_slice(url.path().as_bytes());
        head.extend_from_slice(b" HTTP/1.1\r\n");
        line(&mut head, &header::HOST, host(url).as_bytes());
        for (name, value) in headers {
            line(&mut head, name, value.as_bytes());
        }
        Self { common: head.into() }
    }

    /// The head of one request.
    pub(crate) fn with(&self, headers: &[(HeaderName, HeaderValue)], body_length: usize) -> Bytes {
        let mut head = BytesMut::with_capacity(self.common.len() + 256);
        head.extend_from_slice(&self.common);
        for (name, value) in headers {
            line(&mut head, name, value.as_bytes());
        }
        line(&mut head, &header::CONTENT_LENGTH, body_length.to_string().as_bytes());
        head.put_slice(b"\r\n");
        head.freeze()
    }
}

/// Names and values of these types hold neither CR nor LF.
fn line(head: &mut impl BufMut, name: &HeaderName, value: &[u8]) {
    head.put_slice(name.as_str().as_bytes());
    head.put_slice(b": ");
    head.put_slice(value);
    head.put_slice(b"\r\n");
}

/// The `host` header: the port only where it is not the scheme's own.
fn host(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    match url.port_u16().filter(|&port| port != default_port(url)) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

pub(super) fn default_port(url: &Uri) -> u16 {
    if url.scheme_str() == Some("https") { 443 } else { 80 }
}

/// The head of a response that is not informational.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Whether the peer will take another request on this connection.
    pub(super) keep_alive: bool,
    pub(super) body: BodyDecoder,
}

impl ResponseHead {
    /// A 408 that closes a connection which had rested: it told of the rest, and was on its way before the request came.
    /// The request was not read, and may be sent again (RFC 9110, 15.5.9). Balancers say this unasked.
    pub(super) fn ends_idleness(&self) -> bool {
        self.status == StatusCode::REQUEST_TIMEOUT && !self.keep_alive
    }

    /// Whether to look at what was read, where `before` bytes of it were there before the last read and the first `parsed`
    /// were looked at in vain: a head that comes byte by byte is not parsed anew at each of them. An empty line may end it;
    /// and what is no head shows before its end.
    pub(super) fn is_worth_parsing(bytes: &[u8], before: usize, parsed: usize) -> bool {
        let new = &bytes[before.saturating_sub(EMPTY_LINE.len() - 1)..];
        bytes.len() >= (2 * parsed).min(MAX_HEAD_BYTES)
            || memchr::memmem::find(new, EMPTY_LINE).is_some()
            || memchr::memmem::find(new, b"\n\n").is_some()
    }

    /// Read the head at the front of what was read; it and its length, or none as long as it isn't whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let mut start = 0;
        loop {
            let mut space = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut response = httparse::Response::new(&mut space);
            let length = match response.parse(&bytes[start..]) {
                // However much more was read with it.
                Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD_BYTES => length,
                Ok(httparse::Status::Partial) if bytes.len() - start < MAX_HEAD_BYTES => return Ok(None),
                Ok(_) | Err(_) => return Err(Malformed),
            };
            let code = response.code.ok_or(Malformed)?;
            match code {
                // We did not ask to switch.
                101 => return Err(Malformed),
                // A peer must not keep us reading these either.
                100..200 if start + length > MAX_HEAD_BYTES => return Err(Malformed),
                100..200 => start += length,
                _ => return Ok(Some((Self::new(code, &response)?, start + length))),
            }
        }
    }

    fn new(code: u16, response: &httparse::Response<'_, '_>) -> Result<Self, Malformed> {
        let status = StatusCode::from_u16(code).map_err(|_| Malformed)?;
        let mut headers = HeaderMap::with_capacity(response.headers.len());
        for header in response.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Malformed)?;
            let value = HeaderValue::from_bytes(header.value).map_err(|_| Malformed)?;
            headers.append(name, value);
        }
        let is_1_1 = response.version == Some(1);
        let keep_alive = if is_1_1 {
            !has_token(&headers, &header::CONNECTION, "close")
        } else {
            has_token(&headers, &header::CONNECTION, "keep-alive")
        };
        let body = body(status, &headers)?;
        Ok(Self { status, headers, keep_alive: keep_alive && !body.ends_with_connection(), body })
    }
}

/// RFC 9112, section 6.3, for the answer to a POST.
fn body(status: StatusCode, headers: &HeaderMap) -> Result<BodyDecoder, Malformed> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(BodyDecoder::length(0));
    }
    let mut codings = tokens(headers, &header::TRANSFER_ENCODING);
    if let Some(coding) = codings.next() {
        // We announced no other coding, so there may be no other, and chunked only once.
        return if coding.eq_ignore_ascii_case("chunked") && codings.next().is_none() {
            Ok(BodyDecoder::chunked())
        } else {
            Err(Malformed)
        };
    }
    let mut lengths = tokens(headers, &header::CONTENT_LENGTH).map(|text| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or(Malformed)
    });
    let Some(length) = lengths.next() else {
        // A value that is not text has no tokens either.
        let none =
            !headers.contains_key(header::CONTENT_LENGTH) && !headers.contains_key(header::TRANSFER_ENCODING);
        return if none { Ok(BodyDecoder::until_close()) } else { Err(Malformed) };
    };
    let length: u64 = length?;
    // One length said twice is one length; two are an attack or a defect.
    if lengths.all(|other| other == Ok(length)) { Ok(BodyDecoder::length(length)) } else { Err(Malformed) }
}

/// The members of a header that is a list, over all its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_comes_byte_by_byte_is_parsed_a_few_times() {
        let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(8000));
        let (mut parsed, mut times) = (0, 0);
        for length in 1..=head.len() {
            let read = &head.as_bytes()[..length];
            if ResponseHead::is_worth_parsing(read, length - 1, parsed) {
                (parsed, times) = (length, times + 1);
            }
        }
        assert_eq!(parsed, head.len(), "at its end");
        assert!(times < 20, "{times}");
    }

    #[test]
    fn a_request() {
        let url: Uri = "http://host:8080/v1/chat/completions".parse().unwrap();
        let common = [(header::ACCEPT, HeaderValue::from_static("a"))];
        let head = RequestHead::post(&url, &common);
        let own = [(HeaderName::from_static("x-request-id"), HeaderValue::from_static("r"))];
        let expected = "POST /v1/chat/completions HTTP/1.1\r\nhost: host:8080\r\naccept: a\r\n\
                        x-request-id: r\r\ncontent-length: 17\r\n\r\n";
        assert_eq!(head.with(&own, 17), expected);
    }

    #[test]
    fn hosts() {
        for (url, expected) in [
            ("http://host/v1", "host"),
            ("http://host:80/v1", "host"),
            ("https://host:443/v1", "host"),
            ("https://host:80/v1", "host:80"),
            ("http://[::1]:9/v1", "[::1]:9"),
        ] {
            assert_eq!(host(&url.parse().unwrap()), expected, "{url}");
        }
    }

    fn parse(head: &str) -> Result<Option<(ResponseHead, usize)>, Malformed> {
        let parsed = ResponseHead::parse(head.as_bytes());
        // As long as it is not whole, nothing is decided but that it is none.
        if let Ok(Some((_, length))) = &parsed {
            for cut in 0..*length {
                assert!(matches!(ResponseHead::parse(&head.as_bytes()[..cut]), Ok(None)), "{head} at {cut}");
            }
        }
        parsed
    }

    #[test]
    fn framings() {
        let rows: [(&str, Result<BodyDecoder, Malformed>); 18] = [
            ("", Ok(BodyDecoder::until_close())),
            ("content-length: 7\r\n", Ok(BodyDecoder::length(7))),
            ("Content-Length: 7\r\ncontent-length: 7\r\n", Ok(BodyDecoder::length(7))),
            ("content-length: 7, 7\r\n", Ok(BodyDecoder::length(7))),
            ("content-length: 7\r\ncontent-length: 8\r\n", Err(Malformed)),
            ("content-length: 7, 8\r\n", Err(Malformed)),
            ("content-length: -1\r\n", Err(Malformed)),
            ("content-length: +7\r\n", Err(Malformed)),
            ("content-length: 0x7\r\n", Err(Malformed)),
            ("content-length:\r\n", Err(Malformed)),
            ("content-length: 18446744073709551616\r\n", Err(Malformed)),
            ("content-length: \u{e9}\r\n", Err(Malformed)),
            ("transfer-encoding: chunked\r\n", Ok(BodyDecoder::chunked())),
            ("Transfer-Encoding: Chunked\r\n", Ok(BodyDecoder::chunked())),
            ("transfer-encoding: chunked\r\ncontent-length: 7\r\n", Ok(BodyDecoder::chunked())),
            ("transfer-encoding: gzip, chunked\r\n", Err(Malformed)),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", Err(Malformed)),
            ("transfer-encoding: identity\r\n", Err(Malformed)),
        ];
        for (headers, expected) in rows {
            let parsed = parse(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n"));
            assert_eq!(parsed.map(|parsed| parsed.unwrap().0.body), expected, "{headers}");
        }
        for status in ["204 No Content", "304 Not Modified"] {
            let parsed = parse(&format!("HTTP/1.1 {status}\r\ncontent-length: 7\r\n\r\n"));
            assert_eq!(parsed.map(|parsed| parsed.unwrap().0.body), Ok(BodyDecoder::length(0)), "{status}");
        }
    }

    #[test]
    fn connections_that_stay() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nConnection: x, Close\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\n", true),
        ] {
            assert_eq!(parse(head).unwrap().unwrap().0.keep_alive, expected, "{head}");
        }
    }

    #[test]
    fn informational_heads_are_skipped() {
        let head = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n\
                    HTTP/1.1 200 OK\r\ncontent-length: 1\r\nx-a: b\r\n\r\n";
        let (parsed, length) = parse(head).unwrap().unwrap();
        assert_eq!((parsed.status, length), (StatusCode::OK, head.len()));
        assert_eq!(parsed.headers.len(), 2);
    }

    #[test]
    fn no_heads() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(MAX_HEAD_BYTES));
        let whole = format!("{long}\r\n\r\n");
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MAX_HEADERS + 1));
        let informational = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD_BYTES / 25 + 1);
        for head in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 \r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx y: z\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx: \0\r\n\r\n",
            &long,
            &whole,
            &many,
            &informational,
        ] {
            assert!(matches!(ResponseHead::parse(head.as_bytes()), Err(Malformed)), "{head:.40}");
        }
    }
}

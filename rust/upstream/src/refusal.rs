//! Answers that are no success: what they say, when to come back, and nothing of theirs that is not ours to show.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};
use llmgw_core::answer::error::{StreamError, StreamErrorKind};
use llmgw_core::json::{self, JsonError, Kind, Scanner, Value};

use crate::error::ExchangeError;
use crate::http1::Connection;

/// An error body is read so far and no further; a longer one is cut and then no JSON.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;
/// The status is known; its explanation is worth only so much waiting.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// Shorter "keys" (placeholders such as `x` for a server without authentication) would blank out innocent text.
const MIN_REDACTED_KEY_BYTES: usize = 8;
const REDACTED: &str = "[redacted]";

/// The upstream's API key, in order to find it in what the upstream says.
#[derive(Clone)]
pub(crate) struct ApiKey(Option<String>);

impl ApiKey {
    pub(crate) fn new(api_key: Option<&str>) -> Self {
        Self(api_key.filter(|key| key.len() >= MIN_REDACTED_KEY_BYTES).map(str::to_owned))
    }

    /// Blank the key out of frames.
    pub(crate) fn redact(&self, frames: &mut Vec<u8>) {
        let Some(key) = &self.0 else { return };
        let mut from = 0;
        while let Some(at) = memchr::memmem::find(&frames[from..], key.as_bytes()) {
            let start = from + at;
            frames.splice(start..start + key.len(), REDACTED.bytes());
            from = start + REDACTED.len();
        }
    }

    fn redacted_text(&self, text: &str) -> String {
        self.0.as_ref().map_or_else(|| text.to_owned(), |key| text.replace(key.as_str(), REDACTED))
    }

    /// What a stream's or a whole answer's error is to the caller.
    pub(crate) fn redacted(&self, error: &StreamError) -> ExchangeError {
        let message = (error.kind == StreamErrorKind::ErrorEvent).then(|| self.redacted_text(&error.message));
        ExchangeError { kind: error.kind.into(), status: error.status, retry_after_s: None, message }
    }

    /// An upstream's message: without the key, and not too long.
    fn message(&self, text: &str) -> String {
        let mut message = self.redacted_text(text);
        let mut end = message.len().min(StreamError::MAX_MESSAGE_BYTES);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message
    }
}

/// What a JSON error body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `error.message`, `error` itself where it is a string, or a top-level `message`.
    pub(crate) message: Option<String>,
    /// `error.code` where it is an HTTP status.
    pub(crate) status: Option<u16>,
    /// Whether there is an `error` at all.
    pub(crate) is_error: bool,
}

impl Refusal {
    /// Read an error body, within its limits.
    pub(crate) async fn read(connection: &mut Connection, api_key: &ApiKey) -> Self {
        let mut collected = Vec::new();
        let reading = async {
            let mut room = true;
            while room {
                let take = |read: &[u8]| {
                    room = collected.len() + read.len() <= MAX_ERROR_BODY_BYTES;
                    if room {
                        collected.extend_from_slice(read);
                    }
                };
                let Ok(Some(())) = connection.read_body(take).await else { return };
            }
        };
        // Late or not: what has come is all there is.
        let _ = tokio::time::timeout(ERROR_BODY_TIMEOUT, reading).await;
        let mut refusal = Self::parse(&collected).unwrap_or_default();
        refusal.message = refusal.message.map(|message| api_key.message(&message));
        refusal
    }

    fn parse(body: &[u8]) -> Result<Self, JsonError> {
        json::check_utf8(body)?;
        let mut refusal = Self::default();
        let mut top_message = None;
        let mut scanner = Scanner::new(body);
        scanner.object(|scanner, key| {
            if key.text.is("error") && scanner.peek()? == Kind::Object {
                refusal.is_error = true;
                scanner.object(|scanner, key| {
                    let value = scanner.value()?;
                    if key.text.is("message") {
                        refusal.message = text(value, body);
                    } else if key.text.is("code") {
                        refusal.status = http_status(value, body);
                    }
                    Ok::<_, JsonError>(())
                })?;
                return Ok(());
            }
            let value = scanner.value()?;
            if key.text.is("error") && !value.is_blank(body) {
                refusal.is_error = true;
                refusal.message = text(value, body);
            } else if key.text.is("message") {
                top_message = text(value, body);
            }
            Ok::<_, JsonError>(())
        })?;
        scanner.end()?;
        refusal.message = refusal.message.or(top_message);
        Ok(refusal)
    }
}

fn text(value: Value, body: &[u8]) -> Option<String> {
    value.as_text(body).map(|text| text.decode().into_owned())
}

fn http_status(value: Value, body: &[u8]) -> Option<u16> {
    value.as_u64(body).and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code))
}

/// When to come back, in seconds from now: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date.
pub(crate) fn retry_after_s(headers: &HeaderMap, now: SystemTime) -> Option<f64> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let milliseconds = headers.get("retry-after-ms").and_then(|value| number(value.to_str().ok()?.trim()));
    milliseconds.map(|milliseconds| milliseconds / 1000.0).or_else(|| {
        let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        number(value).or_else(|| {
            let date = httpdate::parse_http_date(value).ok()?;
            Some(date.duration_since(now).unwrap_or_default().as_secs_f64())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies() {
        let rows: [(&str, Option<&str>, Option<u16>, bool); 13] = [
            (r#"{"error":{"message":"no \"x\"","type":"t"}}"#, Some("no \"x\""), None, true),
            (r#"{"error":{"message":"slow","code":429}}"#, Some("slow"), Some(429), true),
            (r#"{"error":{"message":"slow","code":"1210"}}"#, Some("slow"), None, true),
            (r#"{"error":{"code":200}}"#, None, None, true),
            (r#"{"error":"plain words"}"#, Some("plain words"), None, true),
            (r#"{"message":"top","code":"x"}"#, Some("top"), None, false),
            (r#"{"message":"top","error":{"message":"inner"}}"#, Some("inner"), None, true),
            (r#"{"error":null,"message":7}"#, None, None, false),
            (r#"{"error":{"message":"cut"#, None, None, false),
            (r#"{"error":{"message":"then"}} more"#, None, None, false),
            (r#"["error"]"#, None, None, false),
            ("<html>no</html>", None, None, false),
            ("", None, None, false),
        ];
        for (body, message, status, is_error) in rows {
            let refusal = Refusal::parse(body.as_bytes()).unwrap_or_default();
            assert_eq!(refusal, Refusal { message: message.map(str::to_owned), status, is_error }, "{body}");
        }
        assert!(Refusal::parse(b"{\"error\":{\"message\":\"\xff\"}}").is_err());
    }

    type Headers = &'static [(&'static str, &'static str)];

    #[test]
    fn retry_after() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_747);
        let rows: [(Headers, Option<f64>); 10] = [
            (&[], None),
            (&[("retry-after", "7")], Some(7.0)),
            (&[("retry-after", " 1.5 ")], Some(1.5)),
            (&[("retry-after-ms", "250")], Some(0.25)),
            (&[("retry-after", "7"), ("retry-after-ms", "250")], Some(0.25)),
            (&[("retry-after", "7"), ("retry-after-ms", "soon")], Some(7.0)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], Some(30.0)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0.0)),
        ];
        for (headers, expected) in rows {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, http::HeaderValue::from_static(value));
            }
            assert_eq!(retry_after_s(&map, now), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_key_never_comes_back() {
        let key = ApiKey::new(Some("sk-secret-1"));
        assert_eq!(key.message("bad key sk-secret-1!"), "bad key [redacted]!");
        let mut frames = b"a sk-secret-1 b sk-secret-1".to_vec();
        key.redact(&mut frames);
        assert_eq!(frames, b"a [redacted] b [redacted]");
        let mut frames = b"redacted".to_vec();
        ApiKey::new(Some("redacted")).redact(&mut frames);
        assert_eq!(frames, b"[redacted]");
        assert_eq!(ApiKey::new(Some("x")).message("xxx"), "xxx");
        assert_eq!(ApiKey::new(None).message("sk-secret-1"), "sk-secret-1");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let message = ApiKey::new(None).message(&"é".repeat(3000));
        assert_eq!(message.len(), StreamError::MAX_MESSAGE_BYTES);
        let message = ApiKey::new(None).message(&format!("a{}", "é".repeat(3000)));
        assert_eq!(message.len(), StreamError::MAX_MESSAGE_BYTES - 1);
    }
}

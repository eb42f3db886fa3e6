//! Error answers: message, status, retry-after.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};
use llmgw_core::json::{self, JsonError, Kind, Scanner, Value};

use crate::http1::Connection;
use crate::redact::ApiKey;

/// An error body is read so far and no further; a longer one is cut and then no JSON.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;
/// The status is known; its explanation is worth only so much waiting.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

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
}

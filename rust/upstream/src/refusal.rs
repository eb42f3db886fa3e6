//! The body of an error status, and when to come back.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

use crate::http1::Connection;

/// An error body is read so far and no further; a longer one is cut and then no JSON.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;
/// The status is known; its explanation is worth only so much waiting.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// An error body, as far as it is read.
pub(crate) async fn error_body(connection: &mut Connection) -> Vec<u8> {
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
    collected
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

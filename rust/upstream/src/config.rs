//! What one provider endpoint is, checked before it is used.

use std::fmt;
use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use llmgw_core::api::Api;
use llmgw_core::api::native::Native;
use llmgw_core::sse::SseLimits;

/// No timeout may be longer: far beyond any use, and safe to add to a clock.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long an exchange may take, by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// DNS, TCP and TLS together.
    pub connect: Duration,
    /// From the start until the first good event of a stream, connecting and response headers included. A plain answer
    /// has no events: its headers come when the whole of it has been generated, so only `total` bounds that wait.
    pub first_event: Duration,
    /// Between two reads of a stream that has begun (comments count) or of a plain body. Not while the reader is slow.
    /// It bounds a write that makes no progress too: an upstream that does not read its request is cut off.
    pub idle: Duration,
    /// From the start to the end.
    pub total: Duration,
}

/// One provider endpoint.
///
/// It holds a key, so it has no `Debug`.
#[derive(Clone)]
pub struct UpstreamConfig {
    /// Such as `https://api.example.com/v1`; the path of the API is put after it.
    pub base_url: String,
    /// The whole URLs of APIs that are elsewhere, at this host or another. Messages and Responses have no other place.
    pub api_urls: Vec<(Api, String)>,
    /// Sent as `authorization: Bearer …`, for Messages as `x-api-key` too.
    pub api_key: Option<String>,
    /// See [`Timeouts`].
    pub timeouts: Timeouts,
    /// Caps for one line and one event of a stream.
    pub limits: SseLimits,
    /// Cap for a whole plain answer, and for all events together of one that is merged.
    pub max_answer_bytes: usize,
}

impl UpstreamConfig {
    /// 64 MiB: an answer of a model's whole context is a few.
    pub const DEFAULT_ANSWER_BYTES: usize = 64 * 1024 * 1024;

    /// Where requests of this API go; none where there is no URL for it.
    pub(crate) fn url(&self, api: Api) -> Result<Option<Uri>, ConfigError> {
        let name = match api {
            Api::Rerank => "rerank_url",
            Api::Native(Native::Messages) | Api::CountTokens => "messages_url",
            Api::Native(Native::Responses) => "responses_url",
            Api::Chat | Api::Completions | Api::Embeddings => "base_url",
        };
        // Tokens are counted where the messages are asked for.
        let (at, path) = match api {
            Api::CountTokens => (Api::Native(Native::Messages), "/count_tokens"),
            _ => (api, ""),
        };
        match self.api_urls.iter().find(|(known, _)| *known == at) {
            Some((_, elsewhere)) => url(name, elsewhere, path).map(Some),
            None => api.path().map(|path| url("base_url", &self.base_url, path)).transpose(),
        }
    }
}

/// Why there can be no [`crate::Upstream`] for a config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The named URL is not `http(s)://host[:port][/path]`, without user, query or fragment.
    Url(&'static str),
    /// The key has characters that can't stand in a header.
    ApiKey,
    /// The named timeout is zero or longer than [`MAX_TIMEOUT`].
    Timeout(&'static str),
    /// The system has no usable root certificates.
    RootCertificates,
    /// The TLS library refuses its own defaults.
    Tls,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(name) => {
                write!(
                    formatter,
                    "{name} must be http(s)://host[:port][/path], without user, query or fragment"
                )
            }
            Self::ApiKey => formatter.write_str("api_key must be printable ASCII"),
            Self::Timeout(name) => write!(formatter, "{name} must be more than 0 and at most a year"),
            Self::RootCertificates => formatter.write_str("the system has no usable root certificates"),
            Self::Tls => formatter.write_str("TLS can't be set up"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Timeouts {
    /// Every timeout is more than zero and at most [`MAX_TIMEOUT`].
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let named = [
            ("connect_timeout_s", self.connect),
            ("first_event_timeout_s", self.first_event),
            ("idle_timeout_s", self.idle),
            ("total_timeout_s", self.total),
        ];
        match named.into_iter().find(|(_, timeout)| timeout.is_zero() || *timeout > MAX_TIMEOUT) {
            Some((name, _)) => Err(ConfigError::Timeout(name)),
            None => Ok(()),
        }
    }
}

/// The URL of this name with `api_path` behind it.
fn url(name: &'static str, base_url: &str, api_path: &str) -> Result<Uri, ConfigError> {
    let fault = ConfigError::Url(name);
    let mut parts = base_url.parse::<Uri>().map_err(|_| fault)?.into_parts();
    let is_http =
        parts.scheme.as_ref().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
    let is_host = parts.authority.as_ref().is_some_and(|authority| !authority.as_str().contains('@'));
    let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/');
    if !is_http || !is_host || base_url.contains(['?', '#']) {
        return Err(fault);
    }
    let path = if path.is_empty() && api_path.is_empty() { "/" } else { path };
    parts.path_and_query = Some(format!("{path}{api_path}").parse().map_err(|_| fault)?);
    Uri::from_parts(parts).map_err(|_| fault)
}

/// `Bearer …`, marked so that neither logs nor HPACK tables get it.
pub(crate) fn authorization(api_key: &str) -> Result<HeaderValue, ConfigError> {
    secret_value(&format!("Bearer {api_key}"))
}

/// A header's value, marked in the same way.
pub(crate) fn secret_value(value: &str) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| ConfigError::ApiKey)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let rows = [
            ("http://127.0.0.1:9/v1", Some("http://127.0.0.1:9/v1/chat/completions")),
            ("https://host/v1/", Some("https://host/v1/chat/completions")),
            ("https://host", Some("https://host/chat/completions")),
            ("http://[::1]:80/a/b", Some("http://[::1]:80/a/b/chat/completions")),
            ("ftp://host/v1", None),
            ("host/v1", None),
            ("/v1", None),
            ("", None),
            ("https://user:pass@host/v1", None),
            ("https://host/v1?x=1", None),
            ("https://host/v1#x", None),
            ("https://ho st/v1", None),
        ];
        for (base_url, expected) in rows {
            let url = url("base_url", base_url, "/chat/completions").ok().map(|url| url.to_string());
            assert_eq!(url.as_deref(), expected, "{base_url}");
        }
    }

    #[test]
    fn urls_of_apis() {
        let rows = [
            ("https://host/v1", None, Ok("https://host/v1/rerank")),
            ("https://host/a/v1/", Some("https://host/b/v1/reranks"), Ok("https://host/b/v1/reranks")),
            ("https://host/v1", Some("https://HOST/rerank/"), Ok("https://host/rerank")),
            ("https://host/v1", Some("https://other/v1/rerank"), Ok("https://other/v1/rerank")),
            ("https://host/v1", Some("http://host/v1/rerank"), Ok("http://host/v1/rerank")),
            ("https://host/v1", Some("https://host:8443/v1/rerank"), Ok("https://host:8443/v1/rerank")),
            ("https://host/v1", Some("https://host/v1/rerank?x=1"), Err(ConfigError::Url("rerank_url"))),
            ("https://host/v1", Some("/v1/rerank"), Err(ConfigError::Url("rerank_url"))),
            ("https://host/v1?x=1", None, Err(ConfigError::Url("base_url"))),
        ];
        for (base_url, elsewhere, expected) in rows {
            let second = Duration::from_secs(1);
            let config = UpstreamConfig {
                base_url: base_url.into(),
                api_urls: elsewhere.into_iter().map(|url| (Api::Rerank, url.into())).collect(),
                api_key: None,
                timeouts: Timeouts { connect: second, first_event: second, idle: second, total: second },
                limits: SseLimits::default(),
                max_answer_bytes: UpstreamConfig::DEFAULT_ANSWER_BYTES,
            };
            let found = config.url(Api::Rerank).map(|url| url.unwrap().to_string().to_ascii_lowercase());
            assert_eq!(found, expected.map(str::to_owned), "{base_url} {elsewhere:?}");
            let others =
                config.url(Api::Embeddings).ok().flatten().map(|url| url.path().ends_with("/embeddings"));
            assert_eq!(others, (!base_url.contains('?')).then_some(true), "{base_url}");
        }
    }

    #[test]
    fn keys_that_can_not_stand_in_a_header() {
        assert_eq!(authorization("sk-1\n").err(), Some(ConfigError::ApiKey));
        assert!(authorization("sk-1").is_ok_and(|value| value.is_sensitive()));
    }
}

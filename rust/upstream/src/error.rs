//! Why an exchange failed. Told apart by [`ErrorKind`], never by text.

use std::error::Error as StdError;
use std::{fmt, io};

use llmgw_core::answer::error::{StreamError, StreamErrorKind};
use llmgw_core::named_enum;
use llmgw_core::refusal::Refusal;
use rustls::CertificateError;

use crate::deadlines::Due;

named_enum! {
    /// What went wrong. [`ErrorKind::as_str`] is the name in ledger, metrics and `llmgw._core`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum ErrorKind {
        /// No connection: refused, no route, no such host, TLS failure.
        Unreachable = "unreachable",
        /// No connection in time.
        ConnectTimeout = "connect_timeout",
        /// No good event in time (heartbeats and comments are none).
        FirstEventTimeout = "first_event_timeout",
        /// Nothing at all came for the idle timeout.
        IdleTimeout = "idle_timeout",
        /// The whole exchange took too long.
        TotalTimeout = "total_timeout",
        /// A status that is neither 2xx nor 3xx.
        Status = "status",
        /// A 3xx: never followed, since the key must not travel to another host.
        Redirect = "redirect",
        /// The answer is not an event stream, or not JSON where that was asked for.
        ContentType = "content_type",
        /// The answer is compressed although identity was asked for.
        ContentEncoding = "content_encoding",
        /// What came is not HTTP.
        Protocol = "protocol",
        /// An `error` object in a 2xx answer.
        ErrorEvent = "error_event",
        /// An event, or a whole answer, that is not a chat completion.
        InvalidEvent = "invalid_event",
        /// A line or an event beyond its cap.
        EventTooLarge = "event_too_large",
        /// A whole answer beyond its cap.
        TooLarge = "too_large",
        /// A clean end without a finish reason.
        Truncated = "truncated",
        /// The connection died.
        Reset = "reset",
        /// The answer is no longer wanted.
        Aborted = "aborted",
        /// This gateway is shutting down.
        Draining = "draining",
        /// A defect in the gateway.
        Panic = "panic",
    }
}

named_enum! {
    /// Why there was no connection, for the operator.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Cause {
        /// The name has no address, or nobody could say.
        Dns = "dns",
        /// Nothing listens there.
        Refused = "refused",
        /// The network or the host can't be reached.
        NoRoute = "no_route",
        /// It ended before it was one.
        Closed = "closed",
        /// This machine can't open another one.
        Local = "local",
        /// No root certificate vouches for the server's.
        TlsUnknownIssuer = "tls_unknown_issuer",
        /// The certificate's time is over, or has not come.
        TlsExpired = "tls_expired",
        /// The certificate is another host's.
        TlsWrongName = "tls_wrong_name",
        /// Anything else that is wrong with the certificate.
        TlsCertificate = "tls_certificate",
        /// What came is not TLS.
        TlsNotSpoken = "tls_not_spoken",
        /// The two have no version or cipher in common, or the server refused.
        TlsHandshake = "tls_handshake",
        /// The system says something else.
        Other = "other",
    }
}

impl Cause {
    /// Of what the system says when it can't connect.
    pub(crate) fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::NoRoute,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Closed,
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::QuotaExceeded => Self::Local,
            // The resolver gave no address.
            io::ErrorKind::NotFound => Self::Dns,
            _ => Self::Other,
        }
    }

    /// Of what the TLS library says.
    pub(crate) fn of_tls(error: &io::Error) -> Self {
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return Self::Closed;
        };
        match error {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(error),
            rustls::Error::InvalidMessage(_) => Self::TlsNotSpoken,
            _ => Self::TlsHandshake,
        }
    }

    const fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::TlsUnknownIssuer,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::TlsExpired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::TlsWrongName
            }
            _ => Self::TlsCertificate,
        }
    }
}

impl ErrorKind {
    /// The nearest kind that an error frame can have.
    const fn in_band(self) -> StreamErrorKind {
        match self {
            Self::ConnectTimeout | Self::FirstEventTimeout | Self::IdleTimeout => {
                StreamErrorKind::IdleTimeout
            }
            Self::TotalTimeout => StreamErrorKind::TotalTimeout,
            Self::Status | Self::ErrorEvent => StreamErrorKind::ErrorEvent,
            Self::Redirect | Self::ContentType | Self::ContentEncoding | Self::InvalidEvent => {
                StreamErrorKind::InvalidEvent
            }
            Self::EventTooLarge | Self::TooLarge => StreamErrorKind::EventTooLarge,
            Self::Truncated => StreamErrorKind::Truncated,
            Self::Draining => StreamErrorKind::Draining,
            Self::Unreachable | Self::Protocol | Self::Reset | Self::Aborted | Self::Panic => {
                StreamErrorKind::Reset
            }
        }
    }
}

impl From<StreamErrorKind> for ErrorKind {
    fn from(kind: StreamErrorKind) -> Self {
        match kind {
            StreamErrorKind::ErrorEvent => Self::ErrorEvent,
            StreamErrorKind::InvalidEvent => Self::InvalidEvent,
            StreamErrorKind::EventTooLarge => Self::EventTooLarge,
            StreamErrorKind::Truncated => Self::Truncated,
            StreamErrorKind::Reset => Self::Reset,
            StreamErrorKind::IdleTimeout => Self::IdleTimeout,
            StreamErrorKind::TotalTimeout => Self::TotalTimeout,
            StreamErrorKind::Draining => Self::Draining,
        }
    }
}

/// An exchange that failed before anything was handed out.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The upstream's HTTP status, or the one that its error event names.
    pub status: Option<u16>,
    /// What `retry-after-ms` or `retry-after` asked for, in seconds from now.
    pub retry_after_s: Option<f64>,
    /// The upstream's own error message, where it gave one as JSON: at most [`StreamError::MAX_MESSAGE_BYTES`] bytes and
    /// without its API key. Whether the client may see it is for the caller to say (it may for a 4xx about the request).
    pub message: Option<String>,
    /// The upstream's own name for its error, for the operator: at most [`MAX_CODE_BYTES`] bytes, without its key.
    ///
    /// [`MAX_CODE_BYTES`]: llmgw_core::refusal::MAX_CODE_BYTES
    pub code: Option<String>,
    /// Why the upstream is [`ErrorKind::Unreachable`].
    pub cause: Option<Cause>,
}

impl ExchangeError {
    /// With nothing known but the kind.
    #[must_use]
    pub const fn new(kind: ErrorKind) -> Self {
        Self { kind, status: None, retry_after_s: None, message: None, code: None, cause: None }
    }

    /// No connection.
    pub(crate) fn unreachable(cause: Cause) -> Self {
        Self { cause: Some(cause), ..Self::new(ErrorKind::Unreachable) }
    }

    pub(crate) fn with_status(kind: ErrorKind, status: u16) -> Self {
        Self { status: Some(status), ..Self::new(kind) }
    }

    /// An error status, and what its body says.
    pub(crate) fn refused(status: u16, retry_after_s: Option<f64>, refusal: Refusal) -> Self {
        let Refusal { code, message, .. } = refusal;
        Self { retry_after_s, message, code, ..Self::with_status(ErrorKind::Status, status) }
    }

    /// The same failure for a client that has already been shown something: as an error frame.
    pub(crate) fn in_band(&self) -> StreamError {
        let mut error = StreamError::new(self.kind.in_band());
        error.status = self.status;
        error.code.clone_from(&self.code);
        let own_words = self.kind == ErrorKind::ErrorEvent || self.status.is_some_and(is_about_the_request);
        if let Some(message) = self.message.as_ref().filter(|_| own_words) {
            error.message.clone_from(message);
        }
        error
    }
}

/// A 4xx that speaks of the client's request, and not of the gateway's key, account, pace or route: the client may be told
/// what it says.
#[must_use]
pub const fn is_about_the_request(status: u16) -> bool {
    matches!(status, 400 | 409 | 413 | 415 | 422 | 451)
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the upstream failed: {}", self.kind.as_str())?;
        self.status.map_or(Ok(()), |status| write!(formatter, " (HTTP {status})"))
    }
}

impl StdError for ExchangeError {}

impl From<&StreamError> for ExchangeError {
    fn from(error: &StreamError) -> Self {
        let message = (error.kind == StreamErrorKind::ErrorEvent).then(|| error.message.clone());
        Self { status: error.status, code: error.code.clone(), message, ..Self::new(error.kind.into()) }
    }
}

impl From<ErrorKind> for ExchangeError {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<Due> for ExchangeError {
    fn from(due: Due) -> Self {
        Self::new(match due {
            Due::FirstEvent => ErrorKind::FirstEventTimeout,
            Due::Idle | Due::Heartbeat => ErrorKind::IdleTimeout,
            Due::Total => ErrorKind::TotalTimeout,
        })
    }
}

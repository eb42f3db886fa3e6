//! The pooled HTTP client, and the connector that bounds DNS, TCP and TLS together.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as PooledClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use crate::config::{ConfigError, Timeouts};
use crate::stall::StallTimeout;

/// Shorter than what servers and load balancers commonly keep (60 s and more), so that we are the ones who close.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle connections cost a file descriptor each; a burst of streams should find them all again.
const POOL_MAX_IDLE_PER_HOST: usize = 1024;
/// TCP keep-alive finds a peer that vanished while a stream was silent.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
/// Per HTTP/1 connection: bounds response headers and what one read can bring.
const MAX_READ_BUFFER_BYTES: usize = 64 * 1024;
/// HTTP/2 pings while streams are open, for the same reason as [`TCP_KEEPALIVE`].
const HTTP2_KEEPALIVE: Duration = Duration::from_secs(30);

type BoxError = Box<dyn StdError + Send + Sync>;

/// The client of one upstream. No redirects and no proxies: the pooled client of hyper-util knows neither.
pub(crate) type Client = PooledClient<TimedConnector<HttpsConnector<HttpConnector>>, Full<Bytes>>;

/// A client for `url`'s scheme; the root certificates are only read for `https`.
pub(crate) fn build(url: &Uri, timeouts: &Timeouts) -> Result<Client, ConfigError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(TCP_KEEPALIVE));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls_config(url.scheme_str() == Some("https"))?)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(http);
    let client = PooledClient::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(POOL_MAX_IDLE_PER_HOST)
        .http1_max_buf_size(MAX_READ_BUFFER_BYTES)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(HTTP2_KEEPALIVE)
        // A request that met a pooled connection just closed by the upstream, and of which not a byte was sent, is
        // sent again on another one: no upstream has seen it, so this is no retry in the sense of the contract.
        .retry_canceled_requests(true)
        .build(TimedConnector { inner: https, timeout: timeouts.connect, stall: timeouts.idle });
    Ok(client)
}

fn tls_config(with_roots: bool) -> Result<ClientConfig, ConfigError> {
    let builder = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|_| ConfigError::Tls)?;
    let builder = if with_roots {
        builder.with_native_roots().map_err(|_| ConfigError::RootCertificates)?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

/// There was no connection in time. Found among the causes of the client's error.
#[derive(Debug)]
pub(crate) struct ConnectTimedOut;

impl fmt::Display for ConnectTimedOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no connection in time")
    }
}

impl StdError for ConnectTimedOut {}

/// A connector that gives up after `timeout`, whatever it is waiting for. Its connections give up after `stall`.
#[derive(Clone)]
pub(crate) struct TimedConnector<C> {
    inner: C,
    timeout: Duration,
    stall: Duration,
}

impl<C> Service<Uri> for TimedConnector<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    type Response = StallTimeout<C::Response>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connected = tokio::time::timeout(self.timeout, self.inner.call(url));
        let stall = self.stall;
        Box::pin(async move {
            match connected.await {
                Ok(connection) => Ok(StallTimeout::new(connection.map_err(Into::into)?, stall)),
                Err(_) => Err(ConnectTimedOut.into()),
            }
        })
    }
}

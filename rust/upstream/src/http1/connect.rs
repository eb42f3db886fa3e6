//! From a URL to a connection: names, addresses, TLS, all within one timeout.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Uri;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::head::default_port;
use crate::config::ConfigError;
use crate::error::{Cause, ErrorKind, ExchangeError};

/// Finds a peer that vanished while a stream was silent.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
/// How long one address has before the next is tried beside it (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Makes connections to one host.
pub(super) struct Connector {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

impl Connector {
    /// For a URL with a host; the system's root certificates are only read for `https`.
    pub(super) fn new(url: &Uri, timeout: Duration) -> Result<Self, ConfigError> {
        let host =
            url.host().ok_or(ConfigError::Url("a URL of the upstream"))?.trim_matches(['[', ']']).to_owned();
        let port = url.port_u16().unwrap_or_else(|| default_port(url));
        let tls = if url.scheme_str() == Some("https") {
            let name =
                ServerName::try_from(host.clone()).map_err(|_| ConfigError::Url("a URL of the upstream"))?;
            Some((TlsConnector::from(Arc::new(tls_config()?)), name))
        } else {
            None
        };
        Ok(Self { host, port, tls, timeout })
    }

    /// # Errors
    /// [`ErrorKind::Unreachable`] with its cause, [`ErrorKind::ConnectTimeout`].
    pub(super) async fn connect(&self) -> Result<Stream, ExchangeError> {
        match timeout(self.timeout, self.attempt()).await {
            Ok(connected) => connected.map_err(ExchangeError::unreachable),
            Err(_) => Err(ErrorKind::ConnectTimeout.into()),
        }
    }

    async fn attempt(&self) -> Result<Stream, Cause> {
        let addresses =
            tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(|_| Cause::Dns)?;
        let tcp = connect_any(addresses.collect()).await.map_err(|error| Cause::of_connect(&error))?;
        prepare(&tcp).map_err(|error| Cause::of_connect(&error))?;
        let Some((tls, name)) = &self.tls else { return Ok(Stream::Plain(tcp)) };
        let tls = tls.connect(name.clone(), tcp).await.map_err(|error| Cause::of_tls(&error))?;
        Ok(Stream::Tls(Box::new(tls)))
    }
}

fn prepare(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    SockRef::from(tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEPALIVE))
}

/// The system's root certificates, read once. Where there are none, the next upstream looks again.
///
/// The certificates are shared and not the whole `ClientConfig`, whose lock around cached sessions a fork could catch
/// locked.
fn root_certificates() -> Result<Arc<RootCertStore>, ConfigError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let mut roots = RootCertStore::empty();
    // A system's store often holds a certificate or two that can't be parsed; one that can is enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(ConfigError::RootCertificates);
    }
    Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
}

/// The system's root certificates in DER, one behind the other; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
#[must_use]
pub fn root_certificates_der() -> Vec<u8> {
    rustls_native_certs::load_native_certs()
        .certs
        .iter()
        .flat_map(|certificate| certificate.to_vec())
        .collect()
}

fn tls_config() -> Result<ClientConfig, ConfigError> {
    let roots = root_certificates()?;
    let mut config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|_| ConfigError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The first of several addresses that answers: tried in turn, each with a short head start (RFC 8305).
async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = families_in_turn(addresses).into_iter();
    let mut next = addresses.next();
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    loop {
        if let Some(address) = next.take() {
            attempts.spawn(TcpStream::connect(address));
        }
        tokio::select! {
            biased;
            Some(joined) = attempts.join_next() => match joined.map_err(io::Error::other).flatten() {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = sleep(ATTEMPT_DELAY), if addresses.len() > 0 => {}
            else => return Err(failure),
        }
        next = addresses.next();
    }
}

/// IPv6 and IPv4 by turns, beginning with what the resolver put first.
fn families_in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut other = other.into_iter();
    let mut sorted: Vec<_> =
        one.into_iter().flat_map(|address| [Some(address), other.next()]).flatten().collect();
    sorted.extend(other);
    sorted
}

/// A connection's bytes.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Between two exchanges: the peer has neither closed the connection nor sent anything for us.
    ///
    /// Over TLS there may be bytes without that: session tickets and new keys come when the server likes. So one byte is
    /// read through TLS, which keeps those to itself, and has what it read from the socket already. An end, an unasked
    /// answer or half a record is not quiet.
    pub(super) fn is_quiet(&mut self) -> bool {
        match self {
            Self::Plain(tcp) => has_nothing(tcp),
            Self::Tls(tls) => {
                let mut byte = [0];
                let mut cx = Context::from_waker(Waker::noop());
                let read = Pin::new(&mut *tls).poll_read(&mut cx, &mut ReadBuf::new(&mut byte));
                read.is_pending() && has_nothing(tls.get_ref().0)
            }
        }
    }
}

/// The peer has sent neither a byte nor its end. Asks the system, since what tokio knows may be of a moment ago.
fn has_nothing(tcp: &TcpStream) -> bool {
    let peeked = SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()]);
    peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::AsyncWriteExt as _;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    #[test]
    fn the_families_take_turns() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        for (given, expected) in [
            (&["1.1.1.1:1"][..], &["1.1.1.1:1"][..]),
            (&["[::1]:1", "[::2]:1", "1.1.1.1:1"], &["[::1]:1", "1.1.1.1:1", "[::2]:1"]),
            (&["1.1.1.1:1", "[::1]:1", "[::2]:1"], &["1.1.1.1:1", "[::1]:1", "[::2]:1"]),
            (&[], &[]),
        ] {
            assert_eq!(families_in_turn(addresses(given)), addresses(expected));
        }
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_passed_over() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = open.local_addr().unwrap();
        let stream = connect_any(vec![closed, address]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(connect_any(vec![closed, closed]).await.is_err());
        assert!(connect_any(Vec::new()).await.is_err());
    }

    /// A connection to a server of tests/corpus/tls; the server's side of it.
    async fn over_tls() -> (Stream, tokio_rustls::server::TlsStream<TcpStream>) {
        let file = |name: &str| format!("{}/../../tests/corpus/tls/{name}", env!("CARGO_MANIFEST_DIR"));
        let certificates = |name: &str| -> Vec<CertificateDer<'static>> {
            CertificateDer::pem_file_iter(file(name)).unwrap().collect::<Result<_, _>>().unwrap()
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates("ca.pem"));
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                certificates("server.pem"),
                PrivateKeyDer::from_pem_file(file("server.key")).unwrap(),
            )
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let (ours, theirs) = tokio::join!(connector.connect(name, tcp), acceptor.accept(accepted));
        (Stream::Tls(Box::new(ours.unwrap())), theirs.unwrap())
    }

    /// Until what the server has sent is there.
    async fn arrived(stream: &Stream) {
        let Stream::Tls(tls) = stream else { panic!("it is over TLS") };
        timeout(Duration::from_secs(10), tls.get_ref().0.readable()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn tickets_and_new_keys_are_nothing_for_us() {
        let (mut ours, mut theirs) = over_tls().await;
        arrived(&ours).await; // session tickets
        assert!(ours.is_quiet());
        for _ in 0..3 {
            theirs.get_mut().1.refresh_traffic_keys().unwrap();
            theirs.flush().await.unwrap();
            arrived(&ours).await;
            assert!(ours.is_quiet());
        }
        theirs.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
        theirs.flush().await.unwrap();
        arrived(&ours).await;
        assert!(!ours.is_quiet());
    }
}

//! One connection, with at most one exchange on it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::body::BodyDecoder;
use super::connect::Stream;
use super::head::ResponseHead;
use super::outgoing::Outgoing;
use crate::error::ErrorKind;

/// What one read can bring.
const READ_BYTES: usize = 32 * 1024;
/// How many pieces of a request one write takes. A rewritten body has a dozen.
const MAX_SLICES: usize = 16;

thread_local! {
    /// Read buffer shared by all sockets of a thread; each read is consumed before the next.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A connection to the provider.
pub(crate) struct Connection {
    socket: Socket,
    /// What came in one read with the head.
    unread: Vec<u8>,
    body: BodyDecoder,
    keep_alive: bool,
}

impl Connection {
    pub(super) fn new(stream: Stream, stall: Duration) -> Self {
        let socket =
            Socket { stream, outgoing: None, sent_any: false, send_failed: false, stall, stalled: None };
        Self { socket, unread: Vec::new(), body: BodyDecoder::length(0), keep_alive: true }
    }

    /// Send a request and read the head of its answer, which may come before the request has gone out whole.
    ///
    /// # Errors
    /// [`ErrorKind::Reset`] and [`ErrorKind::Protocol`]; then nothing more can be done with the connection.
    pub(super) async fn request(&mut self, outgoing: Outgoing) -> Result<ResponseHead, ErrorKind> {
        self.socket.send(outgoing);
        let mut read = Vec::new();
        let mut parsed = 0;
        loop {
            let before = read.len();
            let mut take = |bytes: &mut [u8]| read.extend_from_slice(bytes);
            poll_fn(|cx| self.socket.poll_read(cx, &mut take)).await?.ok_or(ErrorKind::Reset)?;
            if !ResponseHead::is_worth_parsing(&read, before, parsed) {
                continue;
            }
            parsed = read.len();
            if let Some((head, length)) = ResponseHead::parse(&read).map_err(|_| ErrorKind::Protocol)? {
                read.drain(..length);
                self.unread = read;
                self.body = head.body.clone();
                self.keep_alive = head.keep_alive;
                return Ok(head);
            }
        }
    }

    /// The next of the body, as much as one read brings, given to `take`; what that makes of it, or none at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Reset`] and [`ErrorKind::Protocol`].
    pub(crate) async fn read_body<T>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> T,
    ) -> Result<Option<T>, ErrorKind> {
        poll_fn(|cx| self.poll_body(cx, &mut take)).await
    }

    fn poll_body<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut impl FnMut(&[u8]) -> T,
    ) -> Poll<Result<Option<T>, ErrorKind>> {
        let Self { socket, unread, body, .. } = self;
        loop {
            if body.is_done() {
                return Poll::Ready(Ok(None));
            }
            if body.is_broken() {
                return Poll::Ready(Err(ErrorKind::Protocol));
            }
            let mut decode = |bytes: &mut [u8]| {
                let length = body.decode(bytes);
                (length > 0).then(|| take(&bytes[..length]))
            };
            let taken = if unread.is_empty() {
                ready!(socket.poll_read(cx, &mut decode))?
            } else {
                Some(decode(&mut std::mem::take(unread)))
            };
            match taken {
                Some(Some(taken)) => return Poll::Ready(Ok(Some(taken))),
                // Nothing but framing.
                Some(None) => {}
                None if body.ends_with_connection() => return Poll::Ready(Ok(None)),
                None => return Poll::Ready(Err(ErrorKind::Reset)),
            }
        }
    }

    /// How many bytes the body still has, where that was announced.
    pub(crate) const fn announced(&self) -> Option<u64> {
        self.body.announced()
    }

    /// Another request can be sent on it: the last one and its answer have both ended.
    pub(super) fn is_reusable(&self) -> bool {
        self.keep_alive
            && self.body.is_done()
            && !self.body.has_excess()
            && self.unread.is_empty()
            && self.socket.is_idle()
    }

    /// The peer has neither closed it nor said anything unasked.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.socket.stream.is_quiet()
    }

    /// Whether a byte of the last request may have gone out.
    pub(super) const fn has_sent(&self) -> bool {
        self.socket.sent_any
    }
}

/// The socket, and what is still to be sent on it.
struct Socket {
    stream: Stream,
    outgoing: Option<Outgoing>,
    sent_any: bool,
    send_failed: bool,
    /// A request that makes no progress for this long fails.
    stall: Duration,
    /// Runs while sending is held up.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    fn send(&mut self, outgoing: Outgoing) {
        self.sent_any = false;
        self.outgoing = Some(outgoing);
    }

    const fn is_idle(&self) -> bool {
        self.outgoing.is_none() && !self.send_failed
    }

    /// What can be read now, given to `take`; none at the connection's end. Sends meanwhile what is still to be sent.
    fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut impl FnMut(&mut [u8]) -> T,
    ) -> Poll<Result<Option<T>, ErrorKind>> {
        self.poll_send(cx)?;
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            // Whatever the system calls it: the connection is dead.
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).map_err(|_| ErrorKind::Reset)?;
            let read = buffer.filled_mut();
            Poll::Ready(Ok((!read.is_empty()).then(|| take(read))))
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), ErrorKind> {
        let Some(outgoing) = &mut self.outgoing else { return Ok(()) };
        let before = outgoing.remaining();
        let sending = poll_write_all(&mut self.stream, outgoing, cx);
        let progress = outgoing.remaining() < before;
        self.sent_any |= progress;
        match sending {
            Poll::Ready(outcome) => {
                // An upstream that refuses a large body may close before it has come whole. Reading tells what it said.
                self.send_failed = outcome.is_err();
                self.outgoing = None;
                self.stalled = None;
            }
            Poll::Pending => {
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.stall)));
                if progress {
                    stalled.as_mut().reset(Instant::now() + self.stall);
                }
                if stalled.as_mut().poll(cx).is_ready() {
                    return Err(ErrorKind::Reset);
                }
            }
        }
        Ok(())
    }
}

fn poll_write_all(
    stream: &mut Stream,
    outgoing: &mut impl Buf,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while outgoing.has_remaining() {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = outgoing.chunks_vectored(&mut slices);
        let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        outgoing.advance(written);
    }
    Pin::new(stream).poll_flush(cx)
}

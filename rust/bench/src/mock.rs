//! An upstream that does next to nothing, so that the gateway before it is what is measured.
//!
//! `POST /_script` with a [`Script`] says how every later completion is answered; `GET /_stats` says what has come
//! in ([`Stats`]). Any other POST is a completion; any other GET is answered with an empty list of models.
//! Every chunk of a stream is an HTTP chunk and a write of its own, as it is with real upstreams.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{spawn_local, yield_now};

use crate::http::{HttpError, RequestHead, request_head};
use crate::pace::Pacer;
use crate::talk::{self, Frame};
use crate::{Failure, emit};

const READ_BYTES: usize = 64 << 10;
const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
    cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const NO_MODELS: &str = r#"{"object":"list","data":[]}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    listen: SocketAddr,
}

/// How completions are answered.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase", deny_unknown_fields)]
enum Script {
    /// One JSON body.
    #[default]
    Plain,
    /// A stream of `chunks`, each `interval_us` after the one before; 0: as fast as they are taken.
    Stream { chunks: u64, interval_us: u64 },
    /// A stream of one chunk, and then silence until the other side leaves.
    Idle,
}

/// What has come in since the last script.
#[derive(Default, Serialize)]
struct Stats {
    requests: u64,
    /// How many of the bodies had an `enable_thinking` in them.
    with_thinking_switch: u64,
}

struct Mock {
    script: Cell<Script>,
    stats: RefCell<Stats>,
    pacer: Pacer,
}

/// Serves until it is killed; prints where it listens.
pub(crate) async fn run(config: Config) -> Result<(), Failure> {
    let listener = TcpListener::bind(config.listen).await?;
    let mock = Rc::new(Mock { script: Cell::default(), stats: RefCell::default(), pacer: Pacer::new()? });
    emit(&json!({"event": "listening", "port": listener.local_addr()?.port()}));
    let driven = Rc::clone(&mock);
    spawn_local(async move { driven.pacer.drive().await });
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let connection = Connection { socket, pending: Vec::new(), body: Vec::new(), mock: Rc::clone(&mock) };
        // A peer that leaves in the middle is nothing to tell: the client sees what is wrong with its answers.
        spawn_local(connection.serve());
    }
}

struct Connection {
    socket: TcpStream,
    /// What has been read and not yet been understood.
    pending: Vec<u8>,
    body: Vec<u8>,
    mock: Rc<Mock>,
}

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        let (mut first_frame, mut frame) = (Frame::new(true), Frame::new(false));
        while let Some(head) = self.read_request().await? {
            if !head.post {
                let stats = serde_json::to_string(&*self.mock.stats.borrow())?;
                self.send_json(if head.path == "/_stats" { &stats } else { NO_MODELS }).await?;
            } else if head.path == "/_script" {
                self.mock.script.set(serde_json::from_slice(&self.body)?);
                self.mock.stats.take();
                self.send_json("{}").await?;
            } else {
                self.answer(&mut first_frame, &mut frame).await?;
            }
        }
        Ok(())
    }

    /// The next request, its body in `self.body`; None where the other side is through.
    async fn read_request(&mut self) -> io::Result<Option<RequestHead>> {
        let mut head = loop {
            if let Some(head) = request_head(&self.pending).map_err(invalid)? {
                break head;
            }
            if !self.read().await? {
                return Ok(None);
            }
        };
        self.pending.drain(..head.bytes);
        if head.expects_continue {
            self.socket.write_all(CONTINUE).await?;
        }
        self.body.clear();
        loop {
            let taken = head.body.feed(&self.pending, &mut self.body).map_err(invalid)?;
            self.pending.drain(..taken);
            if head.body.ended() {
                return Ok(Some(head));
            }
            if !self.read().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn read(&mut self) -> io::Result<bool> {
        self.pending.reserve(READ_BYTES);
        Ok(self.socket.read_buf(&mut self.pending).await? > 0)
    }

    async fn answer(&mut self, first_frame: &mut Frame, frame: &mut Frame) -> io::Result<()> {
        let size = self.body.len();
        let nonce = talk::find_nonce(&self.body).unwrap_or_default();
        let with_switch = memchr::memmem::find(&self.body, b"\"enable_thinking\"").is_some();
        {
            let mut stats = self.mock.stats.borrow_mut();
            stats.requests += 1;
            stats.with_thinking_switch += u64::from(with_switch);
        }
        match self.mock.script.get() {
            Script::Plain => self.send_json(&talk::plain_answer(nonce, size)).await,
            Script::Idle => {
                self.socket.write_all(STREAM_HEAD).await?;
                self.socket.write_all(first_frame.fill(nonce, 0, talk::now_us())).await?;
                while self.read().await? {}
                Ok(())
            }
            Script::Stream { chunks, interval_us } => {
                self.socket.write_all(STREAM_HEAD).await?;
                let interval = Duration::from_micros(interval_us);
                let (begun, begun_us) = (Instant::now(), talk::now_us());
                let mut wait = Duration::ZERO;
                for number in 0..chunks {
                    let stamp_us = if interval.is_zero() {
                        // The other streams get their turn between two chunks.
                        yield_now().await;
                        talk::now_us()
                    } else {
                        self.mock.pacer.sleep_until(begun + wait).await?;
                        // When it was due, not when it left: a stream that is held up is late.
                        begun_us + number * interval_us
                    };
                    wait += interval;
                    let frame = if number == 0 { &mut *first_frame } else { &mut *frame };
                    self.socket.write_all(frame.fill(nonce, number, stamp_us)).await?;
                }
                self.socket.write_all(&talk::stream_end(chunks, size)).await
            }
        }
    }

    async fn send_json(&mut self, body: &str) -> io::Result<()> {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
        self.socket.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await
    }
}

fn invalid(error: HttpError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

//! The client: sends requests, checks every answer, measures.
//!
//! Prints `measuring` and `measured` at the two ends of the window in which it counts (the harness reads the
//! gateway's processor time at both), then `result`. A wrong answer ends the run at once with `fault`.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{sleep, sleep_until, timeout};

use crate::http::{ResponseHead, response_head};
use crate::stats::spread;
use crate::verify::{self, Api, excerpt};
use crate::{Failure, emit, talk};

const READ_BYTES: usize = 64 << 10;
const OK: u16 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    target: SocketAddr,
    path: String,
    #[serde(default)]
    api: Api,
    headers: Vec<(String, String)>,
    body: PathBuf,
    /// What `usage.prompt_tokens` must be at least: the mock counts the bytes of the request there.
    prompt_bytes: u64,
    answer: Expected,
    connections: u32,
    /// The connections are opened evenly over this time.
    ramp_s: f64,
    /// From the end of the ramp to the window.
    warmup_s: f64,
    window_s: f64,
    /// What requests that are under way at the end of the window get to finish.
    drain_s: f64,
}

/// The mock's script, from the other side.
#[derive(Clone, Copy, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Expected {
    Plain,
    /// `once`: each connection asks once; the streams are to last longer than the window.
    Stream {
        chunks: u64,
        once: bool,
    },
    /// One chunk, then silence. The window begins when all streams have begun.
    Idle,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Before,
    Measuring,
    After,
}

struct Shared {
    config: Config,
    phase: Cell<Phase>,
    nonce: Cell<u64>,
    measured: RefCell<Measured>,
    first_chunks: Cell<u32>,
}

/// Of the window alone (but see `note_first_chunk`). Times in nanoseconds.
#[derive(Default)]
struct Measured {
    requests: u64,
    chunks: u64,
    reconnects: u64,
    latency: Vec<u64>,
    first_chunk: Vec<u64>,
    chunk_delay: Vec<u64>,
}

/// Runs one case; fails on the first wrong answer.
pub(crate) async fn run(config: Config) -> Result<(), Failure> {
    let body = std::fs::read(&config.body)?;
    let shared = Rc::new(Shared {
        config,
        phase: Cell::new(Phase::Before),
        nonce: Cell::new(0),
        measured: RefCell::default(),
        first_chunks: Cell::new(0),
    });
    // Each client holds a sender: the channel says what went wrong, and closes when all are through.
    let (tell, mut told) = mpsc::unbounded_channel::<Failure>();
    for index in 0..shared.config.connections {
        let client = Client::new(Rc::clone(&shared), &body)?;
        let tell = tell.clone();
        spawn_local(async move {
            let share = f64::from(index) / f64::from(client.shared.config.connections);
            sleep(Duration::from_secs_f64(client.shared.config.ramp_s * share)).await;
            if let Err(failure) = client.run().await {
                // Nobody hears it where the run is over.
                let _ = tell.send(failure);
            }
        });
    }
    drop(tell);
    let timed = time_window(&shared);
    tokio::pin!(timed);
    let window = tokio::select! {
        window = &mut timed => window?,
        failure = told.recv() => match failure {
            Some(failure) => return Err(failure),
            None => (&mut timed).await?,
        },
    };
    // Idle streams are never through.
    let idle = matches!(shared.config.answer, Expected::Idle);
    if !idle {
        let drained = timeout(Duration::from_secs_f64(shared.config.drain_s), told.recv()).await;
        if let Ok(Some(failure)) = drained {
            return Err(failure);
        }
    }
    // Each client that is not through holds one.
    let unfinished = if idle { 0 } else { Rc::strong_count(&shared) - 1 };
    let measured = shared.measured.take();
    emit(&json!({
        "event": "result",
        "window_s": window.as_secs_f64(),
        "requests": measured.requests,
        "chunks": measured.chunks,
        "reconnects": measured.reconnects,
        "unfinished": unfinished,
        "latency_us": spread(measured.latency),
        "first_chunk_us": spread(measured.first_chunk),
        "chunk_delay_us": spread(measured.chunk_delay),
    }));
    Ok(())
}

/// Goes through the phases; how long the window really was.
async fn time_window(shared: &Shared) -> Result<Duration, Failure> {
    let config = &shared.config;
    sleep(Duration::from_secs_f64(config.ramp_s + config.warmup_s)).await;
    if matches!(config.answer, Expected::Idle) {
        let deadline = Instant::now() + Duration::from_secs_f64(config.drain_s);
        while shared.first_chunks.get() < config.connections {
            if Instant::now() > deadline {
                return Err(format!("only {} streams have begun", shared.first_chunks.get()).into());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
    let begun = Instant::now();
    shared.phase.set(Phase::Measuring);
    emit(&json!({"event": "measuring"}));
    sleep_until((begun + Duration::from_secs_f64(config.window_s)).into()).await;
    shared.phase.set(Phase::After);
    let window = begun.elapsed();
    emit(&json!({"event": "measured"}));
    Ok(window)
}

/// One connection, with one request at a time on it.
struct Client {
    shared: Rc<Shared>,
    /// Head and body.
    request: Vec<u8>,
    /// Read and not yet decoded.
    pending: Vec<u8>,
    /// Decoded from the HTTP body and not yet checked.
    decoded: Vec<u8>,
}

impl Client {
    fn new(shared: Rc<Shared>, body: &[u8]) -> Result<Self, Failure> {
        let config = &shared.config;
        let mut head = format!("POST {} HTTP/1.1\r\nhost: {}\r\n", config.path, config.target);
        for (name, value) in &config.headers {
            write!(head, "{name}: {value}\r\n")?;
        }
        write!(head, "content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())?;
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        if !talk::set_nonce(&mut request, 0) {
            return Err("the request has no place for a nonce".into());
        }
        Ok(Self { shared, request, pending: Vec::new(), decoded: Vec::new() })
    }

    async fn run(mut self) -> Result<(), Failure> {
        let once = matches!(self.shared.config.answer, Expected::Stream { once: true, .. } | Expected::Idle);
        let mut socket = self.connect().await?;
        while self.shared.phase.get() != Phase::After {
            let closes = self.exchange(&mut socket).await?;
            if once {
                break;
            }
            if closes {
                self.shared.measured.borrow_mut().reconnects += 1;
                socket = self.connect().await?;
            }
        }
        Ok(())
    }

    async fn connect(&mut self) -> io::Result<TcpStream> {
        self.pending.clear();
        let socket = TcpStream::connect(self.shared.config.target).await?;
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    /// One request and its whole answer; true if the connection can't be used again.
    async fn exchange(&mut self, socket: &mut TcpStream) -> Result<bool, Failure> {
        let nonce = self.shared.nonce.get() + 1;
        self.shared.nonce.set(nonce);
        talk::set_nonce(&mut self.request, nonce);
        let begun = Instant::now();
        socket.write_all(&self.request).await?;
        let head = self.read_head(socket).await?;
        let closes = head.closes;
        self.decoded.clear();
        match self.shared.config.answer {
            _ if head.status != OK => {
                let status = head.status;
                self.read_body(socket, head).await?;
                return Err(format!("status {status}: {}", excerpt(&self.decoded)).into());
            }
            Expected::Plain => {
                self.read_body(socket, head).await?;
                verify::plain(self.shared.config.api, &self.decoded, nonce, self.shared.config.prompt_bytes)?;
            }
            Expected::Stream { chunks, .. } => self.read_stream(socket, head, nonce, begun, chunks).await?,
            Expected::Idle => self.read_stream(socket, head, nonce, begun, 0).await?,
        }
        self.note(|measured| {
            measured.requests += 1;
            measured.latency.push(nanos(begun.elapsed()));
        });
        Ok(closes)
    }

    async fn read_head(&mut self, socket: &mut TcpStream) -> Result<ResponseHead, Failure> {
        loop {
            if let Some(head) = response_head(&self.pending)? {
                self.pending.drain(..head.bytes);
                if head.status != 100 {
                    return Ok(head);
                }
            } else if !self.read(socket).await? {
                return Err("the connection was closed before an answer".into());
            }
        }
    }

    async fn read_body(&mut self, socket: &mut TcpStream, mut head: ResponseHead) -> Result<(), Failure> {
        while self.decode(socket, &mut head).await? {}
        Ok(())
    }

    async fn read_stream(
        &mut self,
        socket: &mut TcpStream,
        mut head: ResponseHead,
        nonce: u64,
        begun: Instant,
        chunks: u64,
    ) -> Result<(), Failure> {
        let mut stream = verify::Stream::new(self.shared.config.api, nonce, self.shared.config.prompt_bytes);
        loop {
            let more = self.decode(socket, &mut head).await?;
            let (before, now_us) = (stream.chunks(), talk::now_us());
            let taken = {
                let mut measured =
                    (self.shared.phase.get() == Phase::Measuring).then(|| self.shared.measured.borrow_mut());
                stream.feed(&self.decoded, |stamp_us| {
                    if let Some(measured) = &mut measured {
                        measured.chunks += 1;
                        measured.chunk_delay.push(now_us.saturating_sub(stamp_us) * 1000);
                    }
                })?
            };
            self.decoded.drain(..taken);
            if before == 0 && stream.chunks() > 0 {
                self.note_first_chunk(begun.elapsed());
                self.shared.first_chunks.set(self.shared.first_chunks.get() + 1);
            }
            if !more {
                return Ok(stream.finish(chunks)?);
            }
        }
    }

    /// Reads more of the body into `self.decoded`; false once it is complete.
    async fn decode(&mut self, socket: &mut TcpStream, head: &mut ResponseHead) -> Result<bool, Failure> {
        if self.pending.is_empty() && !head.body.ended() && !self.read(socket).await? {
            return match head.body {
                crate::http::Body::UntilClose => Ok(false),
                _ => Err("the connection was closed in the middle of an answer".into()),
            };
        }
        let before = self.pending.len();
        let taken = head.body.feed(&self.pending, &mut self.decoded)?;
        self.pending.drain(..taken);
        // A size line that is cut needs the rest of it.
        if taken == 0 && before > 0 && !head.body.ended() && !self.read(socket).await? {
            return Err("the connection was closed in the middle of an answer".into());
        }
        Ok(!head.body.ended())
    }

    async fn read(&mut self, socket: &mut TcpStream) -> io::Result<bool> {
        self.pending.reserve(READ_BYTES);
        Ok(socket.read_buf(&mut self.pending).await? > 0)
    }

    /// Streams that are asked for once begin before the window; their first chunks count nevertheless.
    fn note_first_chunk(&self, after: Duration) {
        let counts = match self.shared.config.answer {
            Expected::Stream { once, .. } => once || self.shared.phase.get() == Phase::Measuring,
            Expected::Plain | Expected::Idle => true,
        };
        if counts {
            self.shared.measured.borrow_mut().first_chunk.push(nanos(after));
        }
    }

    fn note(&self, write: impl FnOnce(&mut Measured)) {
        if self.shared.phase.get() == Phase::Measuring {
            write(&mut self.shared.measured.borrow_mut());
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

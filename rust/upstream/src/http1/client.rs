//! The client of one provider: connections that can be used again, and new ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use http::Uri;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::connect::Connector;
use super::connection::Connection;
use super::head::ResponseHead;
use super::outgoing::Outgoing;
use crate::config::{ConfigError, Timeouts};
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::ExchangeError;
use crate::lock::lock;

/// Shorter than what servers and load balancers commonly keep (60 s and more), so that we are the ones who close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle connections cost a file descriptor each; a burst of streams should find them all again.
const MAX_IDLE: usize = 1024;
/// How long a connection rests after a stream. A server may promise keep-alive and close all the same, right after
/// its last chunk (llama.cpp's does); a request that overtook that end would be reset, and one could not tell whether it
/// was seen.
const SETTLE: Duration = Duration::from_millis(10);
/// How often idle connections are looked through for those that ended: one system call each.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// So many are looked at before it is the other tasks' turn, and only these can't be used meanwhile.
const SWEEP_BATCH: usize = 32;

/// Sends requests to one host.
pub(crate) struct Client {
    connector: Connector,
    /// See [`Timeouts::idle`].
    stall: Duration,
    pool: Arc<Pool>,
}

impl Client {
    /// For `url`'s host.
    pub(crate) fn new(url: &Uri, timeouts: &Timeouts) -> Result<Self, ConfigError> {
        let connector = Connector::new(url, timeouts.connect)?;
        Ok(Self { connector, stall: timeouts.idle, pool: Arc::default() })
    }

    /// Send a request; the connection that it went over, and the head of the answer. Dropping either ends it.
    ///
    /// # Errors
    /// [`ErrorKind::Unreachable`], [`ErrorKind::ConnectTimeout`], [`ErrorKind::Reset`], [`ErrorKind::Protocol`].
    pub(crate) async fn request(
        &self,
        request: Outgoing,
    ) -> Result<(Connection, ResponseHead), ExchangeError> {
        while let Some(mut connection) = self.pool.take() {
            match connection.request(request.clone()).await {
                Ok(answer) if answer.ends_idleness() => {}
                Ok(answer) => return Ok((connection, answer)),
                // It had been closed, and no upstream has seen the request: no retry in the sense of the contract.
                Err(_) if !connection.has_sent() => {}
                Err(kind) => return Err(kind.into()),
            }
        }
        let mut connection = Connection::new(self.connector.connect().await?, self.stall);
        let answer = connection.request(request).await?;
        Ok((connection, answer))
    }

    /// Keep a connection whose exchange has ended, if it can be used again.
    pub(crate) fn keep(&self, connection: Connection) {
        if connection.is_reusable() {
            Pool::put(&self.pool, connection);
        }
    }

    /// The same after a stream, see [`SETTLE`]. The exchange has ended; nothing waits for this.
    pub(crate) async fn keep_settled(&self, connection: Connection) {
        if connection.is_reusable() {
            sleep(SETTLE).await;
            Pool::put(&self.pool, connection);
        }
    }
}

/// Idle connections, the one used last at the back.
#[derive(Default)]
struct Pool {
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    idle: VecDeque<Idle>,
    /// Somebody looks through them from time to time.
    swept: bool,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn is_good(&mut self) -> bool {
        self.since.elapsed() < IDLE_TIMEOUT && self.connection.is_quiet()
    }
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, PoolState> {
        lock(&self.state)
    }

    /// The connection that was used last: the others can then grow old.
    fn take(&self) -> Option<Connection> {
        loop {
            let mut idle = self.state().idle.pop_back()?;
            if idle.is_good() {
                return Some(idle.connection);
            }
        }
    }

    /// The next ones to be looked at, where so many are looked at already: the oldest are in front.
    fn lend(&self, checked: usize) -> Option<Vec<Idle>> {
        let idle = &mut self.state().idle;
        let end = idle.len().min(checked + SWEEP_BATCH);
        (checked < end).then(|| idle.drain(checked..end).collect())
    }

    /// Put them back where they were; some may have gone meanwhile.
    fn take_back(&self, checked: usize, batch: Vec<Idle>) {
        let idle = &mut self.state().idle;
        let mut newer = idle.split_off(checked.min(idle.len()));
        idle.extend(batch);
        idle.append(&mut newer);
    }

    fn put(this: &Arc<Self>, connection: Connection) {
        let mut state = this.state();
        let oldest = if state.idle.len() >= MAX_IDLE { state.idle.pop_front() } else { None };
        state.idle.push_back(Idle { connection, since: Instant::now() });
        let swept = std::mem::replace(&mut state.swept, true);
        drop(state);
        drop(oldest);
        if !swept {
            tokio::spawn(sweep(Arc::downgrade(this)));
        }
    }
}

/// Close what grew old, and what the peer closed, until there is nothing left to look after.
async fn sweep(pool: Weak<Pool>) {
    loop {
        sleep(SWEEP_INTERVAL).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut checked = 0;
        while let Some(mut batch) = pool.lend(checked) {
            batch.retain_mut(Idle::is_good);
            let good = batch.len();
            pool.take_back(checked, batch);
            checked += good;
            yield_now().await;
        }
        let mut state = pool.state();
        state.swept = !state.idle.is_empty();
        if !state.swept {
            return;
        }
    }
}

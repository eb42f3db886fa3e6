//! Sleeping to the microsecond.
//!
//! tokio's timer wheel has slots of one millisecond, so a thousand paced streams would send in bursts of fifty
//! and a gateway would find work that real traffic does not batch for it. One timerfd for all sleepers does not.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;

/// The sleepers of one thread. [`Pacer::drive`] must run beside them.
pub(crate) struct Pacer {
    timer: AsyncFd<OwnedFd>,
    /// By deadline; the number keeps those with the same one apart.
    sleepers: RefCell<BTreeMap<(Instant, u64), Rc<Sleeper>>>,
    number: Cell<u64>,
}

#[derive(Default)]
struct Sleeper {
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Pacer {
    pub(crate) fn new() -> io::Result<Self> {
        let fd = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        #[expect(unsafe_code, reason = "the one place of the workspace: tokio asks for it")]
        // SAFETY: an OwnedFd is open, and the same file, for as long as it lives; it lives in the AsyncFd.
        let timer = unsafe { AsyncFd::register(fd) }?;
        Ok(Self { timer, sleepers: RefCell::default(), number: Cell::new(0) })
    }

    /// Until `deadline`; at once where that is past.
    pub(crate) async fn sleep_until(&self, deadline: Instant) -> io::Result<()> {
        if deadline <= Instant::now() {
            return Ok(());
        }
        let sleeper = Rc::<Sleeper>::default();
        let number = self.number.replace(self.number.get() + 1);
        self.sleepers.borrow_mut().insert((deadline, number), Rc::clone(&sleeper));
        if self.first() == Some(deadline) {
            self.set(deadline)?;
        }
        Sleep(sleeper).await;
        Ok(())
    }

    /// Wakes the sleepers; runs as long as they do.
    pub(crate) async fn drive(&self) -> io::Result<()> {
        loop {
            // Not read: setting it anew is what makes it unready again.
            self.timer.readable().await?.clear_ready();
            let now = Instant::now();
            while self.first().is_some_and(|deadline| deadline <= now) {
                let first = self.sleepers.borrow_mut().pop_first();
                if let Some((_, sleeper)) = first {
                    sleeper.over.set(true);
                    if let Some(waker) = sleeper.waker.take() {
                        waker.wake();
                    }
                }
            }
            if let Some(deadline) = self.first() {
                self.set(deadline)?;
            }
        }
    }

    fn first(&self) -> Option<Instant> {
        self.sleepers.borrow().keys().next().map(|&(deadline, _)| deadline)
    }

    fn set(&self, deadline: Instant) -> io::Result<()> {
        // Zero would switch the timer off.
        let wait = deadline.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: wait.subsec_nanos().into(),
            },
        };
        rustix::time::timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
        Ok(())
    }
}

struct Sleep(Rc<Sleeper>);

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0.over.get() {
            return Poll::Ready(());
        }
        self.0.waker.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let pacer = Rc::new(Pacer::new().unwrap());
            let driven = Rc::clone(&pacer);
            let background = tokio::task::spawn_local(async move { driven.drive().await });
            let begun = Instant::now();
            let woken = Rc::<RefCell<Vec<u64>>>::default();
            let tasks = [30, 10, 20, 0].map(|wait_ms| {
                let (pacer, woken) = (Rc::clone(&pacer), Rc::clone(&woken));
                tokio::task::spawn_local(async move {
                    pacer.sleep_until(begun + Duration::from_millis(wait_ms)).await.unwrap();
                    assert!(begun.elapsed() >= Duration::from_millis(wait_ms));
                    woken.borrow_mut().push(wait_ms);
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
            background.abort();
            assert_eq!(*woken.borrow(), [0, 10, 20, 30]);
        });
    }
}

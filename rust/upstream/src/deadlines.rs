//! The timers of one exchange: up to four deadlines on one tokio timer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Which deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Total,
    FirstEvent,
    Idle,
    Heartbeat,
}

/// Deadlines that can be moved for the price of a store.
///
/// Every chunk moves `idle` and `heartbeat`, so the timer itself is left where it is: it fires at the old time, finds
/// nothing due and is set to the earliest deadline of that moment.
pub(crate) struct Deadlines {
    pub(crate) total: Instant,
    pub(crate) first_event: Option<Instant>,
    pub(crate) idle: Option<Instant>,
    pub(crate) heartbeat: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// A deadline that had passed, when something was ready all the same.
    passed_over: Option<Instant>,
}

impl Deadlines {
    /// Only `total` for the time being. Must be called on the runtime.
    pub(crate) fn new(started: Instant, total: Duration) -> Self {
        let total = started + total;
        let timer = Box::pin(sleep_until(total));
        Self { total, first_event: None, idle: None, heartbeat: None, timer, passed_over: None }
    }

    fn earliest(&self) -> (Instant, Due) {
        let others =
            [(self.first_event, Due::FirstEvent), (self.idle, Due::Idle), (self.heartbeat, Due::Heartbeat)];
        others.into_iter().filter_map(|(at, due)| Some((at?, due))).fold(
            (self.total, Due::Total),
            |earliest, other| {
                if other.0 < earliest.0 { other } else { earliest }
            },
        )
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        loop {
            let (at, due) = self.earliest();
            // The clock is asked first: a future that used up its task's share of work leaves none for the timer.
            if at <= Instant::now() {
                return Poll::Ready(due);
            }
            if at < self.timer.deadline() {
                self.timer.as_mut().reset(at);
            }
            ready!(self.timer.as_mut().poll(cx));
            self.timer.as_mut().reset(at);
        }
    }

    /// What `future` gives, or the deadline that passes first. What is ready wins over what is due, since it may have come
    /// in time; but once only for each deadline, so that a future which is always ready has its end.
    pub(crate) async fn race<F: Future>(&mut self, mut future: Pin<&mut F>) -> Result<F::Output, Due> {
        let (at, due) = self.earliest();
        if self.passed_over == Some(at) {
            return Err(due);
        }
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => {
                self.passed_over = (at <= Instant::now()).then_some(at);
                Poll::Ready(Ok(output))
            }
            Poll::Pending => self.poll_due(cx).map(Err),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_earliest_deadline_passes_first() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 10 * SECOND);
        deadlines.idle = Some(start + 5 * SECOND);
        deadlines.heartbeat = Some(start + 2 * SECOND);
        deadlines.first_event = Some(start + 7 * SECOND);
        let mut never = pin!(pending::<()>());
        assert_eq!(deadlines.race(never.as_mut()).await, Err(Due::Heartbeat));
        assert_eq!(start.elapsed().as_secs(), 2);
        deadlines.heartbeat = None;
        assert_eq!(deadlines.race(never.as_mut()).await, Err(Due::Idle));
        deadlines.idle = None;
        assert_eq!(deadlines.race(never.as_mut()).await, Err(Due::FirstEvent));
        deadlines.first_event = None;
        assert_eq!(deadlines.race(never.as_mut()).await, Err(Due::Total));
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_moved_later_or_earlier_passes_at_its_new_time() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 100 * SECOND);
        let mut never = pin!(pending::<()>());
        deadlines.idle = Some(start + SECOND);
        assert_eq!(deadlines.race(pin!(ready(()))).await, Ok(()));
        deadlines.idle = Some(start + 3 * SECOND);
        deadlines.heartbeat = Some(start + 9 * SECOND);
        assert_eq!(deadlines.race(never.as_mut()).await, Err(Due::Idle));
        assert_eq!(start.elapsed().as_secs(), 3);
        deadlines.idle = Some(start + 50 * SECOND);
        deadlines.heartbeat = Some(start + 4 * SECOND);
        assert_eq!(deadlines.race(never.as_mut()).await, Err(Due::Heartbeat));
        assert_eq!(start.elapsed().as_secs(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_wins_over_what_is_due() {
        let mut deadlines = Deadlines::new(Instant::now(), SECOND);
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(deadlines.race(pin!(ready(7))).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_always_ready_wins_once() {
        let mut deadlines = Deadlines::new(Instant::now(), 100 * SECOND);
        deadlines.first_event = Some(Instant::now() + SECOND);
        assert_eq!(deadlines.race(pin!(ready(7))).await, Ok(7), "not due");
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(deadlines.race(pin!(ready(7))).await, Ok(7), "it may have come in time");
        assert_eq!(deadlines.race(pin!(ready(7))).await, Err(Due::FirstEvent));
        deadlines.first_event = Some(Instant::now() + SECOND);
        assert_eq!(deadlines.race(pin!(ready(7))).await, Ok(7), "it has moved on");
    }

    /// As reading does that finds nothing but framing, for as long as the task may go on.
    #[tokio::test(start_paused = true)]
    async fn a_future_that_uses_up_its_share_is_timed_out() {
        let mut deadlines = Deadlines::new(Instant::now(), SECOND);
        tokio::time::advance(2 * SECOND).await;
        let mut busy = pin!(async {
            loop {
                tokio::task::consume_budget().await;
            }
        });
        assert_eq!(deadlines.race(busy.as_mut()).await, Err::<(), _>(Due::Total));
    }
}

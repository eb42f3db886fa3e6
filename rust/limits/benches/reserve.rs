//! What a request pays for its limits: reserve, settle and store, in nanoseconds, with 1 and 2 workers on the same
//! limits.
//!
//! A plain `main`: medians of a fixed number of rounds are all that is wanted, so std is enough.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::error::Error;
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use std::{env, thread};

use llmgw_limits::{Decision, Estimate, Hold, HoldUnit, Plan, Rate, RateUnit, Table};

const ROUNDS: usize = 21;
const REQUESTS_PER_ROUND: u32 = 20_000;
/// So much that nothing is ever refused.
const LIMIT: u64 = 1 << 50;
const START_NS: u64 = 1_000_000_000_000;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let folder = env::temp_dir().join(format!("llmgw-bench-{}", std::process::id()));
    let cases: [(&str, &[RateUnit], &[HoldUnit]); 3] = [
        ("1 rate", &[RateUnit::Requests], &[]),
        (
            "3 rates, 1 concurrency",
            &[RateUnit::Requests, RateUnit::Tokens, RateUnit::Tokens],
            &[HoldUnit::Requests],
        ),
        (
            "3 rates, 4 holds",
            &[RateUnit::Requests, RateUnit::Tokens, RateUnit::Tokens],
            &[HoldUnit::Requests, HoldUnit::Nano, HoldUnit::Nano, HoldUnit::Tokens],
        ),
    ];
    for (name, rates, holds) in cases {
        for workers in [1, 2] {
            let figure = measure(&folder, rates, holds, workers)?;
            println!("{name:<24} {workers} worker(s)  {:>6} ns a request", figure.as_nanos());
        }
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// The median time of one request of one worker, while so many work.
fn measure(
    folder: &std::path::Path,
    rates: &[RateUnit],
    holds: &[HoldUnit],
    workers: usize,
) -> Outcome<Duration> {
    let start = Arc::new(Barrier::new(workers));
    let threads: Vec<_> = (0..workers)
        .map(|_| {
            let table = Arc::new(Table::open(folder, 65_536, 64)?);
            let plan = plan(&table, rates, holds);
            let start = Arc::clone(&start);
            Ok(thread::spawn(move || {
                let mut times: Vec<Duration> = (0..ROUNDS)
                    .map(|round| {
                        start.wait();
                        let from = Instant::now();
                        requests(&plan, START_NS * (round as u64 + 1));
                        from.elapsed() / REQUESTS_PER_ROUND
                    })
                    .collect();
                times.sort();
                times[ROUNDS / 2]
            }))
        })
        .collect::<Outcome<_>>()?;
    let times = threads.into_iter().map(|thread| thread.join().map_err(|_| "a worker panicked"));
    Ok(times.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or_default())
}

fn plan(table: &Arc<Table>, rates: &[RateUnit], holds: &[HoldUnit]) -> Arc<Plan> {
    let rate = |(at, unit): (usize, &RateUnit)| Rate {
        descriptor: format!("rate:{at}"),
        unit: *unit,
        limit_per_minute: LIMIT,
    };
    let hold = |(at, unit): (usize, &HoldUnit)| Hold {
        descriptor: format!("hold:{at}"),
        unit: *unit,
        limit: LIMIT,
        keep_until_ns: None,
    };
    let rates: Vec<_> = rates.iter().enumerate().map(rate).collect();
    let holds: Vec<_> = holds.iter().enumerate().map(hold).collect();
    Arc::new(Plan::new(Arc::clone(table), &rates, &holds))
}

fn requests(plan: &Arc<Plan>, from_ns: u64) {
    let estimate = Estimate { input_tokens: 900, output_tokens: 500, cost_nano: 1_000_000 };
    for at in 0..REQUESTS_PER_ROUND {
        let now = from_ns + u64::from(at) * 1_000;
        if let Decision::Granted(mut reservation) = plan.reserve(now, &estimate) {
            reservation.settle(now + 500, 1_000, 700_000);
            let _ = black_box(reservation.stored());
        }
    }
}

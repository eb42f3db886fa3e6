//! Workers on threads, each with a slot of its own, all at once on the same limits.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use llmgw_limits::{Decision, Estimate, Hold, HoldUnit, Plan, Rate, RateUnit, Reservation, Table};

const NOW: u64 = 10_000 * 1_000_000_000;
const PLACE: &str = "concurrent:key:1";
const BUDGET: &str = "budget:1:1";

/// So many faces of one table in memory.
fn workers(count: usize) -> Vec<Arc<Table>> {
    let first = Table::in_memory(64, count).unwrap();
    let others: Vec<_> = (1..count).map(|_| first.another_slot().unwrap()).collect();
    std::iter::once(first).chain(others).map(Arc::new).collect()
}

fn hold(table: &Arc<Table>, descriptor: &str, unit: HoldUnit, limit: u64) -> Arc<Plan> {
    let hold = Hold { descriptor: descriptor.into(), unit, limit, keep_until_ns: None };
    Arc::new(Plan::new(Arc::clone(table), &[], &[hold]))
}

fn reserve(plan: &Arc<Plan>, cost_nano: u64) -> Option<Reservation> {
    match plan.reserve(NOW, &Estimate { cost_nano, ..Estimate::default() }) {
        Decision::Granted(reservation) => Some(reservation),
        Decision::Refused(_) => None,
    }
}

/// Run the same on as many threads as there are workers, from the same moment on.
fn race<T: Send>(tables: &[Arc<Table>], work: impl Fn(usize, &Arc<Table>) -> T + Sync) -> Vec<T> {
    let waiting = AtomicU64::new(0);
    thread::scope(|scope| {
        let threads: Vec<_> = tables
            .iter()
            .enumerate()
            .map(|(at, table)| {
                let (waiting, work) = (&waiting, &work);
                scope.spawn(move || {
                    waiting.fetch_add(1, SeqCst);
                    while waiting.load(SeqCst) < tables.len() as u64 {
                        thread::yield_now();
                    }
                    work(at, table)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn of_two_at_the_last_unit_exactly_one_is_served_in_every_round() {
    let tables = workers(2);
    for round in 0..3000 {
        let taken = race(&tables, |_, table| reserve(&hold(table, PLACE, HoldUnit::Requests, 1), 0));
        assert_eq!(taken.iter().flatten().count(), 1, "round {round}");
        drop(taken);
        assert_eq!(tables[0].usage(PLACE).unwrap().held, 0, "round {round}");
    }
}

#[test]
fn no_two_are_where_only_one_may_be() {
    let tables = workers(4);
    let inside = AtomicU64::new(0);
    let served = race(&tables, |_, table| {
        let plan = hold(table, PLACE, HoldUnit::Requests, 1);
        let mut served = 0;
        for _ in 0..5_000 {
            if let Some(reservation) = reserve(&plan, 0) {
                assert_eq!(inside.fetch_add(1, SeqCst), 0);
                served += 1;
                inside.fetch_sub(1, SeqCst);
                drop(reservation);
            }
        }
        served
    });
    assert!(served.iter().sum::<u64>() > 0);
    assert_eq!(tables[0].usage(PLACE).unwrap().held, 0);
}

#[test]
fn a_budget_is_used_to_the_last_unit_and_not_beyond() {
    let tables = workers(4);
    for round in 0..50 {
        let taken = race(&tables, |at, table| {
            let plan = hold(table, BUDGET, HoldUnit::Nano, 10_000);
            let mut taken = Vec::new();
            let mut refused = 0;
            // The smallest are asked for to the end, so in the end nothing is left over.
            while refused < 3 {
                let cost = if refused > 0 { 1 } else { 1 + at as u64 };
                match reserve(&plan, cost) {
                    Some(reservation) => {
                        taken.push((cost, reservation));
                        refused = 0;
                    }
                    None => refused += 1,
                }
            }
            taken
        });
        let all: u64 = taken.iter().flatten().map(|(cost, _)| cost).sum();
        assert_eq!(all, 10_000, "round {round}");
        assert_eq!(tables[0].usage(BUDGET).unwrap().held, 10_000, "round {round}");
        drop(taken);
        assert_eq!(tables[0].usage(BUDGET).unwrap().held, 0, "round {round}");
    }
}

#[test]
fn a_rate_grants_its_limit_whoever_asks() {
    let tables = workers(4);
    for round in 0..20 {
        let granted = race(&tables, |_, table| {
            let descriptor = format!("rpm:round:{round}");
            let rate = Rate { descriptor, unit: RateUnit::Requests, limit_per_minute: 10_000 };
            let plan = Arc::new(Plan::new(Arc::clone(table), &[rate], &[]));
            std::iter::from_fn(|| reserve(&plan, 0)).count()
        });
        assert_eq!(granted.iter().sum::<usize>(), 10_000, "round {round}");
    }
}

#[test]
fn charges_and_refunds_at_once_lose_nothing() {
    let tables = workers(4);
    let rate =
        || Rate { descriptor: "tpm:key:1".into(), unit: RateUnit::Tokens, limit_per_minute: 1_000_000 };
    let kept = race(&tables, |_, table| {
        let plan = Arc::new(Plan::new(Arc::clone(table), &[rate()], &[]));
        let estimate = Estimate { input_tokens: 60, ..Estimate::default() };
        let mut kept = 0;
        for at in 0..10_000 {
            if let Decision::Granted(mut reservation) = plan.reserve(NOW, &estimate) {
                let used = at % 8;
                reservation.settle(NOW, used, 0);
                kept += used;
            }
        }
        kept
    });
    let plan = Arc::new(Plan::new(Arc::clone(&tables[0]), &[rate()], &[]));
    let remaining = plan.strictest(NOW).tokens.unwrap().remaining;
    let used: u64 = kept.iter().sum();
    // A token is 60,000 ns, and each of the 80,000 roundings at most one.
    assert!((1_000_000 - used).abs_diff(remaining) <= 2, "{used} used, {remaining} left");
}

#[test]
fn who_is_killed_while_others_work_leaves_nothing() {
    for round in 0..200 {
        let tables = workers(4);
        let dying = hold(&tables[3], PLACE, HoldUnit::Requests, 2);
        let left = [reserve(&dying, 0), reserve(&dying, 0)];
        tables[3].abandon();
        drop(left);
        assert!(reserve(&hold(&tables[1], PLACE, HoldUnit::Requests, 2), 0).is_none(), "round {round}");
        let swept = race(&tables[..3], |at, table| {
            let plan = hold(table, PLACE, HoldUnit::Requests, 2);
            if at == 0 {
                return table.sweep(None).unwrap();
            }
            while reserve(&plan, 0).is_none() {
                thread::yield_now();
            }
            0
        });
        assert_eq!(swept, [1, 0, 0], "round {round}");
        assert_eq!(tables[0].usage(PLACE).unwrap().held, 0, "round {round}");
        assert!(tables[0].another_slot().is_ok(), "round {round}: the slot is free again");
    }
}

#[test]
fn what_is_known_is_found_while_the_directory_changes() {
    let tables = workers(3);
    tables[0].raise_base(BUDGET, 7, None).unwrap();
    let readings = race(&tables, |at, table| {
        let mut readings = 0;
        for round in 0..2_000 {
            match at {
                // Nothing keeps these, so the next sweep frees them.
                0 => table.raise_base(&format!("budget:{}:0", round % 100), 1, Some(0)).unwrap(),
                1 => drop(table.sweep(Some(NOW)).unwrap()),
                _ => {
                    assert_eq!(table.usage(BUDGET).unwrap().base, 7);
                    readings += 1;
                }
            }
        }
        readings
    });
    assert_eq!(readings, [0, 0, 2_000]);
}

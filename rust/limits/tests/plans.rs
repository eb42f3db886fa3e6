//! Concurrency and budgets, of several workers that are killed and come back: every verdict is the one that a plain sum
//! gives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::sync::Arc;

use llmgw_limits::{Base, Decision, Estimate, Hold, HoldUnit, Plan, Rate, RateUnit, Reservation, Table};
use proptest::prelude::*;

const NOW: u64 = 10_000 * 1_000_000_000;
const WORKERS: usize = 3;
const PLACES: u64 = 4;
const MONEY: u64 = 1000;
const TOKENS: u64 = 5000;
const NAMES: [&str; 3] = ["concurrent:key:1", "budget:1:0", "budget:2:0"];

struct Worker {
    table: Arc<Table>,
    plan: Arc<Plan>,
    open: Vec<Request>,
}

/// A request that is under way or not stored yet, and what it holds.
struct Request {
    reservation: Reservation,
    settled: bool,
    places: u64,
    tokens: u64,
    money: u64,
}

fn worker(table: Table) -> Worker {
    let table = Arc::new(table);
    let hold = |(at, unit, limit): (usize, HoldUnit, u64)| Hold {
        descriptor: NAMES[at].into(),
        unit,
        limit,
        keep_until_ns: None,
    };
    let holds = [(0, HoldUnit::Requests, PLACES), (1, HoldUnit::Nano, MONEY), (2, HoldUnit::Tokens, TOKENS)];
    // A rate that never refuses, so that the order of all is what it is in the gateway.
    let rate = Rate { descriptor: "rpm:key:1".into(), unit: RateUnit::Requests, limit_per_minute: 1 << 40 };
    let plan = Arc::new(Plan::new(Arc::clone(&table), &[rate], &holds.map(hold)));
    Worker { table, plan, open: Vec::new() }
}

#[derive(Clone, Debug)]
enum Op {
    Reserve {
        who: usize,
        tokens: u64,
        money: u64,
    },
    Settle {
        who: usize,
        which: usize,
        percent: u64,
    },
    /// All that have been settled, in one transaction, moved into the base.
    Store {
        who: usize,
    },
    /// The same by the two single calls.
    StoreOneByOne {
        who: usize,
    },
    Cancel {
        who: usize,
        which: usize,
    },
    Drop {
        who: usize,
        which: usize,
    },
    Kill {
        who: usize,
    },
    Sweep {
        who: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let who = || 0..WORKERS;
    prop_oneof![
        10 => (who(), 0..1500_u64, 0..300_u64).prop_map(|(who, tokens, money)| Op::Reserve { who, tokens, money }),
        6 => (who(), any::<usize>(), 0..130_u64)
            .prop_map(|(who, which, percent)| Op::Settle { who, which, percent }),
        2 => who().prop_map(|who| Op::Store { who }),
        1 => who().prop_map(|who| Op::StoreOneByOne { who }),
        1 => (who(), any::<usize>()).prop_map(|(who, which)| Op::Cancel { who, which }),
        1 => (who(), any::<usize>()).prop_map(|(who, which)| Op::Drop { who, which }),
        1 => who().prop_map(|who| Op::Kill { who }),
        2 => who().prop_map(|who| Op::Sweep { who }),
    ]
}

#[derive(Default)]
struct Model {
    /// What the database has.
    spent: u64,
    used: u64,
    /// What killed workers held, until somebody sweeps.
    left: Vec<[u64; 3]>,
}

fn held(workers: &[Worker], model: &Model) -> [u64; 3] {
    let requests = workers.iter().flat_map(|worker| &worker.open);
    let open = requests.map(|request| [request.places, request.money, request.tokens]);
    open.chain(model.left.iter().copied())
        .fold([0; 3], |sum, one| [sum[0] + one[0], sum[1] + one[1], sum[2] + one[2]])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn every_verdict_is_the_plain_sums(ops in prop::collection::vec(op(), 1..100)) {
        let first = Table::in_memory(64, 64).unwrap();
        let others: Vec<_> = (1..WORKERS).map(|_| first.another_slot().unwrap()).collect();
        let mut workers: Vec<_> = std::iter::once(first).chain(others).map(worker).collect();
        let mut model = Model::default();
        for op in ops {
            let [places, money_held, tokens_held] = held(&workers, &model);
            match op {
                Op::Reserve { who, tokens, money } => {
                    let input_tokens = tokens / 2;
                    let output_tokens = tokens - input_tokens;
                    let estimate = Estimate { input_tokens, output_tokens, cost_nano: money };
                    let worker = &mut workers[who];
                    let refused = [
                        places + 1 > PLACES,
                        model.spent + money_held + money > MONEY,
                        model.used + tokens_held + tokens > TOKENS,
                    ];
                    match worker.plan.reserve(NOW, &estimate) {
                        Decision::Granted(reservation) => {
                            prop_assert_eq!(refused, [false; 3]);
                            worker.open.push(Request { reservation, settled: false, places: 1, tokens, money });
                        }
                        Decision::Refused(refusal) => {
                            // A budget says no for longer than a place at once does; of two budgets, the first is told.
                            let index = refusal.verdict.index;
                            let expected = if refused[1] { 2 } else if refused[2] { 3 } else { 1 };
                            prop_assert!(refused[index - 1]);
                            prop_assert_eq!(index, expected);
                        }
                    }
                }
                Op::Settle { who, which, percent } => {
                    let mut open: Vec<_> = workers[who].open.iter_mut().filter(|request| !request.settled).collect();
                    let count = open.len().max(1);
                    if let Some(request) = open.get_mut(which % count) {
                        request.settled = true;
                        request.places = 0;
                        request.tokens = request.tokens * percent / 100;
                        request.money = request.money * percent / 100;
                        request.reservation.settle(NOW, request.tokens, request.money);
                    }
                }
                Op::Store { who } => {
                    let worker = &mut workers[who];
                    let (mut settled, open): (Vec<_>, Vec<_>) =
                        std::mem::take(&mut worker.open).into_iter().partition(|request| request.settled);
                    worker.open = open;
                    model.spent += settled.iter().map(|request| request.money).sum::<u64>();
                    model.used += settled.iter().map(|request| request.tokens).sum::<u64>();
                    let bases = [(NAMES[1], model.spent), (NAMES[2], model.used)]
                        .map(|(descriptor, spent)| Base { descriptor, spent, keep_until_ns: None });
                    let mut reservations: Vec<_> = settled.iter_mut().map(|request| &mut request.reservation).collect();
                    worker.table.store(&bases, &mut reservations).unwrap();
                }
                Op::StoreOneByOne { who } => {
                    let worker = &mut workers[who];
                    if let Some(at) = worker.open.iter().position(|request| request.settled) {
                        let mut request = worker.open.remove(at);
                        model.spent += request.money;
                        model.used += request.tokens;
                        worker.table.raise_base(NAMES[1], model.spent, None).unwrap();
                        worker.table.raise_base(NAMES[2], model.used, None).unwrap();
                        request.reservation.stored().unwrap();
                        request.reservation.stored().unwrap();
                    }
                }
                Op::Cancel { who, which } => {
                    let worker = &mut workers[who];
                    if !worker.open.is_empty() {
                        let at = which % worker.open.len();
                        // Of a settled one it changes nothing; then it is dropped.
                        worker.open.remove(at).reservation.cancel(NOW);
                    }
                }
                Op::Drop { who, which } => {
                    let worker = &mut workers[who];
                    if !worker.open.is_empty() {
                        let at = which % worker.open.len();
                        drop(worker.open.remove(at));
                    }
                }
                Op::Kill { who } => {
                    let Ok(table) = workers[who].table.another_slot() else { continue };
                    workers[who].table.abandon();
                    let dead = std::mem::replace(&mut workers[who], worker(table));
                    model.left.extend(dead.open.iter().map(|request| [request.places, request.money, request.tokens]));
                }
                Op::Sweep { who } => {
                    workers[who].table.sweep(Some(NOW)).unwrap();
                    model.left.clear();
                }
            }
            let [places, money, tokens] = held(&workers, &model);
            let bases = [0, model.spent, model.used];
            for ((name, base), held) in NAMES.into_iter().zip(bases).zip([places, money, tokens]) {
                let usage = workers[0].table.usage(name).unwrap_or_default();
                prop_assert_eq!((usage.base, usage.held), (base, held), "{}", name);
            }
        }
        // Nothing leaks.
        workers[0].table.sweep(None).unwrap();
        for worker in &mut workers {
            worker.open.clear();
        }
        for name in NAMES {
            prop_assert_eq!(workers[0].table.usage(name).unwrap_or_default().held, 0, "{}", name);
        }
    }
}

#[test]
fn a_refusal_takes_nothing_of_the_limits_before_it() {
    let worker = worker(Table::in_memory(64, 1).unwrap());
    let too_much = Estimate { input_tokens: 1, output_tokens: 0, cost_nano: MONEY + 1 };
    assert!(matches!(worker.plan.reserve(NOW, &too_much), Decision::Refused(_)));
    for name in NAMES.into_iter().chain(["rpm:key:1"]) {
        let usage = worker.table.usage(name).unwrap_or_default();
        assert_eq!((usage.held, usage.empty_at_ns), (0, 0), "{name}");
    }
}

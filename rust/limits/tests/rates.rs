//! A rate, whatever is reserved, settled, cancelled and dropped, and however the clock goes: in no span of time is more
//! granted than the limit allows for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use llmgw_limits::gcra::PERIOD_NS;
use llmgw_limits::{Decision, Estimate, Plan, Rate, RateUnit, Reservation, Table};
use proptest::prelude::*;

const START_NS: u64 = 10_000 * 1_000_000_000;
const MS: u64 = 1_000_000;

fn tokens(table: Table, limit: u64) -> Arc<Plan> {
    let rate = Rate { descriptor: "tpm:key:1".into(), unit: RateUnit::Tokens, limit_per_minute: limit };
    Arc::new(Plan::new(Arc::new(table), &[rate], &[]))
}

fn reserve(plan: &Arc<Plan>, now: u64, input_tokens: u64, output_tokens: u64) -> Option<Reservation> {
    match plan.reserve(now, &Estimate { input_tokens, output_tokens, cost_nano: 0 }) {
        Decision::Granted(reservation) => Some(reservation),
        Decision::Refused(_) => None,
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// By a worker, so much.
    Reserve(usize, u64, u64),
    /// One of the open ones has used such a share of what it reserved, in percent.
    Settle(usize, u64),
    Cancel(usize),
    Drop(usize),
    /// The clock goes on, by milliseconds.
    Later(u64),
    /// It goes back.
    Earlier(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..2_usize, 0..150_u64, 0..300_u64).prop_map(|(who, input, output)| Op::Reserve(who, input, output)),
        4 => (any::<usize>(), 0..100_u64).prop_map(|(which, share)| Op::Settle(which, share)),
        1 => (any::<usize>(), 100..250_u64).prop_map(|(which, share)| Op::Settle(which, share)),
        1 => any::<usize>().prop_map(Op::Cancel),
        1 => any::<usize>().prop_map(Op::Drop),
        4 => (0..30_000_u64).prop_map(Op::Later),
        1 => (60_000..4_000_000_u64).prop_map(Op::Later),
        1 => (0..20_u64).prop_map(Op::Earlier),
    ]
}

/// What a grant has come to.
struct Granted {
    at: u64,
    /// What it counts for: what it reserved, while it is open; what it used of that, afterwards.
    tokens: u64,
    reserved: u64,
    open: Option<Reservation>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn in_no_span_more_than_its_share(limit in 100..1000_u64, ops in prop::collection::vec(op(), 1..120)) {
        let table = Table::in_memory(64, 2).unwrap();
        let other = table.another_slot().unwrap();
        let plans = [tokens(table, limit), tokens(other, limit)];
        let mut grants: Vec<Granted> = Vec::new();
        // What was used beyond reservations, and when that was known.
        let mut debts: Vec<(u64, u64)> = Vec::new();
        let (mut now, mut latest, mut back) = (START_NS, START_NS, 0);
        for op in ops {
            let open: Vec<usize> = (0..grants.len()).filter(|at| grants[*at].open.is_some()).collect();
            let pick = |which: usize| open.get(which % open.len().max(1)).copied();
            match op {
                Op::Reserve(who, input, output) => {
                    if let Some(reservation) = reserve(&plans[who], now, input, output) {
                        prop_assert!(input <= limit);
                        let reserved = (input + output).min(limit);
                        grants.push(Granted { at: latest, tokens: reserved, reserved, open: Some(reservation) });
                    }
                }
                Op::Settle(which, share) => if let Some(at) = pick(which) {
                    let grant = &mut grants[at];
                    let used = grant.reserved * share / 100;
                    grant.open.take().unwrap().settle(now, used, 0);
                    grant.tokens = used.min(grant.reserved);
                    debts.push((latest, used.saturating_sub(grant.reserved)));
                },
                Op::Cancel(which) => if let Some(at) = pick(which) {
                    grants[at].open.take().unwrap().cancel(now);
                    grants[at].tokens = 0;
                },
                Op::Drop(which) => if let Some(at) = pick(which) {
                    drop(grants[at].open.take());
                },
                Op::Later(ms) => now += ms * MS,
                Op::Earlier(ms) => {
                    now -= ms * MS;
                    back += ms * MS;
                }
            }
            latest = latest.max(now);
            // From every grant to the last one. A nanosecond for each charge, and what the clock went back.
            let Some(to) = grants.last().map(|grant| grant.at) else { continue };
            for from in grants.iter().map(|grant| grant.at) {
                let within = |at: u64| from <= at && at <= to;
                let granted: u64 = grants.iter().filter(|grant| within(grant.at)).map(|grant| grant.tokens).sum();
                // A debt that was known before the last grant had to be paid before it.
                let owed: u64 = debts.iter().filter(|(at, _)| from <= *at && *at < to).map(|(_, owed)| owed).sum();
                let span = PERIOD_NS + (to - from) + back + grants.len() as u64;
                let allowed = u128::from(limit) * u128::from(span) / u128::from(PERIOD_NS);
                let ms = (to - from) / MS;
                prop_assert!(u128::from(granted + owed) <= allowed, "{granted} + {owed} > {allowed} in {ms} ms");
            }
        }
        // Nothing leaks: after the longest debt it is as new.
        grants.clear();
        let later = latest + 3_700_000 * MS;
        prop_assert_eq!(plans[0].strictest(later).tokens.unwrap().remaining, limit);
        prop_assert!(reserve(&plans[1], later, limit, 0).is_some());
    }
}

/// As many requests as come, each reserving `reserved`, using `used` and taking `lasts_ms`, or up to four times as
/// long: how much they use in ten minutes, in percent of what the limit allows.
fn percent_used(limit: u64, reserved: u64, used: u64, lasts_ms: u64) -> u64 {
    let plan = tokens(Table::in_memory(64, 1).unwrap(), limit);
    let mut running: BTreeMap<(u64, u64), Reservation> = BTreeMap::new();
    let (mut total, mut count) = (0, 0);
    for tick in 0..60_000 {
        let now = START_NS + tick * 10 * MS;
        while let Some(first) = running.first_entry().filter(|first| first.key().0 <= now) {
            first.remove().settle(now, used, 0);
        }
        while let Some(reservation) = reserve(&plan, now, reserved, 0) {
            let lasts = lasts_ms * MS * (1 + count * 7 % 4);
            running.insert((now + lasts, count), reservation);
            count += 1;
            total += used;
        }
    }
    total * 100 / (limit * 11)
}

#[test]
fn what_was_reserved_too_much_serves_others() {
    for (name, reserved, used, lasts_ms, at_least) in [
        ("exact estimates", 500, 500, 5_000, 99),
        ("twice what is used, short answers", 500, 250, 2_000, 95),
        ("ten times what is used, short answers", 500, 50, 2_000, 65),
        ("twice what is used, answers of 10 to 40 s, of which a part has drained", 500, 250, 10_000, 75),
        ("answers of minutes, which get nothing back", 500, 250, 120_000, 49),
    ] {
        let percent = percent_used(100_000, reserved, used, lasts_ms);
        assert!((at_least..=100).contains(&percent), "{name}: {percent} %");
    }
}

#[test]
fn a_clock_that_stands_still_grants_the_limit_and_one_that_jumps_grants_it_once_more() {
    let plan = tokens(Table::in_memory(64, 1).unwrap(), 100);
    let granted = |now| std::iter::from_fn(|| reserve(&plan, now, 1, 0)).map(std::mem::forget).count();
    assert_eq!([granted(START_NS), granted(START_NS), granted(START_NS - 5_000 * MS)], [100, 0, 0]);
    let next_year = START_NS + 365 * 86_400 * 1_000 * MS;
    assert_eq!([granted(next_year), granted(next_year)], [100, 0]);
}

#[test]
fn the_same_minute_is_not_used_twice() {
    let plan = tokens(Table::in_memory(64, 1).unwrap(), 1000);
    let mut first = reserve(&plan, START_NS, 1000, 0).unwrap();
    let _second = reserve(&plan, START_NS + PERIOD_NS, 1000, 0).unwrap();
    // It has used nothing, but what it reserved has drained long ago, and the second took its place.
    first.settle(START_NS + PERIOD_NS, 0, 0);
    assert!(reserve(&plan, START_NS + PERIOD_NS, 1, 0).is_none());
}

#[test]
fn in_whatever_order_requests_end_at_once_all_comes_back() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let plan = tokens(Table::in_memory(64, 1).unwrap(), 1000);
        let mut open = [300, 200, 500].map(|input| reserve(&plan, START_NS, input, 0).unwrap());
        for which in order {
            open[which].cancel(START_NS);
        }
        assert_eq!(plan.strictest(START_NS).tokens.unwrap().remaining, 1000, "{order:?}");
    }
}

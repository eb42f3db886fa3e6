//! Percentiles of what was measured.

use serde::Serialize;

/// A distribution of times in microseconds.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct Spread {
    pub(crate) n: usize,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// The distribution of some times in nanoseconds; None where there are none.
pub(crate) fn spread(mut times_ns: Vec<u64>) -> Option<Spread> {
    times_ns.sort_unstable();
    let micros = |percent: usize| {
        // Nearest rank: the smallest value that so many per cent do not exceed.
        let rank = (times_ns.len() * percent).div_ceil(100).max(1);
        times_ns.get(rank - 1).map(|&nanos| to_micros(nanos))
    };
    Some(Spread {
        n: times_ns.len(),
        p50: micros(50)?,
        p90: micros(90)?,
        p99: micros(99)?,
        max: micros(100)?,
    })
}

fn to_micros(nanos: u64) -> f64 {
    std::time::Duration::from_nanos(nanos).as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let times = (1..=200).rev().map(|number| number * 1000).collect();
        let expected = Spread { n: 200, p50: 100.0, p90: 180.0, p99: 198.0, max: 200.0 };
        assert_eq!(spread(times), Some(expected));
        assert_eq!(spread(vec![]), None);
        assert_eq!(spread(vec![7000]), Some(Spread { n: 1, p50: 7.0, p90: 7.0, p99: 7.0, max: 7.0 }));
    }
}

//! The headers that tell a client what is left, in the words of its API.

use std::fmt::Write;

use crate::strictest::{Family, Strictest};

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFamily {
    /// `x-ratelimit-…`, where a reset is a duration as Go writes it: `1s`, `6m0s`, `120ms`.
    OpenAi,
    /// `anthropic-ratelimit-…`, where a reset is a time of RFC 3339.
    Anthropic,
}

/// The names of all headers. [`headers`] names one by its place here: each is made for Python only once.
pub const NAMES: [&str; 13] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
    "x-llmgw-budget-remaining",
];

/// The places of a family's names begin here, those of requests before those of tokens.
const OPENAI: usize = 0;
const ANTHROPIC: usize = 6;
const NAMES_PER_UNIT: usize = 3;
const BUDGET: usize = 12;

/// Tell the headers of those units that have a rate, and of the budget that is told: a place in [`NAMES`], and the value.
///
/// `budget`: what is left of it, see [`Left`](crate::Left). `now_unix_s`: the time of day, for resets that are one.
pub fn headers(
    strictest: &Strictest,
    budget: Option<&str>,
    family: HeaderFamily,
    now_unix_s: f64,
    mut tell: impl FnMut(usize, &str),
) {
    let first = match family {
        HeaderFamily::OpenAi => OPENAI,
        HeaderFamily::Anthropic => ANTHROPIC,
    };
    let mut text = String::with_capacity(LONGEST_NUMBER);
    for (unit, rate) in [strictest.requests, strictest.tokens].into_iter().enumerate() {
        let Some(Family { limit, remaining, reset_ns }) = rate else { continue };
        let name = first + unit * NAMES_PER_UNIT;
        for (at, number) in [limit, remaining].into_iter().enumerate() {
            text.clear();
            push_number(&mut text, number);
            tell(name + at, &text);
        }
        let reset = match family {
            HeaderFamily::OpenAi => go_duration(reset_ns),
            HeaderFamily::Anthropic => rfc_3339(now_unix_s, reset_ns),
        };
        tell(name + 2, &reset);
    }
    if let Some(budget) = budget {
        tell(BUDGET, budget);
    }
}

/// The digits of `u64::MAX`.
const LONGEST_NUMBER: usize = 20;

/// Append a number's digits.
pub(crate) fn push_number(text: &mut String, number: u64) {
    // Writing into a string can't fail.
    let _ = write!(text, "{number}");
}

const NS_PER_MS: u64 = 1_000_000;

/// As Go's `time.Duration` prints it, of whole milliseconds, rounded up: who waits that long has waited enough.
#[must_use]
pub fn go_duration(ns: u64) -> String {
    let ms = ns.div_ceil(NS_PER_MS);
    if ms == 0 {
        return "0s".into();
    }
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let (all_seconds, fraction) = (ms / 1000, ms % 1000);
    let (hours, minutes, seconds) = (all_seconds / 3600, all_seconds / 60 % 60, all_seconds % 60);
    let mut text = match (hours, minutes) {
        (0, 0) => seconds.to_string(),
        (0, _) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    };
    if fraction > 0 {
        text.push_str(format!(".{fraction:03}").trim_end_matches('0'));
    }
    text.push('s');
    text
}

/// The last day that four digits of a year can name.
const LAST_UNIX_S: f64 = 253_402_300_799.0;

/// The time of a reset, in UTC, of whole seconds, rounded up.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped"
)]
pub fn rfc_3339(now_unix_s: f64, ns: u64) -> String {
    let at = (now_unix_s + ns as f64 / 1e9).ceil().clamp(0.0, LAST_UNIX_S) as u64;
    let (days, second) = (at / 86_400, at % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day since 1970-01-01, by Hinnant's `civil_from_days`: years that begin in March, in eras of
/// 400.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_writes_them() {
        for (ns, expected) in [
            (0, "0s"),
            (1, "1ms"),
            (120 * NS_PER_MS, "120ms"),
            (999 * NS_PER_MS + 1, "1s"),
            (1_500 * NS_PER_MS, "1.5s"),
            (1_050 * NS_PER_MS, "1.05s"),
            (60_000 * NS_PER_MS, "1m0s"),
            (360_000 * NS_PER_MS, "6m0s"),
            (3_600_000 * NS_PER_MS, "1h0m0s"),
            (3_661_500 * NS_PER_MS, "1h1m1.5s"),
        ] {
            assert_eq!(go_duration(ns), expected, "{ns}");
        }
    }

    #[test]
    fn times_of_rfc_3339() {
        for (now, ns, expected) in [
            (0.0, 0, "1970-01-01T00:00:00Z"),
            (951_782_400.0, 0, "2000-02-29T00:00:00Z"),
            (951_868_799.0, 1_000_000_000, "2000-03-01T00:00:00Z"),
            (1_764_158_765.25, 500_000_000, "2025-11-26T12:06:06Z"),
            (4_107_542_399.0, 0, "2100-02-28T23:59:59Z"),
            (4_107_542_399.0, NS_PER_MS, "2100-03-01T00:00:00Z"),
            (f64::INFINITY, 0, "9999-12-31T23:59:59Z"),
            (-5.0, 0, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc_3339(now, ns), expected, "{now} + {ns}");
        }
    }

    fn told(
        strictest: &Strictest,
        budget: Option<&str>,
        family: HeaderFamily,
    ) -> Vec<(&'static str, String)> {
        let mut told = Vec::new();
        headers(strictest, budget, family, 0.0, |name, value| told.push((NAMES[name], value.into())));
        told
    }

    #[test]
    fn only_units_that_have_a_rate_are_told() {
        let tokens = Some(Family { limit: 1000, remaining: 400, reset_ns: 36_000 * NS_PER_MS });
        let strictest = Strictest { requests: None, tokens };
        let expected = [
            ("x-ratelimit-limit-tokens", "1000".into()),
            ("x-ratelimit-remaining-tokens", "400".into()),
            ("x-ratelimit-reset-tokens", "36s".into()),
            ("x-llmgw-budget-remaining", "3.20 CNY; day".into()),
        ];
        assert_eq!(told(&strictest, Some("3.20 CNY; day"), HeaderFamily::OpenAi), expected);
        let anthropic = told(&strictest, None, HeaderFamily::Anthropic);
        assert_eq!(anthropic[0].0, "anthropic-ratelimit-tokens-limit");
        assert_eq!(anthropic[2], ("anthropic-ratelimit-tokens-reset", "1970-01-01T00:00:36Z".into()));
        assert_eq!(told(&Strictest::default(), None, HeaderFamily::OpenAi), []);
    }

    #[test]
    fn every_header_has_its_name() {
        let family = Some(Family { limit: 1, remaining: 2, reset_ns: 3 });
        let strictest = Strictest { requests: family, tokens: family };
        let mut names = Vec::new();
        for family in [HeaderFamily::OpenAi, HeaderFamily::Anthropic] {
            names.extend(told(&strictest, None, family).into_iter().map(|(name, _)| name));
        }
        assert_eq!(names, NAMES[..BUDGET]);
    }
}

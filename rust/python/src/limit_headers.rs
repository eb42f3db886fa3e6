//! What answers tell of limits and budgets, as ASGI wants headers.

use llmgw_limits as core;
use llmgw_limits::headers::{HeaderFamily, NAMES, headers};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use crate::errors::{guard, value_error};

/// `(limit, remaining, reset_s)`.
pub(crate) type Family = Option<(u64, u64, f64)>;

/// Names and values.
pub(crate) type Headers<'py> = Vec<(Borrowed<'static, 'py, PyBytes>, Bound<'py, PyBytes>)>;

/// A second, in nanoseconds.
const NS_PER_S: f64 = 1e9;

#[allow(clippy::cast_precision_loss, reason = "a span of time, which is far below 2^53 microseconds")]
pub(crate) fn seconds(ns: u64) -> f64 {
    ns as f64 / NS_PER_S
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts saturate, and clamp NaN to 0"
)]
fn nanoseconds(span_s: f64) -> u64 {
    (span_s * NS_PER_S) as u64
}

/// The headers of both, as ASGI wants them. Raises `ValueError` for an unknown family.
pub(crate) fn header_pairs<'py>(
    py: Python<'py>,
    strictest: &core::Strictest,
    budget: Option<&str>,
    family: &str,
    now_unix_s: f64,
) -> PyResult<Headers<'py>> {
    let family = match family {
        "openai" => HeaderFamily::OpenAi,
        "anthropic" => HeaderFamily::Anthropic,
        other => return Err(value_error(format!("no family of headers {other:?}"))),
    };
    let mut pairs = Headers::with_capacity(TOLD);
    headers(strictest, budget, family, now_unix_s, |name, value| {
        pairs.push((header_name(py, name), PyBytes::new(py, value.as_bytes())));
    });
    Ok(pairs)
}

/// So many headers may tell of limits and budgets.
const TOLD: usize = 7;

/// One of [`NAMES`].
fn header_name(py: Python<'_>, name: usize) -> Borrowed<'static, '_, PyBytes> {
    static MADE: PyOnceLock<[Py<PyBytes>; NAMES.len()]> = PyOnceLock::new();
    let made = MADE.get_or_init(py, || NAMES.map(|name| PyBytes::new(py, name.as_bytes()).unbind()));
    made[name].bind_borrowed(py)
}

/// The headers of limits that were counted elsewhere, as those of a reservation.
#[pyfunction]
pub(crate) fn limit_headers<'py>(
    py: Python<'py>,
    strictest: (Family, Family),
    family: &str,
    now_unix_s: f64,
) -> PyResult<Headers<'py>> {
    guard(|| {
        let of = |family: Family| {
            family.map(|(limit, remaining, reset_s)| core::Family {
                limit,
                remaining,
                reset_ns: nanoseconds(reset_s),
            })
        };
        let strictest = core::Strictest { requests: of(strictest.0), tokens: of(strictest.1) };
        header_pairs(py, &strictest, None, family, now_unix_s)
    })
}

/// The header of budgets that were counted elsewhere, each with its limit, what is left of it, whether it is money, and what
/// stands behind the number.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "PyO3 makes this list for the call")]
pub(crate) fn budget_headers(
    py: Python<'_>,
    budgets: Vec<(u64, u64, bool, String)>,
) -> PyResult<Headers<'_>> {
    guard(|| {
        let left = budgets.iter().map(|(limit, left, is_money, words)| core::Left {
            limit: *limit,
            left: *left,
            is_money: *is_money,
            words,
        });
        let least = left.reduce(core::Left::least).map(|left| left.to_string());
        header_pairs(py, &core::Strictest::default(), least.as_deref(), "openai", 0.0)
    })
}

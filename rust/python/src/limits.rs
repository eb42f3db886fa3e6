//! `LimitTable`, `LimitPlan`, `Reservation`, `Refusal`: who may use how much.
//!
//! A table and what was made of it belong to the process that opened it: a forked child has the same memory mapped, and
//! would give back a second time what its parent gives back.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use llmgw_limits as core;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::errors::{guard, runtime_error, value_error};
use crate::limit_headers::{Family, Headers, header_pairs, seconds};
use crate::process::{OfProcess, lock};

const ELSEWHERE: &str = "it belongs to the process that opened the table";
const NOT_SETTLED: &str = "settle the reservation first";
const ABANDONED: &str = "the table was abandoned";

/// A descriptor, a unit and a number.
type RateArgument = (String, String, u64);

/// The same; of a budget perhaps also until when its entry is kept.
struct HoldArgument {
    descriptor: String,
    unit: String,
    limit: u64,
    keep_until_ns: Option<u64>,
}

/// A descriptor, a base, and perhaps until when its entry is kept.
struct BaseArgument {
    descriptor: String,
    spent: u64,
    keep_until_ns: Option<u64>,
}

impl BaseArgument {
    fn base(&self) -> core::Base<'_> {
        let Self { descriptor, spent, keep_until_ns } = self;
        core::Base { descriptor, spent: *spent, keep_until_ns: *keep_until_ns }
    }
}

impl<'py> FromPyObject<'_, 'py> for BaseArgument {
    type Error = PyErr;

    fn extract(argument: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (descriptor, spent, keep_until_ns) = if argument.len()? == 2 {
            let (descriptor, spent) = argument.extract()?;
            (descriptor, spent, None)
        } else {
            argument.extract()?
        };
        Ok(Self { descriptor, spent, keep_until_ns })
    }
}

impl<'py> FromPyObject<'_, 'py> for HoldArgument {
    type Error = PyErr;

    fn extract(argument: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (descriptor, unit, limit, keep_until_ns) = if argument.len()? == 3 {
            let (descriptor, unit, limit) = argument.extract()?;
            (descriptor, unit, limit, None)
        } else {
            argument.extract()?
        };
        Ok(Self { descriptor, unit, limit, keep_until_ns })
    }
}

/// `time.monotonic_ns()`: the clock that all times here are of.
fn monotonic_ns(py: Python<'_>) -> PyResult<u64> {
    static MONOTONIC_NS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    MONOTONIC_NS.import(py, "time", "monotonic_ns")?.call0()?.extract()
}

fn triple(family: Option<core::Family>) -> Family {
    family.map(|family| (family.limit, family.remaining, seconds(family.reset_ns)))
}

fn pair(strictest: &core::Strictest) -> (Family, Family) {
    (triple(strictest.requests), triple(strictest.tokens))
}

fn os_error(error: &core::OpenError) -> PyErr {
    match error {
        core::OpenError::Shape => value_error(error.to_string()),
        // With errno, so that Python chooses PermissionError and the like.
        core::OpenError::Io { path, source } => source.raw_os_error().map_or_else(
            || PyOSError::new_err(error.to_string()),
            |errno| PyOSError::new_err((errno, source.to_string(), path.clone())),
        ),
        _ => PyOSError::new_err(error.to_string()),
    }
}

/// One worker's face of the shared memory.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct LimitTable {
    table: OfProcess<Arc<core::Table>>,
}

impl LimitTable {
    fn new(table: core::Table) -> Self {
        Self { table: OfProcess::new(Arc::new(table)) }
    }

    fn table(&self) -> PyResult<&Arc<core::Table>> {
        let table = self.table.get().ok_or_else(|| runtime_error(ELSEWHERE))?;
        if table.is_abandoned() { Err(runtime_error(ABANDONED)) } else { Ok(table) }
    }
}

#[pymethods]
impl LimitTable {
    #[staticmethod]
    #[allow(clippy::needless_pass_by_value, reason = "PyO3 has no borrowed path")]
    #[pyo3(signature = (folder, *, entries=65536, slots=64))]
    fn open(py: Python<'_>, folder: PathBuf, entries: usize, slots: usize) -> PyResult<Self> {
        guard(|| {
            let opened = py.detach(|| core::Table::open(&folder, entries, slots));
            opened.map(Self::new).map_err(|error| os_error(&error))
        })
    }

    #[staticmethod]
    #[pyo3(signature = (*, entries=4096, slots=4))]
    fn in_memory(entries: usize, slots: usize) -> PyResult<Self> {
        guard(|| core::Table::in_memory(entries, slots).map(Self::new).map_err(|error| os_error(&error)))
    }

    fn another_slot(&self) -> PyResult<Self> {
        guard(|| self.table()?.another_slot().map(Self::new).map_err(|error| os_error(&error)))
    }

    fn abandon(&self) -> PyResult<()> {
        guard(|| {
            self.table()?.abandon();
            Ok(())
        })
    }

    #[getter]
    fn slot(&self) -> PyResult<usize> {
        Ok(self.table()?.slot())
    }

    #[getter]
    fn slots(&self) -> PyResult<usize> {
        Ok(self.table()?.slots())
    }

    #[getter]
    fn entries(&self) -> PyResult<usize> {
        Ok(self.table()?.entries())
    }

    #[getter]
    fn entries_used(&self) -> PyResult<u64> {
        Ok(self.table()?.entries_used())
    }

    #[getter]
    fn overflowed(&self) -> PyResult<u64> {
        Ok(self.table()?.overflowed())
    }

    #[pyo3(signature = (now_ns=None))]
    fn sweep(&self, py: Python<'_>, now_ns: Option<u64>) -> PyResult<usize> {
        guard(|| {
            let table = self.table()?;
            py.detach(|| table.sweep(now_ns)).map_err(|error| os_error(&error))
        })
    }

    #[pyo3(signature = (descriptor, base, *, keep_until_ns=None))]
    fn raise_base(
        &self,
        py: Python<'_>,
        descriptor: &str,
        base: u64,
        keep_until_ns: Option<u64>,
    ) -> PyResult<()> {
        guard(|| {
            let table = self.table()?;
            // Here and below: another process may have the lock.
            Ok(py.detach(|| table.raise_base(descriptor, base, keep_until_ns))?)
        })
    }

    fn fill_rate(&self, descriptor: &str, now_ns: u64, level_ns: u64) -> PyResult<()> {
        guard(|| Ok(self.table()?.fill_rate(descriptor, now_ns, level_ns)?))
    }

    #[allow(clippy::needless_pass_by_value, reason = "PyO3 makes these lists for the call")]
    fn stored(
        &self,
        py: Python<'_>,
        bases: Vec<BaseArgument>,
        reservations: Vec<Py<Reservation>>,
    ) -> PyResult<()> {
        guard(|| {
            let table = self.table()?;
            let bases: Vec<_> = bases.iter().map(BaseArgument::base).collect();
            // A reservation that is named twice would be locked twice.
            let mut named = HashSet::new();
            let ours: Vec<_> = reservations
                .iter()
                .filter(|reservation| named.insert(reservation.as_ptr()))
                .map(|reservation| &reservation.get().reservation)
                .collect();
            py.detach(|| {
                let mut locked: Vec<_> = ours.into_iter().map(lock).collect();
                let mut ours = Vec::with_capacity(locked.len());
                for reservation in &mut locked {
                    ours.push(reservation.get_mut().ok_or_else(|| runtime_error(ELSEWHERE))?);
                }
                table.store(&bases, &mut ours).map_err(|error| match error {
                    core::StoreError::NotSettled => runtime_error(NOT_SETTLED),
                    core::StoreError::Io(error) => error.into(),
                })
            })
        })
    }

    fn usage(&self, py: Python<'_>, descriptor: &str, now_ns: u64) -> PyResult<Option<(u64, u64, u64)>> {
        guard(|| {
            let table = self.table()?;
            let usage = py.detach(|| table.usage(descriptor));
            let at = |empty: u64| if empty > now_ns { empty } else { 0 };
            Ok(usage.map(|usage| (usage.base, usage.held, at(usage.empty_at_ns))))
        })
    }
}

/// The limits of one kind of request.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct LimitPlan {
    plan: OfProcess<Arc<core::Plan>>,
}

impl LimitPlan {
    fn plan(&self) -> PyResult<&Arc<core::Plan>> {
        let plan = self.plan.get().ok_or_else(|| runtime_error(ELSEWHERE))?;
        if plan.is_abandoned() { Err(runtime_error(ABANDONED)) } else { Ok(plan) }
    }
}

fn rate((descriptor, unit, limit_per_minute): RateArgument) -> PyResult<core::Rate> {
    let unit = match &*unit {
        "requests" => core::RateUnit::Requests,
        "tokens" => core::RateUnit::Tokens,
        other => return Err(value_error(format!("a rate has no unit {other:?}"))),
    };
    Ok(core::Rate { descriptor, unit, limit_per_minute })
}

fn hold(argument: HoldArgument) -> PyResult<core::Hold> {
    let HoldArgument { descriptor, unit, limit, keep_until_ns } = argument;
    let unit = match &*unit {
        "requests" => core::HoldUnit::Requests,
        "tokens" => core::HoldUnit::Tokens,
        "nano" => core::HoldUnit::Nano,
        other => return Err(value_error(format!("a hold has no unit {other:?}"))),
    };
    Ok(core::Hold { descriptor, unit, limit, keep_until_ns })
}

#[pymethods]
impl LimitPlan {
    #[new]
    #[pyo3(signature = (table, rates, holds, *, told=Vec::new()))]
    fn new(
        table: &LimitTable,
        rates: Vec<RateArgument>,
        holds: Vec<HoldArgument>,
        told: Vec<(HoldArgument, String)>,
    ) -> PyResult<Self> {
        guard(|| {
            let rates = rates.into_iter().map(rate).collect::<PyResult<Vec<_>>>()?;
            let holds = holds.into_iter().map(hold).collect::<PyResult<Vec<_>>>()?;
            let told = told.into_iter().map(|(budget, words)| Ok((hold(budget)?, words)));
            let plan = core::Plan::new(Arc::clone(table.table()?), &rates, &holds);
            let plan = plan.telling(told.collect::<PyResult<Vec<_>>>()?);
            Ok(Self { plan: OfProcess::new(Arc::new(plan)) })
        })
    }

    fn reserve(
        &self,
        py: Python<'_>,
        now_ns: u64,
        input_tokens: u64,
        output_tokens: u64,
        cost_nano: u64,
    ) -> PyResult<Py<PyAny>> {
        guard(|| {
            let estimate = core::Estimate { input_tokens, output_tokens, cost_nano };
            match self.plan()?.reserve(now_ns, &estimate) {
                core::Decision::Granted(granted) => {
                    let reservation = Mutex::new(OfProcess::new(granted));
                    Ok(Py::new(py, Reservation { reservation })?.into_any())
                }
                core::Decision::Refused(refusal) => Ok(Py::new(py, Refusal { refusal })?.into_any()),
            }
        })
    }

    fn strictest(&self, now_ns: u64) -> PyResult<(Family, Family)> {
        guard(|| Ok(pair(&self.plan()?.strictest(now_ns))))
    }

    fn headers<'py>(
        &self,
        py: Python<'py>,
        now_ns: u64,
        family: &str,
        now_unix_s: f64,
    ) -> PyResult<Headers<'py>> {
        guard(|| {
            let plan = self.plan()?;
            let budget = plan.least_left(now_ns).map(|left| left.to_string());
            header_pairs(py, &plan.strictest(now_ns), budget.as_deref(), family, now_unix_s)
        })
    }
}

/// What a request has taken.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Reservation {
    reservation: Mutex<OfProcess<core::Reservation>>,
}

impl Reservation {
    fn with<T>(&self, work: impl FnOnce(&mut core::Reservation) -> T) -> PyResult<T> {
        let mut reservation = lock(&self.reservation);
        reservation.get_mut().map(work).ok_or_else(|| runtime_error(ELSEWHERE))
    }
}

#[pymethods]
impl Reservation {
    #[getter]
    fn strictest(&self) -> PyResult<(Family, Family)> {
        guard(|| self.with(|reservation| pair(&reservation.strictest())))
    }

    fn headers<'py>(&self, py: Python<'py>, family: &str, now_unix_s: f64) -> PyResult<Headers<'py>> {
        guard(|| {
            let (strictest, budget) = self.with(|reservation| {
                (reservation.strictest(), reservation.least_left().map(|left| left.to_string()))
            })?;
            header_pairs(py, &strictest, budget.as_deref(), family, now_unix_s)
        })
    }

    fn settle(&self, now_ns: u64, tokens: u64, cost_nano: u64) -> PyResult<()> {
        guard(|| self.with(|reservation| reservation.settle(now_ns, tokens, cost_nano)))
    }

    #[pyo3(signature = (now_ns=None))]
    fn cancel(&self, py: Python<'_>, now_ns: Option<u64>) -> PyResult<()> {
        guard(|| {
            let now_ns = now_ns.map_or_else(|| monotonic_ns(py), Ok)?;
            self.with(|reservation| reservation.cancel(now_ns))
        })
    }

    fn stored(&self) -> PyResult<()> {
        guard(|| {
            let stored = self.with(core::Reservation::stored)?;
            stored.map_err(|core::NotSettled| runtime_error(NOT_SETTLED))
        })
    }
}

/// Which limit says no.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Refusal {
    refusal: core::Refusal,
}

#[pymethods]
impl Refusal {
    #[getter]
    fn index(&self) -> usize {
        self.refusal.verdict.index
    }

    #[getter]
    fn is_rate(&self) -> bool {
        self.refusal.verdict.is_rate
    }

    #[getter]
    fn retry_after_s(&self) -> Option<f64> {
        self.refusal.verdict.retry_after_ns.map(seconds)
    }

    #[getter]
    fn limit(&self) -> u64 {
        self.refusal.verdict.limit
    }

    #[getter]
    fn remaining(&self) -> u64 {
        self.refusal.verdict.remaining
    }

    #[getter]
    fn spent(&self) -> u64 {
        self.refusal.verdict.spent
    }

    #[getter]
    fn strictest(&self) -> (Family, Family) {
        pair(&self.refusal.strictest)
    }

    fn headers<'py>(&self, py: Python<'py>, family: &str, now_unix_s: f64) -> PyResult<Headers<'py>> {
        guard(|| {
            let core::Refusal { strictest, least_left, .. } = &self.refusal;
            header_pairs(py, strictest, least_left.as_deref(), family, now_unix_s)
        })
    }
}

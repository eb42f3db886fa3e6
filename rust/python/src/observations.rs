//! `Observations`: what several histograms are to count of one request, in one call.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::{guard, value_error};
use crate::process::lock;

/// Of one histogram: how often each bucket was hit, the infinite one last, and the sum of the values.
#[derive(Clone)]
struct Counts {
    buckets: Vec<u64>,
    sum: f64,
}

impl Counts {
    fn none(bounds: &[f64]) -> Self {
        Self { buckets: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    fn observe(&mut self, bounds: &[f64], value: f64) {
        if let Some(count) = self.buckets.get_mut(bounds.partition_point(|bound| *bound < value)) {
            *count += 1;
        }
        self.sum += value;
    }
}

/// Values of histograms, gathered before Python's registry gets them.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Observations {
    bounds: Vec<Vec<f64>>,
    counts: Mutex<Vec<Counts>>,
}

impl Observations {
    fn nothing(&self) -> Vec<Counts> {
        self.bounds.iter().map(|bounds| Counts::none(bounds)).collect()
    }
}

#[pymethods]
impl Observations {
    #[new]
    #[pyo3(signature = (*bounds), text_signature = "(*bounds)")]
    fn new(bounds: Vec<Vec<f64>>) -> Self {
        let observations = Self { bounds, counts: Mutex::default() };
        *lock(&observations.counts) = observations.nothing();
        observations
    }

    #[pyo3(signature = (*values))]
    fn observe(&self, values: &Bound<'_, PyTuple>) -> PyResult<()> {
        guard(|| {
            if values.len() > self.bounds.len() {
                return Err(value_error("there are more values than histograms"));
            }
            // Python may run while a value is read: before the lock.
            let values = values.iter().map(|value| value.extract::<Option<f64>>());
            let values = values.collect::<PyResult<Vec<_>>>()?;
            let mut counts = lock(&self.counts);
            for ((counts, bounds), value) in counts.iter_mut().zip(&self.bounds).zip(values) {
                if let Some(value) = value {
                    counts.observe(bounds, value);
                }
            }
            Ok(())
        })
    }

    fn take(&self) -> Vec<(Vec<u64>, f64)> {
        let taken = std::mem::replace(&mut *lock(&self.counts), self.nothing());
        taken.into_iter().map(|Counts { buckets, sum }| (buckets, sum)).collect()
    }
}

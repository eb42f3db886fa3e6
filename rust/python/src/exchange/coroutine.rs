//! What asyncio drives an awaitable by: one that is its own iterator, with a generator's methods.

/// Implements it for a class that has `step(&Bound<Self>)`, which yields what to wait on or raises, and
/// `give_up(&self)`. A macro, since PyO3 takes the methods of a class in one block; more of them may follow the name.
macro_rules! coroutine {
    ($Class:ty { $($more:tt)* }) => {
        #[pymethods]
        impl $Class {
            $($more)*

            fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
                slf
            }

            fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
                slf
            }

            fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                guard(|| Self::step(slf))
            }

            #[pyo3(name = "send")]
            fn send_value<'py>(
                slf: &Bound<'py, Self>,
                _value: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                guard(|| Self::step(slf))
            }

            /// `CancelledError`, above all: the exchange dies here and now, and the exception goes on its way.
            #[pyo3(signature = (exception, value=None, traceback=None))]
            fn throw(
                &self,
                exception: Bound<'_, PyAny>,
                value: Option<Bound<'_, PyAny>>,
                traceback: Option<Bound<'_, PyAny>>,
            ) -> PyResult<Py<PyAny>> {
                // Part of the old three-argument form; the exception brings its own.
                drop(traceback);
                guard(|| {
                    self.give_up();
                    Ok(())
                })?;
                Err(PyErr::from_value(value.unwrap_or(exception)))
            }

            fn close(&self) -> PyResult<()> {
                guard(|| {
                    self.give_up();
                    Ok(())
                })
            }
        }
    };
}

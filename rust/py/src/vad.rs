//! Voice activity detectors in both directions: the built-in one for Python, and those written in
//! Python for the core.

use std::sync::{Arc, Mutex, PoisonError};

use gradio_webrtc_core::AudioError as CoreError;
use gradio_webrtc_core::vad::{self, Vad};
use numpy::PyArray1;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit, intern};

use crate::array::{Planes, mismatch};
use crate::error::{IntoPyResult, rate_hz};
use crate::exclusive_cell::ExclusiveCell;

/// See [`vad::SileroVad`].
#[pyclass(frozen, module = "gradio_webrtc._core.turns")]
pub struct SileroVad {
    sample_rate: u32,
    window_samples: usize,
    state: ExclusiveCell<vad::SileroVad>,
}

#[pymethods]
impl SileroVad {
    #[new]
    #[pyo3(signature = (sample_rate_hz=16_000))]
    fn new(sample_rate_hz: i64) -> PyResult<Self> {
        let detector = vad::SileroVad::new(rate_hz(sample_rate_hz)?).into_py_result()?;
        Ok(Self {
            sample_rate: detector.sample_rate_hz(),
            window_samples: detector.window_samples(),
            state: ExclusiveCell::new(detector),
        })
    }

    fn probability(&self, py: Python<'_>, window: &Bound<'_, PyAny>) -> PyResult<f32> {
        let Some(window) = Planes::<f32>::read(window, 1)? else {
            let expected = format!("a float32 array of {} samples", self.window_samples);
            return Err(mismatch(window, &expected, "divide int16 samples by 32768"));
        };
        self.state
            .lock(py)?
            .probability(window.plane(0)?)
            .into_py_result()
    }

    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.state.lock(py)?.reset();
        Ok(())
    }

    #[getter]
    fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    #[getter]
    fn window_samples(&self) -> usize {
        self.window_samples
    }
}

/// An exception that a detector in Python raised.
///
/// The core has no type for exceptions: it passes an error with their message through, and the
/// exception itself waits here until the class in Python returns.
#[derive(Clone, Default)]
pub struct PendingException(Arc<Mutex<Option<PyErr>>>);

impl PendingException {
    /// Takes the exception out; `None` the second time.
    pub fn take(&self) -> Option<PyErr> {
        // A poisoned lock still holds a whole `Option`; the same holds for `GcRef`.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Stores the exception; returns the error that the core passes on in its place.
    fn keep(&self, error: PyErr) -> CoreError {
        let message = error.to_string();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        CoreError::Detector { message }
    }
}

/// A reference to a Python object that the garbage collector can visit and clear.
///
/// A detector that refers back to its own pause detector (as one that is part of a handler does)
/// would otherwise never be freed.
#[derive(Clone)]
pub struct GcRef(Arc<Mutex<Option<Py<PyAny>>>>);

impl GcRef {
    fn new(object: &Bound<'_, PyAny>) -> Self {
        Self(Arc::new(Mutex::new(Some(object.clone().unbind()))))
    }

    fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let object = held.as_ref().map(|object| object.bind(py).clone());
        object.ok_or_else(|| PyRuntimeError::new_err("the detector was garbage collected"))
    }

    /// Visits the object for the garbage collector; skips it while another thread holds the lock.
    ///
    /// Waiting could last for ever: a free-threaded interpreter stops the other threads while it
    /// collects, the holder included. A skipped object counts as reachable until the next
    /// collection.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.try_lock() {
            Ok(object) => visit.call(&*object),
            Err(_) => Ok(()),
        }
    }

    /// Drops the reference.
    pub fn clear(&self) {
        let object = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Outside the lock: the object's finalizer may run Python, which may come back here.
        drop(object);
    }
}

/// A Python object with `sample_rate`, `window_samples`, `probability(window)` and `reset()`.
///
/// The two numbers are read once: the core's buffers depend on them.
pub struct PythonVad {
    object: GcRef,
    sample_rate_hz: u32,
    window_samples: usize,
    exception: PendingException,
}

impl PythonVad {
    /// A detector that calls `object` and stores what that raises later in `exception`.
    ///
    /// # Errors
    /// `AttributeError` or `TypeError` for an object that is no detector, `AudioError` for a
    /// negative rate.
    pub fn new(object: &Bound<'_, PyAny>, exception: PendingException) -> PyResult<Self> {
        let py = object.py();
        let sample_rate: i64 = object.getattr(intern!(py, "sample_rate"))?.extract()?;
        Ok(Self {
            object: GcRef::new(object),
            sample_rate_hz: rate_hz(sample_rate)?,
            window_samples: object.getattr(intern!(py, "window_samples"))?.extract()?,
            exception,
        })
    }

    /// A second reference to the same place, for the garbage collector.
    pub fn object(&self) -> GcRef {
        self.object.clone()
    }
}

impl Vad for PythonVad {
    fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    fn window_samples(&self) -> usize {
        self.window_samples
    }

    fn probability(&mut self, window: &[f32]) -> Result<f32, CoreError> {
        let answer = Python::attach(|py| {
            // A new array each time: a detector may keep it.
            let window = PyArray1::from_slice(py, window);
            self.object
                .get(py)?
                .call_method1(intern!(py, "probability"), (window,))?
                .extract()
        });
        answer.map_err(|error| self.exception.keep(error))
    }

    fn reset(&mut self) {
        let done = Python::attach(|py| {
            self.object
                .get(py)?
                .call_method0(intern!(py, "reset"))
                .map(drop)
        });
        if let Err(error) = done {
            // `Vad::reset` returns nothing: `PauseDetector.reset` raises it.
            self.exception.keep(error);
        }
    }
}

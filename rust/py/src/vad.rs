//! Voice activity detectors: ours for Python, and anybody's from Python.

use std::sync::{Arc, Mutex, PoisonError};

use gradio_webrtc_core::AudioError as CoreError;
use gradio_webrtc_core::vad::{self, Vad};
use numpy::PyArray1;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit, intern};

use crate::array::{Planes, mismatch};
use crate::error::{OrRaise, rate_hz};
use crate::exclusive_cell::Serial;

/// See [`vad::SileroVad`].
#[pyclass(frozen, module = "gradio_webrtc._core")]
pub struct SileroVad {
    sample_rate: u32,
    window_samples: usize,
    state: Serial<vad::SileroVad>,
}

#[pymethods]
impl SileroVad {
    #[new]
    #[pyo3(signature = (sample_rate_hz=16_000))]
    fn new(sample_rate_hz: i64) -> PyResult<Self> {
        let detector = vad::SileroVad::new(rate_hz(sample_rate_hz)?).or_raise()?;
        Ok(Self {
            sample_rate: detector.sample_rate_hz(),
            window_samples: detector.window_samples(),
            state: Serial::new(detector),
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
            .or_raise()
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

/// What a detector in Python raised: the core knows no exceptions, so it waits here for its way
/// around the core.
#[derive(Clone, Default)]
pub struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// The exception, once.
    pub fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, error: PyErr) -> CoreError {
        let message = error.to_string();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        CoreError::Detector { message }
    }
}

/// A reference to a Python object that the garbage collector may see, and cut.
///
/// A detector that leads back to its own pause detector (as one that is part of a handler does)
/// would otherwise stay for ever.
#[derive(Clone)]
pub struct Slot(Arc<Mutex<Option<Py<PyAny>>>>);

impl Slot {
    fn new(object: &Bound<'_, PyAny>) -> Self {
        Self(Arc::new(Mutex::new(Some(object.clone().unbind()))))
    }

    fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let object = held.as_ref().map(|object| object.bind(py).clone());
        object.ok_or_else(|| PyRuntimeError::new_err("the detector was garbage collected"))
    }

    /// Shows the object to the garbage collector; not while another thread has it in hand.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.try_lock() {
            Ok(object) => visit.call(&*object),
            Err(_) => Ok(()),
        }
    }

    /// Lets the object go.
    pub fn clear(&self) {
        let object = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Outside the lock: its own end may run Python.
        drop(object);
    }
}

/// A Python object with `sample_rate`, `window_samples`, `probability(window)` and `reset()`.
pub struct PythonVad {
    slot: Slot,
    sample_rate_hz: u32,
    window_samples: usize,
    raised: Raised,
}

impl PythonVad {
    /// The detector behind `object`; what it raises later is kept in `raised`.
    pub fn new(object: &Bound<'_, PyAny>, raised: Raised) -> PyResult<Self> {
        let py = object.py();
        let sample_rate: i64 = object.getattr(intern!(py, "sample_rate"))?.extract()?;
        Ok(Self {
            slot: Slot::new(object),
            sample_rate_hz: rate_hz(sample_rate)?,
            window_samples: object.getattr(intern!(py, "window_samples"))?.extract()?,
            raised,
        })
    }

    /// Where the object is held.
    pub fn slot(&self) -> Slot {
        self.slot.clone()
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
            self.slot
                .get(py)?
                .call_method1(intern!(py, "probability"), (window,))?
                .extract()
        });
        answer.map_err(|error| self.raised.keep(error))
    }

    fn reset(&mut self) {
        let done = Python::attach(|py| {
            self.slot
                .get(py)?
                .call_method0(intern!(py, "reset"))
                .map(drop)
        });
        if let Err(error) = done {
            self.raised.keep(error);
        }
    }
}

//! The one mapping of errors to Python: everything becomes `gradio_webrtc.errors.AudioError`, but
//! for memory that is not there, which has a class in Python.

use gradio_webrtc_core::AudioError as CoreError;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::{PyErr, import_exception};

// The tree of exceptions is drawn in Python alone.
import_exception!(gradio_webrtc.errors, AudioError);

/// An `AudioError` with this message.
pub fn audio_error(message: impl Into<String>) -> PyErr {
    AudioError::new_err(message.into())
}

/// The Python exception for an error of the core.
pub fn from_core(error: &CoreError) -> PyErr {
    match error {
        CoreError::OutOfMemory { .. } => PyMemoryError::new_err(error.to_string()),
        _ => audio_error(error.to_string()),
    }
}

/// `?` for results of the core.
pub trait OrRaise<T> {
    /// The value, or the Python exception for the error.
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, CoreError> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| from_core(&error))
    }
}

/// A sample rate that Python gave: any int, so that a negative one is refused in the same words.
pub fn rate_hz(value: i64) -> PyResult<u32> {
    u32::try_from(value).map_err(|_| {
        audio_error(format!(
            "expected a sample rate from 8000 to 192000 Hz, got {value} Hz"
        ))
    })
}

//! The one mapping of the core's errors to Python exceptions.
//!
//! Everything becomes `gradio_webrtc.errors.AudioError`, except missing memory, for which Python
//! has `MemoryError`.

#[cfg(unix)]
use std::io;
use std::time::Duration;

use gradio_webrtc_core::AudioError as CoreError;
use gradio_webrtc_media::OpusError;
use pyo3::exceptions::PyMemoryError;
#[cfg(unix)]
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::{PyErr, import_exception};

// Imported and not created here: the tree of exceptions is drawn in Python alone.
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

/// An `OSError` with the number that the operating system has for it, by which programs distinguish
/// errors; `PyO3`'s own has none.
#[cfg(unix)]
pub fn os_error(error: io::Error) -> PyErr {
    let Some(number) = error.raw_os_error() else {
        return error.into();
    };
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    PyOSError::new_err((number, text.to_owned()))
}

/// Makes `?` work on results of the core.
pub trait IntoPyResult<T> {
    /// Returns the value, or the Python exception for the error.
    fn into_py_result(self) -> PyResult<T>;
}

impl<T> IntoPyResult<T> for Result<T, CoreError> {
    fn into_py_result(self) -> PyResult<T> {
        self.map_err(|error| from_core(&error))
    }
}

impl<T> IntoPyResult<T> for Result<T, OpusError> {
    fn into_py_result(self) -> PyResult<T> {
        self.map_err(|error| match error {
            OpusError::OutOfMemory => PyMemoryError::new_err(error.to_string()),
            _ => audio_error(error.to_string()),
        })
    }
}

/// A sample rate in Hz from a Python int.
///
/// Any int of 64 bits is accepted here, so that a negative rate is refused in the same words as one
/// that the core refuses.
///
/// # Errors
/// `AudioError` for a number that is no `u32`; the core checks the range.
pub fn rate_hz(value: i64) -> PyResult<u32> {
    u32::try_from(value).map_err(|_| {
        audio_error(format!(
            "expected a sample rate from 8000 to 192000 Hz, got {value} Hz"
        ))
    })
}

/// A time in seconds from a Python float.
///
/// # Errors
/// `AudioError` for a negative one, and for one that is no number.
pub fn since(now_s: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(now_s)
        .map_err(|_| audio_error(format!("expected a time of at least 0 s, got {now_s}")))
}

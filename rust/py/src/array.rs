//! `NumPy` arrays in and out, and the one rule for releasing the GIL.
//!
//! Input must have the expected dtype and shape; views that are not contiguous, or not aligned, are
//! copied. Output is always a new array that belongs to the caller.
//!
//! The GIL is released only where a call receives [`LONG_SAMPLES`] or more. A 20 ms frame is 2 to
//! 25 µs of work, and a thread that releases the GIL may wait for it up to the interpreter's switch
//! interval of 5 ms, on the event loop at that. Measured on two cores beside one busy Python
//! thread: a frame through `PauseDetector.process` took 43 µs on average with the GIL held and 161
//! µs where it was released (the median was 17 µs both ways).

use gradio_webrtc_core::reserve;
use numpy::ndarray::{Array2, ArrayView2};
use numpy::{
    Element, PyArray2, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray,
    PyUntypedArrayMethods, ToPyArray,
};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{IntoPyResult, audio_error};

/// Samples from which other threads should not wait for the work: one second at 48 kHz, which is
/// 0.2 ms of resampling or 0.7 ms of voice activity detection.
const LONG_SAMPLES: usize = 48_000;

/// Runs `work` on `samples` samples, without the GIL where they are [`LONG_SAMPLES`] or more.
pub fn detach_if_long<T: Send>(
    py: Python<'_>,
    samples: usize,
    work: impl FnOnce() -> T + Send,
) -> T {
    if samples >= LONG_SAMPLES {
        py.detach(work)
    } else {
        work()
    }
}

/// Planar input: one contiguous row of samples for each channel.
pub struct Planes<'py, T: Element> {
    array: PyReadonlyArrayDyn<'py, T>,
    channels: usize,
}

impl<'py, T: Element> Planes<'py, T> {
    /// Reads `(channels, n)`, or `(n,)` where there is one channel; `None` for another dtype.
    ///
    /// # Errors
    /// `AudioError` for another shape.
    pub fn read(samples: &Bound<'py, PyAny>, channels: usize) -> PyResult<Option<Self>> {
        let Ok(array) = samples.cast::<PyArrayDyn<T>>() else {
            return Ok(None);
        };
        match array.shape() {
            [_] if channels == 1 => (),
            [rows, _] if *rows == channels => (),
            _ => {
                return Err(mismatch(
                    samples,
                    &expected_shape(channels),
                    "reshape it first",
                ));
            }
        }
        // `as_slice` needs both; NumPy makes unaligned arrays of bytes at an odd offset.
        let array = if array.is_c_contiguous() && array.is_aligned() {
            array.readonly()
        } else {
            samples
                .call_method1("copy", ("C",))?
                .cast_into::<PyArrayDyn<T>>()?
                .readonly()
        };
        Ok(Some(Self { array, channels }))
    }

    /// Samples per channel.
    pub fn samples(&self) -> usize {
        self.array.len() / self.channels
    }

    /// The samples of one channel.
    pub fn plane(&self, channel: usize) -> PyResult<&[T]> {
        let samples = self.samples();
        Ok(&self.array.as_slice()?[channel * samples..][..samples])
    }
}

/// Reads int16 samples of `(channels, n)`, or `(n,)` where there is one channel.
///
/// # Errors
/// `AudioError` for another dtype or shape.
pub fn int16<'py>(samples: &Bound<'py, PyAny>, channels: usize) -> PyResult<Planes<'py, i16>> {
    Planes::read(samples, channels)?.ok_or_else(|| {
        let expected = format!("an int16 array of {}", expected_shape(channels));
        mismatch(
            samples,
            &expected,
            "convert it first, floats with audio_to_int16",
        )
    })
}

/// Calls `work` with the content of `bytes`, or of a copy of another buffer of bytes.
///
/// # Errors
/// `AudioError` for anything else; `MemoryError` where there is no memory for the copy.
pub fn with_bytes<T>(
    py: Python<'_>,
    bytes: &Bound<'_, PyAny>,
    work: impl FnOnce(&[u8]) -> PyResult<T>,
) -> PyResult<T> {
    if let Ok(bytes) = bytes.cast::<PyBytes>() {
        return work(bytes.as_bytes());
    }
    let buffer = PyBuffer::<u8>::get(bytes).map_err(|_| {
        mismatch(
            bytes,
            "bytes, a bytearray or a memoryview of bytes",
            "convert it first",
        )
    })?;
    let mut copy = Vec::new();
    reserve(&mut copy, buffer.item_count()).into_py_result()?;
    copy.resize(buffer.item_count(), 0);
    buffer.copy_to_slice(py, &mut copy)?;
    work(&copy)
}

/// A new `(1, n)` array with a copy of the samples.
///
/// Where there is no memory for [`LONG_SAMPLES`] or more, that is an error; for fewer, the process
/// ends.
///
/// # Errors
/// `MemoryError`, for a long array.
pub fn row<'py, T: Element + Copy>(
    py: Python<'py>,
    samples: &[T],
) -> PyResult<Bound<'py, PyArray2<T>>> {
    if samples.len() >= LONG_SAMPLES {
        let mut copy = Vec::new();
        reserve(&mut copy, samples.len()).into_py_result()?;
        copy.extend_from_slice(samples);
        return planes(py, copy, 1);
    }
    let view = ArrayView2::from_shape((1, samples.len()), samples)
        .map_err(|error| audio_error(format!("no row: {error}")))?;
    // Copied into memory that NumPy owns: a vector would need a second Python object that keeps it
    // alive, for each frame.
    Ok(view.to_pyarray(py))
}

/// A new `(channels, n)` array of rows that stand one after the other; takes the vector over.
pub fn planes<T: Element>(
    py: Python<'_>,
    samples: Vec<T>,
    channels: usize,
) -> PyResult<Bound<'_, PyArray2<T>>> {
    let shape = (channels, samples.len() / channels);
    let array = Array2::from_shape_vec(shape, samples)
        .map_err(|error| audio_error(format!("rows of unequal length: {error}")))?;
    Ok(PyArray2::from_owned_array(py, array))
}

/// An `AudioError` with the expected and the actual value, and advice.
pub fn mismatch(got: &Bound<'_, PyAny>, expected: &str, advice: &str) -> PyErr {
    audio_error(format!(
        "expected {expected}, got {}: {advice}",
        describe(got)
    ))
}

fn describe(got: &Bound<'_, PyAny>) -> String {
    match got.cast::<PyUntypedArray>() {
        Ok(array) => format!("{} of shape {}", array.dtype(), shape_text(array.shape())),
        Err(_) => got.get_type().to_string(),
    }
}

fn shape_text(shape: &[usize]) -> String {
    let sizes: Vec<_> = shape.iter().map(ToString::to_string).collect();
    let comma = if sizes.len() == 1 { "," } else { "" };
    format!("({}{comma})", sizes.join(", "))
}

fn expected_shape(channels: usize) -> String {
    match channels {
        1 => "shape (n,) or (1, n)".to_owned(),
        _ => format!("shape ({channels}, n)"),
    }
}

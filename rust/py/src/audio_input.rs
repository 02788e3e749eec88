//! Audio in any dtype and layout that a handler may yield, classified once.

use gradio_webrtc_core::sample::Sample;
use gradio_webrtc_core::{AudioError as CoreError, Chunk};
use numpy::{
    Element, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray,
    PyUntypedArrayMethods, get_array_module,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyEllipsis, PySlice};

use crate::array::mismatch;
use crate::error::{IntoPyResult, audio_error};

/// The order of the samples in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrangement {
    /// One channel.
    Mono,
    /// Left and right alternating.
    Interleaved,
    /// A row for each channel.
    Planar,
}

/// One array of audio, classified but not yet copied.
pub struct AudioInput<'py> {
    array: Bound<'py, PyUntypedArray>,
    arrangement: Arrangement,
    /// True if time runs along the last axis; otherwise it runs along the first.
    is_time_last: bool,
    /// Samples per channel.
    pub samples: usize,
}

/// A receiver of chunks of any number format.
///
/// A trait and not a closure: a closure cannot be generic over the format.
pub trait ChunkVisitor {
    /// Takes the head of the chunk; returns how many samples per channel it took.
    fn visit<S: Sample>(&mut self, chunk: Chunk<'_, S>) -> Result<usize, CoreError>;
}

impl<'py> AudioInput<'py> {
    /// Classifies `samples`: an array, or anything that `NumPy` converts to one.
    ///
    /// # Errors
    /// `AudioError` for shapes and dtypes that are no audio.
    pub fn read(samples: &Bound<'py, PyAny>, layout: Option<&str>) -> PyResult<Self> {
        let array = as_array(samples)?;
        if !is_number(&array) {
            let expected = "samples as int16, int32, int8, uint8 or floats";
            return Err(mismatch(samples, expected, "convert them first"));
        }
        let (arrangement, is_time_last) = arrange(&array, layout)?;
        let values = array.len();
        let samples = if arrangement == Arrangement::Mono {
            values
        } else {
            values / 2
        };
        if arrangement == Arrangement::Interleaved && values % 2 != 0 {
            let advice = "left and right must alternate";
            return Err(mismatch(&array, "an even number of stereo samples", advice));
        }
        Ok(Self {
            array,
            arrangement,
            is_time_last,
            samples,
        })
    }

    /// Passes the samples from `offset` on to `visitor`, at least `limit` of each channel if there
    /// are as many; returns the visitor's result.
    ///
    /// An array that is already contiguous is passed whole, without a copy.
    ///
    /// # Errors
    /// Those of the visitor, and those of `NumPy`'s copy.
    pub fn visit(
        &self,
        offset: usize,
        limit: usize,
        visitor: &mut impl ChunkVisitor,
    ) -> PyResult<usize> {
        let dtype = self.array.dtype();
        match (dtype.kind(), dtype.itemsize()) {
            (b'i', 1) => self.visit_as::<i8>(offset, limit, visitor),
            (b'i', 2) => self.visit_as::<i16>(offset, limit, visitor),
            (b'i', 4) => self.visit_as::<i32>(offset, limit, visitor),
            (b'i', 8) => self.visit_as::<i64>(offset, limit, visitor),
            (b'u', 1) => self.visit_as::<u8>(offset, limit, visitor),
            // Only floats are left. NumPy's float16 has no counterpart in Rust: `copy_of` widens
            // it.
            (_, 2 | 4) => self.visit_as::<f32>(offset, limit, visitor),
            _ => self.visit_as::<f64>(offset, limit, visitor),
        }
    }

    fn visit_as<S: Sample + Element>(
        &self,
        offset: usize,
        limit: usize,
        visitor: &mut impl ChunkVisitor,
    ) -> PyResult<usize> {
        if let Ok(array) = self.array.cast::<PyArrayDyn<S>>()
            && array.is_c_contiguous()
            && let Ok(samples) = array.readonly().as_slice()
        {
            let chunk = self.chunk(samples, self.samples, offset);
            return visitor.visit(chunk).into_py_result();
        }
        let count = limit.min(self.samples - offset);
        let copy = self.copy_of::<S>(offset, count)?.readonly();
        visitor
            .visit(self.chunk(copy.as_slice()?, count, 0))
            .into_py_result()
    }

    /// The chunk from `offset` on, of values that hold `samples` per channel.
    fn chunk<'a, S>(&self, values: &'a [S], samples: usize, offset: usize) -> Chunk<'a, S> {
        match self.arrangement {
            Arrangement::Mono => Chunk::Mono(&values[offset..]),
            Arrangement::Interleaved => Chunk::Interleaved(&values[2 * offset..]),
            Arrangement::Planar => {
                let (left, right) = values.split_at(samples);
                Chunk::Planar(&left[offset..], &right[offset..])
            }
        }
    }

    /// Copies `count` samples per channel, aligned, contiguous and in native byte order.
    ///
    /// Only those: a long view that is pushed piece by piece would otherwise be copied whole for
    /// each piece.
    fn copy_of<S: Element>(
        &self,
        offset: usize,
        count: usize,
    ) -> PyResult<Bound<'py, PyArrayDyn<S>>> {
        let py = self.array.py();
        // Where two channels share one axis, each sample per channel is two steps along it.
        let is_packed = self.arrangement == Arrangement::Interleaved && self.is_packed();
        let width = if is_packed { 2 } else { 1 };
        let (start, stop) = ((offset * width).cast_signed(), ((offset + count) * width));
        let time = PySlice::new(py, start, stop.cast_signed(), 1);
        let part = if self.is_time_last {
            self.array.get_item((PyEllipsis::get(py), time))?
        } else {
            self.array.get_item((time, PyEllipsis::get(py)))?
        };
        let copy = part.call_method1(intern!(py, "astype"), (numpy::dtype::<S>(py), "C"))?;
        Ok(copy.cast_into::<PyArrayDyn<S>>()?)
    }

    /// True if left and right alternate along the axis of time.
    fn is_packed(&self) -> bool {
        let shape = self.array.shape();
        self.is_time_last || shape.len() < 2 || shape[1] == 1
    }
}

fn as_array<'py>(samples: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    // `asarray` would return it, too, but as a call into Python for each frame.
    if let Ok(array) = samples.cast::<PyUntypedArray>() {
        return Ok(array.clone());
    }
    let py = samples.py();
    let made = get_array_module(py)?.call_method1(intern!(py, "asarray"), (samples,));
    let made = made.map_err(|cause| {
        let error = mismatch(samples, "an array of samples", "numpy cannot convert it");
        error.set_cause(py, Some(cause));
        error
    })?;
    Ok(made.cast_into::<PyUntypedArray>()?)
}

/// True if the dtype is one of those that `visit` distinguishes.
fn is_number(array: &Bound<'_, PyUntypedArray>) -> bool {
    let dtype = array.dtype();
    matches!(
        (dtype.kind(), dtype.itemsize()),
        (b'i' | b'f', _) | (b'u', 1)
    )
}

/// Returns the order of the samples, and true if time runs along the last axis.
///
/// Rows win where an array is both `(2, n)` and `(n, 2)`, that is `(2, 2)`.
fn arrange(
    array: &Bound<'_, PyUntypedArray>,
    layout: Option<&str>,
) -> PyResult<(Arrangement, bool)> {
    let is_stereo = match layout {
        None | Some("mono") => false,
        Some("stereo") => true,
        Some(other) => {
            let message = format!("expected the layout 'mono' or 'stereo', got {other:?}");
            return Err(audio_error(message));
        }
    };
    let one_row = if is_stereo {
        Arrangement::Interleaved
    } else {
        Arrangement::Mono
    };
    match array.shape() {
        [_] | [1, _] => Ok((one_row, true)),
        [_, 1] => Ok((one_row, false)),
        [2, _] if layout != Some("mono") => Ok((Arrangement::Planar, true)),
        [_, 2] if layout != Some("mono") => Ok((Arrangement::Interleaved, false)),
        _ if layout == Some("mono") => Err(mismatch(
            array,
            "mono of shape (n,), (1, n) or (n, 1)",
            "pass layout='stereo'",
        )),
        _ => Err(mismatch(
            array,
            "mono of shape (n,) or (1, n) or stereo of shape (2, n) or (n, 2)",
            "convert it to one or two channels first",
        )),
    }
}

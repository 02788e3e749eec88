//! What a handler may yield: sound in whatever dtype and shape, told apart once.

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
use crate::error::{OrRaise, audio_error};

/// How the samples stand in the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrangement {
    /// One channel.
    Mono,
    /// Left and right alternating.
    Interleaved,
    /// A row for each channel.
    Planar,
}

/// One array of sound, understood but not yet copied.
pub struct Sound<'py> {
    array: Bound<'py, PyUntypedArray>,
    arrangement: Arrangement,
    /// Whether time runs along the last axis; otherwise along the first.
    is_time_last: bool,
    /// Samples per channel.
    pub samples: usize,
}

/// Somebody who takes the chunk, whatever its number format.
pub trait Taker {
    /// Takes some of the chunk and says how many samples per channel.
    fn take<S: Sample>(&mut self, chunk: Chunk<'_, S>) -> Result<usize, CoreError>;
}

impl<'py> Sound<'py> {
    /// Understands `samples`: an array, or anything that `NumPy` makes one of.
    ///
    /// # Errors
    /// `AudioError` for shapes and dtypes that are no sound.
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

    /// Hands `limit` samples per channel from `offset` on to `taker`.
    ///
    /// # Errors
    /// What the taker says.
    pub fn give(&self, offset: usize, limit: usize, taker: &mut impl Taker) -> PyResult<usize> {
        let dtype = self.array.dtype();
        match (dtype.kind(), dtype.itemsize()) {
            (b'i', 1) => self.give_as::<i8>(offset, limit, taker),
            (b'i', 2) => self.give_as::<i16>(offset, limit, taker),
            (b'i', 4) => self.give_as::<i32>(offset, limit, taker),
            (b'i', 8) => self.give_as::<i64>(offset, limit, taker),
            (b'u', 1) => self.give_as::<u8>(offset, limit, taker),
            (_, 2 | 4) => self.give_as::<f32>(offset, limit, taker),
            _ => self.give_as::<f64>(offset, limit, taker),
        }
    }

    fn give_as<S: Sample + Element>(
        &self,
        offset: usize,
        limit: usize,
        taker: &mut impl Taker,
    ) -> PyResult<usize> {
        if let Ok(array) = self.array.cast::<PyArrayDyn<S>>()
            && array.is_c_contiguous()
            && let Ok(samples) = array.readonly().as_slice()
        {
            let chunk = self.chunk(samples, self.samples, offset);
            return taker.take(chunk).or_raise();
        }
        let count = limit.min(self.samples - offset);
        let copy = self.copy_of::<S>(offset, count)?.readonly();
        taker
            .take(self.chunk(copy.as_slice()?, count, 0))
            .or_raise()
    }

    /// The samples from `offset` on out of values that hold `samples` per channel.
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

    /// An aligned, contiguous copy of `count` samples per channel in native byte order: only of
    /// those, so that a long view pushed piece by piece is not copied again and again.
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

    /// Whether left and right alternate along the axis of time.
    fn is_packed(&self) -> bool {
        let shape = self.array.shape();
        self.is_time_last || shape.len() < 2 || shape[1] == 1
    }
}

fn as_array<'py>(samples: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    if let Ok(array) = samples.cast::<PyUntypedArray>() {
        return Ok(array.clone());
    }
    let py = samples.py();
    let made = get_array_module(py)?.call_method1(intern!(py, "asarray"), (samples,));
    let made = made.map_err(|cause| {
        let error = mismatch(
            samples,
            "an array of samples",
            "numpy cannot make one of it",
        );
        error.set_cause(py, Some(cause));
        error
    })?;
    Ok(made.cast_into::<PyUntypedArray>()?)
}

/// Whether the dtype is one of those that `give` tells apart.
fn is_number(array: &Bound<'_, PyUntypedArray>) -> bool {
    let dtype = array.dtype();
    matches!(
        (dtype.kind(), dtype.itemsize()),
        (b'i' | b'f', _) | (b'u', 1)
    )
}

/// How the samples stand, and whether time runs along the last axis.
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
            "say layout='stereo'",
        )),
        _ => Err(mismatch(
            array,
            "mono of shape (n,) or (1, n) or stereo of shape (2, n) or (n, 2)",
            "bring it to one or two channels first",
        )),
    }
}

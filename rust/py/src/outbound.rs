//! `OutboundAudio` for Python.

use gradio_webrtc_core as core;
use gradio_webrtc_core::sample::Sample;
use numpy::PyArray2;
use pyo3::prelude::*;

use crate::array::{detach_if_long, row};
use crate::audio_input::{AudioInput, ChunkVisitor};
use crate::error::{IntoPyResult, audio_error, rate_hz};
use crate::exclusive_cell::{ExclusiveCell, Guard};

/// See [`core::OutboundAudio`].
#[pyclass(frozen, module = "gradio_webrtc._core")]
pub struct OutboundAudio(ExclusiveCell<core::OutboundAudio>);

#[pymethods]
impl OutboundAudio {
    #[new]
    #[pyo3(signature = (*, call_rate_hz=48_000, max_buffered_s=1.0))]
    fn new(call_rate_hz: i64, max_buffered_s: f64) -> PyResult<Self> {
        let outbound = core::OutboundAudio::new(rate_hz(call_rate_hz)?, max_buffered_s);
        Ok(Self(ExclusiveCell::new(outbound.into_py_result()?)))
    }

    #[pyo3(signature = (rate_hz, samples, *, layout=None, offset=0))]
    fn push(
        &self,
        py: Python<'_>,
        rate_hz: i64,
        samples: &Bound<'_, PyAny>,
        layout: Option<&str>,
        offset: usize,
    ) -> PyResult<usize> {
        let rate_hz = crate::error::rate_hz(rate_hz)?;
        let input = AudioInput::read(samples, layout)?;
        if offset > input.samples {
            let whole = input.samples;
            return Err(audio_error(format!(
                "expected an offset up to {whole}, got {offset}"
            )));
        }
        let mut outbound = self.0.lock(py)?;
        let room = outbound.room(rate_hz);
        input.visit(
            offset,
            room,
            &mut Push {
                py,
                rate_hz,
                room,
                outbound: &mut outbound,
            },
        )
    }

    #[staticmethod]
    #[pyo3(signature = (samples, layout=None))]
    fn samples_per_channel(samples: &Bound<'_, PyAny>, layout: Option<&str>) -> PyResult<usize> {
        Ok(AudioInput::read(samples, layout)?.samples)
    }

    #[pyo3(signature = (*, partial=false))]
    fn pull<'py>(
        &self,
        py: Python<'py>,
        partial: bool,
    ) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
        self.lock(py)?
            .pull(partial)
            .map(|frame| row(py, frame))
            .transpose()
    }

    fn note_idle(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        self.lock(py)?.note_idle(seconds);
        Ok(())
    }

    fn end(&self, py: Python<'_>) -> PyResult<()> {
        self.lock(py)?.end();
        Ok(())
    }

    fn clear(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.clear())
    }

    #[getter]
    fn channels(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.channels())
    }

    #[getter]
    fn buffered_s(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.lock(py)?.buffered_s())
    }

    #[getter]
    fn has_frame(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock(py)?.has_frame())
    }

    #[getter]
    fn is_ahead(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock(py)?.is_ahead())
    }

    #[getter]
    fn removed(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.lock(py)?.removed())
    }

    #[getter]
    fn inserted(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.lock(py)?.inserted())
    }

    #[getter]
    fn non_finite(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.lock(py)?.non_finite())
    }
}

impl OutboundAudio {
    fn lock(&self, py: Python<'_>) -> PyResult<Guard<'_, core::OutboundAudio>> {
        self.0.lock(py)
    }
}

/// One push: takes the chunk in, without the GIL where much of it has room.
struct Push<'a, 'py> {
    py: Python<'py>,
    rate_hz: u32,
    /// Samples per channel that are taken at most: they decide about the GIL, not the chunk's
    /// length.
    room: usize,
    outbound: &'a mut core::OutboundAudio,
}

impl ChunkVisitor for Push<'_, '_> {
    fn visit<S: Sample>(&mut self, chunk: core::Chunk<'_, S>) -> Result<usize, core::AudioError> {
        let (rate_hz, outbound) = (self.rate_hz, &mut *self.outbound);
        let samples = chunk.samples().min(self.room);
        detach_if_long(self.py, samples, move || outbound.push(rate_hz, chunk))
    }
}

//! `OutboundAudio` for Python.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gradio_webrtc_core as core;
use gradio_webrtc_core::sample::Sample;
use numpy::PyArray2;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::array::{detach_if_long, int16, row};
use crate::audio_input::{AudioInput, ChunkVisitor};
use crate::error::{IntoPyResult, audio_error, rate_hz};
use crate::exclusive_cell::lock_attached;

/// See [`core::OutboundAudio`].
///
/// Shared with the thread that owns the sockets, which never waits for the interpreter.
#[pyclass(frozen, module = "gradio_webrtc._core")]
pub struct OutboundAudio {
    queue: Arc<Mutex<core::OutboundAudio>>,
    /// Wakes the thread that sends from it, if one does.
    #[cfg(unix)]
    wake: std::sync::OnceLock<crate::secure_sender::Wake>,
}

#[pymethods]
impl OutboundAudio {
    #[new]
    #[pyo3(signature = (*, call_rate_hz=48_000, max_buffered_s=1.0))]
    fn new(call_rate_hz: i64, max_buffered_s: f64) -> PyResult<Self> {
        let queue = core::OutboundAudio::new(rate_hz(call_rate_hz)?, max_buffered_s);
        Ok(Self {
            queue: Arc::new(Mutex::new(queue.into_py_result()?)),
            #[cfg(unix)]
            wake: std::sync::OnceLock::new(),
        })
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
        let room = self.lock()?.room(rate_hz);
        let mut push = Push {
            py,
            rate_hz,
            room,
            queue: &self.queue,
        };
        let taken = input.visit(offset, room, &mut push)?;
        self.changed();
        Ok(taken)
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
        self.lock()?
            .pull(partial)
            .map(|frame| row(py, frame))
            .transpose()
    }

    fn note_idle(&self, seconds: f64) -> PyResult<()> {
        self.lock()?.note_idle(seconds);
        Ok(())
    }

    fn echo_score(
        &self,
        py: Python<'_>,
        rate_hz: i64,
        received: &Bound<'_, PyAny>,
    ) -> PyResult<f32> {
        let received = int16(received, 1)?;
        let (rate_hz, received) = (crate::error::rate_hz(rate_hz)?, received.plane(0)?);
        let sent = self.lock()?.sent().into_py_result()?;
        // A millisecond: neither the thread that sends nor any other one waits for it.
        let found = py
            .detach(|| sent.find(rate_hz, received))
            .into_py_result()?;
        self.lock()?.expect_echo(&found);
        Ok(found.score)
    }

    fn note_received(&self, now_s: f64, seconds: f64) -> PyResult<()> {
        self.lock()?.note_received(now_s, seconds);
        Ok(())
    }

    fn end(&self) -> PyResult<()> {
        self.lock()?.end();
        self.changed();
        Ok(())
    }

    fn keep_pulled(&self, seconds: f64) -> PyResult<()> {
        self.lock()?.keep_pulled(seconds);
        Ok(())
    }

    #[pyo3(signature = (rewind_s, unplayed_s=0.0))]
    fn hold(&self, rewind_s: f64, unplayed_s: f64) -> PyResult<()> {
        self.lock()?.hold(rewind_s, unplayed_s);
        Ok(())
    }

    fn release(&self) -> PyResult<f64> {
        let back_s = self.lock()?.release();
        self.changed();
        Ok(back_s)
    }

    fn set_aside(&self) -> PyResult<bool> {
        self.lock()?.set_aside().into_py_result()
    }

    fn take_back(&self) -> PyResult<()> {
        self.lock()?.take_back();
        self.changed();
        Ok(())
    }

    fn clear(&self) -> PyResult<usize> {
        Ok(self.lock()?.clear())
    }

    #[getter]
    fn channels(&self) -> PyResult<usize> {
        Ok(self.lock()?.channels())
    }

    #[getter]
    fn buffered_s(&self) -> PyResult<f64> {
        Ok(self.lock()?.buffered_s())
    }

    #[getter]
    fn aside_s(&self) -> PyResult<Option<f64>> {
        Ok(self.lock()?.aside_s())
    }

    #[getter]
    fn is_held(&self) -> PyResult<bool> {
        Ok(self.lock()?.is_held())
    }

    #[getter]
    fn has_frame(&self) -> PyResult<bool> {
        Ok(self.lock()?.has_frame())
    }

    #[getter]
    fn is_ahead(&self) -> PyResult<bool> {
        Ok(self.lock()?.is_ahead())
    }

    #[getter]
    fn removed(&self) -> PyResult<u64> {
        Ok(self.lock()?.removed())
    }

    #[getter]
    fn inserted(&self) -> PyResult<u64> {
        Ok(self.lock()?.inserted())
    }

    #[getter]
    fn non_finite(&self) -> PyResult<u64> {
        Ok(self.lock()?.non_finite())
    }
}

impl OutboundAudio {
    /// The same queue, for a thread that sends from it without the interpreter.
    #[cfg(unix)]
    pub fn shared(&self) -> Arc<Mutex<core::OutboundAudio>> {
        Arc::clone(&self.queue)
    }

    /// Has a thread woken after each change.
    ///
    /// # Errors
    /// `RuntimeError` if another thread sends from it.
    #[cfg(unix)]
    pub fn wake_by(&self, wake: crate::secure_sender::Wake) -> PyResult<()> {
        self.wake.set(wake).map_err(|_| {
            PyRuntimeError::new_err("expected a queue from which nobody sends, got one in use")
        })
    }

    #[cfg_attr(not(unix), allow(clippy::unused_self, reason = "nobody to wake"))]
    fn changed(&self) {
        #[cfg(unix)]
        if let Some(wake) = self.wake.get() {
            wake.changed();
        }
    }

    fn lock(&self) -> PyResult<MutexGuard<'_, core::OutboundAudio>> {
        lock_attached(&self.queue)
    }
}

/// One push: takes the chunk in, without the GIL where much of it has room.
struct Push<'a, 'py> {
    py: Python<'py>,
    rate_hz: u32,
    /// Samples per channel that are taken at most: they decide about the GIL, not the chunk's
    /// length.
    room: usize,
    queue: &'a Mutex<core::OutboundAudio>,
}

impl ChunkVisitor for Push<'_, '_> {
    fn visit<S: Sample>(&mut self, chunk: core::Chunk<'_, S>) -> Result<usize, core::AudioError> {
        let (rate_hz, queue) = (self.rate_hz, self.queue);
        let samples = chunk.samples().min(self.room);
        detach_if_long(self.py, samples, move || {
            // Locked within, so that nobody waits for the interpreter with the lock held. After a
            // panic the next call raises.
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push(rate_hz, chunk)
        })
    }
}

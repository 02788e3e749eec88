//! `InboundTurns` for Python.

use std::sync::{Arc, Mutex, MutexGuard};

use gradio_webrtc_core as core;
use numpy::PyArray2;
use pyo3::prelude::*;

use crate::array::{int16, planes};
use crate::error::{IntoPyResult, rate_hz};
use crate::exclusive_cell::lock_attached;
use crate::pause::{PauseDetector, PauseEvent};

/// An event, and the epoch in which it was detected.
type DetectedEvent = (PauseEvent, u64);

/// An event, and the audio of the turn that it ends.
type TurnEvent<'py> = (PauseEvent, Option<Bound<'py, PyArray2<i16>>>);

/// See [`core::InboundTurns`].
///
/// Shared with the thread that owns the sockets, which never waits for the interpreter.
#[pyclass(frozen, module = "gradio_webrtc._core.turns")]
pub struct InboundTurns {
    turns: Arc<Mutex<core::InboundTurns>>,
    sample_rate_hz: u32,
    frame_samples: usize,
}

#[pymethods]
impl InboundTurns {
    #[new]
    fn new(py: Python<'_>, detector: &PauseDetector, frame_samples: usize) -> PyResult<Self> {
        let detector = detector.take_out(py)?;
        let sample_rate_hz = detector.sample_rate_hz();
        let turns = core::InboundTurns::new(detector, frame_samples);
        Ok(Self {
            turns: Arc::new(Mutex::new(turns)),
            sample_rate_hz,
            frame_samples,
        })
    }

    fn process(
        &self,
        call_rate_hz: i64,
        call_channels: u16,
        samples: &Bound<'_, PyAny>,
    ) -> PyResult<(Vec<DetectedEvent>, f64)> {
        let samples = int16(samples, 1)?;
        let call_rate_hz = rate_hz(call_rate_hz)?;
        let mut turns = self.lock()?;
        // Attached: it takes less time than leaving the interpreter and coming back.
        let events = turns.process(call_rate_hz, call_channels, samples.plane(0)?);
        let allowance_s = turns.batch_allowance_s();
        drop(turns);
        Ok((for_python(events)?, allowance_s))
    }

    fn proceed(&self) -> PyResult<(Vec<DetectedEvent>, f64)> {
        let mut turns = self.lock()?;
        let events = turns.proceed();
        let allowance_s = turns.batch_allowance_s();
        drop(turns);
        Ok((for_python(events)?, allowance_s))
    }

    fn detect(&self, samples: &Bound<'_, PyAny>) -> PyResult<Vec<DetectedEvent>> {
        let samples = int16(samples, 1)?;
        let events = self.lock()?.detect(samples.plane(0)?);
        for_python(events)
    }

    fn claim<'py>(
        &self,
        py: Python<'py>,
        event: &PauseEvent,
        epoch: u64,
    ) -> PyResult<Option<TurnEvent<'py>>> {
        let event = event.0;
        let claimed = self.lock()?.claim(&core::DetectedEvent { event, epoch });
        claimed.map(|claimed| turn_event(py, claimed)).transpose()
    }

    fn set_skipping(&self, is_skipping: bool) -> PyResult<()> {
        self.lock()?.set_skipping(is_skipping);
        Ok(())
    }

    fn skip(&self, samples: u64) -> PyResult<()> {
        self.lock()?.skip(samples);
        Ok(())
    }

    fn utterance_so_far<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i16>>> {
        let audio = self.lock()?.utterance_so_far().into_py_result()?;
        planes(py, audio, 1)
    }

    fn candidate<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
        let audio = self.lock()?.candidate().into_py_result()?;
        audio.map(|audio| planes(py, audio, 1)).transpose()
    }

    fn end_turn<'py>(
        &self,
        py: Python<'py>,
        speech_end_s: f64,
    ) -> PyResult<Option<TurnEvent<'py>>> {
        let ended = self.lock()?.end_turn(speech_end_s).into_py_result()?;
        ended.map(|ended| turn_event(py, ended)).transpose()
    }

    fn set_pause(&self, pause_s: f64) -> PyResult<()> {
        self.lock()?.set_pause(pause_s).into_py_result()
    }

    fn take_open_turn<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i16>>> {
        let audio = self.lock()?.take_open_turn().into_py_result()?;
        planes(py, audio, 1)
    }

    fn disregard(&self) -> PyResult<()> {
        self.lock()?.disregard();
        Ok(())
    }

    fn reset(&self) -> PyResult<()> {
        self.lock()?.reset();
        Ok(())
    }

    #[getter]
    fn is_open(&self) -> PyResult<bool> {
        Ok(self.lock()?.is_open())
    }

    #[getter]
    fn min_samples_until_event(&self) -> PyResult<u64> {
        Ok(self.lock()?.min_samples_until_event())
    }

    #[getter]
    fn batch_allowance_s(&self) -> PyResult<f64> {
        Ok(self.lock()?.batch_allowance_s())
    }

    #[getter]
    fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    #[getter]
    fn frame_samples(&self) -> usize {
        self.frame_samples
    }
}

impl InboundTurns {
    /// The same turns, for a thread that feeds them without the interpreter.
    #[cfg(unix)]
    pub fn shared(&self) -> Arc<Mutex<core::InboundTurns>> {
        Arc::clone(&self.turns)
    }

    fn lock(&self) -> PyResult<MutexGuard<'_, core::InboundTurns>> {
        lock_attached(&self.turns)
    }
}

/// The events as Python gets them, or the exception.
pub fn for_python(
    events: Result<Vec<core::DetectedEvent>, core::AudioError>,
) -> PyResult<Vec<DetectedEvent>> {
    let events = events.into_py_result()?.into_iter();
    Ok(events.map(|it| (PauseEvent(it.event), it.epoch)).collect())
}

fn turn_event(py: Python<'_>, turn_event: core::TurnEvent) -> PyResult<TurnEvent<'_>> {
    let core::TurnEvent { event, utterance } = turn_event;
    let audio = utterance.map(|audio| planes(py, audio, 1)).transpose()?;
    Ok((PauseEvent(event), audio))
}

//! `PauseDetector` and its events for Python.

use gradio_webrtc_core as core;
use gradio_webrtc_core::vad::{SileroVad, Vad};
use gradio_webrtc_core::{EndpointingOptions, EventKind, PauseOptions};
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::array::{detach_if_long, int16, planes};
use crate::error::{IntoPyResult, audio_error, from_core, rate_hz};
use crate::exclusive_cell::ExclusiveCell;
use crate::vad::{GcRef, PendingException, PythonVad};

/// The rates of Silero's two nets, in Hz. The lower one is for telephone audio alone: everything
/// else has the band of the higher one.
const SILERO_RATES_HZ: [u32; 2] = [8_000, 16_000];

/// See [`core::PauseEvent`].
#[pyclass(frozen, eq, module = "gradio_webrtc._core.turns")]
#[derive(PartialEq)]
pub struct PauseEvent(pub core::PauseEvent);

#[pymethods]
impl PauseEvent {
    #[getter]
    fn kind(&self) -> &'static str {
        match self.0.kind {
            EventKind::SpeechStarted => "speech_started",
            EventKind::PauseCandidate => "pause_candidate",
            EventKind::PauseCancelled => "pause_cancelled",
            EventKind::Pause => "pause",
        }
    }

    #[getter]
    fn time_s(&self) -> f64 {
        self.0.time_s
    }

    #[getter]
    fn speech_start_s(&self) -> f64 {
        self.0.speech_start_s
    }

    #[getter]
    fn speech_end_s(&self) -> Option<f64> {
        self.0.speech_end_s
    }

    fn __repr__(&self) -> String {
        let (kind, event) = (self.kind(), &self.0);
        let end = event
            .speech_end_s
            .map_or("None".to_owned(), |end_s| format!("{end_s:.3}"));
        format!(
            "PauseEvent(kind={kind:?}, time_s={:.3}, speech_start_s={:.3}, speech_end_s={end})",
            event.time_s, event.speech_start_s
        )
    }
}

/// See [`core::PauseDetector`].
#[pyclass(frozen, module = "gradio_webrtc._core.turns")]
pub struct PauseDetector {
    /// The detector in Python; `None` for the built-in one. Outside the lock, so that the garbage
    /// collector never waits for a call in progress.
    foreign_vad: Option<GcRef>,
    pending_exception: PendingException,
    state: ExclusiveCell<State>,
}

/// A detector, and the events that an exception kept from being returned.
struct State {
    /// `None` once an `InboundTurns` has taken it over.
    detector: Option<core::PauseDetector>,
    events: Vec<core::PauseEvent>,
}

impl State {
    fn detector(&mut self) -> PyResult<&mut core::PauseDetector> {
        self.detector.as_mut().ok_or_else(gone)
    }
}

fn gone() -> PyErr {
    audio_error("an InboundTurns has taken this detector over; make another one")
}

#[pymethods]
impl PauseDetector {
    #[new]
    #[pyo3(signature = (
        sample_rate_hz, *, vad=None, threshold=0.5, continue_threshold=0.3, release_threshold=0.15,
        started_talking_s=0.2, pause_s=0.5, candidate_s=0.192, forget_s=0.6, pre_roll_s=0.3,
        max_speech_s=f64::INFINITY
    ))]
    #[allow(clippy::too_many_arguments, reason = "all but the first by keyword")]
    fn new(
        sample_rate_hz: i64,
        vad: Option<&Bound<'_, PyAny>>,
        threshold: f32,
        continue_threshold: f32,
        release_threshold: f32,
        started_talking_s: f64,
        pause_s: f64,
        candidate_s: f64,
        forget_s: f64,
        pre_roll_s: f64,
        max_speech_s: f64,
    ) -> PyResult<Self> {
        let endpointing = EndpointingOptions {
            threshold,
            continue_threshold,
            release_threshold,
            started_talking_s,
            pause_s,
            candidate_s,
            forget_s,
            max_speech_s,
        };
        Self::with_options(
            sample_rate_hz,
            vad,
            PauseOptions {
                endpointing,
                pre_roll_s,
            },
        )
    }

    fn process(&self, py: Python<'_>, samples: &Bound<'_, PyAny>) -> PyResult<Vec<PauseEvent>> {
        let samples = int16(samples, 1)?;
        let samples = samples.plane(0)?;
        let mut state = self.state.lock(py)?;
        let State { detector, events } = &mut *state;
        let detector = detector.as_mut().ok_or_else(gone)?;
        // A detector in Python would take the GIL again for every window: not released at all then.
        let detachable_samples = if self.foreign_vad.is_none() {
            samples.len()
        } else {
            0
        };
        let result = detach_if_long(py, detachable_samples, || detector.process(samples, events));
        self.raise(result)?;
        Ok(state.events.drain(..).map(PauseEvent).collect())
    }

    fn take_utterance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i16>>> {
        let utterance = self.state.lock(py)?.detector()?.take_utterance();
        planes(py, utterance.unwrap_or_default(), 1)
    }

    fn utterance_so_far<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i16>>> {
        let utterance = self
            .state
            .lock(py)?
            .detector()?
            .utterance_so_far()
            .into_py_result()?;
        planes(py, utterance, 1)
    }

    fn candidate<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
        let candidate = self.state.lock(py)?.detector()?.candidate();
        let audio = candidate.into_py_result()?;
        audio.map(|audio| planes(py, audio, 1)).transpose()
    }

    fn end_turn(&self, py: Python<'_>, speech_end_s: f64) -> PyResult<Option<PauseEvent>> {
        let ended = self.state.lock(py)?.detector()?.end_turn(speech_end_s);
        Ok(ended.into_py_result()?.map(PauseEvent))
    }

    fn set_pause(&self, py: Python<'_>, pause_s: f64) -> PyResult<()> {
        let mut state = self.state.lock(py)?;
        state.detector()?.set_pause(pause_s).into_py_result()
    }

    fn disregard(&self, py: Python<'_>) -> PyResult<()> {
        self.state.lock(py)?.detector()?.disregard();
        Ok(())
    }

    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = self.state.lock(py)?;
        state.detector()?.reset();
        state.events.clear();
        // The core's `reset` cannot fail: the exception of a detector in Python waits until here.
        self.pending_exception.take().map_or(Ok(()), Err)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.foreign_vad
            .as_ref()
            .map_or(Ok(()), |object| object.traverse(&visit))
    }

    fn __clear__(&self) {
        if let Some(object) = &self.foreign_vad {
            object.clear();
        }
    }

    #[getter]
    fn is_speaking(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.state.lock(py)?.detector()?.is_speaking())
    }

    #[getter]
    fn is_open(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.state.lock(py)?.detector()?.is_open())
    }

    #[getter]
    fn min_samples_until_event(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.state.lock(py)?.detector()?.min_samples_until_event())
    }

    #[getter]
    fn probability(&self, py: Python<'_>) -> PyResult<f32> {
        Ok(self.state.lock(py)?.detector()?.probability())
    }
}

impl PauseDetector {
    /// Takes the detector out; this object refuses every further use.
    ///
    /// # Errors
    /// `AudioError` for a detector in Python, which needs the interpreter for each window, and
    /// where it was taken out before.
    pub fn take_out(&self, py: Python<'_>) -> PyResult<core::PauseDetector> {
        if self.foreign_vad.is_some() {
            return Err(audio_error(
                "expected a PauseDetector with the built-in detector, got one with vad",
            ));
        }
        self.state.lock(py)?.detector.take().ok_or_else(gone)
    }

    fn with_options(
        sample_rate_hz: i64,
        vad: Option<&Bound<'_, PyAny>>,
        options: PauseOptions,
    ) -> PyResult<Self> {
        let sample_rate_hz = rate_hz(sample_rate_hz)?;
        let pending_exception = PendingException::default();
        let foreign = vad
            .map(|object| PythonVad::new(object, pending_exception.clone()))
            .transpose()?;
        let foreign_vad = foreign.as_ref().map(PythonVad::object);
        let detector: Box<dyn Vad> = match foreign {
            Some(foreign) => Box::new(foreign),
            None => Box::new(built_in(sample_rate_hz)?),
        };
        let detector =
            core::PauseDetector::new(sample_rate_hz, detector, options).into_py_result()?;
        let state = ExclusiveCell::new(State {
            detector: Some(detector),
            events: Vec::new(),
        });
        Ok(Self {
            foreign_vad,
            pending_exception,
            state,
        })
    }

    /// Returns the exception of a detector in Python unchanged, any other error as an `AudioError`.
    fn raise(&self, result: Result<(), core::AudioError>) -> PyResult<()> {
        result.map_err(|error| {
            let pending = self.pending_exception.take();
            pending.unwrap_or_else(|| from_core(&error))
        })
    }
}

/// The built-in detector for audio at `sample_rate_hz`.
fn built_in(sample_rate_hz: u32) -> PyResult<SileroVad> {
    let [narrow_hz, wide_hz] = SILERO_RATES_HZ;
    SileroVad::new(if sample_rate_hz == narrow_hz {
        narrow_hz
    } else {
        wide_hz
    })
    .into_py_result()
}

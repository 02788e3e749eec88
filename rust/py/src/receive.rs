//! `AudioReceiver` for Python.

use std::time::Duration;

use gradio_webrtc_media as media;
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::array::{row, with_bytes};
use crate::audio::layout_of;
use crate::error::{IntoPyResult, since};
use crate::exclusive_cell::ExclusiveCell;

/// A receiver and the memory of its audio.
struct Receiver {
    receiver: media::AudioReceiver,
    audio: Vec<i16>,
}

/// See [`media::AudioReceiver`].
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct AudioReceiver(ExclusiveCell<Receiver>);

#[pymethods]
impl AudioReceiver {
    #[new]
    #[pyo3(signature = (rate_hz=48_000, now_s=None))]
    fn new(rate_hz: i64, now_s: Option<f64>) -> PyResult<Self> {
        let rate_hz = crate::error::rate_hz(rate_hz)?;
        let mut receiver = media::AudioReceiver::new(rate_hz, None).into_py_result()?;
        if let Some(now_s) = now_s {
            receiver.start(since(now_s)?);
        }
        let audio = Vec::new();
        Ok(Self(ExclusiveCell::new(Receiver { receiver, audio })))
    }

    #[pyo3(signature = (
        now_s, ssrc, sequence_number, timestamp, payload, allowance_s, red_formats=None
    ))]
    #[allow(clippy::too_many_arguments)] // what an RTP packet has
    fn receive<'py>(
        &self,
        py: Python<'py>,
        now_s: f64,
        ssrc: u32,
        sequence_number: u16,
        timestamp: u32,
        payload: &Bound<'py, PyAny>,
        allowance_s: f64,
        red_formats: Option<Vec<u8>>,
    ) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
        let now = since(now_s)?;
        let packet = Arrived::new(py, ssrc, sequence_number, timestamp, payload, red_formats)?;
        let mut guard = self.0.lock(py)?;
        let Receiver { receiver, audio } = &mut *guard;
        packet.insert_into(receiver, now);
        take_due(py, receiver, audio, now, allowance_s)
    }

    fn decode_for(&self, py: Python<'_>, rate_hz: i64, layout: &str) -> PyResult<u32> {
        decode_for(&mut self.0.lock(py)?.receiver, rate_hz, layout)
    }

    fn keep_pauses(&self, py: Python<'_>) -> PyResult<()> {
        self.0.lock(py)?.receiver.keep_pauses();
        Ok(())
    }

    fn take<'py>(
        &self,
        py: Python<'py>,
        now_s: f64,
    ) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
        let mut guard = self.0.lock(py)?;
        let Receiver { receiver, audio } = &mut *guard;
        take(py, receiver, audio, since(now_s)?)
    }

    #[getter]
    fn deadline_s(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let deadline = self.0.lock(py)?.receiver.deadline();
        Ok(deadline.map(|deadline| deadline.as_secs_f64()))
    }

    #[getter]
    fn channels(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.0.lock(py)?.receiver.channels())
    }

    #[getter]
    fn ssrc(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        Ok(self.0.lock(py)?.receiver.ssrc())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.0.lock(py)?.receiver.stats();
        counts_of(py, stats)
    }
}

impl AudioReceiver {
    /// Returns the receiver with all that it has received; a new one takes its place.
    pub fn take_out(&self, py: Python<'_>) -> PyResult<media::AudioReceiver> {
        let mut guard = self.0.lock(py)?;
        let new = media::AudioReceiver::new(guard.receiver.rate_hz(), None).into_py_result()?;
        Ok(std::mem::replace(&mut guard.receiver, new))
    }
}

/// A packet that was decrypted by somebody else.
pub struct Arrived {
    ssrc: u32,
    sequence_number: u16,
    timestamp: u32,
    payload: Vec<u8>,
    /// The formats in redundant audio; `None` for one packet of Opus.
    red_formats: Option<media::PayloadTypes>,
}

impl Arrived {
    pub fn new(
        py: Python<'_>,
        ssrc: u32,
        sequence_number: u16,
        timestamp: u32,
        payload: &Bound<'_, PyAny>,
        red_formats: Option<Vec<u8>>,
    ) -> PyResult<Self> {
        Ok(Self {
            ssrc,
            sequence_number,
            timestamp,
            payload: with_bytes(py, payload, |payload| Ok(payload.to_vec()))?,
            red_formats: red_formats.map(|formats| formats.into_iter().collect()),
        })
    }

    pub fn insert_into(self, receiver: &mut media::AudioReceiver, now: Duration) {
        let (ssrc, number, timestamp) = (self.ssrc, self.sequence_number, self.timestamp);
        match self.red_formats {
            None => receiver.insert(now, ssrc, number, timestamp, self.payload),
            Some(formats) => {
                receiver.insert_red(now, ssrc, number, timestamp, &self.payload, formats);
            }
        }
    }
}

/// Takes the audio of a receiver into `audio`, and returns it, if there is any.
pub fn take<'py>(
    py: Python<'py>,
    receiver: &mut media::AudioReceiver,
    audio: &mut Vec<i16>,
    now: Duration,
) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
    audio.clear();
    receiver.take(now, audio);
    if audio.is_empty() {
        return Ok(None);
    }
    row(py, audio).map(Some)
}

/// The same, once so much has come that it should be taken.
pub fn take_due<'py>(
    py: Python<'py>,
    receiver: &mut media::AudioReceiver,
    audio: &mut Vec<i16>,
    now: Duration,
    allowance_s: f64,
) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
    receiver.set_allowance(allowance(allowance_s));
    if receiver.is_due() {
        take(py, receiver, audio, now)
    } else {
        Ok(None)
    }
}

/// Has audio decoded that suits whoever needs `rate_hz` and a layout; returns its rate.
pub fn decode_for(
    receiver: &mut media::AudioReceiver,
    rate_hz: i64,
    layout: &str,
) -> PyResult<u32> {
    let rate_hz = media::opus_rate_hz(crate::error::rate_hz(rate_hz)?);
    // Also two channels of a sender that has one, which may become two: a decoder with more channels
    // would be a new one, that has not converged.
    let layout = layout_of(layout)?;
    receiver.decode_to(rate_hz, Some(layout)).into_py_result()?;
    Ok(rate_hz)
}

/// Audio that may wait, in samples at 48 kHz, of seconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // cut off at both ends
pub fn allowance(seconds: f64) -> u32 {
    (seconds * 48_000.0) as u32
}

/// The counters by name.
pub fn counts_of(py: Python<'_>, stats: media::ReceiveStats) -> PyResult<Bound<'_, PyDict>> {
    let counts = PyDict::new(py);
    let jitter = stats.jitter;
    counts.set_item("packets_received", jitter.packets_received)?;
    counts.set_item("packets_lost", jitter.packets_lost)?;
    counts.set_item("packets_repeated", jitter.packets_repeated)?;
    let discarded = jitter.packets_discarded + stats.packets_broken + stats.red_packets_refused;
    counts.set_item("packets_discarded", discarded)?;
    counts.set_item("packets_broken", stats.packets_broken)?;
    counts.set_item("packets_gated", stats.packets_gated)?;
    counts.set_item("red_packets_refused", stats.red_packets_refused)?;
    counts.set_item("packets_refused", jitter.packets_refused)?;
    counts.set_item("bytes_received", stats.bytes_received)?;
    counts.set_item("fec_packets_received", jitter.fec_packets_received)?;
    counts.set_item("fec_packets_discarded", jitter.fec_packets_discarded)?;
    counts.set_item("concealed_samples", jitter.concealed_samples)?;
    Ok(counts)
}

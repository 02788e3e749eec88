//! `SecureReceiver` for Python.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gradio_webrtc_media as media;
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::array::with_bytes;
use crate::error::{audio_error, since};
use crate::exclusive_cell::lock_attached;
#[cfg(unix)]
use crate::plane::Outlet;
use crate::receive::{self, Arrived, AudioReceiver, counts_of};

/// A receiver, and the memory of its packets and its audio.
pub struct Receiver {
    pub secure: media::SecureReceiver,
    datagram: Vec<u8>,
    pub audio: Vec<i16>,
    /// True if a packet came that the thread of the plane has not seen.
    pub is_ahead: bool,
    /// Takes the audio, where a plane calls.
    #[cfg(unix)]
    pub outlet: Option<Outlet>,
}

/// See [`media::SecureReceiver`].
///
/// Shared with the thread that owns the sockets, which never waits for the interpreter.
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct SecureReceiver(Arc<Mutex<Receiver>>);

#[pymethods]
impl SecureReceiver {
    #[new]
    #[pyo3(signature = (receiver, profile, key, salt, payload_types, red_type=None))]
    fn new(
        py: Python<'_>,
        receiver: &AudioReceiver,
        profile: &str,
        key: &Bound<'_, PyAny>,
        salt: &Bound<'_, PyAny>,
        payload_types: Vec<u8>,
        red_type: Option<u8>,
    ) -> PyResult<Self> {
        let srtp = with_keys(py, profile, key, salt, media::SrtpReceiver::new)?;
        let types = payload_types.into_iter().collect();
        let mut secure = media::SecureReceiver::new(srtp, receiver.take_out(py)?, types);
        if let Some(red_type) = red_type {
            secure.set_red(red_type);
        }
        Ok(Self(Arc::new(Mutex::new(Receiver {
            secure,
            datagram: Vec::new(),
            audio: Vec::new(),
            is_ahead: false,
            #[cfg(unix)]
            outlet: None,
        }))))
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
        let mut guard = self.lock()?;
        packet.insert_into(guard.secure.audio_mut(), now);
        guard.is_ahead = true;
        guard.take_due(py, now, allowance_s)
    }

    fn receive_datagram(
        &self,
        py: Python<'_>,
        now_s: f64,
        datagram: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let now = since(now_s)?;
        with_bytes(py, datagram, |bytes| {
            let mut guard = self.lock()?;
            let receiver = &mut *guard;
            receiver.datagram.clear();
            receiver.datagram.extend_from_slice(bytes);
            let reception = receiver.secure.receive(now, &mut receiver.datagram);
            receiver.is_ahead |= reception == media::Reception::Received;
            Ok(reception != media::Reception::Foreign)
        })
    }

    fn decode_for(&self, rate_hz: i64, layout: &str) -> PyResult<u32> {
        receive::decode_for(self.lock()?.secure.audio_mut(), rate_hz, layout)
    }

    fn keep_pauses(&self) -> PyResult<()> {
        self.lock()?.secure.audio_mut().keep_pauses();
        Ok(())
    }

    #[cfg(unix)]
    fn delivered(&self, samples: usize, allowance_s: f64) -> PyResult<()> {
        let mut receiver = self.lock()?;
        let allowance = receive::allowance(allowance_s);
        receiver.secure.audio_mut().set_allowance(allowance);
        if let Some(outlet) = &mut receiver.outlet {
            outlet.delivered(samples);
        }
        Ok(())
    }

    #[cfg(unix)]
    fn feed(&self, turns: &crate::inbound_turns::InboundTurns) -> PyResult<bool> {
        let mut receiver = self.lock()?;
        let last_packet = receiver.secure.audio().last_packet();
        let Some(outlet) = &mut receiver.outlet else {
            return Ok(false);
        };
        let is_fed = outlet.feed(turns.shared());
        outlet.watch(last_packet);
        Ok(is_fed)
    }

    #[cfg(unix)]
    fn take_undelivered<'py>(
        &self,
        py: Python<'py>,
        now_s: f64,
    ) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
        let now = since(now_s)?;
        let mut receiver = self.lock()?;
        if receiver.outlet.as_ref().is_some_and(Outlet::is_delivering) {
            return Ok(None);
        }
        receiver.take(py, now)
    }

    fn take_due<'py>(
        &self,
        py: Python<'py>,
        now_s: f64,
        allowance_s: f64,
    ) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
        let now = since(now_s)?;
        self.lock()?.take_due(py, now, allowance_s)
    }

    fn take<'py>(
        &self,
        py: Python<'py>,
        now_s: f64,
    ) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
        self.lock()?.take(py, since(now_s)?)
    }

    #[getter]
    fn deadline_s(&self) -> PyResult<Option<f64>> {
        let deadline = self.lock()?.secure.audio().deadline();
        Ok(deadline.map(|deadline| deadline.as_secs_f64()))
    }

    #[getter]
    fn channels(&self) -> PyResult<usize> {
        Ok(self.lock()?.secure.audio().channels())
    }

    #[getter]
    fn ssrc(&self) -> PyResult<Option<u32>> {
        Ok(self.lock()?.secure.audio().ssrc())
    }

    #[getter]
    fn last_s(&self) -> PyResult<Option<f64>> {
        let last = self.lock()?.secure.stats().last;
        Ok(last.map(|last| last.as_secs_f64()))
    }

    fn report<'py>(&self, py: Python<'py>, now_s: f64) -> PyResult<Option<Bound<'py, PyDict>>> {
        let now = since(now_s)?;
        let Some(report) = self.lock()?.secure.report(now) else {
            return Ok(None);
        };
        let values = PyDict::new(py);
        values.set_item("ssrc", report.ssrc)?;
        values.set_item("fraction_lost", report.fraction_lost)?;
        values.set_item("packets_lost", report.packets_lost)?;
        values.set_item("highest_sequence_number", report.highest_sequence_number)?;
        values.set_item("jitter", report.jitter)?;
        Ok(Some(values))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.lock()?.secure.stats();
        let counts = counts_of(py, stats.audio)?;
        // Those of the jitter buffer do not count what was refused before it, or overtaken.
        counts.set_item("packets_received", stats.packets_received)?;
        counts.set_item("packets_lost", stats.packets_lost)?;
        counts.set_item("packets_forged", stats.packets_refused)?;
        counts.set_item("jitter", stats.jitter)?;
        Ok(counts)
    }
}

impl SecureReceiver {
    /// The receiver, for another thread.
    #[cfg(unix)]
    pub fn shared(&self) -> Arc<Mutex<Receiver>> {
        Arc::clone(&self.0)
    }

    pub fn lock(&self) -> PyResult<MutexGuard<'_, Receiver>> {
        lock_attached(&self.0)
    }
}

impl Receiver {
    fn take_due<'py>(
        &mut self,
        py: Python<'py>,
        now: Duration,
        allowance_s: f64,
    ) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
        #[cfg(unix)]
        if self.outlet.is_some() {
            return Ok(None);
        }
        let receiver = self.secure.audio_mut();
        receive::take_due(py, receiver, &mut self.audio, now, allowance_s)
    }

    fn take<'py>(
        &mut self,
        py: Python<'py>,
        now: Duration,
    ) -> PyResult<Option<Bound<'py, PyArray2<i16>>>> {
        receive::take(py, self.secure.audio_mut(), &mut self.audio, now)
    }
}

/// Makes one direction of SRTP, of the profile with the name that OpenSSL has for it.
pub fn with_keys<T>(
    py: Python<'_>,
    profile: &str,
    key: &Bound<'_, PyAny>,
    salt: &Bound<'_, PyAny>,
    make: impl FnOnce(media::SrtpProfile, &[u8], &[u8]) -> Result<T, media::SrtpError>,
) -> PyResult<T> {
    let profile = profile_of(profile)?;
    with_bytes(py, key, |key| {
        with_bytes(py, salt, |salt| {
            make(profile, key, salt).map_err(|error| audio_error(error.to_string()))
        })
    })
}

fn profile_of(name: &str) -> PyResult<media::SrtpProfile> {
    match name {
        "SRTP_AES128_CM_SHA1_80" => Ok(media::SrtpProfile::Aes128CmSha1_80),
        "SRTP_AEAD_AES_128_GCM" => Ok(media::SrtpProfile::AeadAes128Gcm),
        "SRTP_AEAD_AES_256_GCM" => Ok(media::SrtpProfile::AeadAes256Gcm),
        _ => Err(audio_error(format!(
            "expected SRTP_AES128_CM_SHA1_80, SRTP_AEAD_AES_128_GCM or SRTP_AEAD_AES_256_GCM, got {name:?}"
        ))),
    }
}

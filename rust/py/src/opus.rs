//! `AudioEncoder` and `OpusDecoder` for Python.

use gradio_webrtc_media as media;
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::array::{int16, row, with_bytes};
use crate::error::{IntoPyResult, since};
use crate::exclusive_cell::ExclusiveCell;

/// An encoder and the memory of its packets.
struct Encoder {
    encoder: media::StreamEncoder,
    packet: Vec<u8>,
}

/// See [`media::StreamEncoder`].
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct AudioEncoder(ExclusiveCell<Encoder>);

#[pymethods]
impl AudioEncoder {
    #[new]
    #[pyo3(signature = (channels=1))]
    fn new(channels: usize) -> PyResult<Self> {
        let encoder = media::StreamEncoder::new(channels).into_py_result()?;
        let packet = Vec::new();
        Ok(Self(ExclusiveCell::new(Encoder { encoder, packet })))
    }

    fn encode<'py>(
        &self,
        py: Python<'py>,
        samples: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let frame = int16(samples, 1)?;
        let mut guard = self.0.lock(py)?;
        let Encoder { encoder, packet } = &mut *guard;
        encoder.encode(frame.plane(0)?, packet).into_py_result()?;
        Ok(PyBytes::new(py, packet))
    }

    #[pyo3(signature = (now_s, fraction_lost, round_trip_s=None))]
    fn report(
        &self,
        py: Python<'_>,
        now_s: f64,
        fraction_lost: f32,
        round_trip_s: Option<f64>,
    ) -> PyResult<()> {
        let now = since(now_s)?;
        let round_trip = round_trip_s.map(since).transpose()?;
        let encoder = &mut self.0.lock(py)?.encoder;
        encoder.report(now, &media::PathReport::new(fraction_lost, round_trip));
        Ok(())
    }

    #[getter]
    fn channels(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.0.lock(py)?.encoder.channels())
    }

    #[setter]
    fn set_channels(&self, py: Python<'_>, channels: usize) -> PyResult<()> {
        let encoder = &mut self.0.lock(py)?.encoder;
        encoder.set_channels(channels).into_py_result()
    }

    #[getter]
    fn bits_per_s(&self, py: Python<'_>) -> PyResult<i32> {
        Ok(self.0.lock(py)?.encoder.terms().bits_per_s)
    }

    #[getter]
    fn has_fec(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.0.lock(py)?.encoder.terms().has_fec)
    }
}

/// A decoder and the memory of its audio.
struct Decoder {
    decoder: media::StreamDecoder,
    audio: Vec<i16>,
}

/// See [`media::StreamDecoder`].
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct OpusDecoder(ExclusiveCell<Decoder>);

#[pymethods]
impl OpusDecoder {
    #[new]
    #[pyo3(signature = (rate_hz=48_000))]
    fn new(rate_hz: i64) -> PyResult<Self> {
        let rate_hz = crate::error::rate_hz(rate_hz)?;
        let decoder = media::StreamDecoder::new(rate_hz, None).into_py_result()?;
        let audio = Vec::new();
        Ok(Self(ExclusiveCell::new(Decoder { decoder, audio })))
    }

    fn decode<'py>(
        &self,
        py: Python<'py>,
        packet: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<i16>>> {
        with_bytes(py, packet, |packet| {
            let mut guard = self.0.lock(py)?;
            let Decoder { decoder, audio } = &mut *guard;
            audio.clear();
            decoder.decode(packet, audio).into_py_result()?;
            row(py, audio)
        })
    }

    #[getter]
    fn channels(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.0.lock(py)?.decoder.channels())
    }
}

#[pyfunction]
pub fn opus_packet_samples(py: Python<'_>, packet: &Bound<'_, PyAny>) -> PyResult<u32> {
    with_bytes(py, packet, |packet| {
        Ok(media::OpusPacket::read(packet).map_or(0, |packet| packet.samples()))
    })
}

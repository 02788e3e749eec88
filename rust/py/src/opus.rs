//! `OpusEncoder` and `OpusDecoder` for Python.

use gradio_webrtc_media as media;
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::array::{int16, row, with_bytes};
use crate::error::{IntoPyResult, audio_error};
use crate::exclusive_cell::ExclusiveCell;

/// An encoder and the memory of its packets.
struct Encoder {
    encoder: media::OpusEncoder,
    packet: Vec<u8>,
}

/// See [`media::OpusEncoder`].
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct OpusEncoder {
    cell: ExclusiveCell<Encoder>,
    #[pyo3(get)]
    channels: usize,
}

#[pymethods]
impl OpusEncoder {
    #[new]
    #[pyo3(signature = (channels=1, *, application="lowdelay", bit_rate=64_000, complexity=2))]
    fn new(channels: usize, application: &str, bit_rate: i32, complexity: i32) -> PyResult<Self> {
        let application = match application {
            "lowdelay" => media::OpusApplication::LowDelay,
            "voice" => media::OpusApplication::Voice,
            other => {
                return Err(audio_error(format!(
                    "expected the application \"voice\" or \"lowdelay\", got {other:?}"
                )));
            }
        };
        let mut encoder = media::OpusEncoder::new(channels, application).into_py_result()?;
        encoder.set_bit_rate(bit_rate).into_py_result()?;
        encoder.set_complexity(complexity).into_py_result()?;
        let packet = Vec::new();
        Ok(Self {
            cell: ExclusiveCell::new(Encoder { encoder, packet }),
            channels,
        })
    }

    #[pyo3(signature = (*, bit_rate=None, fec=None, expected_loss=None))]
    fn set(
        &self,
        py: Python<'_>,
        bit_rate: Option<i32>,
        fec: Option<bool>,
        expected_loss: Option<i32>,
    ) -> PyResult<()> {
        let encoder = &mut self.cell.lock(py)?.encoder;
        if let Some(bits_per_s) = bit_rate {
            encoder.set_bit_rate(bits_per_s).into_py_result()?;
        }
        if let Some(is_on) = fec {
            encoder.set_fec(is_on).into_py_result()?;
        }
        if let Some(percent) = expected_loss {
            encoder.set_expected_loss(percent).into_py_result()?;
        }
        Ok(())
    }

    fn encode<'py>(
        &self,
        py: Python<'py>,
        samples: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let frame = int16(samples, 1)?;
        let mut guard = self.cell.lock(py)?;
        let Encoder { encoder, packet } = &mut *guard;
        encoder.encode(frame.plane(0)?, packet).into_py_result()?;
        Ok(PyBytes::new(py, packet))
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

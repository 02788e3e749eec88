//! `Resampler`, `AudioFifo`, `Pcm16Assembler` and `InboundAudio` for Python.

use gradio_webrtc_core as core;
use gradio_webrtc_core::reserve;
use gradio_webrtc_core::sample::{Sample, append_f32, append_i16};
use numpy::PyArray2;
use pyo3::prelude::*;

use crate::array::{Planes, detach_if_long, int16, mismatch, planes, row, with_bytes};
use crate::error::{IntoPyResult, audio_error, rate_hz};
use crate::exclusive_cell::ExclusiveCell;

type Int16Array<'py> = Bound<'py, PyArray2<i16>>;

/// See [`core::Resampler`]; one for each channel.
#[pyclass(frozen, module = "gradio_webrtc._core")]
pub struct Resampler {
    channels: usize,
    delay_s: f64,
    state: ExclusiveCell<Channels>,
}

/// The channels of a [`Resampler`] and the state that they share.
struct Channels {
    resamplers: Vec<core::Resampler>,
    input: Vec<f32>,
    /// True if the last input was int16: `flush` returns the same dtype.
    is_int16: bool,
}

#[pymethods]
impl Resampler {
    #[new]
    #[pyo3(signature = (from_hz, to_hz, *, channels=1, quality="high"))]
    fn new(from_hz: i64, to_hz: i64, channels: usize, quality: &str) -> PyResult<Self> {
        let quality = quality_of(quality)?;
        let (from_hz, to_hz) = (rate_hz(from_hz)?, rate_hz(to_hz)?);
        check_channels(channels)?;
        let resamplers = (0..channels)
            .map(|_| core::Resampler::new(from_hz, to_hz, quality))
            .collect::<Result<Vec<_>, _>>()
            .into_py_result()?;
        let delay_s = resamplers[0].delay_s();
        let state = Channels {
            resamplers,
            input: Vec::new(),
            is_int16: false,
        };
        Ok(Self {
            channels,
            delay_s,
            state: ExclusiveCell::new(state),
        })
    }

    fn process<'py>(
        &self,
        py: Python<'py>,
        samples: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(samples) = Planes::<i16>::read(samples, self.channels)? {
            let converted = self.convert(py, &samples, true)?;
            return self.array(py, converted, true);
        }
        if let Some(samples) = Planes::<f32>::read(samples, self.channels)? {
            let converted = self.convert(py, &samples, false)?;
            return self.array(py, converted, false);
        }
        Err(mismatch(
            samples,
            "an int16 or float32 array",
            "convert it first",
        ))
    }

    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut state = self.state.lock(py)?;
        let mut tail = Vec::new();
        for resampler in &mut state.resamplers {
            resampler.flush(&mut tail);
        }
        let is_int16 = state.is_int16;
        drop(state);
        self.array(py, tail, is_int16)
    }

    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.state
            .lock(py)?
            .resamplers
            .iter_mut()
            .for_each(core::Resampler::reset);
        Ok(())
    }

    #[getter]
    fn delay_s(&self) -> f64 {
        self.delay_s
    }
}

impl Resampler {
    fn convert<T: Sample + numpy::Element>(
        &self,
        py: Python<'_>,
        samples: &Planes<'_, T>,
        is_int16: bool,
    ) -> PyResult<Vec<f32>> {
        let rows = (0..self.channels)
            .map(|channel| samples.plane(channel))
            .collect::<PyResult<Vec<_>>>()?;
        let mut state = self.state.lock(py)?;
        let Channels {
            resamplers,
            input,
            is_int16: was_int16,
        } = &mut *state;
        *was_int16 = is_int16;
        let mut out = Vec::new();
        let converted = resamplers[0].max_output(samples.samples());
        reserve(&mut out, converted.saturating_mul(self.channels)).into_py_result()?;
        Ok(detach_if_long(
            py,
            samples.samples() * self.channels,
            move || {
                for (resampler, row) in resamplers.iter_mut().zip(rows) {
                    for piece in row.chunks(PIECE_SAMPLES) {
                        input.clear();
                        append_f32(piece.iter().copied(), input);
                        resampler.process(input, &mut out);
                    }
                }
                out
            },
        ))
    }

    fn array<'py>(
        &self,
        py: Python<'py>,
        samples: Vec<f32>,
        is_int16: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !is_int16 {
            return Ok(planes(py, samples, self.channels)?.into_any());
        }
        let mut quantised = Vec::new();
        reserve(&mut quantised, samples.len()).into_py_result()?;
        append_i16(&samples, &mut quantised);
        Ok(planes(py, quantised, self.channels)?.into_any())
    }
}

/// See [`core::AudioFifo`]; one for each channel.
#[pyclass(frozen, module = "gradio_webrtc._core")]
pub struct AudioFifo {
    channels: usize,
    planes: ExclusiveCell<Vec<core::AudioFifo<i16>>>,
}

#[pymethods]
impl AudioFifo {
    #[new]
    #[pyo3(signature = (frame_samples, channels=1))]
    fn new(frame_samples: usize, channels: usize) -> PyResult<Self> {
        check_channels(channels)?;
        let plane = core::AudioFifo::new(frame_samples).into_py_result()?;
        Ok(Self {
            channels,
            planes: ExclusiveCell::new(vec![plane; channels]),
        })
    }

    fn write(&self, py: Python<'_>, samples: &Bound<'_, PyAny>) -> PyResult<()> {
        let samples = int16(samples, self.channels)?;
        let mut planes = self.planes.lock(py)?;
        // Memory for every channel before the first one is written: a refusal leaves them equally
        // long.
        for plane in planes.iter_mut() {
            plane.reserve(samples.samples()).into_py_result()?;
        }
        for (channel, plane) in planes.iter_mut().enumerate() {
            plane.write(samples.plane(channel)?);
        }
        Ok(())
    }

    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Int16Array<'py>>> {
        self.frame(py, core::AudioFifo::read)
    }

    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Option<Int16Array<'py>>> {
        self.frame(py, core::AudioFifo::flush)
    }

    #[getter]
    fn buffered_samples(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.planes.lock(py)?[0].len())
    }
}

impl AudioFifo {
    fn frame<'py>(
        &self,
        py: Python<'py>,
        read: impl Fn(&mut core::AudioFifo<i16>) -> Option<&[i16]>,
    ) -> PyResult<Option<Int16Array<'py>>> {
        let mut frame = Vec::new();
        for plane in self.planes.lock(py)?.iter_mut() {
            let Some(samples) = read(plane) else {
                return Ok(None);
            };
            reserve(&mut frame, samples.len()).into_py_result()?;
            frame.extend_from_slice(samples);
        }
        planes(py, frame, self.channels).map(Some)
    }
}

/// See [`core::Pcm16Assembler`].
#[pyclass(frozen, module = "gradio_webrtc._core")]
pub struct Pcm16Assembler(ExclusiveCell<core::Pcm16Assembler>);

#[pymethods]
impl Pcm16Assembler {
    #[new]
    fn new() -> Self {
        Self(ExclusiveCell::new(core::Pcm16Assembler::new()))
    }

    fn push<'py>(&self, py: Python<'py>, chunk: &Bound<'py, PyAny>) -> PyResult<Int16Array<'py>> {
        let mut samples = Vec::new();
        with_bytes(py, chunk, |bytes| {
            reserve(&mut samples, bytes.len() / 2 + 1).into_py_result()?;
            self.0.lock(py)?.push(bytes, &mut samples);
            Ok(())
        })?;
        planes(py, samples, 1)
    }

    #[getter]
    fn has_pending_byte(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.0.lock(py)?.has_pending_byte())
    }

    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.0.lock(py)?.reset();
        Ok(())
    }
}

/// See [`core::InboundAudio`].
#[pyclass(frozen, module = "gradio_webrtc._core")]
pub struct InboundAudio(ExclusiveCell<core::InboundAudio>);

#[pymethods]
impl InboundAudio {
    #[new]
    #[pyo3(signature = (
        call_rate_hz, call_channels, handler_rate_hz, *, layout="mono", frame_samples=960
    ))]
    fn new(
        call_rate_hz: i64,
        call_channels: u16,
        handler_rate_hz: i64,
        layout: &str,
        frame_samples: usize,
    ) -> PyResult<Self> {
        let (from_hz, to_hz) = (rate_hz(call_rate_hz)?, rate_hz(handler_rate_hz)?);
        let layout = layout_of(layout)?;
        let inbound = core::InboundAudio::new(from_hz, call_channels, to_hz, layout, frame_samples);
        Ok(Self(ExclusiveCell::new(inbound.into_py_result()?)))
    }

    #[pyo3(signature = (
        call_rate_hz, call_channels, handler_rate_hz, *, layout="mono", frame_samples=960
    ))]
    fn change_to(
        &self,
        py: Python<'_>,
        call_rate_hz: i64,
        call_channels: u16,
        handler_rate_hz: i64,
        layout: &str,
        frame_samples: usize,
    ) -> PyResult<()> {
        let (from_hz, to_hz) = (rate_hz(call_rate_hz)?, rate_hz(handler_rate_hz)?);
        let layout = layout_of(layout)?;
        self.0
            .lock(py)?
            .change_to(from_hz, call_channels, to_hz, layout, frame_samples)
            .into_py_result()
    }

    fn process<'py>(
        &self,
        py: Python<'py>,
        samples: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Int16Array<'py>>> {
        let samples = int16(samples, 1)?;
        let interleaved = samples.plane(0)?;
        let mut inbound = self.0.lock(py)?;
        let core = &mut *inbound;
        detach_if_long(py, interleaved.len(), move || core.process(interleaved))
            .into_py_result()?;
        let mut frames = Vec::new();
        while let Some(frame) = inbound.next_frame() {
            frames.push(row(py, frame)?);
        }
        Ok(frames)
    }

    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Option<Int16Array<'py>>> {
        self.0
            .lock(py)?
            .flush()
            .map(|frame| row(py, frame))
            .transpose()
    }

    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.0.lock(py)?.reset();
        Ok(())
    }
}

/// Samples per channel that are converted to floats at once: a second at 48 kHz. It bounds the
/// buffer in between however long the input is.
const PIECE_SAMPLES: usize = 48_000;

/// More channels than any audio here has; bounds the memory that a mistyped number can ask for.
const MAX_CHANNELS: usize = 32;

fn check_channels(got: usize) -> PyResult<()> {
    if (1..=MAX_CHANNELS).contains(&got) {
        return Ok(());
    }
    Err(audio_error(format!(
        "expected 1 to {MAX_CHANNELS} channels, got {got}"
    )))
}

pub fn layout_of(name: &str) -> PyResult<core::Layout> {
    match name {
        "mono" => Ok(core::Layout::Mono),
        "stereo" => Ok(core::Layout::Stereo),
        _ => Err(audio_error(format!(
            "expected the layout 'mono' or 'stereo', got {name:?}"
        ))),
    }
}

fn quality_of(name: &str) -> PyResult<core::Quality> {
    match name {
        "high" => Ok(core::Quality::High),
        "low_latency" => Ok(core::Quality::LowLatency),
        _ => Err(audio_error(format!(
            "expected the quality 'high' or 'low_latency', got {name:?}"
        ))),
    }
}

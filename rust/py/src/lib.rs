//! Registration of `gradio_webrtc._core`; no logic. The classes are documented in `_core.pyi`.

use pyo3::prelude::*;

mod array;
mod audio;
mod audio_input;
mod error;
mod exclusive_cell;
mod g711;
mod outbound;
mod pause;
mod vad;

#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use crate::audio::{AudioFifo, InboundAudio, Pcm16Assembler, Resampler};
    #[pymodule_export]
    use crate::g711::{decode_g711, encode_g711};
    #[pymodule_export]
    use crate::outbound::OutboundAudio;
    #[pymodule_export]
    use crate::pause::{PauseDetector, PauseEvent};
    #[pymodule_export]
    use crate::vad::SileroVad;
}

//! Registration of `gradio_webrtc._core`; no logic. The classes are documented in `_core/*.pyi`.

use pyo3::prelude::*;

mod array;
mod audio;
mod audio_input;
mod error;
mod exclusive_cell;
mod g711;
mod inbound_turns;
mod netem;
mod opus;
mod outbound;
mod pause;
#[cfg(unix)]
mod plane;
mod receive;
mod secure;
#[cfg(unix)]
mod secure_sender;
mod vad;

#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::audio::{AudioFifo, InboundAudio, Pcm16Assembler, Resampler};
    #[pymodule_export]
    use crate::g711::{decode_g711, encode_g711};
    #[pymodule_export]
    use crate::outbound::OutboundAudio;

    /// See [`gradio_webrtc_core::ECHO_SCORE`].
    #[pymodule_export]
    const ECHO_SCORE: f32 = gradio_webrtc_core::ECHO_SCORE;

    /// The media plane.
    #[pymodule]
    mod media {
        #[pymodule_export]
        use crate::netem::NetworkLink;
        #[pymodule_export]
        use crate::opus::{AudioEncoder, OpusDecoder, opus_packet_samples};
        #[pymodule_export]
        use crate::receive::AudioReceiver;
        #[pymodule_export]
        use crate::secure::SecureReceiver;
        #[cfg(unix)]
        #[pymodule_export]
        use crate::secure_sender::SecureSender;
    }

    /// The thread that owns the sockets.
    #[cfg(unix)]
    #[pymodule]
    mod plane {
        #[pymodule_export]
        use crate::plane::{MediaEndpoint, MediaMailbox, MediaPlane, MediaSocket};
    }

    /// The user's turns.
    #[pymodule]
    mod turns {
        #[pymodule_export]
        use crate::inbound_turns::InboundTurns;
        #[pymodule_export]
        use crate::pause::{PauseDetector, PauseEvent};
        #[pymodule_export]
        use crate::vad::SileroVad;

        /// See [`gradio_webrtc_media::MAX_STALL`].
        #[pymodule_export]
        const MAX_STALL_S: f64 = gradio_webrtc_media::MAX_STALL.as_secs_f64();
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // A module inside of a compiled one is found by `import` only where it is registered.
        let modules = module.py().import("sys")?.getattr("modules")?;
        let names: &[&str] = if cfg!(unix) {
            &["media", "plane", "turns"]
        } else {
            &["media", "turns"]
        };
        for name in names {
            let full = format!("gradio_webrtc._core.{name}");
            modules.set_item(full, module.getattr(name)?)?;
        }
        Ok(())
    }
}

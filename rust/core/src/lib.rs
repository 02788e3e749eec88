//! The real-time audio core of `gradio_webrtc`: samples in, samples and events out.
//!
//! Nothing here knows Python, sockets, threads or the time of day.
//!
//! | from the call | | to the call |
//! |---|---|---|
//! | [`InboundAudio`] to a handler's frames | [`Resampler`] | [`OutboundAudio`] to 20 ms frames |
//! | | [`AudioFifo`], [`Pcm16Assembler`], [`sample`] | |

mod converter;
mod error;
mod fifo;
mod inbound;
mod outbound;
mod pcm;
mod resample;
pub mod sample;
mod simd;
pub mod vad;

pub use error::AudioError;
pub use fifo::AudioFifo;
pub use inbound::InboundAudio;
pub use outbound::OutboundAudio;
pub use pcm::Pcm16Assembler;
pub use resample::{Quality, Resampler};
pub use sample::{Chunk, Layout};
#[doc(hidden)]
pub use simd::InstructionSet;

//! The real-time audio core of `gradio_webrtc`: samples in, samples and events out.
//!
//! Nothing here depends on Python, sockets, threads or the time of day.
//!
//! | inbound | both | outbound |
//! |---|---|---|
//! | [`InboundAudio`]: a handler's frames | [`Resampler`] | [`OutboundAudio`]: 20 ms frames |
//! | [`InboundTurns`], [`PauseDetector`]: the user's turns | [`AudioFifo`], [`Pcm16Assembler`], [`mod@sample`] | |
//! | [`vad`], [`Endpointer`], [`Utterance`] | [`Law`]: the coding of telephones | [`SentSnapshot`]: finds its echo |

mod aside;
mod backlog;
mod converter;
mod echo_guard;
mod echo_watch;
mod endpointing;
mod error;
mod fifo;
mod g711;
mod hold;
mod inbound;
mod inbound_turns;
mod memory;
mod outbound;
mod pause;
mod pcm;
mod recent;
mod resample;
pub mod sample;
mod simd;
mod stretcher;
mod timeline;
mod utterance;
pub mod vad;

pub use echo_guard::{ECHO_SCORE, EchoMatch, SentSnapshot};
pub use endpointing::{EndpointEvent, Endpointer, EndpointingOptions, EventKind};
pub use error::AudioError;
pub use fifo::AudioFifo;
pub use g711::Law;
pub use inbound::InboundAudio;
pub use inbound_turns::{DetectedEvent, InboundTurns, QuietTerms, TurnEvent};
pub use memory::reserve;
pub use outbound::OutboundAudio;
pub use pause::{PauseDetector, PauseOptions};
pub use pcm::Pcm16Assembler;
pub use resample::{Quality, Resampler};
pub use sample::{Chunk, Layout};
#[doc(hidden)]
pub use simd::InstructionSet;
pub use timeline::PauseEvent;
pub use utterance::Utterance;

//! The real-time audio core of `gradio_webrtc`: samples in, samples and events out.
//!
//! Nothing here knows Python, sockets, threads or the time of day.

mod error;
mod resample;
pub mod vad;

pub use error::AudioError;
pub use resample::{Quality, Resampler};

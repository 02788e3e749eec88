//! The one error type of the crate.

use std::fmt;

/// What can be wrong with what a caller handed in: expected and actual side by side.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AudioError {
    /// A sample rate outside 8 to 192 kHz.
    SampleRate {
        /// The rate handed in, in Hz.
        got_hz: u32,
    },
    /// A VAD window of the wrong length.
    WindowLength {
        /// What the detector takes, in samples.
        expected: usize,
        /// What came, in samples.
        got: usize,
    },
    /// A detector supplied from outside failed; the message is its own.
    Detector {
        /// What the detector said.
        message: String,
    },
}

impl fmt::Display for AudioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleRate { got_hz } => {
                write!(f, "expected a sample rate from 8000 to 192000 Hz, got {got_hz} Hz")
            }
            Self::WindowLength { expected, got } => {
                write!(f, "expected a window of {expected} samples, got {got}")
            }
            Self::Detector { message } => write!(f, "the voice activity detector failed: {message}"),
        }
    }
}

impl std::error::Error for AudioError {}

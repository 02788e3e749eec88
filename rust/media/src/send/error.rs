//! The errors of sending.

use std::fmt;

use crate::{OpusError, RtcpError, RtpError, SrtpError};

/// Terms that cannot be kept, or a frame that could not be sent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// A queue of another rate than 48 kHz.
    QueueRate {
        /// Samples per channel in its frames of 20 ms.
        frame_samples: usize,
    },
    /// A frame that was not encoded.
    Opus(OpusError),
    /// A header that cannot be written.
    Rtp(RtpError),
    /// A report that cannot be written.
    Rtcp(RtcpError),
    /// A packet that was not encrypted.
    Srtp(SrtpError),
}

impl From<OpusError> for SendError {
    fn from(error: OpusError) -> Self {
        Self::Opus(error)
    }
}

impl From<RtpError> for SendError {
    fn from(error: RtpError) -> Self {
        Self::Rtp(error)
    }
}

impl From<RtcpError> for SendError {
    fn from(error: RtcpError) -> Self {
        Self::Rtcp(error)
    }
}

impl From<SrtpError> for SendError {
    fn from(error: SrtpError) -> Self {
        Self::Srtp(error)
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueRate { frame_samples } => write!(
                f,
                "expected a queue of audio at 48000 Hz, with frames of 960 samples, got frames of \
                 {frame_samples}"
            ),
            Self::Opus(error) => error.fmt(f),
            Self::Rtp(error) => error.fmt(f),
            Self::Rtcp(error) => error.fmt(f),
            Self::Srtp(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::QueueRate { .. } => return None,
            Self::Opus(error) => error,
            Self::Rtp(error) => error,
            Self::Rtcp(error) => error,
            Self::Srtp(error) => error,
        })
    }
}

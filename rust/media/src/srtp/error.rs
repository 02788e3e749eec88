//! The errors of SRTP.

use std::fmt;

use super::window::MAX_STREAMS;
use crate::RtpError;

/// A key that cannot be used, or a packet that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SrtpError {
    /// A master key of another length than the profile's.
    KeyLength {
        /// The profile's length in bytes.
        expected: usize,
        /// The actual length in bytes.
        got: usize,
    },
    /// A master salt of another length than the profile's.
    SaltLength {
        /// The profile's length in bytes.
        expected: usize,
        /// The actual length in bytes.
        got: usize,
    },
    /// Bytes that are no RTP packet.
    Rtp(RtpError),
    /// A packet that is too short for its header, and for its tag where it has one.
    Length {
        /// The least length in bytes.
        expected: usize,
        /// The actual length in bytes.
        got: usize,
    },
    /// A packet that is longer than a datagram.
    TooLong {
        /// The actual length in bytes.
        got: usize,
    },
    /// A wrong tag: not of the remote peer, or changed on its way.
    Authentication,
    /// An index that was used, or that is too old to be checked.
    Replayed,
    /// A stream beyond the largest number of them.
    TooManyStreams {
        /// The stream.
        ssrc: u32,
    },
    /// No index is left: the session needs another key.
    Exhausted,
}

impl From<RtpError> for SrtpError {
    fn from(error: RtpError) -> Self {
        Self::Rtp(error)
    }
}

impl fmt::Display for SrtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyLength { expected, got } => {
                write!(f, "expected a master key of {expected} bytes, got {got}")
            }
            Self::SaltLength { expected, got } => {
                write!(f, "expected a master salt of {expected} bytes, got {got}")
            }
            Self::Rtp(error) => error.fmt(f),
            Self::Length { expected, got } => {
                write!(
                    f,
                    "expected a packet of at least {expected} bytes, got {got}"
                )
            }
            Self::TooLong { got } => {
                write!(f, "expected a packet of at most 65535 bytes, got {got}")
            }
            Self::Authentication => write!(f, "expected a packet of the remote peer, got another"),
            Self::Replayed => write!(f, "expected a new packet, got one that came before or late"),
            Self::TooManyStreams { ssrc } => write!(
                f,
                "expected at most {MAX_STREAMS} streams, got another with the SSRC {ssrc}"
            ),
            Self::Exhausted => write!(f, "all packets that a key may encrypt were sent"),
        }
    }
}

impl std::error::Error for SrtpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rtp(error) => Some(error),
            _ => None,
        }
    }
}

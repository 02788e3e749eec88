//! The crate's only error type.

use std::fmt;

/// An input that cannot be used, or memory that is missing: the expected and the actual value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AudioError {
    /// A sample rate outside 8 to 192 kHz.
    SampleRate {
        /// The actual rate, in Hz.
        got_hz: u32,
    },
    /// A number of channels other than 1 and 2.
    Channels {
        /// The actual number.
        got: usize,
    },
    /// Interleaved samples that do not fill whole groups of one sample per channel.
    InterleavedLength {
        /// Channels in a group.
        channels: usize,
        /// The actual number of samples.
        got: usize,
    },
    /// Two planes of one chunk that differ in length.
    PlaneLength {
        /// Samples of the left channel.
        left: usize,
        /// Samples of the right channel.
        right: usize,
    },
    /// A setting outside its range.
    Setting {
        /// Its name.
        name: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The actual value.
        got: f64,
    },
    /// A sample rate for which a detector has no net.
    DetectorRate {
        /// The actual rate, in Hz.
        got_hz: u32,
    },
    /// A file of weights that is not as long as the net's.
    WeightsLength {
        /// The length that the net needs, in bytes.
        expected: usize,
        /// The length of the file, in bytes.
        got: usize,
    },
    /// A weight that is infinite or no number.
    WeightNotFinite {
        /// The number's index in the file.
        index: usize,
    },
    /// A VAD window of the wrong length.
    WindowLength {
        /// The length that the detector needs, in samples.
        expected: usize,
        /// The actual length, in samples.
        got: usize,
    },
    /// A detector's result that is no probability.
    Probability {
        /// The actual result.
        got: f32,
    },
    /// A failure of a detector supplied from outside.
    Detector {
        /// The detector's own message.
        message: String,
    },
    /// No memory for the input, or for the result.
    OutOfMemory {
        /// The memory that was requested, in bytes.
        bytes: usize,
    },
}

impl fmt::Display for AudioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleRate { got_hz } => {
                write!(
                    f,
                    "expected a sample rate from 8000 to 192000 Hz, got {got_hz} Hz"
                )
            }
            Self::Channels { got } => write!(f, "expected 1 or 2 channels, got {got}"),
            Self::InterleavedLength { channels, got } => {
                write!(
                    f,
                    "expected a multiple of {channels} interleaved samples, got {got}"
                )
            }
            Self::PlaneLength { left, right } => write!(
                f,
                "expected two channels of the same length, got {left} and {right} samples"
            ),
            Self::Setting {
                name,
                expected,
                got,
            } => {
                write!(f, "expected {name} {expected}, got {got}")
            }
            Self::DetectorRate { got_hz } => {
                write!(
                    f,
                    "expected a detector's rate of 8000 or 16000 Hz, got {got_hz} Hz"
                )
            }
            Self::WeightsLength { expected, got } => {
                write!(f, "expected {expected} bytes of weights, got {got}")
            }
            Self::WeightNotFinite { index } => write!(f, "weight {index} is not finite"),
            Self::WindowLength { expected, got } => {
                write!(f, "expected a window of {expected} samples, got {got}")
            }
            Self::Probability { got } => {
                write!(
                    f,
                    "expected a probability from 0 to 1 from the detector, got {got}"
                )
            }
            Self::Detector { message } => {
                write!(f, "the voice activity detector failed: {message}")
            }
            Self::OutOfMemory { bytes } => {
                write!(f, "no memory for {bytes} more bytes of audio")
            }
        }
    }
}

impl std::error::Error for AudioError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_expected_and_the_actual_value() {
        let message = AudioError::PlaneLength { left: 3, right: 4 }.to_string();
        assert_eq!(
            message,
            "expected two channels of the same length, got 3 and 4 samples"
        );
        let error = AudioError::Setting {
            name: "pause_s",
            expected: "above 0",
            got: -1.0,
        };
        assert_eq!(error.to_string(), "expected pause_s above 0, got -1");
    }

    #[test]
    fn messages_are_lower_case_and_end_without_a_full_stop() {
        let all = [
            AudioError::SampleRate { got_hz: 1 },
            AudioError::Channels { got: 3 },
            AudioError::InterleavedLength {
                channels: 2,
                got: 3,
            },
            AudioError::WindowLength {
                expected: 512,
                got: 1,
            },
            AudioError::Probability { got: 2.0 },
            AudioError::Detector {
                message: "broken".to_owned(),
            },
            AudioError::OutOfMemory { bytes: 1 },
        ];
        for message in all.map(|error| error.to_string()) {
            assert!(
                message.starts_with(char::is_lowercase) && !message.ends_with('.'),
                "{message}"
            );
        }
    }
}

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
    /// A number of channels that is not served.
    Channels {
        /// The channels handed in.
        got: usize,
    },
    /// Interleaved samples that do not fill whole groups of one sample per channel.
    InterleavedLength {
        /// Channels in a group.
        channels: usize,
        /// The samples handed in.
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
        /// The value handed in.
        got: f64,
    },
    /// A sample rate that a detector has no net for.
    DetectorRate {
        /// The rate handed in, in Hz.
        got_hz: u32,
    },
    /// A file of weights that is not as long as the net's.
    WeightsLength {
        /// What the net takes, in bytes.
        expected: usize,
        /// What the file has, in bytes.
        got: usize,
    },
    /// A weight that is infinite or no number.
    WeightNotFinite {
        /// Which of the file's numbers.
        index: usize,
    },
    /// A VAD window of the wrong length.
    WindowLength {
        /// What the detector takes, in samples.
        expected: usize,
        /// What came, in samples.
        got: usize,
    },
    /// A detector's answer that is no probability.
    Probability {
        /// What it answered.
        got: f32,
    },
    /// A detector supplied from outside failed; the message is its own.
    Detector {
        /// What the detector said.
        message: String,
    },
    /// There is no memory for what was handed in, or for what was asked for.
    OutOfMemory {
        /// What was wanted, in bytes.
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
                write!(f, "there is no memory for {bytes} bytes more of sound")
            }
        }
    }
}

impl std::error::Error for AudioError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_what_was_expected_and_what_came() {
        let said = AudioError::PlaneLength { left: 3, right: 4 }.to_string();
        assert_eq!(
            said,
            "expected two channels of the same length, got 3 and 4 samples"
        );
        let said = AudioError::Setting {
            name: "pause_s",
            expected: "above 0",
            got: -1.0,
        };
        assert_eq!(said.to_string(), "expected pause_s above 0, got -1");
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
        for said in all.map(|error| error.to_string()) {
            assert!(
                said.starts_with(char::is_lowercase) && !said.ends_with('.'),
                "{said}"
            );
        }
    }
}

//! Outbound audio that waits while something else is played before it.

use crate::AudioFifo;
use crate::hold::Hold;
use crate::outbound::Source;

/// What was put aside: the waiting samples, the stream that they are a part of, and what was played
/// of it.
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) source: Option<Source>,
    pub(crate) planes: Vec<AudioFifo<i16>>,
    pub(crate) hold: Hold,
    /// Samples that were pushed until then: an echo is compared by its own alone.
    pub(crate) pushed: u64,
}

//! The streams of a track that gave way to another one.

use std::time::Duration;

/// The streams that may give way to another one in a session: a sender that is started again and again
/// has a new one each time. Each is remembered, so that its packets cannot be repeated.
const MOST: usize = 64;

/// The time in which packets of a stream that gave way may be its last ones, overtaken by the first
/// of the next: the longest for which a jitter buffer waits. Later ones are of a sender that goes on
/// with it, as a mixer does that forwards one of several people.
const STRAGGLING: Duration = Duration::from_millis(400);

/// A stream that gave way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormerStream {
    pub ssrc: u32,
    /// The index of its newest packet, up to which none is received again.
    pub newest: u64,
    /// The time from which on it may go on.
    pub free_at: Duration,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct FormerStreams(Vec<FormerStream>);

impl FormerStreams {
    /// True if no other stream may give way.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Returns the stream, if it is one of them.
    pub fn find(&self, ssrc: u32) -> Option<FormerStream> {
        self.0.iter().find(|it| it.ssrc == ssrc).copied()
    }

    /// Adds a stream that gives way now.
    pub fn insert(&mut self, ssrc: u32, newest: u64, now: Duration) {
        self.0.push(FormerStream {
            ssrc,
            newest,
            free_at: now.saturating_add(STRAGGLING),
        });
    }

    /// Removes a stream that goes on.
    pub fn remove(&mut self, ssrc: u32) {
        self.0.retain(|it| it.ssrc != ssrc);
    }
}

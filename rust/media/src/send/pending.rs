//! Frames on their way into one packet.

use super::pacer::Place;

/// Frames with the same number of channels, one behind the other without a gap.
#[derive(Debug, Default)]
pub(super) struct Pending {
    samples: Vec<i16>,
    frames: usize,
    place: Option<Place>,
}

impl Pending {
    /// True if a frame of so many samples may follow in the same packet.
    pub(super) fn takes(&self, place: Place, samples: usize) -> bool {
        self.frames == 0 || (!place.is_first && samples * self.frames == self.samples.len())
    }

    /// Adds a frame.
    pub(super) fn push(&mut self, place: Place, frame: &[i16]) {
        self.place.get_or_insert(place);
        self.frames += 1;
        self.samples.extend_from_slice(frame);
    }

    /// The number of frames.
    pub(super) fn frames(&self) -> usize {
        self.frames
    }

    /// All samples, interleaved.
    pub(super) fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// Begins the next packet; returns the place of the first frame of this one.
    pub(super) fn clear(&mut self) -> Option<Place> {
        self.samples.clear();
        self.frames = 0;
        self.place.take()
    }
}

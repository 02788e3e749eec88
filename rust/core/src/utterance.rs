//! The samples of a turn and of its pre-roll.

use std::collections::VecDeque;

use crate::{AudioError, memory};

/// Stores the samples since some position and returns copies of ranges of them.
///
/// Positions count samples since the start. The samples lie in segments of one length: a new frame
/// never moves the older ones, so that it costs the same in the first second of a turn as in the
/// three-hundredth. Memory grows with the samples stored, one allocation a segment; dropped
/// segments are reused, so that silence allocates nothing.
#[derive(Debug)]
pub struct Utterance {
    segment_samples: usize,
    /// All full but the last.
    segments: VecDeque<Vec<i16>>,
    /// Emptied segments, ready for reuse.
    free_segments: Vec<Vec<i16>>,
    /// The position of the first sample of the first segment.
    start: u64,
    /// The position after the last sample.
    end: u64,
}

/// Emptied segments kept for reuse: as many as are emptied and filled while nobody talks. Those of
/// a long turn are freed with it.
const MAX_FREE_SEGMENTS: usize = 2;

impl Utterance {
    /// An empty utterance with segments of `segment_samples`, at least 1.
    #[must_use]
    pub fn new(segment_samples: usize) -> Self {
        Self {
            segment_samples: segment_samples.max(1),
            segments: VecDeque::new(),
            free_segments: Vec::with_capacity(MAX_FREE_SEGMENTS),
            start: 0,
            end: 0,
        }
    }

    /// The position after the last sample.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Makes room for `more` samples.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`]; no sample is added or dropped then.
    pub fn reserve(&mut self, more: usize) -> Result<(), AudioError> {
        let needed = more.div_ceil(self.segment_samples);
        let bytes = more.saturating_mul(size_of::<i16>());
        let refused = |_| AudioError::OutOfMemory { bytes };
        self.segments.try_reserve(needed).map_err(refused)?;
        while self.free_segments.len() < needed {
            let mut segment = Vec::new();
            memory::reserve(&mut segment, self.segment_samples)?;
            self.free_segments.push(segment);
        }
        Ok(())
    }

    /// Appends samples. Without [`Self::reserve`], missing memory ends the process.
    pub fn push(&mut self, mut samples: &[i16]) {
        self.end += samples.len() as u64;
        while !samples.is_empty() {
            let segment_samples = self.segment_samples;
            let segment = self.open_segment();
            let room = segment_samples - segment.len();
            let (fitting, rest) = samples.split_at(room.min(samples.len()));
            segment.extend_from_slice(fitting);
            samples = rest;
        }
    }

    /// Drops the segments that lie wholly before `position`.
    pub fn drop_before(&mut self, position: u64) {
        let segment_samples = self.segment_samples as u64;
        while self.start + segment_samples <= position.min(self.end) {
            let Some(segment) = self.segments.pop_front() else {
                break;
            };
            self.start += segment_samples;
            self.recycle(segment);
        }
    }

    /// Copies the samples from one position up to another, as far as they are stored.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory for the copy.
    pub fn copy(&self, from: u64, to: u64) -> Result<Vec<i16>, AudioError> {
        let (mut skip, end) = (self.offset(from), self.offset(to));
        let mut left = end.saturating_sub(skip);
        let mut copy = Vec::new();
        memory::reserve(&mut copy, left)?;
        let first = skip / self.segment_samples;
        skip %= self.segment_samples;
        for segment in self.segments.iter().skip(first) {
            let part = &segment[skip..segment.len().min(skip + left)];
            copy.extend_from_slice(part);
            left -= part.len();
            skip = 0;
            if left == 0 {
                break;
            }
        }
        Ok(copy)
    }

    /// Drops all samples; positions count from 0 again.
    pub fn reset(&mut self) {
        while let Some(segment) = self.segments.pop_front() {
            self.recycle(segment);
        }
        (self.start, self.end) = (0, 0);
    }

    /// The last segment, or a new one where that is full.
    fn open_segment(&mut self) -> &mut Vec<i16> {
        let is_full = |segment: &Vec<i16>| segment.len() == self.segment_samples;
        if self.segments.back().is_none_or(is_full) {
            let fresh = self.free_segments.pop();
            let segment = fresh.unwrap_or_else(|| Vec::with_capacity(self.segment_samples));
            self.segments.push_back(segment);
        }
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    /// The index of a position among the stored samples.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "stored samples fit in memory"
    )]
    fn offset(&self, position: u64) -> usize {
        position
            .clamp(self.start, self.end)
            .saturating_sub(self.start) as usize
    }

    fn recycle(&mut self, mut segment: Vec<i16>) {
        if self.free_segments.len() < MAX_FREE_SEGMENTS {
            segment.clear();
            self.free_segments.push(segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(samples: std::ops::Range<i16>, cut: usize) -> Utterance {
        let mut utterance = Utterance::new(10);
        for chunk in samples.collect::<Vec<_>>().chunks(cut) {
            utterance.push(chunk);
        }
        utterance
    }

    #[test]
    fn a_copy_of_any_range_equals_the_input() {
        for cut in [1, 3, 10, 17, 95] {
            let utterance = filled(0..95, cut);
            for (from, to) in [
                (0_u8, 95_u8),
                (0, 10),
                (9, 11),
                (20, 20),
                (37, 94),
                (90, 95),
            ] {
                let expected: Vec<i16> = (from..to).map(i16::from).collect();
                assert_eq!(utterance.copy(from.into(), to.into()).unwrap(), expected);
            }
        }
    }

    #[test]
    fn a_copy_leaves_out_samples_that_are_not_stored() {
        let mut utterance = filled(0..95, 7);
        utterance.drop_before(42);
        assert_eq!(
            utterance.copy(0, 1000).unwrap(),
            (40..95).collect::<Vec<_>>()
        );
        assert_eq!(utterance.copy(60, 50).unwrap(), []);
    }

    #[test]
    fn silence_reuses_its_segments() {
        let mut utterance = Utterance::new(10);
        for _ in 0..100 {
            utterance.push(&[0; 7]);
            utterance.drop_before(utterance.end().saturating_sub(12));
        }
        assert!(utterance.segments.len() + utterance.free_segments.len() <= 4);
        assert_eq!(
            (utterance.end(), utterance.copy(0, 700).unwrap().len()),
            (700, 20)
        );
    }

    #[test]
    fn a_position_beyond_the_end_drops_stored_samples_and_no_later_ones() {
        let mut utterance = filled(0..20, 20);
        utterance.drop_before(1000);
        utterance.push(&[7, 8]);
        assert_eq!(utterance.copy(0, 22).unwrap(), [7, 8]);
    }

    #[test]
    fn reset_counts_from_the_start_again() {
        let mut utterance = filled(0..95, 7);
        utterance.reset();
        utterance.push(&[1, 2]);
        assert_eq!(
            (utterance.end(), utterance.copy(0, 95).unwrap()),
            (2, vec![1, 2])
        );
    }
}

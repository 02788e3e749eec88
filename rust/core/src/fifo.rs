//! Any writes, exact reads.

use crate::{AudioError, memory};

/// A minute of stereo at 192 kHz: what a frame may have at most, so that padding one is never asked
/// for more memory than there is.
const LONGEST_FRAME: usize = 2 * 60 * 192_000;

/// Takes stretches of any length and gives frames of exactly one length, first in, first out.
///
/// One row of samples: interleaved channels are one row with frames as many times longer. Allocates
/// only to hold more than ever before; moves what waits only when as much has been read.
#[derive(Debug, Clone)]
pub struct AudioFifo<T> {
    frame_samples: usize,
    samples: Vec<T>,
    /// Where the oldest unread sample stands in `samples`.
    head: usize,
}

impl<T: Copy + Default> AudioFifo<T> {
    /// An empty FIFO that gives frames of `frame_samples`.
    ///
    /// # Errors
    /// [`AudioError::Setting`] unless frames have 1 sample to a minute's.
    pub fn new(frame_samples: usize) -> Result<Self, AudioError> {
        if !(1..=LONGEST_FRAME).contains(&frame_samples) {
            #[allow(clippy::cast_precision_loss, reason = "to be shown")]
            let got = frame_samples as f64;
            let (name, expected) = ("frame_samples", "of 1 to a minute's");
            return Err(AudioError::Setting {
                name,
                expected,
                got,
            });
        }
        Ok(Self {
            frame_samples,
            samples: Vec::new(),
            head: 0,
        })
    }

    /// Samples written and not read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len() - self.head
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`Self::read`] would give a frame.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        self.len() >= self.frame_samples
    }

    /// Makes room for `more` samples and the padding of the last frame.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`]; nothing has changed then.
    pub fn reserve(&mut self, more: usize) -> Result<(), AudioError> {
        self.move_up();
        memory::reserve(&mut self.samples, more.saturating_add(self.frame_samples))
    }

    /// Appends `samples`. Without [`Self::reserve`], no memory for them ends the process.
    pub fn write(&mut self, samples: &[T]) {
        self.move_up();
        self.samples.extend_from_slice(samples);
    }

    /// Gives up the read part, only once it is the larger one: each sample is then moved at most
    /// once.
    fn move_up(&mut self) {
        if self.head > self.len() {
            self.samples.copy_within(self.head.., 0);
            self.samples.truncate(self.len());
            self.head = 0;
        }
    }

    /// The next frame, or `None` while less than one waits.
    pub fn read(&mut self) -> Option<&[T]> {
        if !self.has_frame() {
            return None;
        }
        let start = self.head;
        self.head += self.frame_samples;
        Some(&self.samples[start..self.head])
    }

    /// Appends silence until whole frames wait; nothing when nothing waits.
    pub fn pad(&mut self) {
        let missing = self.len().next_multiple_of(self.frame_samples) - self.len();
        self.samples
            .resize(self.samples.len() + missing, T::default());
    }

    /// The next frame, padded with silence when it is the last and short; `None` when nothing
    /// waits.
    pub fn flush(&mut self) -> Option<&[T]> {
        self.pad();
        self.read()
    }

    /// Drops what waits and returns how many samples that was.
    pub fn clear(&mut self) -> usize {
        let dropped = self.len();
        self.samples.clear();
        self.head = 0;
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_exactly_the_length_and_the_order() {
        let mut fifo = AudioFifo::new(3).unwrap();
        fifo.write(&[1, 2]);
        assert_eq!(fifo.read(), None);
        fifo.write(&[3, 4, 5, 6, 7]);
        assert_eq!(fifo.read(), Some(&[1, 2, 3][..]));
        assert_eq!(fifo.read(), Some(&[4, 5, 6][..]));
        assert_eq!(fifo.read(), None);
        assert_eq!(fifo.len(), 1);
    }

    #[test]
    fn flush_pads_the_rest_once() {
        let mut fifo = AudioFifo::new(4).unwrap();
        fifo.write(&[1, 2, 3, 4, 5]);
        assert_eq!(fifo.flush(), Some(&[1, 2, 3, 4][..]));
        assert_eq!(fifo.flush(), Some(&[5, 0, 0, 0][..]));
        assert_eq!(fifo.flush(), None);
    }

    #[test]
    fn clear_drops_what_waits() {
        let mut fifo = AudioFifo::new(2).unwrap();
        fifo.write(&[1, 2, 3, 4, 5]);
        fifo.read();
        assert_eq!(
            (fifo.clear(), fifo.is_empty(), fifo.has_frame()),
            (3, true, false)
        );
    }

    #[test]
    fn a_long_run_holds_no_more_than_it_needs() {
        let mut fifo = AudioFifo::new(5).unwrap();
        for step in 0..1000 {
            fifo.write(&[step; 7]);
            while fifo.read().is_some() {}
        }
        assert!(fifo.samples.capacity() < 64, "{}", fifo.samples.capacity());
    }

    #[test]
    fn a_frame_has_a_length() {
        for frame_samples in [0, LONGEST_FRAME + 1, usize::MAX] {
            assert!(AudioFifo::<i16>::new(frame_samples).is_err());
        }
    }
}

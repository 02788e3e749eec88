//! A FIFO: writes of any length, reads of exactly one length.

use crate::{AudioError, memory};

/// The most samples of a frame, both channels counted: a minute of stereo at 192 kHz. It bounds the
/// memory for the padding of a frame (46 MB of int16).
const MAX_FRAME_SAMPLES: usize = 2 * 60 * 192_000;

/// Takes samples of any number and returns frames of exactly one length, first in, first out.
///
/// One row of samples: interleaved channels are one row with frames as many times longer. Allocates
/// only to hold more than ever before; moves the waiting samples only when as many have been read.
#[derive(Debug, Clone)]
pub struct AudioFifo<T> {
    frame_samples: usize,
    samples: Vec<T>,
    /// The index of the oldest unread sample in `samples`.
    head: usize,
    /// The samples before `head` that are kept.
    history: usize,
}

impl<T: Copy + Default> AudioFifo<T> {
    /// An empty FIFO that returns frames of `frame_samples`.
    ///
    /// # Errors
    /// [`AudioError::Setting`] unless frames have 1 sample to a minute's.
    pub fn new(frame_samples: usize) -> Result<Self, AudioError> {
        if !(1..=MAX_FRAME_SAMPLES).contains(&frame_samples) {
            #[allow(clippy::cast_precision_loss, reason = "for a message")]
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
            history: 0,
        })
    }

    /// The same, which keeps as many of the samples that were read.
    pub(crate) fn keeping(self, history: usize) -> Self {
        Self { history, ..self }
    }

    /// An empty one of the same kind, with room for a frame.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory for it.
    pub(crate) fn emptied(&self) -> Result<Self, AudioError> {
        let mut other = Self::new(self.frame_samples)?.keeping(self.history);
        other.reserve(0)?;
        Ok(other)
    }

    /// Keeps as many of the samples that are read from now on.
    pub(crate) fn keep(&mut self, history: usize) {
        self.history = history;
    }

    /// The number of samples that were read and are kept.
    pub(crate) fn kept(&self) -> usize {
        self.head.min(self.history)
    }

    /// Has the last of the samples that were read wait again; not more than are kept.
    pub(crate) fn rewind(&mut self, samples: usize) {
        self.head -= samples.min(self.kept());
    }

    /// Samples written and not read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len() - self.head
    }

    /// True if no sample waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if [`Self::read`] would return a frame.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        self.len() >= self.frame_samples
    }

    /// Makes room for `more` samples and the padding of the last frame.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`]; the FIFO is unchanged then.
    pub fn reserve(&mut self, more: usize) -> Result<(), AudioError> {
        self.move_up();
        memory::reserve(&mut self.samples, more.saturating_add(self.frame_samples))
    }

    /// Appends `samples`. Without [`Self::reserve`], missing memory ends the process.
    pub fn write(&mut self, samples: &[T]) {
        self.move_up();
        self.samples.extend_from_slice(samples);
    }

    /// Drops the samples that were read, only once they are the larger part: each sample is then
    /// moved at most once.
    fn move_up(&mut self) {
        let dropped = self.head.saturating_sub(self.history);
        let left = self.samples.len() - dropped;
        if dropped > left {
            self.samples.copy_within(dropped.., 0);
            self.samples.truncate(left);
            self.head -= dropped;
        }
    }

    /// The latest of the samples that were read, as many as are kept.
    pub(crate) fn played(&self) -> &[T] {
        &self.samples[self.head.saturating_sub(self.history)..self.head]
    }

    /// The samples that wait.
    pub(crate) fn waiting(&self) -> &[T] {
        &self.samples[self.head..]
    }

    /// The samples that wait, to be changed.
    pub(crate) fn waiting_mut(&mut self) -> &mut [T] {
        &mut self.samples[self.head..]
    }

    /// Drops so many of the samples that wait, or all.
    pub(crate) fn skip(&mut self, samples: usize) {
        self.head += samples.min(self.len());
    }

    /// Takes the next frame; `None` while less than one waits.
    pub fn read(&mut self) -> Option<&[T]> {
        if !self.has_frame() {
            return None;
        }
        let start = self.head;
        self.head += self.frame_samples;
        Some(&self.samples[start..self.head])
    }

    /// Appends silence until only whole frames wait; none if no sample waits.
    pub fn pad(&mut self) {
        let missing = self.len().next_multiple_of(self.frame_samples) - self.len();
        self.samples
            .resize(self.samples.len() + missing, T::default());
    }

    /// Takes the next frame, padded with silence where fewer samples wait; `None` if none waits.
    pub fn flush(&mut self) -> Option<&[T]> {
        self.pad();
        self.read()
    }

    /// Drops all waiting samples; returns their number.
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
    fn clear_drops_every_waiting_sample() {
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
    fn a_frame_length_out_of_range_is_refused() {
        for frame_samples in [0, MAX_FRAME_SAMPLES + 1, usize::MAX] {
            assert!(AudioFifo::<i16>::new(frame_samples).is_err());
        }
    }
}

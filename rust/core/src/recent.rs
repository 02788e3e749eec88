//! What a detector was shown last, to be shown again where it need not be shown more.

/// Windows that are kept: 160 ms, so that no noise in them is repeated too often.
const WINDOWS: usize = 5;

/// Windows that a detector with a memory is shown in a row, until its state holds nothing else: three
/// seconds. Without them it would still expect, minutes later, that speech which has ended goes on,
/// and begin the next turn up to 64 ms earlier.
const MOST_REPEATED: usize = 94;

/// The last windows of a stream, all of one length.
#[derive(Debug)]
pub(crate) struct RecentWindows {
    samples: Vec<f32>,
    window_samples: usize,
    /// The window that is the oldest.
    next: usize,
    count: usize,
    repeated: usize,
}

impl RecentWindows {
    /// No windows yet, of this length, above 0.
    pub fn new(window_samples: usize) -> Self {
        Self {
            samples: vec![0.0; WINDOWS * window_samples],
            window_samples,
            next: 0,
            count: 0,
            repeated: 0,
        }
    }

    /// True once there are as many as are kept.
    pub fn is_full(&self) -> bool {
        self.count == WINDOWS
    }

    /// Takes the place of the oldest one.
    pub fn push(&mut self, window: &[f32]) {
        let start = self.next * self.window_samples;
        self.samples[start..start + self.window_samples].copy_from_slice(window);
        self.next = (self.next + 1) % WINDOWS;
        self.count = WINDOWS.min(self.count + 1);
        self.repeated = 0;
    }

    /// The window that was shown longest ago; `None` where they were repeated often enough since
    /// the last [`Self::push`], and while there are fewer than are kept.
    pub fn repeat(&mut self) -> Option<&[f32]> {
        if !self.is_full() || self.repeated == MOST_REPEATED {
            return None;
        }
        self.repeated += 1;
        let start = self.next * self.window_samples;
        self.next = (self.next + 1) % WINDOWS;
        Some(&self.samples[start..start + self.window_samples])
    }

    /// Removes all.
    pub fn reset(&mut self) {
        (self.next, self.count, self.repeated) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_windows_are_repeated_in_their_order_and_not_for_ever() {
        let mut recent = RecentWindows::new(1);
        for sample in 0..7_u8 {
            assert_eq!(recent.is_full(), sample >= 5);
            recent.push(&[sample.into()]);
        }
        let mut repeated = Vec::new();
        while let Some(window) = recent.repeat() {
            repeated.extend_from_slice(window);
        }
        assert_eq!(repeated.len(), MOST_REPEATED);
        assert_eq!(repeated[..6], [2.0, 3.0, 4.0, 5.0, 6.0, 2.0]);
        recent.push(&[9.0]);
        assert!(recent.repeat().is_some());
        recent.reset();
        assert!(recent.repeat().is_none());
    }
}

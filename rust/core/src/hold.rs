//! A hold of outbound audio, and from where on it is played again.

/// Frames that were missing in a row after which nothing was being played: 100 ms, for which a hole in
/// speech is filled.
const PAUSED_AFTER: usize = 5;

/// The place in outbound audio, as far as a hold needs it. Numbers are samples per channel.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hold {
    /// How far back the audio goes on; `None` without a hold.
    back: Option<usize>,
    /// Pulled since the beginning of what is played now.
    played: usize,
    /// Waiting before the end of what is played now; 0 where that has no end yet.
    until_end: usize,
    /// True if that end was reached: the next frame is the beginning of something else.
    is_over: bool,
    /// Frames that were missing in a row.
    missing: usize,
}

impl Hold {
    pub(crate) fn is_held(&self) -> bool {
        self.back.is_some()
    }

    /// Begins a hold; has no effect in one.
    pub(crate) fn begin(&mut self, rewind: usize, unplayed: usize) {
        let rewind = if self.missing < PAUSED_AFTER {
            rewind
        } else {
            0
        };
        self.back.get_or_insert(rewind + unplayed);
    }

    /// Ends it; returns how far back the audio may go on.
    pub(crate) fn end(&mut self) -> usize {
        self.back.take().unwrap_or(0).min(self.played)
    }

    /// Notes that so much is pulled once more.
    pub(crate) fn note_rewound(&mut self, samples: usize) {
        self.played -= samples.min(self.played);
        if self.until_end > 0 || self.is_over {
            self.until_end += samples;
            self.is_over = false;
        }
    }

    /// Notes a frame that was pulled.
    pub(crate) fn note_taken(&mut self, samples: usize) {
        self.missing = 0;
        let before = if self.is_over { 0 } else { self.played };
        self.played = before.saturating_add(samples);
        self.is_over = (1..=samples).contains(&self.until_end);
        self.until_end = self.until_end.saturating_sub(samples);
    }

    /// Notes a frame that was missing.
    pub(crate) fn note_missing(&mut self) {
        self.note_idle(1);
    }

    /// Notes frames that nobody pulled, since there were none.
    pub(crate) fn note_idle(&mut self, frames: usize) {
        self.missing = self.missing.saturating_add(frames);
    }

    /// Notes that what is played now ends behind so many samples.
    pub(crate) fn note_end(&mut self, waiting: usize) {
        self.until_end = waiting;
        self.is_over |= waiting == 0;
    }
}

/// Fades samples in: speech that goes on in the middle of a word begins with no click.
pub(crate) fn fade_in(samples: &mut [i16]) {
    let length = i32::try_from(samples.len()).unwrap_or(i32::MAX);
    for (at, sample) in (0..length).zip(samples) {
        #[allow(clippy::cast_possible_truncation, reason = "no more than it was")]
        {
            *sample = (i32::from(*sample) * at / length) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_back_no_further_than_to_the_beginning_of_what_was_played() {
        let mut hold = Hold::default();
        for taken in 0..4 {
            hold.begin(200, 0);
            assert_eq!(hold.end(), 100 * taken.min(2));
            hold.note_taken(100);
        }
        hold.note_end(150);
        hold.note_taken(100);
        hold.note_taken(50);
        hold.begin(200, 0);
        assert_eq!(hold.end(), 200);
        hold.note_taken(100);
        hold.begin(200, 0);
        assert_eq!(hold.end(), 100);
    }

    #[test]
    fn an_end_moves_away_with_what_is_pulled_once_more() {
        let mut hold = Hold::default();
        hold.note_taken(100);
        hold.note_end(0);
        hold.begin(100, 0);
        let back = hold.end();
        hold.note_rewound(back);
        hold.note_taken(100);
        hold.note_taken(10);
        hold.begin(100, 0);
        assert_eq!(hold.end(), 10);
    }

    #[test]
    fn after_a_pause_only_what_nobody_has_played_comes_once_more() {
        let mut hold = Hold::default();
        hold.note_taken(1_000);
        hold.note_idle(PAUSED_AFTER - 1);
        hold.begin(200, 30);
        hold.begin(999, 999);
        assert_eq!(hold.end(), 230);
        hold.note_missing();
        hold.begin(200, 30);
        assert!(hold.is_held());
        assert_eq!((hold.end(), hold.end()), (30, 0));
    }

    #[test]
    fn samples_fade_in() {
        let mut samples = [1_000, -1_000, 1_000, i16::MIN];
        fade_in(&mut samples);
        assert_eq!(samples, [0, -250, 500, -24_576]);
        fade_in(&mut []);
    }
}

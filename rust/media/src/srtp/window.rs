//! The packets of a stream that were seen, and the streams of one direction.

use super::SrtpError;

/// The number of packets behind the newest that may still come: twice the least of RFC 3711
/// section 3.3.2, as libsrtp has it; in audio 2.5 seconds.
const WINDOW: u64 = 128;

/// The largest number of streams of one direction. Only an authenticated packet adds one; audio
/// and video of one peer, with repair streams, are four.
pub(super) const MAX_STREAMS: usize = 8;

/// The largest roll-over counter.
const MAX_ROLL_OVER: u64 = u32::MAX as u64;

/// The indices of a stream that were used: the newest, and which of those before it.
///
/// An index is what the sequence number would be with more bits: for RTP the roll-over counter
/// with the sequence number, 48 bits; for RTCP 31 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct IndexWindow {
    newest: u64,
    /// Bit `n` for the index `newest - n`; none are set in a new window.
    used: u128,
}

impl IndexWindow {
    /// A window in which this index, and none before it, may not be used any more.
    pub fn starting_behind(newest: u64) -> Self {
        let used = u128::MAX;
        Self { newest, used }
    }

    /// The newest index that was used; 0 in a new window.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// True if no index was used.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Returns the index of a sequence number, the nearest to the newest one (RFC 3711
    /// section 3.3.1).
    ///
    /// # Errors
    /// The packet is of a round before the first, or of one behind the last.
    pub fn index_of(&self, sequence_number: u16) -> Result<u64, SrtpError> {
        if self.is_empty() {
            return Ok(sequence_number.into());
        }
        let (roll_over, newest) = (self.newest >> 16, self.newest & 0xffff);
        let number = u64::from(sequence_number);
        let roll_over = if newest < 0x8000 && number > newest + 0x8000 {
            roll_over.checked_sub(1).ok_or(SrtpError::Replayed)?
        } else if newest >= 0x8000 && number < newest - 0x8000 {
            roll_over + 1
        } else {
            roll_over
        };
        if roll_over > MAX_ROLL_OVER {
            return Err(SrtpError::Exhausted);
        }
        Ok(roll_over << 16 | number)
    }

    /// True if the index was not used, and is not too old to be checked.
    pub fn is_new(&self, index: u64) -> bool {
        if self.is_empty() {
            return true;
        }
        match self.newest.checked_sub(index) {
            None => true,
            Some(behind) => behind < WINDOW && self.used >> behind & 1 == 0,
        }
    }

    /// Returns the index behind the newest one; 0 for the first.
    pub fn next(&self) -> u64 {
        if self.is_empty() { 0 } else { self.newest + 1 }
    }

    /// Marks the index as used.
    pub fn insert(&mut self, index: u64) {
        if index > self.newest || self.is_empty() {
            let by = index.wrapping_sub(self.newest);
            let shifted = u32::try_from(by)
                .ok()
                .and_then(|by| self.used.checked_shl(by));
            self.used = shifted.unwrap_or(0) | 1;
            self.newest = index;
        } else if self.newest - index < WINDOW {
            self.used |= 1 << (self.newest - index);
        }
    }
}

/// The states of up to [`MAX_STREAMS`] streams by SSRC, in the order of their first packets.
///
/// A full table refuses further streams: to replace one would let its packets be replayed.
#[derive(Debug, Clone)]
pub(super) struct Streams<T>(Vec<(u32, T)>);

impl<T: Copy + Default> Streams<T> {
    pub fn new() -> Self {
        Self(Vec::with_capacity(MAX_STREAMS))
    }

    /// Returns the state of the stream, a new one for the first packet.
    ///
    /// # Errors
    /// The stream is new, and there are as many as there may be.
    pub fn get(&self, ssrc: u32) -> Result<T, SrtpError> {
        match self.0.iter().find(|(known, _)| *known == ssrc) {
            Some((_, state)) => Ok(*state),
            None if self.0.len() < MAX_STREAMS => Ok(T::default()),
            None => Err(SrtpError::TooManyStreams { ssrc }),
        }
    }

    /// Removes a stream, whose packets must be refused from now on by whoever removed it.
    pub fn remove(&mut self, ssrc: u32) {
        self.0.retain(|(known, _)| *known != ssrc);
    }

    /// Stores the state of a stream for which [`Self::get`] had room.
    pub fn set(&mut self, ssrc: u32, state: T) {
        match self.0.iter_mut().find(|(known, _)| *known == ssrc) {
            Some((_, stored)) => *stored = state,
            None => self.0.push((ssrc, state)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(indices: &[u64]) -> IndexWindow {
        let mut window = IndexWindow::default();
        for &index in indices {
            window.insert(index);
        }
        window
    }

    #[test]
    fn the_index_is_the_nearest_one() {
        let at = |newest, number| window(&[newest]).index_of(number);
        assert_eq!(at(0x2_0005, 6), Ok(0x2_0006));
        assert_eq!(at(0x2_0005, 0xfffe), Ok(0x1_fffe));
        assert_eq!(at(0x2_fffe, 3), Ok(0x3_0003));
        assert_eq!(at(0x2_fffe, 0xfff0), Ok(0x2_fff0));
        // Half the circle away: still of the same round (section 3.3.1).
        assert_eq!(at(0x2_0005, 0x8005), Ok(0x2_8005));
        assert_eq!(at(0x2_0005, 0x8006), Ok(0x1_8006));
        assert_eq!(at(0x2_9000, 0x1000), Ok(0x2_1000));
        assert_eq!(at(0x2_9000, 0x0fff), Ok(0x3_0fff));
    }

    #[test]
    fn there_is_no_index_before_the_first_and_behind_the_last() {
        assert_eq!(window(&[5]).index_of(0xfffe), Err(SrtpError::Replayed));
        assert_eq!(
            window(&[0xffff_ffff_fffe]).index_of(1),
            Err(SrtpError::Exhausted)
        );
        assert_eq!(
            window(&[0xffff_ffff_fffe]).index_of(0xffff),
            Ok(0xffff_ffff_ffff)
        );
    }

    #[test]
    fn an_index_is_new_once() {
        let mut window = window(&[1_000]);
        for index in [1_000, 872, 0] {
            assert!(!window.is_new(index), "{index}");
        }
        for index in [873, 999, 1_001, 5_000] {
            assert!(window.is_new(index), "{index}");
        }
        for index in [999, 873, 1_002] {
            window.insert(index);
            assert!(!window.is_new(index), "{index}");
        }
        assert!(window.is_new(1_001));
        assert!(!window.is_new(874), "too old now");
        assert!(!window.is_new(1_000));
    }

    #[test]
    fn a_jump_beyond_the_window_empties_it() {
        for by in [127, 128, 129, 1 << 32, 1 << 40] {
            let mut window = window(&[10]);
            window.insert(10 + by);
            assert!(!window.is_new(10 + by));
            assert!(window.is_new(10 + by - 1));
            assert!(!window.is_new(10), "used, or too old");
        }
    }

    #[test]
    fn the_first_index_may_be_0() {
        let mut window = IndexWindow::default();
        assert!(window.is_new(0));
        window.insert(0);
        assert!(!window.is_new(0) && window.is_new(1) && !window.is_empty());
    }

    #[test]
    fn a_continued_stream_refuses_all_before_it() {
        let window = IndexWindow::starting_behind(500);
        assert!((0..=500).all(|index| !window.is_new(index)));
        assert!(window.is_new(501));
    }

    #[test]
    fn a_full_table_refuses_further_streams() {
        let mut streams = Streams::<u32>::new();
        for ssrc in 0..8 {
            assert_eq!(streams.get(ssrc), Ok(0));
            streams.set(ssrc, ssrc + 1);
        }
        assert_eq!(streams.get(8), Err(SrtpError::TooManyStreams { ssrc: 8 }));
        assert_eq!(streams.get(3), Ok(4));
    }
}

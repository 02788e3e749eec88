//! The last packets as they were sent, for a remote peer that requests some of them again.

use std::time::Duration;

/// The number of packets that are kept: 2.5 s of audio, as many as the window of SRTP has.
const PACKETS: usize = 128;

/// A packet sent earns half of one sent again: at a loss of more than half nothing helps.
const COST: u32 = 2;

/// The most that is earned: as many as are kept.
const MAX_CREDIT: u32 = COST * 128;

/// Bounds of the round trip, which results from the peer's own reports (RFC 3550 section 6.4.1).
const MIN_ROUND_TRIP: Duration = Duration::from_millis(20);
const MAX_ROUND_TRIP: Duration = Duration::from_millis(500);

/// The round trip until there is a report.
const DEFAULT_ROUND_TRIP: Duration = Duration::from_millis(100);

/// A packet, encrypted.
#[derive(Debug, Default)]
struct Place {
    /// `None` until it was sent.
    sequence_number: Option<u16>,
    resent: Option<Duration>,
    packet: Vec<u8>,
}

/// The last 128 packets, and how many of them may be sent again.
///
/// Whoever requests without a limit gets no more than half of what is sent anyway, and 128 packets
/// at first; and each packet once in a round trip, in which another request is the same one.
#[derive(Debug)]
pub(super) struct History {
    /// By sequence number; a single one where nothing may be requested.
    places: Vec<Place>,
    resends: bool,
    /// In packets sent.
    credit: u32,
    round_trip: Duration,
}

impl History {
    /// An empty history; without `resends` it only has the buffer of the packet that is sent.
    pub(super) fn new(resends: bool) -> Self {
        let count = if resends { PACKETS } else { 1 };
        Self {
            places: (0..count).map(|_| Place::default()).collect(),
            resends,
            credit: MAX_CREDIT,
            round_trip: DEFAULT_ROUND_TRIP,
        }
    }

    /// Sets the time in which a packet is sent again once at most: 20 to 500 ms, or the nearest.
    pub(super) fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.clamp(MIN_ROUND_TRIP, MAX_ROUND_TRIP);
    }

    /// Returns the empty buffer for a packet, in the place of the oldest one.
    pub(super) fn begin(&mut self, sequence_number: u16) -> &mut Vec<u8> {
        let place = self.place(sequence_number);
        place.sequence_number = None;
        place.resent = None;
        place.packet.clear();
        &mut place.packet
    }

    /// Keeps the packet that was begun, and returns it to be sent.
    pub(super) fn keep(&mut self, sequence_number: u16) -> &[u8] {
        self.credit = MAX_CREDIT.min(self.credit + 1);
        let place = self.place(sequence_number);
        place.sequence_number = Some(sequence_number);
        &place.packet
    }

    /// Sends packets again; returns how many. Looks at the first 128 numbers alone.
    pub(super) fn resend(
        &mut self,
        now: Duration,
        lost: impl IntoIterator<Item = u16>,
        datagrams: &mut impl FnMut(&[u8]),
    ) -> u64 {
        if !self.resends {
            return 0;
        }
        let mut count = 0;
        for sequence_number in lost.into_iter().take(PACKETS) {
            if self.credit < COST {
                break;
            }
            let round_trip = self.round_trip;
            let place = self.place(sequence_number);
            let is_recent = place.resent.is_some_and(|at| now < at + round_trip);
            if place.sequence_number != Some(sequence_number) || is_recent {
                continue;
            }
            place.resent = Some(now);
            datagrams(&place.packet);
            self.credit -= COST;
            count += 1;
        }
        count
    }

    fn place(&mut self, sequence_number: u16) -> &mut Place {
        let index = usize::from(sequence_number) % self.places.len();
        &mut self.places[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn history(numbers: impl IntoIterator<Item = u16>) -> History {
        let mut history = History::new(true);
        for number in numbers {
            history
                .begin(number)
                .extend_from_slice(&number.to_be_bytes());
            history.keep(number);
        }
        history
    }

    fn resent(history: &mut History, now: Duration, lost: &[u16]) -> Vec<u16> {
        let mut resent = Vec::new();
        let count = history.resend(now, lost.iter().copied(), &mut |packet: &[u8]| {
            resent.push(u16::from_be_bytes(*packet.first_chunk().unwrap()));
        });
        assert_eq!(count, resent.len() as u64);
        resent
    }

    #[test]
    fn the_last_128_packets_are_kept_across_the_wrap_around() {
        let mut history = history((0..200).map(|k| 65_450_u16.wrapping_add(k)));
        let (newest, oldest) = (113, 65_522);
        assert_eq!(
            resent(&mut history, MS, &[newest, oldest, oldest - 1, newest + 1]),
            [newest, oldest]
        );
    }

    #[test]
    fn a_packet_is_sent_again_once_in_a_round_trip() {
        let mut history = history([7]);
        assert_eq!(resent(&mut history, Duration::ZERO, &[7, 7]), [7]);
        assert!(resent(&mut history, 99 * MS, &[7]).is_empty());
        assert_eq!(resent(&mut history, 100 * MS, &[7]), [7]);
        history.set_round_trip(Duration::ZERO);
        assert!(resent(&mut history, 119 * MS, &[7]).is_empty());
        assert_eq!(resent(&mut history, 120 * MS, &[7]), [7]);
        history.set_round_trip(Duration::MAX);
        assert!(resent(&mut history, 619 * MS, &[7]).is_empty());
        assert_eq!(resent(&mut history, 620 * MS, &[7]), [7]);
    }

    #[test]
    fn a_packet_in_the_place_of_another_has_its_own_round_trip() {
        let mut history = history([7]);
        assert_eq!(resent(&mut history, MS, &[7]), [7]);
        history.begin(135).extend_from_slice(&[0, 135]);
        assert!(resent(&mut history, MS, &[7, 135]).is_empty(), "not sent");
        history.keep(135);
        assert_eq!(resent(&mut history, MS, &[7, 135]), [135]);
    }

    #[test]
    fn half_of_the_packets_is_sent_again_at_most() {
        let mut history = history(0..128);
        let all: Vec<u16> = (0..=u16::MAX).collect();
        assert_eq!(resent(&mut history, MS, &all).len(), 128);
        let mut count = 0;
        for number in 128..328 {
            history.begin(number).extend_from_slice(&[0, 0]);
            history.keep(number);
            let now = u32::from(number) * 1_000 * MS;
            count += resent(&mut history, now, &[number, number - 1]).len();
        }
        assert_eq!(count, 100);
    }

    #[test]
    fn nothing_is_sent_again_where_that_was_not_negotiated() {
        let mut history = History::new(false);
        history.begin(3).push(1);
        assert_eq!(history.keep(3), [1]);
        assert!(resent(&mut history, MS, &[3]).is_empty());
    }
}

//! When packets left, which shows how far behind the remote peer's reports on them are.

use std::time::Duration;

/// The packets that are remembered: ten seconds of audio, more than a path keeps.
const PACKETS: usize = 512;

/// The shortest time between two reports in which packets are counted: ten of them.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);

/// The times of the last packets, and the bytes until each of them.
#[derive(Debug, Default)]
pub(super) struct Departures {
    /// By sequence number: milliseconds, and bytes since the first packet; both wrap around.
    places: Vec<(u32, u32)>,
    /// How many of the places are in use, and the number behind the newest one.
    count: usize,
    next: u16,
    bytes: u32,
    /// Of the last report, or at the first packet.
    reported: Option<Reported>,
}

/// What a report has shown.
#[derive(Debug, Clone, Copy)]
struct Reported {
    at: Duration,
    /// The bytes until the highest packet in it, and all that were sent then.
    arrived: u32,
    sent: u32,
}

/// Bits a second between two reports, headers included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub(super) arrived: f64,
    pub(super) sent: f64,
}

impl Departures {
    /// Notes a packet that is sent now; `bytes` with all headers.
    pub(super) fn note(&mut self, now: Duration, sequence_number: u16, bytes: usize) {
        if self.places.is_empty() {
            self.places = vec![(0, 0); PACKETS];
        }
        if sequence_number != self.next {
            self.count = 0;
        }
        self.reported.get_or_insert(Reported {
            at: now,
            arrived: self.bytes,
            sent: self.bytes,
        });
        self.bytes = self.bytes.wrapping_add(low_32_bits(bytes as u128));
        self.places[usize::from(sequence_number) % PACKETS] =
            (low_32_bits(now.as_millis()), self.bytes);
        self.count = PACKETS.min(self.count + 1);
        self.next = sequence_number.wrapping_add(1);
    }

    /// Returns for how long the packet behind this one is on its way: at least as long as that takes
    /// a path, also where the packet itself was lost, since others came after it. `None` if it was
    /// not sent, or is discarded.
    pub(super) fn behind(&self, now: Duration, highest: u16) -> Option<Duration> {
        let (at, _) = self.place(highest.wrapping_add(1))?;
        let passed = low_32_bits(now.as_millis()).wrapping_sub(at);
        Some(Duration::from_millis(passed.into()))
    }

    /// Returns the bits that were sent behind this packet, headers included.
    pub(super) fn bits_behind(&self, highest: u16) -> f64 {
        let bytes = self.place(highest).map(|(_, bytes)| bytes);
        8.0 * f64::from(bytes.map_or(0, |bytes| self.bytes.wrapping_sub(bytes)))
    }

    /// Returns what was sent and what came since the report before, or since the first packet; `highest`
    /// is the newest packet that a report has. `None` after too short a time, and where nothing came:
    /// that is an outage, or a peer that counts differently.
    pub(super) fn rates(&mut self, now: Duration, highest: u16) -> Option<Rates> {
        let (_, arrived) = self.place(highest)?;
        let before = self.reported?;
        let passed = now.saturating_sub(before.at);
        if passed < LEAST_INTERVAL {
            return None;
        }
        let sent = self.bytes;
        self.reported = Some(Reported {
            at: now,
            arrived,
            sent,
        });
        let bits_per_s = |bytes: u32| 8.0 * f64::from(bytes) / passed.as_secs_f64();
        let came = arrived.wrapping_sub(before.arrived);
        // One that goes back is of another time.
        (1..u32::MAX / 2).contains(&came).then(|| Rates {
            arrived: bits_per_s(came),
            sent: bits_per_s(sent.wrapping_sub(before.sent)),
        })
    }

    fn place(&self, sequence_number: u16) -> Option<(u32, u32)> {
        let age = usize::from(self.next.wrapping_sub(sequence_number));
        let is_kept = (1..=self.count).contains(&age);
        is_kept.then(|| self.places[usize::from(sequence_number) % PACKETS])
    }
}

/// The lower part of a counter that wraps around.
#[allow(clippy::cast_possible_truncation, reason = "meant")]
fn low_32_bits(count: u128) -> u32 {
    count as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Packets of 100 bytes every 20 ms.
    fn departures(numbers: impl IntoIterator<Item = u16>) -> Departures {
        let mut departures = Departures::default();
        for (k, number) in (0..).zip(numbers) {
            departures.note(20 * k * MS, number, 100);
        }
        departures
    }

    #[test]
    fn the_packet_behind_the_highest_one_shows_how_long_the_path_is() {
        let departures = departures((0..100).map(|k| 65_500_u16.wrapping_add(k)));
        // Number 65,510 is the tenth.
        assert_eq!(departures.behind(1_980 * MS, 65_509), Some(1_780 * MS));
        assert_eq!(departures.behind(1_980 * MS, 62), Some(Duration::ZERO));
        assert_eq!(
            departures.behind(1_980 * MS, 63),
            None,
            "nothing is under way"
        );
        assert_eq!(
            departures.behind(1_980 * MS, 65_400),
            None,
            "before the first one"
        );
    }

    #[test]
    fn what_was_sent_ten_seconds_ago_is_discarded() {
        let departures = departures(0..1_000);
        assert_eq!(departures.behind(20_000 * MS, 486), None);
        assert_eq!(departures.behind(20_000 * MS, 487), Some(10_240 * MS));
    }

    #[test]
    fn the_rates_are_those_between_two_reports() {
        let mut departures = departures(0..50);
        let first = departures.rates(1_050 * MS, 20).unwrap();
        assert!(
            (first.arrived - 16_000.0).abs() < 1e-6,
            "since the first packet"
        );
        assert!((first.sent - 8.0 * 5_000.0 / 1.05).abs() < 1e-6);
        assert_eq!(departures.rates(1_150 * MS, 22), None, "too soon");
        for number in 50..100_u16 {
            departures.note(20 * u32::from(number) * MS, number, 100);
        }
        let second = departures.rates(2_050 * MS, 40).unwrap();
        assert!((second.arrived - 16_000.0).abs() < 1e-6);
        assert!((second.sent - 40_000.0).abs() < 1e-6);
        assert_eq!(departures.rates(3_050 * MS, 40), None, "nothing came");
        assert_eq!(departures.rates(4_050 * MS, 30), None, "goes back");
        assert_eq!(departures.rates(5_050 * MS, 300), None, "not sent");
    }
}

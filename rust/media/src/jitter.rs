//! The jitter buffer of inbound audio: packets in any order in, slots without gaps out.
//!
//! Nothing is played here, so nothing is held back: a packet whose turn it is leaves at once, and
//! packets wait only while one before them is missing, by time and not by their number. How long,
//! [`Lateness`] decides from the packets that came late before.

mod filling;
mod lateness;
mod pauses;
mod redundancy;
mod requests;
mod ring;
mod slots;
mod stats;
mod transit;

use std::time::Duration;

use crate::budget::AudioBudget;
use filling::Filling;
use lateness::Lateness;
use pauses::Pauses;
use requests::Requests;
use ring::{Place, Ring};
pub use slots::{Insertion, Packet, Slot};
use slots::{Step, read};
pub use stats::JitterStats;
use transit::TransitJitter;

/// A packet further behind than this is not late: its sender began again (`MAX_MISORDER` of RFC
/// 3550 appendix A.1).
const MAX_BEHIND: u64 = 100;

/// Bytes of payloads that are held at most: 400 ms, the longest wait, are 26 kB at Opus' highest
/// bit rate of 510 kbit/s.
const MAX_HELD_BYTES: usize = 64 << 10;

/// Where extended counters begin: far from zero, so that packets from before the first one have
/// numbers, too.
const FIRST_SEQUENCE: u64 = 1 << 16;
const FIRST_TIMESTAMP: u64 = 1 << 32;

/// Puts the packets of one stream in order, and decides what stands for those that are missing.
///
/// Bounds: 256 packets, 64 KiB; what is beyond them is discarded, and what the others wait for is
/// given up. At most 1.5 times real time of audio leaves, apart from bursts ([`AudioBudget`]).
/// Allocates nothing for packets in order.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use gradio_webrtc_media::{JitterBuffer, Slot};
///
/// let mut buffer = JitterBuffer::new();
/// let now = Duration::ZERO;
/// let payload = vec![31 << 3, 0, 0];
/// buffer.insert(now, 7, 0, payload.clone());
/// buffer.insert(now, 9, 1920, payload);
/// assert!(matches!(buffer.next(now), Some(Slot::Packet(_))));
/// assert!(buffer.next(now).is_none());
/// let later = buffer.deadline().unwrap();
/// let missing = Slot::Missing { samples: 960, copy_in: None };
/// assert_eq!(buffer.next(later), Some(missing));
/// assert!(matches!(buffer.next(later), Some(Slot::Packet(_))));
/// ```
#[derive(Debug)]
pub struct JitterBuffer {
    ring: Ring,
    /// The sequence number of the next packet to leave.
    front: u64,
    /// The highest sequence number that came; below `front` while nothing waits.
    highest: u64,
    /// The highest number as it was sent, which a restart sets apart from the extended one.
    highest_number: u16,
    /// The first sequence number of this stream, to count what was expected.
    first: u64,
    /// The extended timestamp of the packet that came last.
    last_timestamp: u64,
    /// The extended timestamp of the next sample to leave.
    next_timestamp: u64,
    pauses: Pauses,
    /// True before the first packet.
    is_new: bool,
    /// True before the first packet of another stream.
    is_renumbered: bool,
    /// True if the packet before the front one is missing.
    is_hole: bool,
    /// What is left to emit before the packet at the front; `None` while that is not decided.
    filling: Option<Filling>,
    /// Holes before this number are given up at once.
    overdue_before: u64,
    /// A packet far from the others, by the number as it was sent.
    stray: Option<(u16, u32, Duration, Vec<u8>)>,
    held_bytes: usize,
    lateness: Lateness,
    requests: Requests,
    budget: AudioBudget,
    jitter: TransitJitter,
    stats: JitterStats,
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl JitterBuffer {
    /// An empty buffer, whose stream begins with the first packet. Nothing is requested again.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ring: Ring::new(),
            front: FIRST_SEQUENCE,
            highest: FIRST_SEQUENCE - 1,
            highest_number: 0,
            first: FIRST_SEQUENCE,
            last_timestamp: FIRST_TIMESTAMP,
            next_timestamp: FIRST_TIMESTAMP,
            pauses: Pauses::default(),
            is_new: true,
            is_renumbered: false,
            is_hole: false,
            filling: None,
            overdue_before: 0,
            stray: None,
            held_bytes: 0,
            lateness: Lateness::default(),
            requests: Requests::default(),
            budget: AudioBudget::new(),
            jitter: TransitJitter::default(),
            stats: JitterStats::default(),
        }
    }

    /// Lets the time of the budget begin, as soon as a session is agreed on; otherwise it begins with
    /// the first packet.
    pub fn start(&mut self, now: Duration) {
        self.budget.start(now);
    }

    /// Requests missing packets again from now on, or no longer: `nack` was negotiated (RFC 4585),
    /// and a round trip takes as long as this, measured or assumed.
    pub fn set_round_trip(&mut self, round_trip: Option<Duration>) {
        self.requests.round_trip = round_trip;
    }

    /// Has pauses of the sender be silence also beyond half a second, and no more than 60 ms of a hole be
    /// concealed, for those who detect them.
    pub fn keep_pauses(&mut self) {
        self.pauses.keep();
    }

    /// Receives another stream from now on, whose counters have nothing to do with those before: the
    /// sender changed its SSRC. What waits still leaves, and the budget is the same.
    ///
    /// Returns the sequence number that its first packet gets, if any came before.
    pub fn begin_stream(&mut self) -> Option<u64> {
        self.is_renumbered = !self.is_new;
        self.is_renumbered.then_some(self.highest + 1)
    }

    /// The counters until now.
    #[must_use]
    pub fn stats(&self) -> JitterStats {
        let expected = (self.highest + 1).saturating_sub(self.first);
        JitterStats {
            packets_lost: expected.cast_signed() - self.stats.packets_received.cast_signed(),
            jitter: Duration::from_secs_f64(self.jitter.mean_s()),
            ..self.stats
        }
    }

    /// Receives a packet: `sequence_number` and `timestamp`, at 48 kHz, as they were sent.
    pub fn insert(
        &mut self,
        now: Duration,
        sequence_number: u16,
        timestamp: u32,
        payload: Vec<u8>,
    ) -> Insertion {
        self.stats.packets_received += 1;
        if self.is_new {
            self.begin(sequence_number, timestamp);
        }
        if self.is_renumbered {
            self.continue_with(sequence_number);
        }
        let Some(sequence) = self.extend(sequence_number) else {
            return self.insert_far(now, sequence_number, timestamp, payload);
        };
        let timestamp = self.extend_timestamp(timestamp);
        self.jitter.add(now, timestamp);
        self.last_timestamp = timestamp;
        self.insert_near(now, sequence, timestamp, payload)
    }

    /// Returns the next stretch of audio if it is decided by now; to be called again until there is
    /// none.
    ///
    /// May be called late, by someone who has audio enough: what came in the meantime is used.
    pub fn next(&mut self, now: Duration) -> Option<Slot<'_>> {
        let step = self.step(now)?;
        Some(match step {
            Step::Packet(packet) => Slot::Packet(packet),
            Step::Silence(samples) => Slot::Silence { samples },
            Step::Conceal(samples) => Slot::Missing {
                samples,
                copy_in: None,
            },
            Step::Copy(samples) => Slot::Missing {
                samples,
                copy_in: self.ring.held(self.front).map(|next| &next.payload[..]),
            },
        })
    }

    /// The time at which `next` and `nacks` must be called again though nothing came: in the past if
    /// something is there to be taken, `None` if nothing waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if let Some(packet) = self.ring.held(self.front) {
            return Some(packet.received);
        }
        let give_up = self.hole_deadline()?;
        Some(
            self.next_request()
                .map_or(give_up, |(_, at)| at.min(give_up)),
        )
    }

    /// Returns the sequence numbers, as they were sent, that are to be requested again now, each of
    /// them once. To be called after `next`, which may give some of them up.
    pub fn nacks(&mut self, now: Duration) -> &[u16] {
        self.requests.numbers.clear();
        while let Some((sequence, at)) = self.next_request() {
            if at > now || self.requests.numbers.len() == requests::MOST {
                break;
            }
            let behind = u16::try_from(self.highest - sequence).unwrap_or(u16::MAX);
            let number = self.highest_number.wrapping_sub(behind);
            self.requests.numbers.push(number);
            self.requests.next = sequence + 1;
        }
        self.stats.packets_requested += self.requests.numbers.len() as u64;
        &self.requests.numbers
    }

    /// Samples between the next one to leave and the packet that came last.
    pub(crate) fn samples_before_last(&self) -> u64 {
        self.last_timestamp.saturating_sub(self.next_timestamp)
    }

    fn begin(&mut self, sequence_number: u16, timestamp: u32) {
        self.is_new = false;
        self.first = FIRST_SEQUENCE + u64::from(sequence_number);
        self.front = self.first;
        self.highest = self.first - 1;
        self.highest_number = sequence_number.wrapping_sub(1);
        self.last_timestamp = FIRST_TIMESTAMP + u64::from(timestamp);
        self.next_timestamp = self.last_timestamp;
    }

    /// The extended sequence number; `None` if it is far from all that are in the buffer.
    fn extend(&self, sequence_number: u16) -> Option<u64> {
        // The nearer way around, as RFC 1982 compares serial numbers.
        let ahead = sequence_number
            .wrapping_sub(self.highest_number)
            .cast_signed();
        let sequence = self.highest.wrapping_add_signed(i64::from(ahead));
        let is_near =
            i64::from(ahead) <= ring::MOST.cast_signed() && sequence + MAX_BEHIND >= self.front;
        is_near.then_some(sequence)
    }

    fn extend_timestamp(&self, timestamp: u32) -> u64 {
        let cycle = self.last_timestamp >> 32 << 32;
        let ahead = u64::from(timestamp).wrapping_sub(self.last_timestamp - cycle);
        // The nearer way around.
        let ahead = (ahead << 32).cast_signed() >> 32;
        self.last_timestamp.wrapping_add_signed(ahead)
    }

    /// Counts on with another number, which may be any.
    fn continue_with(&mut self, sequence_number: u16) {
        self.stats.restarts += 1;
        self.is_renumbered = false;
        self.stray = None;
        self.highest_number = sequence_number.wrapping_sub(1);
        self.requests.skip(self.highest + 1);
    }

    /// Receives a packet far from the others, which is one of a sender that began again if the next
    /// one follows it (RFC 3550 appendix A.1).
    fn insert_far(
        &mut self,
        now: Duration,
        sequence_number: u16,
        timestamp: u32,
        payload: Vec<u8>,
    ) -> Insertion {
        let Some((number, first_timestamp, received, first_payload)) = self.stray.take() else {
            self.stray = Some((sequence_number, timestamp, now, payload));
            return Insertion::Strayed;
        };
        if sequence_number != number.wrapping_add(1) {
            self.stats.packets_discarded += 1;
            self.stray = Some((sequence_number, timestamp, now, payload));
            return Insertion::Strayed;
        }
        self.continue_with(number);
        for (at, timestamp, payload) in [
            (received, first_timestamp, first_payload),
            (now, timestamp, payload),
        ] {
            self.last_timestamp = self.extend_timestamp(timestamp);
            let last = self.insert_near(at, self.highest + 1, self.last_timestamp, payload);
            if last != Insertion::Held {
                return last;
            }
        }
        Insertion::Held
    }

    fn insert_near(
        &mut self,
        now: Duration,
        sequence: u64,
        timestamp: u64,
        payload: Vec<u8>,
    ) -> Insertion {
        if sequence < self.front {
            return self.insert_late(now, sequence);
        }
        let copy = match self.ring.place(sequence) {
            Place::Held(packet) if packet.is_copy && self.filling.is_none() => {
                self.take_copy(sequence)
            }
            Place::Held(_) => {
                self.stats.packets_repeated += 1;
                return Insertion::Repeated;
            }
            Place::Missing(since) => {
                self.count_late(now, sequence, *since);
                None
            }
            _ => None,
        };
        let result = self.hold(now, read(now, sequence, timestamp, payload));
        self.stats.packets_discarded += u64::from(result == Insertion::Full);
        if let Some(copy) = copy {
            self.put_back(copy);
        }
        result
    }

    /// Counts a packet whose turn is over.
    fn insert_late(&mut self, now: Duration, sequence: u64) -> Insertion {
        let Place::GivenUp(since) = *self.ring.place(sequence) else {
            if matches!(self.ring.place(sequence), Place::Taken) {
                self.stats.packets_repeated += 1;
                return Insertion::Repeated;
            }
            self.stats.packets_discarded += 1;
            self.stats.packets_late += 1;
            return Insertion::Late;
        };
        self.count_late(now, sequence, since);
        self.ring.set(self.front, sequence, Place::Taken);
        self.stats.packets_discarded += 1;
        self.stats.packets_late += 1;
        Insertion::Late
    }

    /// Counts a packet that comes after one behind it, missing since `since`: its lateness, unless
    /// it is the answer to a request.
    fn count_late(&mut self, now: Duration, sequence: u64, since: Duration) {
        let requested = now.saturating_sub(since.saturating_add(self.request_delay(since)));
        if self.requests.contains(sequence) && self.requests.answer_times().contains(&requested) {
            self.lateness.add_missing();
        } else {
            self.lateness.add(now, now.saturating_sub(since));
        }
    }

    /// Puts a packet in its place, at the front or behind it.
    fn hold(&mut self, now: Duration, packet: Packet) -> Insertion {
        let sequence = packet.sequence;
        let bytes = self.held_bytes + packet.payload.len();
        if sequence - self.front >= ring::MOST || bytes > MAX_HELD_BYTES {
            self.overdue_before = self.highest + 1;
            return Insertion::Full;
        }
        self.held_bytes = bytes;
        self.stats.fec_packets_received += u64::from(packet.has_fec);
        if sequence > self.highest {
            for missing in self.highest + 1..sequence {
                self.ring.set(self.front, missing, Place::Missing(now));
            }
            if sequence - self.highest > requests::MOST as u64 {
                self.requests.skip(sequence);
            }
            let step = u16::try_from(sequence - self.highest).unwrap_or(0);
            self.highest_number = self.highest_number.wrapping_add(step);
            self.highest = sequence;
        }
        self.ring.set(self.front, sequence, Place::Held(packet));
        Insertion::Held
    }

    fn step(&mut self, now: Duration) -> Option<Step> {
        while self.front <= self.highest {
            if let Some(filling) = &mut self.filling {
                let step = filling.step();
                return Some(match step {
                    Some(step) => self.count(step),
                    None => self.take(now)?,
                });
            }
            let Some(packet) = self.ring.held(self.front) else {
                if self.hole_deadline().is_none_or(|at| at > now) {
                    return None;
                }
                self.give_up();
                continue;
            };
            if packet.samples == 0 {
                self.drop_front();
                continue;
            }
            if packet.is_copy && packet.timestamp < self.next_timestamp {
                self.drop_copy();
                continue;
            }
            let gap = packet.timestamp.wrapping_sub(self.next_timestamp);
            let filling = Filling::of(gap, self.is_hole, packet, &self.pauses);
            let samples = packet.samples + filling.samples();
            if self.budget.take(now, samples) {
                self.begin_filling(filling);
            } else {
                self.stats.packets_refused += 1;
                self.drop_front();
            }
        }
        None
    }

    fn begin_filling(&mut self, filling: Filling) {
        let Some(packet) = self.ring.held(self.front) else {
            return;
        };
        let stats = &mut self.stats;
        let is_contiguous = self
            .next_timestamp
            .wrapping_add(u64::from(filling.samples()))
            == packet.timestamp;
        stats.resynchronizations += u64::from(!is_contiguous);
        if self.is_hole && filling.concealed + filling.silent > 0 {
            stats.concealment_events += 1;
            stats.concealed_samples += u64::from(filling.concealed + filling.silent);
            stats.silent_concealed_samples += u64::from(filling.silent);
        }
        stats.fec_packets_discarded += u64::from(packet.has_fec && filling.copied == 0);
        self.next_timestamp = packet.timestamp;
        self.filling = Some(filling);
    }

    fn count(&mut self, step: Step) -> Step {
        if let Step::Conceal(samples) | Step::Silence(samples) | Step::Copy(samples) = step {
            self.stats.total_samples_received += u64::from(samples);
        }
        step
    }

    /// Takes the packet at the front, everything before which was emitted.
    fn take(&mut self, now: Duration) -> Option<Step> {
        let packet = self.ring.take(self.front)?;
        self.front += 1;
        self.filling = None;
        self.is_hole = false;
        self.held_bytes -= packet.payload.len();
        self.pauses.note(&packet);
        let samples = u64::from(packet.samples);
        self.next_timestamp = packet.timestamp.wrapping_add(samples);
        let held = now.saturating_sub(packet.received);
        let stats = &mut self.stats;
        stats.jitter_buffer_delay_ns += held.as_nanos() * u128::from(samples);
        stats.jitter_buffer_emitted_count += samples;
        stats.total_samples_received += samples;
        Some(Step::Packet(packet))
    }

    /// Discards the packet at the front: it leaves a hole that is not waited for.
    fn drop_front(&mut self) {
        if let Some(packet) = self.ring.take(self.front) {
            self.held_bytes -= packet.payload.len();
            self.stats.fec_packets_discarded += u64::from(packet.has_fec);
        }
        self.stats.packets_discarded += 1;
        self.front += 1;
        self.is_hole = true;
    }

    /// Gives up what is missing at the front.
    fn give_up(&mut self) {
        while let Place::Missing(since) = *self.ring.place(self.front) {
            self.ring.set(self.front, self.front, Place::GivenUp(since));
            self.lateness.add_missing();
            self.front += 1;
        }
        self.is_hole = true;
    }

    /// The time at which the hole at the front is given up; `None` without one.
    pub(crate) fn hole_deadline(&self) -> Option<Duration> {
        let Place::Missing(since) = *self.ring.place(self.front) else {
            return None;
        };
        if self.front < self.overdue_before {
            return Some(Duration::ZERO);
        }
        Some(since.saturating_add(self.wait(self.front, since)))
    }

    /// The time that a missing packet is waited for.
    fn wait(&self, sequence: u64, since: Duration) -> Duration {
        if self.has_copy(sequence) {
            return self.lateness.patience(since);
        }
        let wait = self.lateness.wait(since);
        if !self.requests.contains(sequence) {
            return wait;
        }
        wait.max(self.request_delay(since) + self.requests.wait(self.jitter.mean_s()))
    }

    /// The time until a missing packet is requested: half of what it is waited for where most are
    /// merely late, so that few are requested in vain and the answer is not much later.
    fn request_delay(&self, since: Duration) -> Duration {
        self.lateness.patience(since) / 2
    }

    /// True if the next packet is there and has a copy of this one.
    fn has_copy(&self, sequence: u64) -> bool {
        self.ring
            .held(sequence + 1)
            .is_some_and(|packet| packet.has_fec)
    }

    /// The first missing packet that was not requested, and when to do so.
    fn next_request(&self) -> Option<(u64, Duration)> {
        if !self.requests.are_useful() {
            return None;
        }
        let from = self.requests.next.max(self.front);
        (from..=self.highest).find_map(|sequence| match *self.ring.place(sequence) {
            Place::Missing(since) if !self.has_copy(sequence) => {
                Some((sequence, since.saturating_add(self.request_delay(since))))
            }
            _ => None,
        })
    }
}

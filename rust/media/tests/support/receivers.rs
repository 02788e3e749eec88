use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gradio_webrtc_media::{JitterBuffer, JitterStats, Slot};

use super::{FRAME, Faults, Link, SAMPLES, ms, number, payload};

/// The time with faults; ten seconds without them follow.
pub const TROUBLE: Duration = Duration::from_secs(60);
pub const CALM: Duration = Duration::from_secs(10);

/// What came out behind a link.
#[derive(Default)]
pub struct Reception {
    /// Packets that were sent while there were faults.
    pub sent: usize,
    /// Of those, the ones that got through, at any time.
    pub came: usize,
    /// Of those that were sent, the ones that left the buffer.
    pub real: usize,
    /// Of those that were sent, the ones of which a copy left the buffer.
    pub copied: usize,
    /// Delays of real packets beyond the path's mean, while there were faults, sorted.
    pub delays: Vec<Duration>,
    /// The longest such delay from a second after the faults on.
    pub delay_after: Duration,
    /// All samples that left the buffer.
    pub samples: u64,
    /// The packets from the first to the last that left the buffer, missing ones as well.
    pub span: u64,
    /// True if each left once, and in the order in which they were sent.
    pub is_ordered: bool,
    last: Option<u64>,
    pub stats: JitterStats,
}

impl Reception {
    fn new() -> Self {
        Self {
            is_ordered: true,
            ..Self::default()
        }
    }

    pub fn delay(&self, quantile: f64) -> Duration {
        self.delays[((self.delays.len() - 1) as f64 * quantile) as usize]
    }

    fn emit(&mut self, now: Duration, number: u64, faults: &Faults) {
        let before = self.last.replace(number);
        self.is_ordered &= before < Some(number);
        self.span += number - before.unwrap_or(number) + u64::from(before.is_none());
        let sent = FRAME * u32::try_from(number).unwrap();
        let delay = now.saturating_sub(sent + faults.delay);
        if sent < TROUBLE {
            self.real += 1;
            self.delays.push(delay);
        } else if sent >= TROUBLE + ms(1000) {
            self.delay_after = self.delay_after.max(delay);
        }
    }

    fn finish(mut self) -> Self {
        self.delays.sort();
        self
    }
}

/// Packets by the time at which they come, and the order in which they were sent.
type Schedule = BTreeMap<(Duration, u64), u64>;

fn schedule(faults: &Faults, link: &mut Link, reception: &mut Reception) -> Schedule {
    let calm = Faults {
        delay: faults.delay,
        ..Faults::NONE
    };
    let mut schedule = Schedule::new();
    let mut sent = Duration::ZERO;
    let mut number = 0;
    while sent < TROUBLE + CALM {
        let has_faults = sent < TROUBLE;
        let faults = if has_faults { faults } else { &calm };
        let times = link.pass(faults, sent);
        reception.sent += usize::from(has_faults);
        reception.came += usize::from(has_faults && !times.is_empty());
        for (copy, at) in (0..).zip(times) {
            schedule.insert((at, 2 * number + copy), number);
        }
        sent += FRAME;
        number += 1;
    }
    schedule
}

/// Sends packets through a link into a jitter buffer, and takes slots at its deadlines. Requests are
/// answered after a round trip, if there is one.
pub fn receive(
    faults: Faults,
    seed: u64,
    has_fec: bool,
    round_trip: Option<Duration>,
) -> Reception {
    let mut reception = Reception::new();
    let mut schedule = schedule(&faults, &mut Link::new(seed), &mut reception);
    let mut link = Link::new(seed + 1);
    let mut buffer = JitterBuffer::new();
    buffer.set_round_trip(round_trip);
    let mut again = u64::MAX / 2;
    let mut asked_at = None;
    while let Some((&(at, _), _)) = schedule.first_key_value() {
        let deadline = buffer.deadline().filter(|&deadline| deadline < at);
        let now = deadline.unwrap_or(at);
        if deadline.is_none() {
            let (_, number) = schedule.pop_first().unwrap();
            let timestamp = (number * u64::from(SAMPLES)) as u32;
            buffer.insert(now, number as u16, timestamp, payload(number, has_fec));
        } else {
            assert!(asked_at < deadline, "a deadline that comes again");
            asked_at = deadline;
        }
        while let Some(slot) = buffer.next(now) {
            take(slot, now, &faults, &mut reception);
        }
        let requests = buffer.nacks(now).to_vec();
        for number in requests.into_iter().map(u64::from) {
            let round_trip = round_trip.unwrap();
            // Half of it to the sender, and the answer may be lost as well.
            for at in link.pass(&faults, now + round_trip / 2) {
                let at = at - faults.delay + round_trip / 2;
                again += 1;
                schedule.insert((at, again), number);
            }
        }
    }
    reception.stats = buffer.stats();
    reception.finish()
}

fn take(slot: Slot, now: Duration, faults: &Faults, reception: &mut Reception) {
    reception.samples += u64::from(match slot {
        Slot::Packet(packet) => {
            reception.emit(now, number(&packet.payload), faults);
            packet.samples
        }
        Slot::Missing { samples, copy_in } => {
            reception.copied += usize::from(copy_in.is_some());
            samples
        }
        Slot::Silence { samples } => samples,
    });
}

/// The same with the rule that counts: a packet is given up when three later ones are there.
pub fn receive_by_count(faults: Faults, seed: u64) -> Reception {
    let mut reception = Reception::new();
    let schedule = schedule(&faults, &mut Link::new(seed), &mut reception);
    let mut held = BTreeSet::new();
    let mut front = 0;
    for ((now, _), number) in schedule {
        if number >= front {
            held.insert(number);
        }
        if held.len() >= 3 {
            front = *held.first().unwrap();
        }
        while held.remove(&front) {
            reception.emit(now, front, &faults);
            front += 1;
        }
    }
    reception.finish()
}

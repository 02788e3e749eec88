//! An echo over a bad network, in virtual time: what comes out of the jitter buffer is pushed into
//! the outbound queue, and pulled every 20 ms.
//!
//! `cargo test -p gradio-webrtc-media --test live_link -- --nocapture` shows the table.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a model of small numbers, which shows its results"
)]

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::f64::consts::TAU;
use std::sync::OnceLock;
use std::time::Duration;

use gradio_webrtc_core::{Chunk, OutboundAudio};
use gradio_webrtc_media::{JitterBuffer, Slot};
use support::{FRAME, Faults, Link, SAMPLES, ms, payload};

/// When the trouble begins and ends, and when it all ends.
const BEGIN: Duration = ms(4_000);
const END: Duration = ms(44_000);
const UNTIL: Duration = ms(47_000);

/// As `LATE_AFTER_S` of the session, beyond a frame.
const LATE_AFTER: Duration = ms(30);

/// The most that the machine lets a packet wait, in milliseconds.
const HELD_UP_MS: f64 = 3.0;

/// As the sender's pacer: silent frames before a partial one is padded.
const PARTIAL_AFTER: u32 = 2;

/// The jitter buffer's number for the timestamp 0 of a stream that begins with it.
const FIRST_TIMESTAMP: u64 = 1 << 32;

/// The mean square of 5 ms from which on they are audible, 26 dB below the audio.
const LOUD: f64 = 300.0 * 300.0;

/// A frame that was played: its time, its delay beyond the path's in milliseconds if it is no hole,
/// and the share of it that is audible.
type Frame = (Duration, Option<f64>, f64);

struct Echo {
    frames: Vec<Frame>,
    removed_during: u64,
}

impl Echo {
    fn between(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Frame> {
        self.frames
            .iter()
            .filter(move |it| (from..to).contains(&it.0))
    }

    /// A quantile of the delays in a time.
    fn delay(&self, from: Duration, to: Duration, quantile: f64) -> f64 {
        let mut delays: Vec<f64> = self.between(from, to).filter_map(|it| it.1).collect();
        delays.sort_by(f64::total_cmp);
        delays[(quantile * (delays.len() - 1) as f64) as usize]
    }

    /// The share of the trouble with audio, in percent.
    fn audio(&self) -> f64 {
        let (count, sum) = self
            .between(BEGIN, END)
            .fold((0.0, 0.0), |(count, sum), it| (count + 1.0, sum + it.2));
        100.0 * sum / count
    }
}

/// A voice of 150 Hz with some harmonics, of which each second is the same.
fn voice(at: u64) -> i16 {
    static SECOND: OnceLock<Vec<i16>> = OnceLock::new();
    SECOND.get_or_init(|| (0..48_000).map(voiced).collect())[(at % 48_000) as usize]
}

fn voiced(at: u64) -> i16 {
    let phase = TAU * 150.0 * at as f64 / 48_000.0;
    let sum: f64 = (1..=8)
        .map(|it| (f64::from(it) * phase).sin() / f64::from(it))
        .sum();
    (4_000.0 * sum) as i16
}

/// The audio of all slots that are decided by now; concealment is as loud as what it stands for.
fn decode(jitter: &mut JitterBuffer, now: Duration, at: &mut u64) -> Vec<i16> {
    let mut audio = Vec::new();
    while let Some(slot) = jitter.next(now) {
        let (samples, is_silent) = match slot {
            Slot::Packet(packet) => {
                // Behind a gap that is too long to be filled, too.
                *at = packet.timestamp - FIRST_TIMESTAMP;
                (packet.samples, false)
            }
            Slot::Missing { samples, .. } => (samples, false),
            Slot::Silence { samples } => (samples, true),
        };
        let places = *at..*at + u64::from(samples);
        *at = places.end;
        audio.extend(places.map(|it| if is_silent { 0 } else { voice(it) }));
    }
    audio
}

/// The outbound queue, and the session before it.
struct Queue {
    outbound: OutboundAudio,
    waiting: VecDeque<i16>,
    last: Duration,
    silent: u32,
}

impl Queue {
    fn push(&mut self, now: Duration, audio: &[i16]) {
        if audio.is_empty() {
            return;
        }
        let gap = now.saturating_sub(self.last);
        if !self.last.is_zero() && gap > FRAME + LATE_AFTER {
            self.outbound.expect_late(gap.as_secs_f64());
        }
        self.last = now;
        self.waiting.extend(audio);
        self.fill();
    }

    /// Pushes frames as a handler receives them, as far as there is room.
    fn fill(&mut self) {
        let mut room = self.outbound.room(48_000);
        while self.waiting.len() >= SAMPLES as usize && room > 0 {
            let frame: Vec<i16> = self.waiting.drain(..SAMPLES as usize).collect();
            let taken = self.outbound.push(48_000, Chunk::Mono(&frame)).unwrap();
            frame[taken..]
                .iter()
                .rev()
                .for_each(|&it| self.waiting.push_front(it));
            room = self.outbound.room(48_000);
        }
    }

    /// The share of the next frame that is audible.
    fn pull(&mut self) -> f64 {
        let is_audio = self.outbound.has_frame();
        let mut frame = self.outbound.pull(false).map(<[i16]>::to_vec);
        if frame.is_none() && self.silent >= PARTIAL_AFTER {
            frame = self.outbound.pull(true).map(<[i16]>::to_vec);
        }
        self.silent = if is_audio || frame.is_some() {
            0
        } else {
            self.silent + 1
        };
        self.fill();
        let frame = frame.unwrap_or_default();
        let power = |block: &[i16]| block.iter().map(|&it| f64::from(it).powi(2)).sum::<f64>();
        let loud = frame
            .chunks(240)
            .filter(|it| power(it) > LOUD * 240.0)
            .count();
        loud as f64 / 4.0
    }

    fn waiting_samples(&self) -> f64 {
        self.outbound.buffered_s() * 48_000.0 + self.waiting.len() as f64
    }
}

fn echo(faults: &Faults, seed: u64) -> Echo {
    let calm = Faults {
        delay: faults.delay,
        keeps_order: faults.keeps_order,
        ..Faults::NONE
    };
    let (mut link, mut chance) = (Link::new(seed), support::Random(seed));
    let (mut jitter, mut at) = (JitterBuffer::new(), 0);
    let mut queue = Queue {
        outbound: OutboundAudio::new(48_000, 1.0).unwrap(),
        waiting: VecDeque::new(),
        last: Duration::ZERO,
        silent: 0,
    };
    let mut coming: BTreeMap<(Duration, u64), u64> = BTreeMap::new();
    let (mut frames, mut removed) = (Vec::new(), [0; 2]);
    for tick in 0..UNTIL.as_millis() as u64 {
        let now = ms(tick);
        if tick % 20 == 0 {
            let faults = if (BEGIN..END).contains(&now) {
                faults
            } else {
                &calm
            };
            for (copy, received) in (0..).zip(link.pass(faults, now)) {
                let held_up = Duration::from_secs_f64(HELD_UP_MS / 1e3 * chance.uniform());
                coming.insert((received + held_up, 2 * tick + copy), tick / 20);
            }
        }
        while let Some(first) = coming.first_entry().filter(|it| it.key().0 <= now) {
            let number = first.remove();
            let timestamp = (number * u64::from(SAMPLES)) as u32;
            jitter.insert(now, number as u16, timestamp, payload(number, false));
        }
        queue.push(now, &decode(&mut jitter, now, &mut at));
        if tick % 20 == 7 && !queue.last.is_zero() {
            let played_ms = (at as f64 - queue.waiting_samples()) / 48.0;
            let late_ms = tick as f64 - faults.delay.as_secs_f64() * 1e3 - played_ms;
            let late_ms = queue.outbound.has_frame().then_some(late_ms);
            frames.push((now, late_ms, queue.pull()));
        }
        removed[usize::from(now >= END)] = queue.outbound.removed();
    }
    Echo {
        frames,
        removed_during: removed[0],
    }
}

/// What a row must keep, as `benches/python/network.py` has it: the share of audio in percent,
/// and the delay during the trouble above that before it in milliseconds, both on average; and the
/// share that is removed.
struct Row {
    name: &'static str,
    faults: Faults,
    audio: f64,
    late_ms: f64,
    removed: f64,
}

const SEEDS: u64 = 4;

fn check(row: &Row) {
    let (mut audio_sum, mut late_sum) = (0.0, 0.0);
    for seed in 0..SEEDS {
        let it = echo(&row.faults, seed);
        let before = it.delay(ms(2_000), BEGIN, 0.5);
        let during = [0.5, 0.95].map(|quantile| it.delay(BEGIN, END, quantile) - before);
        let after = it.delay(END + ms(1_000), END + ms(2_500), 0.95) - before;
        let seconds = END.saturating_sub(BEGIN).as_secs_f64();
        let removed = it.removed_during as f64 / 480.0 / seconds;
        let (name, audio) = (row.name, it.audio());
        println!(
            "{name:16} audio {audio:5.1} % removed {removed:4.1} % delay before {before:3.0} \
             during {:3.0} {:3.0} after {after:3.0} ms",
            during[0], during[1],
        );
        audio_sum += audio;
        late_sum += during[1];
        assert!(removed <= row.removed, "{name}: {removed} % removed");
        assert!(after <= 20.0, "{name}: {after} ms stay");
    }
    let [audio, late_ms] = [audio_sum, late_sum].map(|sum| sum / SEEDS as f64);
    assert!(audio >= row.audio, "{}: {audio} % audio", row.name);
    assert!(late_ms <= row.late_ms, "{}: {late_ms} ms late", row.name);
}

fn loss(share: f64, burst: f64) -> Faults {
    Faults {
        loss: share,
        burst,
        ..Faults::NONE
    }
}

fn jitter(deviation_ms: u64, keeps_order: bool) -> Faults {
    Faults {
        delay: ms(if deviation_ms < 100 { 100 } else { 200 }),
        jitter: ms(deviation_ms),
        keeps_order,
        ..Faults::NONE
    }
}

#[test]
fn nothing_is_removed_on_a_clean_path() {
    let it = echo(&Faults::NONE, 0);
    assert_eq!(it.removed_during, 0);
    assert!(it.audio() > 99.9, "{}", it.audio());
}

#[test]
fn lost_packets_leave_little_delay_and_little_silence() {
    // The last two rows require 95 and 90 %: a burst of more than 60 ms leaves a hole.
    for (name, share, burst, audio) in [
        ("loss 10 %", 0.1, 1.0, 95.0),
        ("loss 20 %", 0.2, 1.0, 85.0),
        ("bursts 5 % x 3", 0.05, 3.0, 97.0),
        ("bursts 10 % x 4", 0.1, 4.0, 94.0),
        ("bursts 20 % x 5", 0.2, 5.0, 88.0),
    ] {
        check(&Row {
            name,
            faults: loss(share, burst),
            audio,
            late_ms: 160.0,
            // What was filled in while it was waited for.
            removed: 25.0,
        });
    }
}

#[test]
fn what_jitter_holds_back_is_kept_until_it_is_over() {
    for (name, deviation_ms, keeps_order, audio, late_ms) in [
        ("jitter 50", 50, true, 97.0, 200.0),
        ("jitter 50 free", 50, false, 97.0, 200.0),
        ("jitter 200", 200, true, 90.0, 500.0),
        ("jitter 200 free", 200, false, 90.0, 500.0),
    ] {
        check(&Row {
            name,
            faults: jitter(deviation_ms, keeps_order),
            audio,
            late_ms,
            removed: 10.0,
        });
    }
}

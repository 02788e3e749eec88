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

use std::collections::{BTreeMap, HashMap, VecDeque};
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

/// The most that the machine lets a packet wait, in milliseconds.
const HELD_UP_MS: f64 = 3.0;

/// As the sender's pacer: silent frames before a partial one is padded.
const PARTIAL_AFTER: u32 = 2;

/// The jitter buffer's number for the timestamp 0 of a stream that begins with it.
const FIRST_TIMESTAMP: u64 = 1 << 32;

/// The mean square of 5 ms from which on they are audible, 26 dB below the audio.
const LOUD: f64 = 300.0 * 300.0;

/// Samples of 5 ms, which are audible or not, and are found again or not.
const BLOCK: usize = 240;

/// A frame of the sender counts as found where so many of its blocks are.
const LEAST_BLOCKS: usize = 2;

/// Beyond the delay before the trouble: a frame that comes later is not a real one any more.
const IN_TIME_MS: f64 = 500.0;

/// The samples after which the voice begins again, four seconds, and those by which a place in it is
/// found.
const PERIOD: u64 = 192_000;
const KEY: usize = 8;

struct Echo {
    /// The time of each frame that was played, and the share of it that is audible.
    played: Vec<(Duration, f64)>,
    /// The time at which each frame was sent that was found again, and its delay in milliseconds.
    found: BTreeMap<Duration, f64>,
    removed_during: u64,
}

impl Echo {
    /// A quantile of the delays of what was sent in a time.
    fn delay(&self, from: Duration, to: Duration, quantile: f64) -> f64 {
        let mut delays: Vec<f64> = self.found.range(from..to).map(|it| *it.1).collect();
        delays.sort_by(f64::total_cmp);
        delays[(quantile * (delays.len() - 1) as f64) as usize]
    }

    /// The share of the trouble with audio, in percent.
    fn audio(&self) -> f64 {
        let during = self.played.iter().filter(|it| (BEGIN..END).contains(&it.0));
        let (count, sum) = during.fold((0.0, 0.0), |(count, sum), it| (count + 1.0, sum + it.1));
        100.0 * sum / count
    }

    /// The share of what was sent in the trouble that came back by then, in percent.
    fn real(&self, most_ms: f64) -> f64 {
        let in_time = self
            .found
            .range(BEGIN..END)
            .filter(|it| *it.1 <= most_ms)
            .count();
        100.0 * in_time as f64 * FRAME.as_secs_f64() / END.saturating_sub(BEGIN).as_secs_f64()
    }
}

/// A voice of 150 Hz with some harmonics, and noise by which each place is found again.
struct Voice {
    samples: Vec<i16>,
    places: HashMap<[i16; KEY], usize>,
}

impl Voice {
    fn new() -> Self {
        let mut noise = support::Random(7);
        let samples: Vec<i16> = (0..PERIOD)
            .map(|at| voiced(at) + (16.0 * noise.uniform()) as i16)
            .collect();
        let keys = samples.windows(KEY).enumerate();
        let places = keys
            .map(|(at, key)| (key.try_into().unwrap(), at))
            .collect();
        Self { samples, places }
    }

    /// The frame of the period that a block is of; `None` where it is not as it was sent.
    fn frame_of(&self, block: &[i16]) -> Option<u64> {
        let place = *self
            .places
            .get::<[i16; KEY]>(block[..KEY].try_into().unwrap())?;
        let is_whole = self.samples.get(place..place + block.len()) == Some(block);
        is_whole.then_some((place + block.len() / 2) as u64 / u64::from(SAMPLES))
    }
}

fn the_voice() -> &'static Voice {
    static VOICE: OnceLock<Voice> = OnceLock::new();
    VOICE.get_or_init(Voice::new)
}

fn voice(at: u64) -> i16 {
    the_voice().samples[(at % PERIOD) as usize]
}

fn voiced(at: u64) -> i16 {
    let phase = TAU * 150.0 * at as f64 / 48_000.0;
    let sum: f64 = (1..=8)
        .map(|it| (f64::from(it) * phase).sin() / f64::from(it))
        .sum();
    (4_000.0 * sum) as i16
}

/// Finds frames again in what was played.
#[derive(Default)]
struct Finder {
    /// By the number of the frame: the time of the first block, and their number.
    blocks: BTreeMap<u64, (Duration, usize)>,
}

impl Finder {
    fn look(&mut self, now: Duration, played: &[i16]) {
        const FRAMES: u64 = PERIOD / SAMPLES as u64;
        let sent = (now.as_millis() / FRAME.as_millis()) as u64;
        for block in played.chunks_exact(BLOCK) {
            if let Some(frame) = the_voice().frame_of(block) {
                // Of the last period.
                let behind = (sent + FRAMES - frame) % FRAMES;
                let number = sent.saturating_sub(behind);
                self.blocks.entry(number).or_insert((now, 0)).1 += 1;
            }
        }
    }

    /// The times at which frames were sent, and their delays.
    fn found(self) -> BTreeMap<Duration, f64> {
        let found = self.blocks.into_iter().filter(|it| it.1.1 >= LEAST_BLOCKS);
        let sent = found.map(|(number, (at, _))| (FRAME * number as u32, at));
        sent.map(|(sent, at)| (sent, at.saturating_sub(sent).as_secs_f64() * 1e3))
            .collect()
    }
}

/// The share of a frame that is audible.
fn audible(frame: &[i16]) -> f64 {
    let power = |block: &[i16]| block.iter().map(|&it| f64::from(it).powi(2)).sum::<f64>();
    let blocks = frame.chunks_exact(BLOCK);
    let loud = blocks.filter(|it| power(it) > LOUD * BLOCK as f64).count();
    (loud * BLOCK) as f64 / f64::from(SAMPLES)
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
            Slot::Missing { samples, .. } => {
                // Not as it was sent.
                audio.extend((*at..*at + u64::from(samples)).map(|it| voice(it) ^ 1));
                *at += u64::from(samples);
                continue;
            }
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
    /// What is no whole frame yet.
    rest: usize,
    has_begun: bool,
    silent: u32,
}

impl Queue {
    fn push(&mut self, now: Duration, audio: &[i16]) {
        self.has_begun |= !audio.is_empty();
        self.rest += audio.len();
        for _ in 0..self.rest / SAMPLES as usize {
            self.outbound
                .note_received(now.as_secs_f64(), FRAME.as_secs_f64());
        }
        self.rest %= SAMPLES as usize;
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

    /// The next frame, which is empty where there is none.
    fn pull(&mut self) -> Vec<i16> {
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
        frame.unwrap_or_default()
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
        rest: 0,
        has_begun: false,
        silent: 0,
    };
    let mut coming: BTreeMap<(Duration, u64), u64> = BTreeMap::new();
    let (mut played, mut finder, mut removed) = (Vec::new(), Finder::default(), [0; 2]);
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
        if tick % 20 == 7 && queue.has_begun {
            let frame = queue.pull();
            played.push((now, audible(&frame)));
            finder.look(now, &frame);
        }
        removed[usize::from(now >= END)] = queue.outbound.removed();
    }
    Echo {
        played,
        found: finder.found(),
        removed_during: removed[0],
    }
}

/// What a row must keep, as `benches/python/network.py` has it: the shares of audio and of real frames
/// in percent, and the delay during the trouble above that before it in milliseconds, all on average;
/// and the share that is removed.
struct Row {
    name: &'static str,
    faults: Faults,
    audio: f64,
    real: f64,
    late_ms: f64,
    removed: f64,
}

const SEEDS: u64 = 4;

fn check(row: &Row) {
    let mut sums = [0.0; 3];
    for seed in 0..SEEDS {
        let it = echo(&row.faults, seed);
        let before = it.delay(ms(2_000), BEGIN, 0.5);
        let during = [0.5, 0.95].map(|quantile| it.delay(BEGIN, END, quantile) - before);
        let after = it.delay(END + ms(1_000), END + ms(2_500), 0.95) - before;
        let seconds = END.saturating_sub(BEGIN).as_secs_f64();
        let removed = it.removed_during as f64 / 480.0 / seconds;
        let (name, audio, real) = (row.name, it.audio(), it.real(before + IN_TIME_MS));
        println!(
            "{name:16} audio {audio:5.1} % real {real:5.1} % removed {removed:4.1} % delay before {before:3.0} \
             during {:3.0} {:3.0} after {after:3.0} ms",
            during[0], during[1],
        );
        for (sum, value) in sums.iter_mut().zip([audio, real, during[1]]) {
            *sum += value / SEEDS as f64;
        }
        assert!(removed <= row.removed, "{name}: {removed} % removed");
        assert!(after <= 20.0, "{name}: {after} ms stay");
    }
    let [audio, real, late_ms] = sums;
    assert!(audio >= row.audio, "{}: {audio} % audio", row.name);
    assert!(real >= row.real, "{}: {real} % real", row.name);
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
    for (name, share, burst, audio) in [
        ("loss 10 %", 0.1, 1.0, 95.0),
        ("loss 20 %", 0.2, 1.0, 85.0),
        ("bursts 5 % x 3", 0.05, 3.0, 97.0),
        ("bursts 10 % x 4", 0.1, 4.0, 95.0),
        ("bursts 20 % x 5", 0.2, 5.0, 90.0),
    ] {
        check(&Row {
            name,
            faults: loss(share, burst),
            audio,
            real: 0.0,
            late_ms: 160.0,
            // What was filled in while it was waited for.
            removed: 25.0,
        });
    }
}

#[test]
fn what_jitter_holds_back_is_kept_until_it_is_over() {
    for (name, deviation_ms, keeps_order, audio, real, late_ms) in [
        ("jitter 50", 50, true, 97.0, 95.0, 200.0),
        ("jitter 50 free", 50, false, 97.0, 95.0, 200.0),
        ("jitter 200", 200, true, 90.0, 85.0, 500.0),
        ("jitter 200 free", 200, false, 90.0, 85.0, 500.0),
    ] {
        check(&Row {
            name,
            faults: jitter(deviation_ms, keeps_order),
            audio,
            real,
            late_ms,
            removed: 10.0,
        });
    }
}

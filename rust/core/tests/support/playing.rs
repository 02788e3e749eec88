//! An outbound buffer between a source on a timeline and a transport that pulls every 20 ms.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "minutes of audio fit any number"
)]

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::sync::OnceLock;

use gradio_webrtc_core::{Chunk, OutboundAudio};

pub const FRAME: usize = 960;
/// Frames in a second.
pub const SECOND: usize = 50;
const RATE: f64 = 48_000.0;
const FRAME_S: f64 = 0.02;
/// From a pull of the transport to a delivery that is in time: neither is ever at the other's edge.
const PHASE_S: f64 = 0.013;
/// As the pacer in `_transport/pacing.py`.
const PARTIAL_AFTER: usize = 2;
const IDLE_AFTER: usize = 12;

/// A block that the source delivers, in samples.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    pub at_s: f64,
    pub samples: usize,
}

/// A time in which nothing comes, and at the end of which everything comes at once.
#[derive(Debug, Clone, Copy)]
pub struct Stall {
    pub from_s: f64,
    pub length_s: f64,
}

/// Blocks of so many samples, one each `interval_s`, each up to `jitter_s` late, in their order.
pub fn deliveries(
    duration_s: f64,
    samples: usize,
    interval_s: f64,
    jitter_s: f64,
    stall: Option<Stall>,
) -> Vec<Delivery> {
    let mut random = Random(7);
    let mut latest_s = 0.0_f64;
    let due = (1..)
        .map(|index| f64::from(index) * interval_s)
        .take_while(|&it| it < duration_s);
    due.map(|due_s| {
        let mut at_s = due_s + jitter_s * random.next();
        if let Some(Stall { from_s, length_s }) = stall
            && (from_s..from_s + length_s).contains(&at_s)
        {
            at_s = from_s + length_s;
        }
        latest_s = latest_s.max(at_s);
        Delivery {
            at_s: latest_s,
            samples,
        }
    })
    .collect()
}

/// A source in real time, of blocks of so many frames.
pub fn live(duration_s: f64, frames: u32, jitter_s: f64, stall: Option<Stall>) -> Vec<Delivery> {
    let samples = FRAME * frames as usize;
    deliveries(
        duration_s,
        samples,
        FRAME_S * f64::from(frames),
        jitter_s,
        stall,
    )
}

/// Numbers from 0 to 1, the same ones each time: a linear congruential generator with the constants
/// of Knuth's MMIX.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A voice of 120 to 180 Hz with 12 harmonics, as int16; the same in each second.
pub fn voice(at: usize) -> i16 {
    static SECOND: OnceLock<Vec<i16>> = OnceLock::new();
    SECOND.get_or_init(|| (0..48_000).map(voiced).collect())[at % 48_000]
}

fn voiced(at: usize) -> i16 {
    let t = at as f64 / RATE;
    let phase = TAU * 150.0 * t + 30.0 * (TAU * t).sin();
    let sum: f64 = (1..=12)
        .map(|it| (f64::from(it) * phase).sin() / f64::from(it))
        .sum();
    (4_000.0 * sum) as i16
}

/// White noise, as int16; each sample is a function of its place.
pub fn noise(at: usize) -> i16 {
    let mut random = Random(at as u64);
    (8_000.0 * (random.next() + random.next() + random.next() + random.next() - 2.0)) as i16
}

/// A source, an outbound buffer, and everything that was played of it.
pub struct Playing {
    pub outbound: OutboundAudio,
    /// The left channel, or the only one.
    pub played: Vec<i16>,
    pub right: Vec<i16>,
    /// What waits behind each frame, in ms.
    pub waiting_ms: Vec<usize>,
    /// The frames that were missing inside the audio, filled or not.
    pub holes: Vec<usize>,
    signal: fn(usize) -> i16,
    /// True for stereo: to the right, the same at half the level.
    is_stereo: bool,
    /// The source's audio, as far as it was computed.
    made: Vec<i16>,
    pushed: usize,
    queue: VecDeque<usize>,
    silent: usize,
    /// A stall that the outbound buffer is notified of.
    pub known_stall: Option<Stall>,
}

impl Playing {
    pub fn new(signal: fn(usize) -> i16, is_stereo: bool) -> Self {
        Self {
            outbound: OutboundAudio::new(48_000, 1.0).unwrap(),
            played: Vec::new(),
            right: Vec::new(),
            waiting_ms: Vec::new(),
            holes: Vec::new(),
            signal,
            is_stereo,
            made: Vec::new(),
            pushed: 0,
            queue: VecDeque::new(),
            silent: IDLE_AFTER,
            known_stall: None,
        }
    }

    /// Plays everything that is delivered up to a time.
    pub fn of(signal: fn(usize) -> i16, deliveries: &[Delivery], until_s: f64) -> Self {
        let mut playing = Self::new(signal, false);
        playing.run(deliveries, until_s);
        playing
    }

    pub fn run(&mut self, deliveries: &[Delivery], until_s: f64) {
        let mut deliveries = deliveries.iter().peekable();
        for frame in 0..(until_s / FRAME_S) as usize {
            let now_s = frame as f64 * FRAME_S + PHASE_S;
            if let Some(stall) = self
                .known_stall
                .take_if(|it| it.from_s + it.length_s <= now_s)
            {
                self.outbound.expect_late(stall.length_s);
                let idle_s = stall.length_s - FRAME_S * IDLE_AFTER as f64;
                self.outbound.note_idle(idle_s.max(0.0));
            }
            while let Some(delivery) = deliveries.next_if(|it| it.at_s <= now_s) {
                self.queue.push_back(delivery.samples);
            }
            self.write();
            self.pull(frame);
            self.write();
            let waiting_s = self.outbound.buffered_s();
            self.waiting_ms.push((1000.0 * waiting_s).round() as usize);
        }
    }

    /// The least that waits in the frames from one time to another, in ms.
    pub fn least_ms(&self, from_s: f64, to_s: f64) -> usize {
        let frame = |at_s: f64| (at_s / FRAME_S) as usize;
        let waiting = &self.waiting_ms[frame(from_s)..frame(to_s)];
        waiting.iter().copied().min().unwrap_or(0)
    }

    /// What the source delivered, as far as it was taken.
    pub fn source(&self) -> Vec<i16> {
        self.made[..self.pushed].to_vec()
    }

    /// What was played, from the first sample of a source that does not begin with silence.
    pub fn audio(&self) -> &[i16] {
        let start = self.played.iter().position(|&it| it != 0).unwrap_or(0);
        &self.played[start..]
    }

    fn pull(&mut self, at: usize) {
        let inserted = self.outbound.inserted();
        let partial = (PARTIAL_AFTER..IDLE_AFTER).contains(&self.silent);
        let mut frame = self.outbound.pull(false).map(<[i16]>::to_vec);
        if frame.is_none() && partial {
            frame = self.outbound.pull(true).map(<[i16]>::to_vec);
        }
        let is_missing = frame.is_none() && self.silent < IDLE_AFTER;
        if is_missing || self.outbound.inserted() > inserted {
            self.holes.push(at);
        }
        self.silent = if frame.is_some() { 0 } else { self.silent + 1 };
        let channels = self.outbound.channels();
        let frame = frame.unwrap_or_else(|| vec![0; channels * FRAME]);
        self.played.extend(frame.iter().step_by(channels));
        self.right
            .extend(frame.iter().skip(channels - 1).step_by(channels));
    }

    /// Pushes what has room, as a producer that waits for it.
    fn write(&mut self) {
        while let Some(left) = self.queue.front_mut() {
            let end = self.pushed + *left;
            self.made.extend((self.made.len()..end).map(self.signal));
            let samples = &self.made[self.pushed..end];
            let half: Vec<i16>;
            let chunk = if self.is_stereo {
                half = samples.iter().map(|it| it / 2).collect();
                Chunk::Planar(samples, &half)
            } else {
                Chunk::Mono(samples)
            };
            let taken = self.outbound.push(48_000, chunk).unwrap();
            self.pushed += taken;
            *left -= taken;
            if *left > 0 {
                return;
            }
            self.queue.pop_front();
        }
    }
}

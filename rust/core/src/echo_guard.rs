//! Whether what is received is what was sent: the echo of a reply, by its correlation.
//!
//! What was sent last is kept at a low rate. What was received at the beginning of a turn is compared
//! with it at every delay at once, by one correlation in the frequency domain. Both are mono and
//! high-passed: the fundamental of one voice resembles that of any other.

use std::f64::consts::PI;

use crate::memory::reserve;
use crate::{AudioError, Quality, Resampler, sample};

/// The lowest score of an echo: a normalised correlation, as [`EchoMatch::score`].
///
/// Measured at onsets of speech: 1,800 of other voices and 1,440 of echoes in 120 simulated rooms, half
/// of them with more reverberation than direct signal (0.2 to 0.8 s, delays of 20 to 400 ms, a small
/// speaker that clips). Of the echoes at -10, -20 and -30 dB 97 % are above it, of those at -40 dB 83 %; of
/// other voices 1 %. An echo that goes on has more speech in it, and a higher score.
pub const ECHO_SCORE: f32 = 0.35;

/// The rate at which what was sent is kept, in Hz, at the least: the band of telephone speech.
const MIN_RATE_HZ: usize = 8_000;

/// Frames of 20 ms that are kept: 1.6 s, of which a delay may be 1.1 s: 0.4 s through the speakers and
/// the room, and as much in the jitter buffers of both sides.
const FRAMES: usize = 80;

/// The audio that is compared, in seconds, at most and at the least: what a turn has at its beginning,
/// and that behind which there is no more pre-roll.
const HEARD_S: f64 = 0.5;
const MIN_HEARD_S: f64 = 0.2;

/// The pole of the high-pass filter, -3 dB at 280 Hz for 8 kHz, and the zero of the one that raises the
/// upper half of the band, by 9 dB: fundamentals and lowest formants of any two voices are alike.
const POLE: f32 = 0.8;
const ZERO: f32 = 0.5;

/// The frames of 20 ms that have to be speech for the correlation to count in full: fewer have too few
/// periods of a voice to be unlike those of another one.
const FULL_FRAMES: f64 = 8.0;

/// The correlation from which on one echo is enough to expect the next at its delay; below that two.
const SURE_SCORE: f32 = 0.5;

/// The range about the delay of the last echo in which the next one is expected, in milliseconds, and
/// the weight of the energy there. Jitter buffers move the delay by a frame or two. There a correlation of
/// 0.22 is enough.
const NEAR_MS: usize = 30;
const NEAR_WEIGHT: f32 = 2.5;

/// The energy of what was received, of that of the last echoes at the same level of what was sent, above
/// which there is more in it than an echo is expected to be: 6 dB.
const MOST_LOUDER: f64 = 4.0;

/// By how much the energy that is expected of an echo rises with one that is louder; for one that is
/// quieter it falls at once, half the way. Speech that joins an echo must not become what is expected.
const RISE: f64 = 1.25;

/// The energy of what was sent that counts at the least, of the highest in its time: a correlation
/// with the silence between two words is none.
const MIN_ENERGY: f64 = 0.05;

/// What was sent last, mono, at a low rate.
#[derive(Debug)]
pub(crate) struct SentAudio {
    rate_hz: usize,
    /// Samples of a frame of 20 ms, as it is kept.
    frame_samples: usize,
    /// A ring of frames, the oldest at `next` once it is full; empty until there is audio.
    samples: Vec<i16>,
    next: usize,
    count: usize,
    is_silent: bool,
    expected: Option<Expected>,
}

/// The mean of some samples, of 48 at most.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a mean of int16"
)]
fn mean(group: &[i16]) -> i16 {
    (group.iter().copied().map(i32::from).sum::<i32>() / group.len() as i32) as i16
}

/// The mean of each `N` samples.
fn average<const N: usize>(frame: &[i16], means: &mut [i16]) {
    for (kept, group) in means.iter_mut().zip(frame.as_chunks::<N>().0) {
        *kept = mean(group);
    }
}

/// The way of the last echoes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Expected {
    delay: usize,
    /// Energy received, of that sent.
    gain: f64,
    /// By two echoes, or a clear one.
    is_confirmed: bool,
}

impl SentAudio {
    /// For frames of so many samples per channel, 50 a second. Takes no memory yet.
    pub fn new(frame_samples: usize) -> Self {
        let most = (frame_samples * 50 / MIN_RATE_HZ).max(1);
        let divides = |ratio: &usize| frame_samples.is_multiple_of(*ratio);
        let ratio = (1..=most).rev().find(divides).unwrap_or(1);
        let frame_samples = frame_samples / ratio;
        Self {
            rate_hz: frame_samples * 50,
            frame_samples,
            samples: Vec::new(),
            next: 0,
            count: 0,
            is_silent: false,
            expected: None,
        }
    }

    /// Makes room, before the first frame.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory.
    pub fn reserve(&mut self) -> Result<(), AudioError> {
        if self.samples.is_empty() {
            reserve(&mut self.samples, FRAMES * self.frame_samples)?;
            self.samples.resize(FRAMES * self.frame_samples, 0);
        }
        Ok(())
    }

    /// Notes a frame, interleaved, which is sent in the place of a silent one that was noted last where
    /// it is `partial`.
    pub fn note(&mut self, frame: &[i16], partial: bool) {
        if partial && self.is_silent && self.count > 0 {
            self.next = (self.next + FRAMES - 1) % FRAMES;
            self.count -= 1;
        }
        let per_output = frame.len() / self.frame_samples;
        // Averaging lets through some of what is above the new band: speech has little there.
        match per_output {
            // One channel and two of 48 kHz: with a length that is a constant.
            6 => average::<6>(frame, self.place()),
            12 => average::<12>(frame, self.place()),
            _ => {
                let groups = frame.chunks_exact(per_output.max(1));
                for (kept, group) in self.place().iter_mut().zip(groups) {
                    *kept = mean(group);
                }
            }
        }
        self.advance(false);
    }

    /// Notes that silence was sent, or nothing, for so many frames.
    pub fn note_silence(&mut self, frames: usize) {
        if self.count == 0 {
            return;
        }
        for _ in 0..frames.min(FRAMES) {
            self.place().fill(0);
            self.advance(true);
        }
    }

    fn place(&mut self) -> &mut [i16] {
        let start = self.next * self.frame_samples;
        let end = (start + self.frame_samples).min(self.samples.len());
        &mut self.samples[start.min(end)..end]
    }

    fn advance(&mut self, is_silent: bool) {
        self.next = (self.next + 1) % FRAMES;
        self.count = (self.count + 1).min(FRAMES);
        self.is_silent = is_silent;
    }

    /// A copy, to be compared while more is sent.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory for it.
    pub fn snapshot(&self) -> Result<SentSnapshot, AudioError> {
        let mut samples = Vec::new();
        if self.count > 0 {
            reserve(&mut samples, self.samples.len())?;
            let (newer, older) = self.samples.split_at(self.next * self.frame_samples);
            samples.extend(older.iter().chain(newer).copied().map(f32::from));
        }
        Ok(SentSnapshot {
            rate_hz: self.rate_hz,
            samples,
            expected: self.expected,
        })
    }

    /// Expects later echoes at about this delay.
    pub fn expect(&mut self, found: &EchoMatch) {
        if !found.is_echo() {
            return;
        }
        let near = self.rate_hz * NEAR_MS / 1_000;
        let before = self.expected.take();
        let last = before.filter(|it| it.delay.abs_diff(found.delay) <= near);
        let gain = match last {
            Some(last) if found.gain < last.gain => f64::midpoint(last.gain, found.gain),
            Some(last) => found.gain.min(last.gain * RISE),
            None => found.gain,
        };
        let is_confirmed = last.is_some() || found.score >= SURE_SCORE;
        self.expected = Some(Expected {
            delay: found.delay,
            gain,
            is_confirmed,
        });
    }
}

/// What was sent at some time: see [`crate::OutboundAudio::sent`].
#[derive(Debug)]
pub struct SentSnapshot {
    rate_hz: usize,
    /// Empty where nothing was sent.
    samples: Vec<f32>,
    expected: Option<Expected>,
}

/// The place in what was sent that resembles what was received most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EchoMatch {
    /// The normalised correlation there, 0 to 1; where an echo is expected 1.6 times that, 1 at most.
    pub score: f32,
    /// The time from then to the end of what was received, in samples of the snapshot.
    delay: usize,
    /// The energy received, of that sent there.
    gain: f64,
}

impl EchoMatch {
    /// Nothing is alike.
    const NONE: Self = Self {
        score: 0.0,
        delay: 0,
        gain: 0.0,
    };

    /// True if what was received is an echo, most of it.
    #[must_use]
    pub fn is_echo(&self) -> bool {
        self.score >= ECHO_SCORE
    }
}

impl SentSnapshot {
    /// Compares the last half second of mono samples that were received with what was sent until now.
    ///
    /// Takes about a millisecond. The score is 0 where there is less than 0.2 s of either.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] for a rate outside 8 to 192 kHz, [`AudioError::OutOfMemory`] where
    /// there is no memory for the comparison.
    pub fn find(&self, rate_hz: u32, received: &[i16]) -> Result<EchoMatch, AudioError> {
        let samples_in = |seconds: f64, rate_hz: u32| {
            usize::try_from(sample::samples_in(seconds, rate_hz)).unwrap_or(usize::MAX)
        };
        let most = samples_in(HEARD_S, rate_hz);
        let received = &received[received.len().saturating_sub(most)..];
        let own_hz = u32::try_from(self.rate_hz).unwrap_or(u32::MAX);
        let mut resampler = Resampler::new(rate_hz, own_hz, Quality::LowLatency)?;
        let mut native = Vec::new();
        reserve(&mut native, received.len())?;
        native.extend(received.iter().copied().map(f32::from));
        let mut heard = Vec::new();
        reserve(&mut heard, resampler.max_output(native.len()))?;
        resampler.process(&native, &mut heard);
        if self.samples.len() < heard.len() || heard.len() < samples_in(MIN_HEARD_S, own_hz) {
            return Ok(EchoMatch::NONE);
        }
        self.best(&heard, self.rate_hz * NEAR_MS / 1_000)
    }

    fn best(&self, heard: &[f32], near: usize) -> Result<EchoMatch, AudioError> {
        let size = self.samples.len().next_power_of_two();
        let (mut sent, mut other) = (Vec::new(), Vec::new());
        for (into, from) in [(&mut sent, self.samples.as_slice()), (&mut other, heard)] {
            reserve(into, size)?;
            into.extend_from_slice(from);
            high_pass(into);
            into.resize(size, 0.0);
        }
        let energy = |samples: &[f32]| -> f64 { samples.iter().map(|it| square(*it)).sum() };
        let heard_energy = energy(&other);
        let energies = sliding_energies(&sent[..self.samples.len()], heard.len());
        let floor = energies.iter().copied().fold(0.0, f64::max) * MIN_ENERGY;
        if heard_energy * floor <= 0.0 {
            return Ok(EchoMatch::NONE);
        }
        let counts = counting(&other[..heard.len()], self.rate_hz / 50);
        correlate(&mut sent, &mut other);
        let mut best = EchoMatch::NONE;
        for (position, (&product, energy)) in sent.iter().zip(&energies).enumerate() {
            let delay = energies.len() - 1 - position;
            let gain = heard_energy / energy.max(floor);
            let is_expected = self.expected.is_some_and(|it| {
                it.is_confirmed && it.delay.abs_diff(delay) <= near && gain <= it.gain * MOST_LOUDER
            });
            let weight = if is_expected { NEAR_WEIGHT } else { 1.0 };
            #[allow(clippy::cast_possible_truncation, reason = "about 0 to 1")]
            let share = (square(product) / (energy.max(floor) * heard_energy)) as f32 * weight;
            if share > best.score {
                best = EchoMatch {
                    score: share,
                    delay,
                    gain,
                };
            }
        }
        best.score = (best.score * counts).sqrt().min(1.0);
        Ok(best)
    }
}

fn square(value: f32) -> f64 {
    f64::from(value) * f64::from(value)
}

/// Removes what is below speech, and most of its fundamental.
fn high_pass(samples: &mut [f32]) {
    let (mut before, mut passed) = (0.0, 0.0);
    for sample in samples {
        let last = passed;
        passed = *sample - before + POLE * last;
        before = std::mem::replace(sample, passed - ZERO * last);
    }
}

/// The part of a correlation that counts, 0 to 1: less than 1 for few frames of speech.
#[allow(clippy::cast_possible_truncation, reason = "0 to 1")]
fn counting(samples: &[f32], frame_samples: usize) -> f32 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for frame in samples.chunks_exact(frame_samples.max(1)) {
        let energy: f64 = frame.iter().map(|it| square(*it)).sum();
        sum += energy;
        squares += energy * energy;
    }
    (sum * sum / squares.max(f64::MIN_POSITIVE) / FULL_FRAMES)
        .min(1.0)
        .sqrt() as f32
}

/// The energies of all stretches of so many samples, no more than there are.
fn sliding_energies(samples: &[f32], length: usize) -> Vec<f64> {
    let mut energy: f64 = samples[..length].iter().map(|it| square(*it)).sum();
    let mut energies = Vec::with_capacity(samples.len() - length + 1);
    energies.push(energy);
    for (oldest, newest) in samples.iter().zip(&samples[length..]) {
        energy += square(*newest) - square(*oldest);
        energies.push(energy.max(0.0));
    }
    energies
}

/// Replaces `a` by its circular correlation with `b`, which is spoilt; a power of two of each.
fn correlate(a: &mut [f32], b: &mut [f32]) {
    let size = a.len();
    // Both at once, as the real and the imaginary part: their spectra differ in symmetry.
    transform(a, b);
    for k in 0..=size / 2 {
        let mirrored = (size - k) % size;
        let (re, im, re_m, im_m) = (a[k], b[k], a[mirrored], b[mirrored]);
        let (a_re, a_im) = (re + re_m, im - im_m);
        let (b_re, b_im) = (im + im_m, re_m - re);
        let product = (a_re * b_re + a_im * b_im, a_im * b_re - a_re * b_im);
        (a[k], b[k]) = product;
        (a[mirrored], b[mirrored]) = (product.0, -product.1);
    }
    // Backwards, with the parts exchanged.
    transform(b, a);
    #[allow(clippy::cast_precision_loss, reason = "a power of two")]
    let scale = 0.25 / size as f32;
    for value in a {
        *value *= scale;
    }
}

/// The discrete Fourier transform in place, of a power of two of samples (Cooley and Tukey).
fn transform(re: &mut [f32], im: &mut [f32]) {
    let size = re.len();
    let bits = size.trailing_zeros();
    for at in 0..size {
        let other = at.reverse_bits() >> (usize::BITS - bits).min(usize::BITS - 1);
        if at < other {
            re.swap(at, other);
            im.swap(at, other);
        }
    }
    let mut half = 1;
    while half < size {
        #[allow(clippy::cast_precision_loss, reason = "a power of two")]
        let (step_sin, step_cos) = (-PI / half as f64).sin_cos();
        let (mut cos, mut sin) = (1.0_f64, 0.0_f64);
        for offset in 0..half {
            #[allow(clippy::cast_possible_truncation, reason = "-1 to 1")]
            let (w_re, w_im) = (cos as f32, sin as f32);
            for low in (offset..size).step_by(2 * half) {
                let high = low + half;
                let x = re[high] * w_re - im[high] * w_im;
                let y = re[high] * w_im + im[high] * w_re;
                (re[high], im[high]) = (re[low] - x, im[low] - y);
                re[low] += x;
                im[low] += y;
            }
            (cos, sin) = (
                cos * step_cos - sin * step_sin,
                cos * step_sin + sin * step_cos,
            );
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise of a linear congruential generator.
    fn noise(seed: u32, samples: usize, peak: f32) -> Vec<i16> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = (f32::from((state >> 16) as u16) / 32_768.0 - 1.0) * peak;
            #[allow(clippy::cast_possible_truncation, reason = "within int16")]
            let value = value as i16;
            value
        };
        (0..samples).map(next).collect()
    }

    fn sent(samples: &[i16], rate_hz: usize) -> SentAudio {
        let mut sent = SentAudio::new(rate_hz / 50);
        sent.reserve().unwrap();
        samples
            .chunks_exact(rate_hz / 50)
            .for_each(|frame| sent.note(frame, false));
        sent
    }

    fn quieter(samples: &[i16], by: i16) -> Vec<i16> {
        samples.iter().map(|sample| sample / by).collect()
    }

    #[test]
    fn a_transform_there_and_back_correlates() {
        let mut a = vec![0.0, 1.0, 2.0, -1.0, 0.0, 0.0, 3.0, 0.0];
        let mut b = vec![2.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let expected: Vec<f32> = (0..8).map(|j| 2.0 * a[j] - a[(j + 1) % 8]).collect();
        correlate(&mut a, &mut b);
        for (got, expected) in a.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{got} {expected}");
        }
    }

    #[test]
    fn an_echo_is_found_at_its_delay_however_quiet() {
        let played = noise(1, 2 * 8_000, 20_000.0);
        for delay in [0, 160, 3_200, 8_000] {
            let end = played.len() - delay;
            let received = quieter(&played[end - 4_000..end], 100);
            let sent = sent(&played, 8_000);
            let found = sent.snapshot().unwrap().find(8_000, &received).unwrap();
            assert!(found.score > 0.95 && found.is_echo(), "{found:?}");
            assert_eq!(found.delay, delay);
        }
    }

    #[test]
    fn another_voice_over_an_echo_is_none() {
        let played = noise(1, 2 * 8_000, 20_000.0);
        let echo = quieter(&played[8_000..12_000], 30);
        let other = noise(2, 4_000, 10_000.0);
        let both: Vec<i16> = echo.iter().zip(&other).map(|(a, b)| a + b).collect();
        let snapshot = sent(&played, 8_000).snapshot().unwrap();
        assert!(snapshot.find(8_000, &echo).unwrap().is_echo());
        for received in [both, other] {
            let found = snapshot.find(8_000, &received).unwrap();
            assert!(found.score < 0.2 && !found.is_echo(), "{found:?}");
        }
    }

    #[test]
    fn an_echo_counts_more_where_it_was_found_before() {
        let played = noise(1, 2 * 8_000, 20_000.0);
        let mut sent = sent(&played, 8_000);
        let mut echo = quieter(&played[8_000..12_000], 30);
        let clear = sent.snapshot().unwrap().find(8_000, &echo).unwrap();
        let louder = noise(2, 4_000, 2_400.0);
        echo.iter_mut().zip(louder).for_each(|(a, b)| *a += b);
        let before = sent.snapshot().unwrap().find(8_000, &echo).unwrap();
        assert!((0.24..0.34).contains(&before.score), "{before:?}");
        sent.expect(&before);
        assert_eq!(sent.expected, None);
        sent.expect(&clear);
        let voice = sent.snapshot().unwrap().find(8_000, &echo).unwrap();
        assert!(
            !voice.is_echo(),
            "as late as an echo, and much louder: {voice:?}"
        );
        sent.expected = None;
        sent.expect(&EchoMatch {
            gain: before.gain / 2.0,
            ..clear
        });
        let after = sent.snapshot().unwrap().find(8_000, &echo).unwrap();
        assert!(after.score > before.score * 1.5 && after.is_echo());
    }

    #[test]
    fn rates_and_channels_may_differ() {
        let slow = noise(1, 2 * 8_000, 20_000.0);
        let stereo: Vec<i16> = slow.iter().flat_map(|&it| [it; 2 * 6]).collect();
        let mut sent = SentAudio::new(960);
        sent.reserve().unwrap();
        stereo
            .chunks_exact(2 * 960)
            .for_each(|frame| sent.note(frame, false));
        let received = quieter(&stereo[2 * 6 * 8_000..2 * 6 * 12_000], 10);
        let mono: Vec<i16> = received.iter().copied().step_by(2).collect();
        let found = sent.snapshot().unwrap().find(48_000, &mono).unwrap();
        assert!(found.score > 0.6, "{found:?}");
    }

    #[test]
    fn silence_between_frames_counts_as_time_and_gives_way_to_the_end_of_a_reply() {
        let played = noise(1, 8_000, 20_000.0);
        let mut gap = sent(&played[..4_000], 8_000);
        gap.note_silence(3);
        gap.note(&played[4_000..4_160], true);
        let snapshot = gap.snapshot().unwrap();
        let expected: Vec<f32> = [&played[..4_000], &[0; 320], &played[4_000..4_160]]
            .concat()
            .into_iter()
            .map(f32::from)
            .collect();
        assert!(snapshot.samples.ends_with(&expected));
    }

    #[test]
    fn nothing_is_alike_where_there_is_nothing() {
        let played = noise(1, 8_000, 20_000.0);
        let empty = SentAudio::new(160).snapshot().unwrap();
        assert_eq!(empty.find(8_000, &played).unwrap(), EchoMatch::NONE);
        let mut silent = SentAudio::new(160);
        silent.note_silence(10);
        assert!(silent.snapshot().unwrap().samples.is_empty());
        let snapshot = sent(&played, 8_000).snapshot().unwrap();
        for received in [&played[..1_500], &[0; 4_000]] {
            assert_eq!(snapshot.find(8_000, received).unwrap(), EchoMatch::NONE);
        }
        let refused = snapshot.find(4_000, &played);
        assert_eq!(refused, Err(AudioError::SampleRate { got_hz: 4_000 }));
    }

    #[test]
    fn every_rate_is_kept_in_whole_frames() {
        for (rate_hz, kept_hz) in [
            (48_000, 8_000),
            (8_000, 8_000),
            (16_000, 8_000),
            (44_100, 14_700),
        ] {
            assert_eq!(SentAudio::new(rate_hz / 50).rate_hz, kept_hz);
        }
    }
}

//! Removes audio from a queue, and fills a hole in it, so that it can hardly be heard.
//!
//! Silence is dropped. Of speech one or some periods of the pitch are removed: two stretches that
//! resemble each other most are overlapped and added (waveform similarity overlap-add: Verhelst and
//! Roelands, ICASSP 1993). A hole begins with the last period once more. The lag is found at 8 kHz
//! and refined at the full rate.

use crate::AudioFifo;

/// The rate at which lags are compared first, in Hz: formants that distinguish periods are below
/// half of it.
const COARSE_HZ: usize = 8_000;

/// The most samples of a stretch at less than twice [`COARSE_HZ`]: 40 ms.
const COARSE_SAMPLES: usize = 2 * COARSE_HZ / 25;

/// The lags of one or two periods of speech of 67 to 400 Hz, in tenths of a millisecond.
const PERIOD: [usize; 2] = [25, 150];

/// The lags of a large excess: with one removed in each frame of 20 ms, speech is about twice as
/// fast.
const FAST: [usize; 2] = [100, 250];

/// The lags of an excess that is a delay in a conversation: 400 ms, the most that a live source is
/// late, are gone within 0.4 s.
const FASTER: [usize; 2] = [150, 300];

/// The excess above which the lags are these, in tenths of a millisecond: 200 ms.
const FASTER_ABOVE: usize = 2_000;

/// The stretch that is compared and overlapped, in tenths of a millisecond: a period of a low voice.
const OVERLAP: usize = 100;

/// Blocks that are silent or not, and the overlap where silence is dropped.
const SILENT_BLOCK: usize = 25;

/// The excess above which audio is removed with every frame, in tenths of a millisecond: 40 ms.
const FAST_ABOVE: usize = 400;

/// The excess above which the rest is cut out at once, in tenths of a millisecond. Half a second is
/// caught up with in half a second.
const CUT_ABOVE: usize = 5_000;

/// Frames from one removal to the next of a small excess: the same period is not removed twice.
const REST_FRAMES: u32 = 2;

/// The normalised correlation from which on a removal is inaudible in speech; there is such a lag in
/// nearly every vowel.
const SIMILAR: f32 = 0.8;

/// Frames in which none was found after which the best lag has to do.
const MAX_DECLINED: u32 = 4;

/// The time after which the audio that fills a hole fades out, and the time after which it has
/// faded, in tenths of a millisecond. Against the spectrum before a hole of 20 ms in speech, silence
/// differs by 16.4 dB on average, what is held and fades by 8.8 dB, a fade from the first sample on
/// by 9.1 dB. From 60 to 80 ms after its beginning it is 9.5 dB instead of 17.0, and from 80 to 100
/// 11.6 instead of 16.5; libopus repeats a period for as long.
const HELD: usize = 100;
const FILLED: usize = 1_000;

/// The length of the cross-fade from what fills a hole to what is played after it, in tenths of a
/// millisecond.
const FADE_IN: usize = 50;

/// The mean square below which int16 audio is silence: -50 dB of full scale.
const SILENCE: f32 = 100.0 * 100.0;

/// The mean square of what has no content at all, such as what stands for lost packets; a pause of
/// somebody who speaks has noise.
const EMPTY: f32 = 1.0;

/// Stretches and shortens the planes of one queue, all at the same places.
#[derive(Debug)]
pub(crate) struct Stretcher {
    rate_hz: usize,
    /// Frames until the next removal.
    rest: u32,
    declined: u32,
    /// What fills the hole that is being played.
    filling: Option<Filling>,
}

/// The last period that was played before a hole, again and again.
#[derive(Debug, Clone, Copy)]
struct Filling {
    lag: usize,
    /// Samples that were made of it.
    at: usize,
}

impl Stretcher {
    pub(crate) fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz: rate_hz as usize,
            rest: 0,
            declined: 0,
            filling: None,
        }
    }

    /// The fewest samples that can be removed.
    pub(crate) fn least(&self) -> usize {
        self.samples(PERIOD[0])
    }

    /// Removes up to `excess` samples before a frame is pulled; returns how many per channel.
    ///
    /// A frame is left in any case.
    pub(crate) fn shorten(&mut self, planes: &mut [AudioFifo<i16>], excess: usize) -> usize {
        self.rest = self.rest.saturating_sub(1);
        if excess < self.least() {
            return 0;
        }
        let silent = self.silent_samples(planes, excess, SILENCE);
        if silent >= self.least() {
            return remove(planes, silent, self.samples(SILENT_BLOCK), 1.0);
        }
        let is_small = excess <= self.samples(FAST_ABOVE);
        if self.rest > 0 && is_small {
            return 0;
        }
        let [first, last] = self.lags(excess);
        let overlap = self.samples(OVERLAP);
        if first > last || last + overlap > planes[0].len() {
            return 0;
        }
        let (offset, similarity) = self.best_offset(
            planes,
            |plane| &plane.waiting()[..overlap],
            |plane| &plane.waiting()[first..last + overlap],
        );
        if similarity < SIMILAR && is_small && self.declined < MAX_DECLINED {
            self.declined += 1;
            return 0;
        }
        (self.rest, self.declined) = (REST_FRAMES, 0);
        remove(planes, first + offset, overlap, similarity)
    }

    /// Removes up to `most` samples at the head that have no content; returns how many per channel.
    pub(crate) fn drop_empty(&self, planes: &mut [AudioFifo<i16>], most: usize) -> usize {
        let empty = self.silent_samples(planes, most, EMPTY);
        if empty < self.least() {
            return 0;
        }
        remove(planes, empty, self.samples(SILENT_BLOCK), 1.0)
    }

    /// The shortest and the longest stretch to remove at once.
    fn lags(&self, excess: usize) -> [usize; 2] {
        let beyond = excess.saturating_sub(self.samples(CUT_ABOVE));
        if beyond > 0 {
            let last = beyond + self.samples(FAST[1]);
            return [last - self.samples(PERIOD[1]), last];
        }
        let lags = if excess <= self.samples(FAST_ABOVE) {
            PERIOD
        } else if excess <= self.samples(FASTER_ABOVE) {
            FAST
        } else {
            FASTER
        };
        let [first, last] = lags.map(|it| self.samples(it));
        [first, last.min(excess)]
    }

    /// The samples before the head that [`Self::fill`] needs.
    pub(crate) fn history(&self) -> usize {
        self.samples(PERIOD[1]) + self.samples(OVERLAP)
    }

    /// The samples of a fade to what is played after a hole.
    pub(crate) fn fade_in(&self) -> usize {
        self.samples(FADE_IN)
    }

    /// Begins to fill a hole with what was played last; nothing changes if too little was.
    pub(crate) fn begin_filling(&mut self, planes: &[AudioFifo<i16>]) {
        let (history, overlap) = (self.history(), self.samples(OVERLAP));
        if planes.iter().any(|plane| plane.played().len() < history) {
            return;
        }
        let last_of = |plane: &AudioFifo<i16>, samples: usize| plane.played().len() - samples;
        let shortest = self.samples(PERIOD[0]);
        let (offset, _) = self.best_offset(
            planes,
            |plane| &plane.played()[last_of(plane, overlap)..],
            |plane| &plane.played()[last_of(plane, history)..last_of(plane, shortest)],
        );
        let lag = self.samples(PERIOD[1]) - offset;
        self.filling = Some(Filling { lag, at: 0 });
    }

    /// Makes the next frame in a hole, interleaved; false without one, or once it has faded out.
    pub(crate) fn fill(
        &mut self,
        planes: &[AudioFifo<i16>],
        frame_samples: usize,
        frame: &mut Vec<i16>,
    ) -> bool {
        let Some(mut filling) = self.filling else {
            return false;
        };
        if filling.at >= self.samples(FILLED) {
            return false;
        }
        frame.clear();
        for at in filling.at..filling.at + frame_samples {
            let filled = |plane| to_i16(self.filled(filling.lag, at, plane));
            frame.extend(planes.iter().map(filled));
        }
        filling.at += frame_samples;
        self.filling = Some(filling);
        true
    }

    /// Fades from what fills a hole to what is played after it, if there was a hole.
    pub(crate) fn end_filling(&mut self, planes: &mut [AudioFifo<i16>]) {
        let Some(filling) = self.filling.take() else {
            return;
        };
        let length = self.samples(FADE_IN);
        for plane in planes {
            for at in 0..length.min(plane.len()) {
                let place = as_f32(at) / as_f32(length);
                let filled = self.filled(filling.lag, filling.at + at, plane);
                let sample = &mut plane.waiting_mut()[at];
                *sample = to_i16(place * f32::from(*sample) + (1.0 - place) * filled);
            }
        }
    }

    /// Drops what would fill a hole: another source begins.
    pub(crate) fn drop_filling(&mut self) {
        self.filling = None;
    }

    /// The sample at a place in a hole: of the last period, fading out.
    fn filled(&self, lag: usize, at: usize, plane: &AudioFifo<i16>) -> f32 {
        let [held, end] = [HELD, FILLED].map(|it| as_f32(self.samples(it)));
        let gain = ((end - as_f32(at)) / (end - held)).clamp(0.0, 1.0);
        let played = plane.played();
        gain * f32::from(played[played.len() - lag + at % lag])
    }

    fn samples(&self, tenths_of_ms: usize) -> usize {
        self.rate_hz * tenths_of_ms / 10_000
    }

    /// The samples at the head of at most this mean square in all planes, without the overlap behind
    /// them; not more than `most`.
    fn silent_samples(&self, planes: &[AudioFifo<i16>], most: usize, power: f32) -> usize {
        let block = self.samples(SILENT_BLOCK);
        let is_silent = |start: usize| {
            planes.iter().all(|plane| {
                let samples = &plane.waiting()[start..start + block];
                dot(samples, samples) <= power * as_f32(block)
            })
        };
        let blocks = (planes[0].len() / block).min(most / block + 1);
        let silent = (0..blocks).take_while(|it| is_silent(it * block)).count();
        (silent.saturating_sub(1) * block).min(most)
    }

    /// The offset at which `place` resembles `pattern` most, over all planes, and how much, from -1
    /// to 1.
    fn best_offset<'a>(
        &self,
        planes: &'a [AudioFifo<i16>],
        pattern: impl Fn(&'a AudioFifo<i16>) -> &'a [i16],
        place: impl Fn(&'a AudioFifo<i16>) -> &'a [i16],
    ) -> (usize, f32) {
        let step = self.rate_hz / COARSE_HZ;
        let last = place(&planes[0]).len() - pattern(&planes[0]).len();
        let mut likeness = [Likeness::default(); COARSE_SAMPLES];
        let likeness = &mut likeness[..=last / step];
        for plane in planes {
            let (mut small, mut large) = ([0.0; COARSE_SAMPLES], [0.0; COARSE_SAMPLES]);
            let small = coarse(pattern(plane), step, &mut small);
            let large = coarse(place(plane), step, &mut large);
            for (at, likeness) in likeness.iter_mut().enumerate() {
                likeness.add(small, &large[at.min(large.len())..]);
            }
        }
        let found = step * largest(likeness.iter().map(Likeness::value));
        let at = |offset: usize| {
            let mut likeness = Likeness::default();
            for plane in planes {
                likeness.add_all(pattern(plane), &place(plane)[offset..]);
            }
            likeness.value()
        };
        let near = found.saturating_sub(step)..=(found + step).min(last);
        let offset = *near.start() + largest(near.map(at));
        (offset, at(offset))
    }
}

/// Removes `lag` samples at the head of each plane: what stands there is faded into what stands
/// behind it, over `overlap` samples.
///
/// The gains are those that keep the power of two stretches of this similarity.
fn remove(planes: &mut [AudioFifo<i16>], lag: usize, overlap: usize, similarity: f32) -> usize {
    let similarity = similarity.clamp(0.0, 1.0);
    for plane in planes {
        let samples = plane.waiting_mut();
        // From the end on: what is written has been read, however short the lag.
        for at in (0..overlap).rev() {
            let rise = (as_f32(at) + 0.5) / as_f32(overlap);
            let fall = 1.0 - rise;
            let power = rise * rise + fall * fall + 2.0 * rise * fall * similarity;
            let mixed = fall * f32::from(samples[at]) + rise * f32::from(samples[lag + at]);
            samples[lag + at] = to_i16(mixed / power.sqrt());
        }
        plane.skip(lag);
    }
    lag
}

/// Two stretches compared: their product and their energies.
#[derive(Debug, Clone, Copy, Default)]
struct Likeness {
    product: f32,
    energies: [f32; 2],
}

impl Likeness {
    fn add(&mut self, left: &[f32], right: &[f32]) {
        for (a, b) in left.iter().zip(right) {
            self.product += a * b;
            self.energies[0] += a * a;
            self.energies[1] += b * b;
        }
    }

    fn add_all(&mut self, left: &[i16], right: &[i16]) {
        let right = &right[..left.len()];
        self.product += dot(left, right);
        self.energies[0] += dot(left, left);
        self.energies[1] += dot(right, right);
    }

    /// The normalised correlation; 0 where one of the two is silent.
    fn value(&self) -> f32 {
        let norm = (self.energies[0] * self.energies[1]).sqrt();
        if norm > 0.0 { self.product / norm } else { 0.0 }
    }
}

fn dot(left: &[i16], right: &[i16]) -> f32 {
    let pairs = left.iter().zip(right);
    pairs.map(|(&a, &b)| f32::from(a) * f32::from(b)).sum()
}

/// Sums each `step` samples, as many as fit.
fn coarse<'a>(samples: &[i16], step: usize, out: &'a mut [f32]) -> &'a [f32] {
    let mut length = 0;
    for (sum, group) in out.iter_mut().zip(samples.chunks_exact(step)) {
        *sum = group.iter().map(|&it| f32::from(it)).sum();
        length += 1;
    }
    &out[..length]
}

/// The index of the largest value; 0 if there is none.
fn largest(values: impl Iterator<Item = f32>) -> usize {
    let best = values.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or(0, |(index, _)| index)
}

#[allow(clippy::cast_precision_loss, reason = "some thousands")]
fn as_f32(count: usize) -> f32 {
    count as f32
}

#[allow(clippy::cast_possible_truncation, reason = "saturates")]
fn to_i16(value: f32) -> i16 {
    value.round() as i16
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a helper of tests")]
mod tests {
    use super::*;

    /// One plane that holds a signal, of which the first part was read.
    fn plane(signal: impl Fn(usize) -> f32, read: usize, waiting: usize) -> AudioFifo<i16> {
        let stretcher = Stretcher::new(48_000);
        let mut plane = AudioFifo::new(read.max(1)).unwrap();
        plane = plane.keeping(stretcher.history());
        let samples: Vec<i16> = (0..read + waiting).map(|at| to_i16(signal(at))).collect();
        plane.write(&samples);
        if read > 0 {
            plane.read();
        }
        plane
    }

    fn tone(hz: f32) -> impl Fn(usize) -> f32 {
        move |at| 8_000.0 * (as_f32(at) * hz / 48_000.0 * std::f32::consts::TAU).sin()
    }

    #[test]
    fn whole_periods_of_a_tone_are_removed() {
        for hz in [80.0, 125.0, 200.0, 320.0, 1_000.0] {
            for excess in [1_920, 9_600, 28_800] {
                let mut planes = [plane(tone(hz), 0, 48_000)];
                let removed = Stretcher::new(48_000).shorten(&mut planes, excess);
                assert!((120..=excess).contains(&removed), "{hz} Hz: {removed}");
                let signal = tone(hz);
                let (mut noise, mut power) = (0.0, 0.0);
                for (at, &sample) in planes[0].waiting().iter().take(2_000).enumerate() {
                    noise += (f32::from(sample) - signal(at)).powi(2);
                    power += signal(at).powi(2);
                }
                let snr_db = 10.0 * (power / noise).log10();
                assert!(snr_db > 40.0, "{hz} Hz, {excess}: {snr_db:.1} dB");
            }
        }
    }

    #[test]
    fn the_lag_is_short_for_a_little_and_long_for_much() {
        for (excess, range) in [
            (1_900, 120..=720),
            (9_600, 480..=1_200),
            (19_200, 720..=1_440),
            (38_400, 14_880..=15_600),
        ] {
            let mut planes = [plane(tone(200.0), 0, 48_000)];
            let removed = Stretcher::new(48_000).shorten(&mut planes, excess);
            assert!(range.contains(&removed), "{excess}: {removed}");
            assert_eq!(planes[0].len(), 48_000 - removed);
        }
    }

    #[test]
    fn a_small_excess_waits_between_removals_and_for_a_good_place() {
        let mut stretcher = Stretcher::new(48_000);
        let mut planes = [plane(tone(200.0), 0, 48_000)];
        let removed = [0; 4].map(|_| stretcher.shorten(&mut planes, 1_900));
        assert!(removed[0] > 0 && removed[2] > 0);
        assert_eq!((removed[1], removed[3]), (0, 0));
        // A sweep so fast that no two stretches are alike.
        let sweep = |at: usize| 8_000.0 * (as_f32(at) * as_f32(at) * 2e-5).sin();
        let mut planes = [plane(sweep, 0, 48_000)];
        let mut stretcher = Stretcher::new(48_000);
        let tries = (0..20).take_while(|_| stretcher.shorten(&mut planes, 1_900) == 0);
        assert_eq!(tries.count(), MAX_DECLINED as usize);
    }

    #[test]
    fn silence_is_dropped_as_far_as_it_reaches() {
        let signal = |at: usize| if at < 4_800 { 0.0 } else { tone(200.0)(at) };
        for (excess, expected) in [(9_600, 4_680), (2_000, 1_920)] {
            let mut planes = [plane(signal, 0, 48_000), plane(|_| 0.0, 0, 48_000)];
            let removed = Stretcher::new(48_000).shorten(&mut planes, excess);
            assert_eq!(removed, expected);
            let left: Vec<i16> = (4_800..9_600).map(|at| to_i16(signal(at))).collect();
            let start = 4_800 - removed;
            assert_eq!(&planes[0].waiting()[start..start + 4_800], left);
        }
    }

    #[test]
    fn what_has_no_content_is_dropped_and_a_pause_with_noise_is_not() {
        for (level, expected) in [(0.0, 3_720), (1.0, 3_720), (20.0, 0)] {
            let signal = move |at: usize| if at < 3_840 { level } else { 8_000.0 };
            let mut planes = [plane(signal, 0, 9_600)];
            let removed = Stretcher::new(48_000).drop_empty(&mut planes, 9_600);
            assert_eq!(removed, expected, "{level}");
        }
        let mut planes = [plane(|_| 0.0, 0, 9_600)];
        assert_eq!(Stretcher::new(48_000).drop_empty(&mut planes, 100), 0);
    }

    #[test]
    fn one_loud_channel_is_no_silence() {
        let mut planes = [plane(|_| 0.0, 0, 48_000), plane(tone(200.0), 0, 48_000)];
        let removed = Stretcher::new(48_000).shorten(&mut planes, 9_600);
        assert!((480..=1_200).contains(&removed), "{removed}");
        assert!(planes[0].waiting().iter().all(|&it| it == 0));
    }

    #[test]
    fn a_hole_is_filled_with_the_last_period_and_fades_out() {
        let mut stretcher = Stretcher::new(48_000);
        let (mut frame, mut hole) = (Vec::new(), Vec::new());
        let planes = [plane(tone(200.0), 4_800, 0), plane(tone(100.0), 4_800, 0)];
        stretcher.begin_filling(&planes);
        while stretcher.fill(&planes, 960, &mut frame) {
            hole.extend_from_slice(&frame);
        }
        assert_eq!(hole.len(), 2 * 5 * 960);
        for (channel, hz) in [200.0, 100.0].into_iter().enumerate() {
            let samples = hole.iter().skip(channel).step_by(2);
            for (at, &sample) in samples.take(480).enumerate() {
                let expected = tone(hz)(4_800 + at);
                assert!((f32::from(sample) - expected).abs() < 600.0, "{at}");
            }
        }
        let loudest = |samples: &[i16]| samples.iter().map(|it| it.unsigned_abs()).max();
        assert!(loudest(&hole[..1_920]) > loudest(&hole[7_680..]));
        assert!(loudest(&hole[9_500..]) < Some(600));
    }

    #[test]
    fn a_hole_after_too_little_audio_stays_empty() {
        let (mut stretcher, planes) = (Stretcher::new(48_000), [plane(tone(200.0), 1_000, 0)]);
        stretcher.begin_filling(&planes);
        assert!(!stretcher.fill(&planes, 960, &mut Vec::new()));
    }

    #[test]
    fn what_follows_a_hole_fades_in_over_five_milliseconds() {
        let mut stretcher = Stretcher::new(48_000);
        let mut planes = [plane(
            |at| if at < 4_800 { 0.0 } else { 8_000.0 },
            4_800,
            960,
        )];
        stretcher.begin_filling(&planes);
        while stretcher.fill(&planes, 960, &mut Vec::new()) {}
        stretcher.end_filling(&mut planes);
        let samples = planes[0].waiting();
        assert_eq!([samples[0], samples[120], samples[240]], [0, 4_000, 8_000]);
    }

    #[test]
    fn what_fills_a_short_hole_goes_over_into_what_follows_it() {
        let mut stretcher = Stretcher::new(48_000);
        let mut planes = [plane(tone(200.0), 4_800, 960)];
        stretcher.begin_filling(&planes);
        let mut frame = Vec::new();
        assert!(stretcher.fill(&planes, 960, &mut frame));
        stretcher.end_filling(&mut planes);
        // Four periods of 200 Hz fit in a frame: the tone goes on, only its level comes back.
        frame.extend_from_slice(planes[0].waiting());
        for (at, &sample) in frame.iter().enumerate() {
            let expected = tone(200.0)(4_800 + at);
            assert!(
                (f32::from(sample) - expected).abs() < 0.25 * 8_000.0,
                "{at}"
            );
        }
    }
}

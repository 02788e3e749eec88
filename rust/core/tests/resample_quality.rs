//! The resampler's quality: level, noise, images, aliases and delay, measured with sines.
//!
//! Thresholds: signal to noise 120 dB in f32 and 94 dB in int16, stop band 110 dB (100 dB for low
//! latency), ripple 0.001 dB, delay 72 periods of the lower rate (4.5 ms at 16 kHz, 9 ms at 8 kHz)
//! and 0.2 ms more at odd ratios.

use std::f64::consts::TAU;

use gradio_webrtc_core::{InstructionSet, Quality, Resampler};

/// Usual pairs of rates, inbound, outbound, of telephones and of music: ratios of few phases and of
/// many.
const USUAL_HZ: [(u32, u32); 10] = [
    (48_000, 16_000),
    (24_000, 48_000),
    (44_100, 48_000),
    (8_000, 48_000),
    (48_000, 24_000),
    (16_000, 48_000),
    (48_000, 8_000),
    (48_000, 44_100),
    (22_050, 48_000),
    (96_000, 48_000),
];

/// Unusual rates: ratios of more phases than are tabulated, in both directions, with intermediate
/// rates that are a multiple and a fraction of the input's.
const ODD_HZ: [(u32, u32); 5] = [
    (44_101, 48_000),
    (48_000, 44_101),
    (16_001, 48_000),
    (48_000, 22_049),
    (191_999, 44_100),
];

fn rates_hz() -> impl Iterator<Item = (u32, u32)> {
    USUAL_HZ.into_iter().chain(ODD_HZ)
}

/// The end of the pass bands, as a fraction of the lower Nyquist frequency.
const PASS: f64 = 0.9;

fn sine(frequency_hz: f64, rate_hz: u32, amplitude: f64) -> impl Fn(f64) -> f64 {
    let step = TAU * frequency_hz / f64::from(rate_hz);
    move |sample| amplitude * (step * sample).sin()
}

#[allow(clippy::cast_possible_truncation)]
fn samples(signal: impl Fn(f64) -> f64, count: u32) -> Vec<f32> {
    (0..count).map(|i| signal(f64::from(i)) as f32).collect()
}

fn lower_nyquist_hz(resampler: &Resampler) -> f64 {
    f64::from(resampler.from_hz().min(resampler.to_hz())) / 2.0
}

/// The length of the filter's ramp at the start, in samples, and the output after it.
fn settled(resampler: &mut Resampler, input: &[f32]) -> (f64, Vec<f64>) {
    let mut out = Vec::new();
    resampler.reset();
    resampler.process(input, &mut out);
    let ramp = 2 * resampler.delay_samples() + 2;
    (
        f64::from(u32::try_from(ramp).expect("some milliseconds")),
        out[ramp..]
            .iter()
            .map(|&sample| f64::from(sample))
            .collect(),
    )
}

fn rms(signal: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = signal
        .into_iter()
        .fold((0.0, 0.0), |(sum, count), x| (sum + x * x, count + 1.0));
    f64::sqrt(sum / count)
}

fn db(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

/// The level of the sine of `frequency_hz` in `signal`, and the level of all the rest.
fn fit(signal: &[f64], frequency_hz: f64, rate_hz: u32) -> (f64, f64) {
    let step = TAU * frequency_hz / f64::from(rate_hz);
    let basis: Vec<(f64, f64)> = (0_u32..)
        .map(|i| (step * f64::from(i)).sin_cos())
        .take(signal.len())
        .collect();
    let (mut ss, mut sc, mut cc, mut sy, mut cy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (&(sin, cos), y) in basis.iter().zip(signal) {
        (ss, sc, cc) = (ss + sin * sin, sc + sin * cos, cc + cos * cos);
        (sy, cy) = (sy + sin * y, cy + cos * y);
    }
    let determinant = ss * cc - sc * sc;
    let (a, b) = (
        (sy * cc - cy * sc) / determinant,
        (cy * ss - sy * sc) / determinant,
    );
    let rest = basis
        .iter()
        .zip(signal)
        .map(|(&(sin, cos), y)| y - a * sin - b * cos);
    (a.hypot(b), rms(rest))
}

#[test]
fn a_sine_in_the_pass_band_has_little_noise_and_the_stated_delay() {
    for set in InstructionSet::available() {
        for (from_hz, to_hz) in rates_hz() {
            let mut resampler =
                Resampler::with_instruction_set(from_hz, to_hz, Quality::High, set).unwrap();
            for fraction in [0.03, 0.31, 0.62, 0.89] {
                let frequency_hz = fraction * lower_nyquist_hz(&resampler);
                let input = samples(sine(frequency_hz, from_hz, 0.5), from_hz / 5);
                let (ramp, out) = settled(&mut resampler, &input);
                // Compared at the level of the output: another test measures how flat the band is.
                let (amplitude, _) = fit(&out, frequency_hz, to_hz);
                let ideal = sine(frequency_hz, to_hz, amplitude);
                let start = ramp - resampler.delay_s() * f64::from(to_hz);
                let noise = rms((0_u32..)
                    .zip(&out)
                    .map(|(i, y)| y - ideal(start + f64::from(i))));
                let snr_db = db(amplitude / 2.0_f64.sqrt() / noise);
                let name = set.name();
                assert!(
                    snr_db >= 120.0,
                    "{from_hz} to {to_hz} at {frequency_hz} Hz, {name}: {snr_db}"
                );
            }
        }
    }
}

#[test]
fn int16_in_and_out_keeps_the_precision_of_int16() {
    for (from_hz, to_hz) in rates_hz() {
        let mut resampler = Resampler::new(from_hz, to_hz, Quality::High).unwrap();
        let frequency_hz = 0.31 * lower_nyquist_hz(&resampler);
        let full_scale = sine(frequency_hz, from_hz, 32_767.0);
        let input = samples(|i| full_scale(i).round() / 32_768.0, from_hz / 5);
        let (_, out) = settled(&mut resampler, &input);
        let rounded: Vec<f64> = out.iter().map(|y| (y * 32_768.0).round()).collect();
        let (amplitude, noise) = fit(&rounded, frequency_hz, to_hz);
        let snr_db = db(amplitude / 2.0_f64.sqrt() / noise);
        assert!(snr_db >= 94.0, "{from_hz} to {to_hz}: {snr_db}");
    }
}

#[test]
fn the_pass_band_is_flat() {
    for quality in [Quality::High, Quality::LowLatency] {
        for (from_hz, to_hz) in rates_hz() {
            let mut resampler = Resampler::new(from_hz, to_hz, quality).unwrap();
            for step in 1..=18 {
                let frequency_hz = PASS * f64::from(step) / 18.0 * lower_nyquist_hz(&resampler);
                let input = samples(sine(frequency_hz, from_hz, 0.5), from_hz / 5);
                let (_, out) = settled(&mut resampler, &input);
                let gain_db = db(fit(&out, frequency_hz, to_hz).0 / 0.5);
                assert!(
                    gain_db.abs() <= 0.001,
                    "{from_hz} to {to_hz}, {quality:?}, {frequency_hz} Hz: {gain_db} dB"
                );
            }
        }
    }
}

/// The first stopped frequency relative to the lower Nyquist, and how far down it must be.
fn stop_band(quality: Quality) -> (f64, f64) {
    match quality {
        Quality::High => (1.0, -110.0),
        Quality::LowLatency => (1.1, -100.0),
    }
}

#[test]
fn frequencies_above_the_lower_nyquist_do_not_fold_back() {
    for quality in [Quality::High, Quality::LowLatency] {
        let (edge, limit_db) = stop_band(quality);
        for (from_hz, to_hz) in rates_hz().filter(|(from_hz, to_hz)| from_hz > to_hz) {
            let mut resampler = Resampler::new(from_hz, to_hz, quality).unwrap();
            let lowest_hz = edge * lower_nyquist_hz(&resampler);
            // No steps where the input has no frequency that the filter stops (48 to 44.1 kHz).
            let room_hz = (f64::from(from_hz) / 2.0 - lowest_hz).max(0.0);
            for step in 0..if room_hz > 0.0 { 40 } else { 0 } {
                let frequency_hz = lowest_hz + room_hz * f64::from(step) / 40.0;
                let input = samples(sine(frequency_hz, from_hz, 0.5), from_hz / 5);
                let (_, out) = settled(&mut resampler, &input);
                let alias_db = db(rms(out) / (0.5 / 2.0_f64.sqrt()));
                assert!(
                    alias_db <= limit_db,
                    "{from_hz} to {to_hz}, {quality:?}, {frequency_hz} Hz: {alias_db} dB"
                );
            }
        }
    }
}

#[test]
fn a_higher_rate_has_no_images() {
    for quality in [Quality::High, Quality::LowLatency] {
        let (edge, limit_db) = stop_band(quality);
        for (from_hz, to_hz) in rates_hz().filter(|(from_hz, to_hz)| from_hz < to_hz) {
            let mut resampler = Resampler::new(from_hz, to_hz, quality).unwrap();
            for step in 1..40 {
                // Frequencies whose first image lies beyond the edge of the stop band.
                let fraction = f64::from(step) / 40.0 * (2.0 - edge);
                let frequency_hz = fraction * lower_nyquist_hz(&resampler);
                let input = samples(sine(frequency_hz, from_hz, 0.5), from_hz / 5);
                let (_, out) = settled(&mut resampler, &input);
                let image_db = db(fit(&out, frequency_hz, to_hz).1 / (0.5 / 2.0_f64.sqrt()));
                assert!(
                    image_db <= limit_db,
                    "{from_hz} to {to_hz}, {quality:?}, {frequency_hz} Hz: {image_db} dB"
                );
            }
        }
    }
}

#[test]
fn the_delay_is_short() {
    for (from_hz, to_hz) in rates_hz() {
        let odd = ODD_HZ.contains(&(from_hz, to_hz));
        let limit_s = 72.0 / f64::from(from_hz.min(to_hz)) + if odd { 0.0002 } else { 0.0 };
        let high = Resampler::new(from_hz, to_hz, Quality::High).unwrap();
        let low = Resampler::new(from_hz, to_hz, Quality::LowLatency).unwrap();
        assert!(
            high.delay_s() <= limit_s,
            "{from_hz} to {to_hz}: {} s",
            high.delay_s()
        );
        assert!(
            low.delay_s() < 0.55 * high.delay_s(),
            "{from_hz} to {to_hz}: {} s",
            low.delay_s()
        );
    }
}

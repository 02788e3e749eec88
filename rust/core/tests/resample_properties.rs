//! Properties of the resampler at any rates and with any cutting of its input.

use gradio_webrtc_core::{AudioError, InstructionSet, Quality, Resampler};
use proptest::prelude::*;

fn usual_rate() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![
        8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000,
    ])
}

fn rate() -> impl Strategy<Value = u32> {
    prop_oneof![4 => usual_rate(), 1 => 8_000_u32..=192_000]
}

fn quality() -> impl Strategy<Value = Quality> {
    prop::sample::select(vec![Quality::High, Quality::LowLatency])
}

/// Samples, cut into pieces.
fn pieces() -> impl Strategy<Value = Vec<Vec<f32>>> {
    let piece = prop_oneof![Just(0..1_usize), Just(1..40), Just(400..1_000)]
        .prop_flat_map(|length| prop::collection::vec(-1.0_f32..=1.0, length));
    prop::collection::vec(piece, 1..8)
}

fn bits(samples: &[f32]) -> Vec<u32> {
    samples.iter().map(|sample| sample.to_bits()).collect()
}

/// `ceil(inputs * to_hz / from_hz)`.
fn converted(inputs: usize, resampler: &Resampler) -> usize {
    (inputs * resampler.to_hz() as usize).div_ceil(resampler.from_hz() as usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_cutting_changes_nothing(
        from_hz in rate(), to_hz in rate(), quality in quality(), pieces in pieces(),
    ) {
        for set in InstructionSet::available() {
            let mut resampler =
                Resampler::with_instruction_set(from_hz, to_hz, quality, set).unwrap();
            let mut whole = Vec::new();
            resampler.process(&pieces.concat(), &mut whole);
            resampler.flush(&mut whole);
            let mut cut = Vec::new();
            for piece in &pieces {
                let before = cut.len();
                resampler.process(piece, &mut cut);
                prop_assert!(cut.len() - before <= resampler.max_output(piece.len()));
            }
            resampler.flush(&mut cut);
            prop_assert_eq!(bits(&whole), bits(&cut), "{}", set.name());
        }
    }

    #[test]
    fn every_input_results_in_its_outputs_at_once(
        from_hz in rate(), to_hz in rate(), quality in quality(), pieces in pieces(),
    ) {
        let mut resampler = Resampler::new(from_hz, to_hz, quality).unwrap();
        let (mut fed, mut out) = (0, Vec::new());
        for piece in &pieces {
            fed += piece.len();
            resampler.process(piece, &mut out);
            prop_assert_eq!(out.len(), converted(fed, &resampler));
        }
        resampler.flush(&mut out);
        let held_back = if fed > 0 { resampler.delay_samples() } else { 0 };
        prop_assert_eq!(out.len(), converted(fed, &resampler) + held_back);
    }

    #[test]
    fn nothing_is_lost(
        from_hz in rate(), to_hz in rate(), quality in quality(), place in 0_usize..2_000,
    ) {
        // 20 ms after the impulse, all of its response has been output: the sum is the ratio.
        let mut resampler = Resampler::new(from_hz, to_hz, quality).unwrap();
        let mut input = vec![0.0; place + 1 + from_hz as usize / 50];
        input[place] = 1.0;
        let mut out = Vec::new();
        resampler.process(&input, &mut out);
        let sum: f64 = out.iter().map(|&sample| f64::from(sample)).sum();
        let ratio = f64::from(to_hz) / f64::from(from_hz);
        prop_assert!((sum / ratio - 1.0).abs() < 2e-4, "{sum} instead of {ratio}");
    }

    #[test]
    fn a_reset_discards_the_state(
        from_hz in rate(), to_hz in rate(), quality in quality(), pieces in pieces(),
    ) {
        let mut resampler = Resampler::new(from_hz, to_hz, quality).unwrap();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        resampler.process(&pieces.concat(), &mut first);
        resampler.reset();
        resampler.process(&pieces.concat(), &mut second);
        prop_assert_eq!(bits(&first), bits(&second));
    }
}

#[test]
fn twenty_milliseconds_in_are_twenty_milliseconds_out() {
    for (from_hz, to_hz) in [
        (48_000, 16_000),
        (44_100, 48_000),
        (22_050, 48_000),
        (8_000, 44_100),
    ] {
        let mut resampler = Resampler::new(from_hz, to_hz, Quality::High).unwrap();
        for _ in 0..5 {
            let mut out = Vec::new();
            resampler.process(&vec![0.5; from_hz as usize / 50], &mut out);
            assert_eq!(out.len(), to_hz as usize / 50, "{from_hz} to {to_hz}");
        }
    }
}

#[test]
fn equal_rates_pass_unchanged_and_at_once() {
    let mut resampler = Resampler::new(44_100, 44_100, Quality::High).unwrap();
    let input = [0.5, -0.25, f32::MIN_POSITIVE];
    let mut out = Vec::new();
    resampler.process(&input, &mut out);
    resampler.flush(&mut out);
    assert_eq!(bits(&out), bits(&input));
    assert_eq!(resampler.delay_samples(), 0);
}

#[test]
fn a_flush_without_input_returns_nothing() {
    let mut resampler = Resampler::new(48_000, 16_000, Quality::High).unwrap();
    let mut out = Vec::new();
    resampler.process(&[], &mut out);
    resampler.flush(&mut out);
    assert!(out.is_empty());
}

#[test]
fn rates_out_of_range_are_refused() {
    for (from_hz, to_hz, got_hz) in [(7_999, 48_000, 7_999), (48_000, 192_001, 192_001)] {
        let refused = Resampler::new(from_hz, to_hz, Quality::High).unwrap_err();
        assert_eq!(refused, AudioError::SampleRate { got_hz });
    }
}

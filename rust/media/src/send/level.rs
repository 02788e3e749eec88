//! The level of audio, as header extensions report it.

/// The largest sample, which is full scale (RFC 6465 appendix A).
const FULL_SCALE: f64 = 32_767.0;

/// Silence: the lowest level there is; anything quieter counts as this (RFC 6464 section 3).
const SILENCE_DB: f64 = 127.0;

/// Returns the level of samples in dB below full scale, 0 to 127 (RFC 6465 appendix A).
pub(super) fn below_full_scale_db(samples: &[i16]) -> u8 {
    let energy: u64 = samples
        .iter()
        .map(|&sample| u64::from(sample.unsigned_abs()).pow(2))
        .sum();
    #[allow(clippy::cast_precision_loss, reason = "of a frame, 41 bits at most")]
    let power = energy as f64 / (samples.len().max(1) as f64 * FULL_SCALE * FULL_SCALE);
    let level_db = (-10.0 * power.log10()).round().clamp(0.0, SILENCE_DB);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to seven bits"
    )]
    let level_db = level_db as u8;
    level_db
}

#[cfg(test)]
mod tests {
    use super::below_full_scale_db;

    #[test]
    fn levels_are_those_of_the_standard() {
        for (sample, expected) in [
            (0, 127),
            (1, 90),
            (-33, 60),
            (3_277, 20),
            (16_384, 6),
            (i16::MAX, 0),
            (i16::MIN, 0),
        ] {
            assert_eq!(below_full_scale_db(&[sample; 960]), expected, "{sample}");
        }
        assert_eq!(below_full_scale_db(&[]), 127);
        // A sine is 3 dB below the square wave of its peak.
        let sine: Vec<i16> = (0..960)
            .map(|k| {
                #[allow(clippy::cast_possible_truncation, reason = "within full scale")]
                let sample =
                    ((f64::from(k) * std::f64::consts::TAU / 96.0).sin() * 32_767.0) as i16;
                sample
            })
            .collect();
        assert_eq!(below_full_scale_db(&sine), 3);
    }
}

//! The generator of chance.

/// The steps of [`Random::normal`]: the sum of so many uniform numbers has a variance of 1.
const UNIFORMS: usize = 12;

/// `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
///
/// 64 bits of state are plenty for tests, and any seed is a good one. Its output must never change:
/// tests of users depend on which packets a seed loses.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to less than 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        #[allow(
            clippy::cast_precision_loss,
            reason = "53 bits, as many as an f64 holds"
        )]
        let (whole, range) = ((self.bits() >> 11) as f64, (1_u64 << 53) as f64);
        whole / range
    }

    /// A number that is about normally distributed: mean 0, standard deviation 1, within ±6.
    ///
    /// A sum, and neither logarithm nor cosine, whose last bits differ between machines.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..UNIFORMS).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(first, published);
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut random = Random::new(7);
        let numbers: Vec<f64> = (0..40_000).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 40_000.0;
        let variance = numbers.iter().map(|each| each * each).sum::<f64>() / 40_000.0;
        // Four standard errors: 4 / sqrt(40,000), and sqrt(2) times that.
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }
}

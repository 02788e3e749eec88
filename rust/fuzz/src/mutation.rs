//! Mutation: new inputs from those of a corpus.

/// The longest input, in bytes: some hundred operations.
const LONGEST: usize = 1_024;

/// Bytes at boundaries: ends of ranges, and the bytes of infinities.
const EDGES: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, 0xc0, 0x3f];

/// Generates inputs from a corpus; each depends only on the seed and on its number.
pub struct Mutator<'a> {
    seed: u64,
    corpus: &'a [Vec<u8>],
}

impl<'a> Mutator<'a> {
    /// A mutator of this corpus.
    pub fn new(seed: u64, corpus: &'a [Vec<u8>]) -> Self {
        Self { seed, corpus }
    }

    /// Generates the input of that number.
    pub fn input(&self, number: u64) -> Vec<u8> {
        let mut random = Random(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
        // A quarter is random bytes only.
        if self.corpus.is_empty() || random.below(4) == 0 {
            let length = random.below(LONGEST);
            return (0..length).map(|_| random.byte()).collect();
        }
        let mut input = self.corpus[random.below(self.corpus.len())].clone();
        for _ in 0..=random.below(8) {
            self.change(&mut input, &mut random);
        }
        input.truncate(LONGEST);
        input
    }

    /// Changes the input in one of six ways at a random place.
    fn change(&self, input: &mut Vec<u8>, random: &mut Random) {
        let place = random.below(input.len() + 1);
        match random.below(6) {
            0 => input.truncate(place),
            1 => input.insert(place, random.byte()),
            2 => {
                let other = &self.corpus[random.below(self.corpus.len())];
                let from = random.below(other.len() + 1);
                input.truncate(place);
                input.extend_from_slice(&other[from..]);
            }
            3 => input.extend_from_within(place..),
            kind => {
                let byte = if kind == 4 {
                    random.byte()
                } else {
                    EDGES[random.below(EDGES.len())]
                };
                if let Some(old) = input.get_mut(place) {
                    *old = byte;
                }
            }
        }
    }
}

/// The generator splitmix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    #[allow(clippy::cast_possible_truncation, reason = "below a usize")]
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

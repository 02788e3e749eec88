//! Operations and numbers read from arbitrary bytes.

/// A reader that starts at the front; bytes after the end are zero.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// A reader of all of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// True if every byte was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the next `N` bytes.
    pub fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let count = N.min(self.0.len());
        taken[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        taken
    }

    /// Takes up to `count` bytes.
    pub fn slice(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(count.min(self.0.len()));
        self.0 = tail;
        head
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    /// One of `items`.
    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::from(self.byte()) % items.len()]
    }

    /// A rate in Hz: a usual one, one that is supported, or any number.
    pub fn rate_hz(&mut self) -> u32 {
        match self.byte() {
            255 => u32::from_le_bytes(self.take()),
            254 => 8_000 + u32::from_le_bytes(self.take()) % 184_001,
            low => [
                8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000,
            ][usize::from(low % 8)],
        }
    }

    /// A length up to `most`, short ones more often.
    pub fn length(&mut self, most: usize) -> usize {
        let long = usize::from(u16::from_le_bytes(self.take()));
        match long % 4 {
            0 => long % 4,
            1 => long / 4 % 32,
            _ => long % (most + 1),
        }
    }

    /// A float of any bits: NaN, infinities and denormals among them.
    pub fn float(&mut self) -> f32 {
        f32::from_le_bytes(self.take())
    }

    /// A duration or a probability as a setting, sometimes any bits.
    pub fn setting(&mut self) -> f64 {
        match self.byte() {
            255 => f64::from_le_bytes(self.take()),
            low => f64::from(low) / 64.0,
        }
    }

    /// `count` samples from a few bytes: a repeating pattern of any values.
    pub fn samples<T>(&mut self, count: usize, make: impl Fn([u8; 8]) -> T) -> Vec<T> {
        let pattern: Vec<[u8; 8]> = (0..=self.byte() % 8).map(|_| self.take()).collect();
        let cycle = pattern.iter().copied().cycle();
        cycle.take(count).map(make).collect()
    }

    /// `count` int16 samples.
    pub fn int16(&mut self, count: usize) -> Vec<i16> {
        self.samples(count, |bytes| i16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// `count` floats of any bits.
    pub fn floats(&mut self, count: usize) -> Vec<f32> {
        self.samples(count, |[a, b, c, d, ..]| f32::from_le_bytes([a, b, c, d]))
    }
}

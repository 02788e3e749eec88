//! Assembly of 16-bit samples from byte chunks of any length.

/// Assembles 16-bit little-endian samples from byte chunks that may end in mid-sample.
#[derive(Debug, Clone, Default)]
pub struct Pcm16Assembler {
    pending: Option<u8>,
}

impl Pcm16Assembler {
    /// An assembler with nothing pending.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends every sample that `chunk` completes to `out`; keeps an odd last byte for the next
    /// chunk.
    ///
    /// Appends at most one sample more than half as many as there are bytes: without room for them
    /// in `out`, missing memory ends the process.
    ///
    /// # Examples
    /// ```
    /// let mut assembler = gradio_webrtc_core::Pcm16Assembler::new();
    /// let mut samples = Vec::new();
    /// assembler.push(&[0x01], &mut samples);
    /// assembler.push(&[0x00, 0xff, 0xff], &mut samples);
    /// assert_eq!(samples, [1, -1]);
    /// ```
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<i16>) {
        let Some((&first, rest)) = chunk.split_first() else {
            return;
        };
        let body = match self.pending.take() {
            Some(low) => {
                out.push(i16::from_le_bytes([low, first]));
                rest
            }
            None => chunk,
        };
        let (pairs, odd) = body.as_chunks::<2>();
        out.extend(pairs.iter().copied().map(i16::from_le_bytes));
        self.pending = odd.first().copied();
    }

    /// True if a byte waits for the second byte of its sample.
    #[must_use]
    pub fn has_pending_byte(&self) -> bool {
        self.pending.is_some()
    }

    /// Discards a pending byte.
    pub fn reset(&mut self) {
        self.pending = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(chunks: &[&[u8]]) -> (Vec<i16>, bool) {
        let (mut assembler, mut out) = (Pcm16Assembler::new(), Vec::new());
        for chunk in chunks {
            assembler.push(chunk, &mut out);
        }
        (out, assembler.has_pending_byte())
    }

    #[test]
    fn an_odd_byte_is_carried_over_empty_chunks() {
        assert_eq!(assemble(&[&[1, 0, 2], &[], &[0, 3]]), (vec![1, 2], true));
    }

    #[test]
    fn single_bytes_pair_up() {
        assert_eq!(
            assemble(&[&[0xfe], &[0xff], &[0x00], &[0x80]]),
            (vec![-2, i16::MIN], false)
        );
    }

    #[test]
    fn reset_discards_the_odd_byte() {
        let (mut assembler, mut out) = (Pcm16Assembler::new(), Vec::new());
        assembler.push(&[9], &mut out);
        assembler.reset();
        assembler.push(&[1, 0], &mut out);
        assert_eq!(out, [1]);
    }
}

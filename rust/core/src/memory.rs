//! Memory for what callers hand in: asked for where a refusal can be told, never where it ends the
//! process.
//!
//! A vector that grows by itself aborts when there is no memory. So long input is worked on in pieces,
//! which keeps the buffers in between small whatever comes, and what has to be kept as long as
//! it is gets its room beforehand.

use crate::AudioError;

/// Samples per channel that are worked on at once: a second at 48 kHz. A buffer in between holds
/// 24 times as many at most, from 8 to 192 kHz: 4.6 MB.
pub(crate) const PIECE_SAMPLES: usize = 48_000;

/// Makes room for `more` items in `items`.
///
/// # Errors
/// [`AudioError::OutOfMemory`] when there is none; nothing has changed then.
pub fn reserve<T>(items: &mut Vec<T>, more: usize) -> Result<(), AudioError> {
    items
        .try_reserve(more)
        .map_err(|_| AudioError::OutOfMemory {
            bytes: more.saturating_mul(size_of::<T>()),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_there_cannot_be_is_refused_in_bytes() {
        let mut samples = vec![7_i16];
        let bytes = usize::MAX / 4 * 2;
        let refused = reserve(&mut samples, usize::MAX / 4);
        assert_eq!(refused, Err(AudioError::OutOfMemory { bytes }));
        assert_eq!(samples, [7]);
    }
}

//! Memory for input of any length: requested where a refusal is an error, not where it ends the
//! process.
//!
//! A vector that grows by itself aborts when there is no memory. Long input is therefore processed
//! in pieces, which keeps the buffers in between small whatever its length, and memory that must
//! grow with the input is reserved beforehand.

use crate::AudioError;

/// Samples per channel that are processed at once: a second at 48 kHz. A buffer in between holds at
/// most 24 times as many `f32`, from 8 to 192 kHz: 4.6 MB.
pub(crate) const PIECE_SAMPLES: usize = 48_000;

/// Makes room for `more` items in `items`.
///
/// # Errors
/// [`AudioError::OutOfMemory`] where there is no memory; `items` is unchanged then.
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
    fn impossible_room_is_refused_in_bytes() {
        let mut samples = vec![7_i16];
        let bytes = usize::MAX / 4 * 2;
        let refused = reserve(&mut samples, usize::MAX / 4);
        assert_eq!(refused, Err(AudioError::OutOfMemory { bytes }));
        assert_eq!(samples, [7]);
    }
}

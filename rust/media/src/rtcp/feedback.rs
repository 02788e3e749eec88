//! Lists in parts of a compound packet: streams, names, missing packets, requests.

use super::split_u32;

/// The item of a source description that names a participant (RFC 3550 section 6.5.1).
pub(super) const CNAME: u8 = 1;

/// A list of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssrcs<'a>(&'a [[u8; 4]]);

impl<'a> Ssrcs<'a> {
    /// Reads that many; `None` where there are fewer.
    pub(super) fn read(bytes: &'a [u8], count: usize) -> Option<Self> {
        let (all, _) = bytes.as_chunks();
        Some(Self(all.get(..count)?))
    }
}

impl Iterator for Ssrcs<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }
}

/// Streams with the names of their participants, `None` where one has no name or not in UTF-8.
///
/// Ends early at a chunk that is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdesChunks<'a> {
    rest: &'a [u8],
    count: usize,
}

impl<'a> SdesChunks<'a> {
    pub(super) fn new(rest: &'a [u8], count: usize) -> Self {
        Self { rest, count }
    }

    /// Takes a chunk: a stream, and the name among its items.
    fn chunk(&mut self) -> Option<(u32, Option<&'a str>)> {
        let (ssrc, rest) = split_u32(self.rest)?;
        self.rest = rest;
        let (mut name, start) = (None, rest.len());
        loop {
            let (&kind, rest) = self.rest.split_first()?;
            self.rest = rest;
            if kind == 0 {
                break;
            }
            let (&bytes, rest) = self.rest.split_first()?;
            let (text, rest) = rest.split_at_checked(bytes.into())?;
            self.rest = rest;
            if kind == CNAME {
                name = str::from_utf8(text).ok();
            }
        }
        // Zeros up to the next word; the items started with one.
        let taken = start - self.rest.len();
        self.rest = self.rest.get(taken.next_multiple_of(4) - taken..)?;
        Some((ssrc, name))
    }
}

impl<'a> Iterator for SdesChunks<'a> {
    type Item = (u32, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        let chunk = self.chunk();
        if chunk.is_none() {
            self.count = 0;
        }
        chunk
    }
}

/// Sequence numbers of missing packets, in the order of the list.
///
/// An entry is a number and a mask of the 16 behind it (RFC 4585 section 6.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostNumbers<'a> {
    entries: &'a [[u8; 4]],
    /// The next number of the current entry, and the mask with it as the lowest bit.
    next: u16,
    mask: u32,
}

impl<'a> LostNumbers<'a> {
    /// Reads all entries; `None` where there is none, or not a whole one.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (entries, rest) = bytes.as_chunks();
        (!entries.is_empty() && rest.is_empty()).then_some(Self {
            entries,
            next: 0,
            mask: 0,
        })
    }
}

impl Iterator for LostNumbers<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.mask == 0 {
            let (&[p0, p1, m0, m1], rest) = self.entries.split_first()?;
            self.entries = rest;
            self.next = u16::from_be_bytes([p0, p1]);
            self.mask = u32::from(u16::from_be_bytes([m0, m1])) << 1 | 1;
        }
        let skipped = self.mask.trailing_zeros();
        // At most 16 bits are above the lowest.
        let number = self.next.wrapping_add(skipped.to_le_bytes()[0].into());
        self.mask = self.mask >> skipped >> 1;
        self.next = number.wrapping_add(1);
        Some(number)
    }
}

/// Streams of which a key frame is requested, each with the number of the request, which stays the
/// same when it is repeated (RFC 5104 section 4.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirRequests<'a>(&'a [[u8; 8]]);

impl<'a> FirRequests<'a> {
    /// Reads all requests; `None` where there is none, or not a whole one.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (entries, rest) = bytes.as_chunks();
        (!entries.is_empty() && rest.is_empty()).then_some(Self(entries))
    }
}

impl Iterator for FirRequests<'_> {
    type Item = (u32, u8);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[a, b, c, d, number, ..], rest) = self.0.split_first()?;
        self.0 = rest;
        Some((u32::from_be_bytes([a, b, c, d]), number))
    }
}

/// The bit rate that a receiver can take (draft-alvestrand-rmcat-remb-03).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remb<'a> {
    /// The receiver.
    pub sender_ssrc: u32,
    /// The rate of all streams together, in bits per second.
    pub bit_rate_bps: u64,
    /// The streams.
    pub ssrcs: Ssrcs<'a>,
}

impl<'a> Remb<'a> {
    /// Reads what follows the two streams; `None` for the message of another application.
    pub(super) fn read(sender_ssrc: u32, bytes: &'a [u8]) -> Option<Self> {
        let (&[count, high, middle, low], rest) =
            bytes.strip_prefix(b"REMB")?.split_first_chunk()?;
        // A mantissa of 18 bits below an exponent of 6.
        let mantissa = u64::from_be_bytes([0, 0, 0, 0, 0, high & 3, middle, low]);
        let exponent = u32::from(high >> 2);
        let bit_rate = mantissa.checked_mul(1 << exponent);
        Some(Self {
            sender_ssrc,
            bit_rate_bps: bit_rate.unwrap_or(u64::MAX),
            ssrcs: Ssrcs::read(rest, count.into())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_among_other_items() {
        let bytes = [
            // A stream with a tool and a name, up to a word's end; one without items; one with a
            // name that is no UTF-8, after which a whole word of zeros ends the items.
            &[
                0, 0, 0, 1, 6, 2, b'x', b'y', 1, 3, b'a', b'b', b'c', 0, 0, 0,
            ][..],
            &[0, 0, 0, 2, 0, 0, 0, 0],
            &[0, 0, 0, 3, 1, 2, 0xff, 0xff, 0, 0, 0, 0],
        ]
        .concat();
        let chunks: Vec<_> = SdesChunks::new(&bytes, 3).collect();
        assert_eq!(chunks, [(1, Some("abc")), (2, None), (3, None)]);
        assert_eq!(SdesChunks::new(&bytes, 1).count(), 1);
        // Without its end, the last chunk is none, nor is a fourth.
        assert_eq!(SdesChunks::new(&bytes[..32], 3).count(), 2);
        assert_eq!(SdesChunks::new(&bytes, 31).count(), 3);
    }

    #[test]
    fn missing_packets_are_numbers_and_masks() {
        let lost = |bytes| LostNumbers::read(bytes).map(Iterator::collect::<Vec<_>>);
        let numbers = lost(&[0xff, 0xfe, 0b1000_0000, 0b0000_0101, 0, 50, 0, 0]);
        assert_eq!(numbers, Some(vec![0xfffe, 0xffff, 1, 14, 50]));
        let numbers = lost(&[0, 1, 0xff, 0xff]).unwrap();
        assert_eq!(numbers, (1..=17).collect::<Vec<_>>());
        assert_eq!((lost(&[]), lost(&[0, 1, 0])), (None, None));
    }

    #[test]
    fn requests_have_a_stream_and_a_number() {
        let bytes = [0, 0, 0, 1, 200, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0, 0];
        let requests: Vec<_> = FirRequests::read(&bytes).unwrap().collect();
        assert_eq!(requests, [(1, 200), (2, 3)]);
        assert_eq!(FirRequests::read(&bytes[..12]), None);
    }

    #[test]
    fn the_bit_rate_has_a_mantissa_and_an_exponent() {
        let read = |bits: [u8; 3]| {
            let bytes = [&b"REMB\x01"[..], &bits, &[0, 0, 0, 7]].concat();
            let remb = Remb::read(1, &bytes).unwrap();
            assert_eq!(remb.ssrcs.collect::<Vec<_>>(), [7]);
            remb.bit_rate_bps
        };
        assert_eq!(read([0b0000_0111, 0xff, 0xff]), 0x3ffff * 2);
        assert_eq!(read([0b0000_0000, 0x03, 0xe8]), 1_000);
        assert_eq!(read([0b1011_1011, 0xff, 0xff]), u64::MAX - 0x3fff_ffff_ffff);
        assert_eq!(read([0xff, 0xff, 0xff]), u64::MAX);
        assert_eq!(Remb::read(1, b"ROMB\x00\x00\x00\x00"), None);
        assert_eq!(Remb::read(1, b"REMB\x01\x00\x00\x00"), None);
    }
}

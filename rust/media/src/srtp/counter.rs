//! AES in counter mode with tags of HMAC-SHA1 (RFC 3711 sections 4.1.1 and 4.2.1).

use aes::Aes128;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::SrtpError;
use super::cipher::{
    Cipher, Place, RTCP_HEADER_BYTES, RTCP_WORD_BYTES, apply_key_stream, is_encrypted, trailer_at,
    xor,
};

/// The length of the key of HMAC-SHA1 (RFC 3711 section 8.2).
pub(super) const HMAC_KEY_BYTES: usize = 20;

/// The length of a tag: the first 80 of 160 bits.
const TAG_BYTES: usize = 10;

/// The profile `AES_CM_128_HMAC_SHA1_80`.
pub(super) struct CounterMode {
    aes: Aes128,
    /// With the key taken in, to be cloned for each packet.
    hmac: Hmac<Sha1>,
    salt: Zeroizing<[u8; 14]>,
}

impl CounterMode {
    pub fn new(aes: Aes128, hmac_key: &[u8; HMAC_KEY_BYTES], salt: Zeroizing<[u8; 14]>) -> Self {
        // A key that is shorter than a block of SHA-1 is filled up with zeros (RFC 2104 section 2).
        let mut block = Zeroizing::new([0; 64]);
        block[..HMAC_KEY_BYTES].copy_from_slice(hmac_key);
        let hmac = Hmac::new(&(*block).into());
        Self { aes, hmac, salt }
    }

    /// Encrypts and decrypts.
    fn apply(&self, place: Place, data: &mut [u8]) {
        let mut block = [0; 16];
        block[4..14].copy_from_slice(&place.bytes());
        xor(&mut block, &self.salt[..]);
        apply_key_stream(&self.aes, block, data);
    }

    /// The HMAC of two parts in a row, not yet cut to a tag.
    fn hmac(&self, data: &[u8], behind: &[u8]) -> Hmac<Sha1> {
        self.hmac.clone().chain_update(data).chain_update(behind)
    }
}

impl Cipher for CounterMode {
    fn seal_rtp(
        &self,
        place: Place,
        header_bytes: usize,
        packet: &mut Vec<u8>,
    ) -> Result<(), SrtpError> {
        self.apply(place, &mut packet[header_bytes..]);
        let tag = self.hmac(packet, &place.roll_over()).finalize();
        packet.extend_from_slice(&tag.into_bytes()[..TAG_BYTES]);
        Ok(())
    }

    fn open_rtp(
        &self,
        place: Place,
        header_bytes: usize,
        packet: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let end = trailer_at(packet, header_bytes, TAG_BYTES)?;
        let (data, tag) = packet.split_at_mut(end);
        let expected = self.hmac(data, &place.roll_over());
        verify(expected, tag)?;
        self.apply(place, &mut data[header_bytes..]);
        Ok(end)
    }

    fn seal_rtcp(&self, place: Place, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        self.apply(place, &mut packet[RTCP_HEADER_BYTES..]);
        packet.extend_from_slice(&place.rtcp_word());
        let tag = self.hmac(packet, &[]).finalize();
        packet.extend_from_slice(&tag.into_bytes()[..TAG_BYTES]);
        Ok(())
    }

    fn open_rtcp(&self, place: Place, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let word_at = self.rtcp_word_at(packet)?;
        let (data, tag) = packet.split_at_mut(word_at + RTCP_WORD_BYTES);
        verify(self.hmac(data, &[]), tag)?;
        if is_encrypted(data, word_at) {
            self.apply(place, &mut data[RTCP_HEADER_BYTES..word_at]);
        }
        Ok(word_at)
    }

    fn rtcp_word_at(&self, packet: &[u8]) -> Result<usize, SrtpError> {
        trailer_at(packet, RTCP_HEADER_BYTES, RTCP_WORD_BYTES + TAG_BYTES)
    }
}

/// Compares in a time that does not depend on where the tags differ.
fn verify(expected: Hmac<Sha1>, tag: &[u8]) -> Result<(), SrtpError> {
    expected
        .verify_truncated_left(tag)
        .map_err(|_| SrtpError::Authentication)
}

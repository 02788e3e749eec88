//! AES in Galois counter mode (RFC 7714), with keys of 128 and of 256 bits.

use aes::cipher::consts::{U12, U16};
use aes_gcm::aead::AeadInOut;
use zeroize::Zeroizing;

use super::SrtpError;
use super::cipher::{
    Cipher, Place, RTCP_HEADER_BYTES, RTCP_WORD_BYTES, is_encrypted, trailer_at, xor,
};

/// The length of a tag (RFC 7714 section 13.2).
const TAG_BYTES: usize = 16;

/// The length of the salt, and of the initialisation vector (section 8.1).
const SALT_BYTES: usize = 12;

/// The profiles `AEAD_AES_128_GCM` and `AEAD_AES_256_GCM`.
pub(super) struct Gcm<A> {
    gcm: A,
    salt: Zeroizing<[u8; SALT_BYTES]>,
}

impl<A: AeadInOut<NonceSize = U12, TagSize = U16>> Gcm<A> {
    pub fn new(gcm: A, salt: Zeroizing<[u8; SALT_BYTES]>) -> Self {
        Self { gcm, salt }
    }

    /// The initialisation vector (sections 8.1 and 9.1, which agree for an index of 31 bits).
    fn vector(&self, place: Place) -> [u8; SALT_BYTES] {
        let mut vector = [0; SALT_BYTES];
        vector[2..].copy_from_slice(&place.bytes());
        xor(&mut vector, &self.salt[..]);
        vector
    }

    /// Encrypts in place and returns the tag.
    fn seal(
        &self,
        place: Place,
        associated: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], SrtpError> {
        let (vector, got) = (self.vector(place).into(), data.len());
        self.gcm
            .encrypt_inout_detached(&vector, associated, data.into())
            .map(Into::into)
            .map_err(|_| SrtpError::TooLong { got })
    }

    /// Decrypts in place, once the tag was found right.
    fn open(
        &self,
        place: Place,
        associated: &[u8],
        data: &mut [u8],
        tag: &[u8],
    ) -> Result<(), SrtpError> {
        let vector = self.vector(place).into();
        let tag = tag.try_into().map_err(|_| SrtpError::Authentication)?;
        self.gcm
            .decrypt_inout_detached(&vector, associated, data.into(), tag)
            .map_err(|_| SrtpError::Authentication)
    }
}

impl<A: AeadInOut<NonceSize = U12, TagSize = U16> + Send + Sync> Cipher for Gcm<A> {
    fn seal_rtp(
        &self,
        place: Place,
        header_bytes: usize,
        packet: &mut Vec<u8>,
    ) -> Result<(), SrtpError> {
        let (header, payload) = packet.split_at_mut(header_bytes);
        let tag = self.seal(place, header, payload)?;
        packet.extend_from_slice(&tag);
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
        let (header, payload) = data.split_at_mut(header_bytes);
        self.open(place, header, payload, tag)?;
        Ok(end)
    }

    fn seal_rtcp(&self, place: Place, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let word = place.rtcp_word();
        let (header, body) = packet.split_at_mut(RTCP_HEADER_BYTES);
        let tag = self.seal(place, &associated(header, &word), body)?;
        packet.extend_from_slice(&tag);
        packet.extend_from_slice(&word);
        Ok(())
    }

    fn open_rtcp(&self, place: Place, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let word_at = self.rtcp_word_at(packet)?;
        let is_encrypted = is_encrypted(packet, word_at);
        let (data, word) = packet.split_at_mut(word_at);
        let end = word_at - TAG_BYTES;
        let (data, tag) = data.split_at_mut(end);
        if is_encrypted {
            let (header, body) = data.split_at_mut(RTCP_HEADER_BYTES);
            self.open(place, &associated(header, word), body, tag)?;
        } else {
            // All of it is authenticated in a row (section 9.3). Peers of WebRTC encrypt: one copy
            // of a packet that is not expected costs nothing.
            let whole = [&*data, word].concat();
            self.open(place, &whole, &mut [], tag)?;
        }
        Ok(end)
    }

    /// The tag stands before the word here.
    fn rtcp_word_at(&self, packet: &[u8]) -> Result<usize, SrtpError> {
        let end = trailer_at(packet, RTCP_HEADER_BYTES, RTCP_WORD_BYTES + TAG_BYTES)?;
        Ok(end + TAG_BYTES)
    }
}

/// The data that an encrypted RTCP packet authenticates beside its body (section 9.2).
fn associated(header: &[u8], word: &[u8]) -> [u8; RTCP_HEADER_BYTES + RTCP_WORD_BYTES] {
    let mut associated = [0; RTCP_HEADER_BYTES + RTCP_WORD_BYTES];
    associated[..RTCP_HEADER_BYTES].copy_from_slice(header);
    associated[RTCP_HEADER_BYTES..].copy_from_slice(word);
    associated
}

#[cfg(test)]
mod tests {
    use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};

    use super::super::hex;
    use super::*;

    // RFC 7714 section 16: the session's keys and salt as they are, one packet in all examples.
    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const SALT: &[u8; 12] = b"Quid pro quo";
    const RTP_PACKET: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973
        20646976 69736120 696e2070 61727465 73207472 6573";
    const RTP_PLACE: Place = Place {
        ssrc: 0x5501_a0b2,
        index: 0xf17b,
    };
    // Section 17; the packet as its subsections have it.
    const RTCP_PACKET: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930
        4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef";
    const RTCP_PLACE: Place = Place {
        ssrc: 0x4d61_7273,
        index: 0x5d4,
    };

    fn ciphers() -> [Box<dyn Cipher>; 2] {
        let key = hex(KEY);
        let short = Aes128Gcm::new_from_slice(&key[..16]).unwrap();
        let long = Aes256Gcm::new_from_slice(&key).unwrap();
        let salt = Zeroizing::new(*SALT);
        [
            Box::new(Gcm::new(short, salt.clone())),
            Box::new(Gcm::new(long, salt)),
        ]
    }

    #[test]
    fn rtp_packets_are_those_of_rfc_7714() {
        // Sections 16.1.1 and 16.2.1.
        let protected = [
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f
                42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3
                b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ];
        for (cipher, protected) in ciphers().iter().zip(protected) {
            let mut packet = hex(RTP_PACKET);
            cipher.seal_rtp(RTP_PLACE, 12, &mut packet).unwrap();
            assert_eq!(packet, hex(protected));
            let end = cipher.open_rtp(RTP_PLACE, 12, &mut packet).unwrap();
            assert_eq!(packet[..end], hex(RTP_PACKET));
        }
    }

    #[test]
    fn encrypted_rtcp_packets_are_those_of_rfc_7714() {
        // Sections 17.1 and 17.2.
        let protected = [
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1
                730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1
                110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ];
        for (cipher, protected) in ciphers().iter().zip(protected) {
            let mut packet = hex(RTCP_PACKET);
            cipher.seal_rtcp(RTCP_PLACE, &mut packet).unwrap();
            assert_eq!(packet, hex(protected));
            assert_eq!(cipher.rtcp_index(&packet), Ok(0x5d4));
            let end = cipher.open_rtcp(RTCP_PLACE, &mut packet).unwrap();
            assert_eq!(packet[..end], hex(RTCP_PACKET));
        }
    }

    #[test]
    fn authenticated_rtcp_packets_are_those_of_rfc_7714() {
        // Sections 17.3 and 17.4.
        let trailers = [
            "841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
            "91db4afb feee5a97 8fab4393 ed2615fe 000005d4",
        ];
        for (cipher, trailer) in ciphers().iter().zip(trailers) {
            let packet = [hex(RTCP_PACKET), hex(trailer)].concat();
            let end = cipher.open_rtcp(RTCP_PLACE, &mut packet.clone()).unwrap();
            assert_eq!(packet[..end], hex(RTCP_PACKET));
            for at in 0..packet.len() {
                let mut forged = packet.clone();
                forged[at] ^= 1;
                let error = cipher.open_rtcp(RTCP_PLACE, &mut forged);
                assert_eq!(error, Err(SrtpError::Authentication), "byte {at}");
            }
        }
    }
}

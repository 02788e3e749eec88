//! What the protection profiles have in common: session keys, and operations on whole packets.

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128, Aes256};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use ctr::{Ctr128BE, CtrCore};
use zeroize::{Zeroize, Zeroizing};

use super::counter::CounterMode;
use super::gcm::Gcm;
use super::{SrtpError, SrtpProfile};

/// The longest salt: 112 bits (RFC 3711 section 8.2).
const MAX_SALT_BYTES: usize = 14;

/// The header of an SRTCP packet that stays readable: its first word and the SSRC (section 3.4).
pub(super) const RTCP_HEADER_BYTES: usize = 8;

/// The word with the flag of encryption and the index of an SRTCP packet (section 3.4).
pub(super) const RTCP_WORD_BYTES: usize = 4;

/// The flag of encryption in that word, and in its first byte.
const ENCRYPTED: u32 = 1 << 31;
const ENCRYPTED_BYTE: u8 = 1 << 7;

/// Labels of the session keys of one protocol (section 4.3.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Labels {
    pub encryption: u8,
    pub authentication: u8,
    pub salt: u8,
}

/// The keys of RTP.
pub(super) const RTP: Labels = Labels {
    encryption: 0,
    authentication: 1,
    salt: 2,
};

/// The keys of RTCP.
pub(super) const RTCP: Labels = Labels {
    encryption: 3,
    authentication: 4,
    salt: 5,
};

/// The place of a packet among all that one key encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The packet's stream.
    pub ssrc: u32,
    /// The packet's number in it: 48 bits in RTP, 31 bits in RTCP.
    pub index: u64,
}

impl Place {
    /// The SSRC and the index in a row, which start the key stream together with the salt.
    pub fn bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..4].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes[4..].copy_from_slice(&self.index.to_be_bytes()[2..]);
        bytes
    }

    /// The roll-over counter of an RTP packet.
    pub fn roll_over(self) -> [u8; 4] {
        let [_, _, a, b, c, d, ..] = self.index.to_be_bytes();
        [a, b, c, d]
    }

    /// The word with the flag and the index of an encrypted RTCP packet.
    pub fn rtcp_word(self) -> [u8; RTCP_WORD_BYTES] {
        let [.., a, b, c, d] = self.index.to_be_bytes();
        [a | ENCRYPTED_BYTE, b, c, d]
    }
}

/// The session keys of RTP or of RTCP in one direction. Which index a packet has is an argument.
///
/// Packets that are opened end with a tag, and RTCP packets with an index. They are unchanged up to
/// there when that tag is wrong.
pub(super) trait Cipher: Send + Sync {
    /// Encrypts what follows the header, and appends the tag.
    fn seal_rtp(
        &self,
        place: Place,
        header_bytes: usize,
        packet: &mut Vec<u8>,
    ) -> Result<(), SrtpError>;

    /// Decrypts in place what follows the header; returns where the tag starts.
    fn open_rtp(
        &self,
        place: Place,
        header_bytes: usize,
        packet: &mut [u8],
    ) -> Result<usize, SrtpError>;

    /// Encrypts what follows the first eight bytes, which must be there; appends index and tag.
    fn seal_rtcp(&self, place: Place, packet: &mut Vec<u8>) -> Result<(), SrtpError>;

    /// Decrypts in place what follows the first eight bytes, or only authenticates it where the
    /// packet is not encrypted; returns where the compound packet ends.
    fn open_rtcp(&self, place: Place, packet: &mut [u8]) -> Result<usize, SrtpError>;

    /// Returns where the word with the flag and the index starts.
    fn rtcp_word_at(&self, packet: &[u8]) -> Result<usize, SrtpError>;

    /// Returns the index that the packet states, not yet authenticated.
    fn rtcp_index(&self, packet: &[u8]) -> Result<u64, SrtpError> {
        let word = packet.get(self.rtcp_word_at(packet)?..);
        let word = word.and_then(<[u8]>::first_chunk).copied();
        let word = u32::from_be_bytes(word.unwrap_or_default());
        Ok((word & !ENCRYPTED).into())
    }
}

/// Returns where a trailer of that length starts.
///
/// # Errors
/// The packet is shorter than its header and the trailer.
pub(super) fn trailer_at(
    packet: &[u8],
    header_bytes: usize,
    trailer_bytes: usize,
) -> Result<usize, SrtpError> {
    let end = packet.len().checked_sub(trailer_bytes);
    end.filter(|&end| end >= header_bytes)
        .ok_or(SrtpError::Length {
            expected: header_bytes + trailer_bytes,
            got: packet.len(),
        })
}

/// True if the RTCP packet with its word at this place is encrypted.
pub(super) fn is_encrypted(packet: &[u8], word_at: usize) -> bool {
    packet
        .get(word_at)
        .is_some_and(|byte| byte & ENCRYPTED_BYTE != 0)
}

/// XORs the key stream that starts with this block. It does not repeat within the 2^16 blocks whose
/// numbers the last two bytes count.
pub(super) fn apply_key_stream<A: BlockCipherEncrypt<BlockSize = U16>>(
    aes: &A,
    block: [u8; 16],
    data: &mut [u8],
) {
    let core = CtrCore::inner_iv_init(aes, &block.into());
    Ctr128BE::from_core(core).apply_keystream(data);
}

/// XORs the shorter of two rows of bytes to the front of the other.
pub(super) fn xor(bytes: &mut [u8], with: &[u8]) {
    for (byte, with) in bytes.iter_mut().zip(with) {
        *byte ^= with;
    }
}

/// Derives the session keys from the master key.
///
/// # Errors
/// The key or the salt has not the profile's length.
pub(super) fn cipher(
    profile: SrtpProfile,
    key: &[u8],
    salt: &[u8],
    labels: Labels,
) -> Result<Box<dyn Cipher>, SrtpError> {
    if salt.len() != profile.salt_bytes() {
        return Err(SrtpError::SaltLength {
            expected: profile.salt_bytes(),
            got: salt.len(),
        });
    }
    let keys = Derivation::new(profile, key, salt)?;
    Ok(match profile {
        SrtpProfile::Aes128CmSha1_80 => {
            let aes = Aes128::new(&(*keys.derive(labels.encryption)).into());
            let authentication = keys.derive(labels.authentication);
            Box::new(CounterMode::new(
                aes,
                &authentication,
                keys.derive(labels.salt),
            ))
        }
        SrtpProfile::AeadAes128Gcm => {
            let gcm = Aes128Gcm::new(&(*keys.derive(labels.encryption)).into());
            Box::new(Gcm::new(gcm, keys.derive(labels.salt)))
        }
        SrtpProfile::AeadAes256Gcm => {
            let gcm = Aes256Gcm::new(&(*keys.derive(labels.encryption)).into());
            Box::new(Gcm::new(gcm, keys.derive(labels.salt)))
        }
    })
}

/// The function that makes session keys from a master key (RFC 3711 section 4.3.3; RFC 6188
/// section 3 for 256 bits), for the derivation rate zero: one key a session.
struct Derivation {
    aes: MasterKey,
    salt: Zeroizing<[u8; MAX_SALT_BYTES]>,
}

/// In boxes: a key schedule has some hundred bytes.
enum MasterKey {
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
}

impl Derivation {
    fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        let wrong_length = |_| SrtpError::KeyLength {
            expected: profile.key_bytes(),
            got: key.len(),
        };
        let aes = if profile.key_bytes() == 16 {
            let aes = Aes128::new_from_slice(key).map_err(wrong_length)?;
            MasterKey::Aes128(Box::new(aes))
        } else {
            let aes = Aes256::new_from_slice(key).map_err(wrong_length)?;
            MasterKey::Aes256(Box::new(aes))
        };
        let mut padded = Zeroizing::new([0; MAX_SALT_BYTES]);
        xor(&mut padded[..], salt);
        Ok(Self { aes, salt: padded })
    }

    /// The session key of a label.
    fn derive<const N: usize>(&self, label: u8) -> Zeroizing<[u8; N]> {
        let mut block = [0; 16];
        block[..MAX_SALT_BYTES].copy_from_slice(&self.salt[..]);
        // The label stands before the 48 bits of a packet's index, which are zero.
        block[7] ^= label;
        let mut key = Zeroizing::new([0; N]);
        match &self.aes {
            MasterKey::Aes128(aes) => apply_key_stream(&**aes, block, &mut key[..]),
            MasterKey::Aes256(aes) => apply_key_stream(&**aes, block, &mut key[..]),
        }
        block.zeroize();
        key
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    /// The session keys of the three labels.
    fn derived(profile: SrtpProfile, key: &str, salt: &str) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let keys = Derivation::new(profile, &hex(key), &hex(salt)).unwrap();
        let encryption = keys.derive::<32>(0)[..profile.key_bytes()].to_vec();
        let authentication = keys.derive::<94>(1).to_vec();
        (encryption, authentication, keys.derive::<14>(2).to_vec())
    }

    #[test]
    fn session_keys_are_those_of_rfc_3711() {
        // Appendix B.3.
        let (encryption, authentication, salt) = derived(
            SrtpProfile::Aes128CmSha1_80,
            "e1f97a0d3e018be0d64fa32c06de4139",
            "0ec675ad498afeebb6960b3aabe6",
        );
        assert_eq!(encryption, hex("c61e7a93744f39ee10734afe3ff7a087"));
        assert_eq!(salt, hex("30cbbc08863d8c85d49db34a9ae1"));
        let expected = "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbce \
            e049646c43d9327ad175578ef72270986371c10c9a369ac2f94a8c5fbcdddc25 \
            6d6e919a48b610ef17c2041e474035766b68642c59bbfc2f34db60dbdfb2";
        assert_eq!(authentication, hex(expected));
    }

    #[test]
    fn session_keys_of_256_bits_are_those_of_rfc_6188() {
        // Section 7.2: the salt has 14 bytes there, with zeros behind those of GCM here.
        let (encryption, _, salt) = derived(
            SrtpProfile::AeadAes256Gcm,
            "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
            "3b04803de51ee7c96423ab5b78d2",
        );
        let expected = "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4";
        assert_eq!(encryption, hex(expected));
        assert_eq!(salt, hex("fa31791685ca444a9e07c6c64e93"));
    }

    #[test]
    fn the_key_stream_is_that_of_rfc_3711() {
        // Appendix B.2.
        let aes = Aes128::new_from_slice(&hex("2b7e151628aed2a6abf7158809cf4f3c")).unwrap();
        let mut data = vec![0; 0xff02 * 16];
        let start = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000");
        apply_key_stream(&aes, start.try_into().unwrap(), &mut data);
        let blocks = |range: std::ops::Range<usize>| &data[range.start * 16..range.end * 16];
        let first = "e03ead0935c95e80e166b16dd92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab \
            41e95b3bb0a2e8dd477901e4fca894c0";
        assert_eq!(blocks(0..3), hex(first));
        let last = "ec8cdf7398607cb0f2d21675ea9ea1e4 362b7c3c6773516318a077d7fc5073ae \
            6a2cc3787889374fbeb4c81b17ba6c44";
        assert_eq!(blocks(0xfeff..0xff02), hex(last));
    }

    #[test]
    fn keys_and_salts_of_another_length_are_errors() {
        for profile in SrtpProfile::ALL {
            let (key_bytes, salt_bytes) = (profile.key_bytes(), profile.salt_bytes());
            for by in [1, 2, 16] {
                for got in [key_bytes - by, key_bytes + by] {
                    let error = cipher(profile, &vec![0; got], &vec![0; salt_bytes], RTP);
                    let expected = key_bytes;
                    assert_eq!(error.err(), Some(SrtpError::KeyLength { expected, got }));
                }
            }
            for got in [0, salt_bytes - 1, salt_bytes + 1, salt_bytes + 2] {
                let error = cipher(profile, &vec![0; key_bytes], &vec![0; got], RTCP);
                let expected = salt_bytes;
                assert_eq!(error.err(), Some(SrtpError::SaltLength { expected, got }));
            }
        }
    }
}

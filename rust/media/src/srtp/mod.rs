//! SRTP and SRTCP (RFC 3711, RFC 7714): packets of one direction of one peer, encrypted and
//! authenticated.
//!
//! A direction has one master key, as DTLS exports it (RFC 5764 section 4.2), and up to eight
//! streams: audio and video share a transport. Nothing but an authenticated packet changes a state.

mod cipher;
mod counter;
mod error;
mod gcm;
mod window;

use cipher::{Cipher, Place, RTCP_HEADER_BYTES};
pub use error::SrtpError;
use window::{IndexWindow, Streams};

use crate::RtpPacket;

/// The longest packet, in bytes: that of a datagram. One key stream has 2^20.
const MAX_BYTES: usize = 65_535;

/// The largest index of an SRTCP packet: 31 bits.
const MAX_RTCP_INDEX: u64 = (1 << 31) - 1;

/// The protection profiles of WebRTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrtpProfile {
    /// AES in counter mode, with tags of 80 bits: all peers have it (RFC 8827 section 6.5).
    Aes128CmSha1_80,
    /// AES in Galois counter mode, with keys of 128 bits.
    AeadAes128Gcm,
    /// AES in Galois counter mode, with keys of 256 bits.
    AeadAes256Gcm,
}

impl SrtpProfile {
    /// All profiles.
    pub const ALL: [Self; 3] = [
        Self::Aes128CmSha1_80,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// Returns the profile that DTLS negotiated under this number (RFC 5764 section 4.1.2,
    /// RFC 7714 section 14.2); `None` for those that WebRTC does not use.
    #[must_use]
    pub fn from_dtls(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Aes128CmSha1_80),
            7 => Some(Self::AeadAes128Gcm),
            8 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    /// The length of the master key, in bytes.
    #[must_use]
    pub fn key_bytes(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// The length of the master salt, in bytes.
    #[must_use]
    pub fn salt_bytes(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }
}

/// The ciphers of RTP and RTCP, and the indices that were used.
struct Direction {
    rtp: Box<dyn Cipher>,
    rtcp: Box<dyn Cipher>,
    rtp_streams: Streams<IndexWindow>,
    rtcp_streams: Streams<IndexWindow>,
}

impl Direction {
    fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self {
            rtp: cipher::cipher(profile, key, salt, cipher::RTP)?,
            rtcp: cipher::cipher(profile, key, salt, cipher::RTCP)?,
            rtp_streams: Streams::new(),
            rtcp_streams: Streams::new(),
        })
    }
}

/// Authenticates and decrypts what the remote peer sends.
pub struct SrtpReceiver(Direction);

impl SrtpReceiver {
    /// A receiver with the remote peer's master key and salt.
    ///
    /// # Errors
    /// The key or the salt has not the profile's length.
    pub fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Direction::new(profile, key, salt).map(Self)
    }

    /// Decrypts an RTP packet in place; returns it with the place of its payload, which ends before
    /// the padding and the tag.
    ///
    /// A stream may be under way: the roll-over counter of its first packet is 0 or 1.
    ///
    /// # Errors
    /// The bytes are no packet of this peer, the packet came before or is more than 127 packets
    /// late, or it starts a ninth stream. The bytes are unchanged then, except for one that is
    /// authenticated and has an impossible padding.
    pub fn unprotect_rtp(&mut self, bytes: &mut [u8]) -> Result<RtpPacket, SrtpError> {
        check_length(bytes)?;
        let packet = RtpPacket::read_header(bytes)?;
        let (ssrc, number) = (packet.header().ssrc, packet.header().sequence_number);
        let mut window = self.0.rtp_streams.get(ssrc)?;
        let mut index = window.index_of(number)?;
        if !window.is_new(index) {
            return Err(SrtpError::Replayed);
        }
        let header_bytes = packet.header_bytes();
        let mut opened = self
            .0
            .rtp
            .open_rtp(Place { ssrc, index }, header_bytes, bytes);
        if window.is_empty() && opened == Err(SrtpError::Authentication) {
            // Received by someone else until now, a stream that started anywhere may have wrapped
            // around once.
            index |= 1 << 16;
            opened = self
                .0
                .rtp
                .open_rtp(Place { ssrc, index }, header_bytes, bytes);
        }
        let end = opened?;
        window.insert(index);
        self.0.rtp_streams.set(ssrc, window);
        Ok(packet.with_payload_end(bytes, end)?)
    }

    /// Makes room for another RTP stream, and returns the index of the newest packet of this one.
    ///
    /// Its window is lost: pass none of its packets again, which could be repeated ones, before
    /// [`Self::resume_rtp`].
    pub fn remove_rtp(&mut self, ssrc: u32) -> u64 {
        let window = self.0.rtp_streams.get(ssrc).unwrap_or_default();
        self.0.rtp_streams.remove(ssrc);
        window.newest()
    }

    /// Continues an RTP stream that was removed: no packet up to this index is received again.
    ///
    /// # Errors
    /// The stream is a ninth one.
    pub fn resume_rtp(&mut self, ssrc: u32, newest: u64) -> Result<(), SrtpError> {
        self.0.rtp_streams.get(ssrc)?;
        let window = IndexWindow::starting_behind(newest);
        self.0.rtp_streams.set(ssrc, window);
        Ok(())
    }

    /// Decrypts a compound RTCP packet in place, and returns it without index and tag.
    ///
    /// # Errors
    /// The bytes are no packet of this peer, the packet came before or is more than 127 packets
    /// late, or it starts a ninth stream.
    pub fn unprotect_rtcp<'a>(&mut self, bytes: &'a mut [u8]) -> Result<&'a [u8], SrtpError> {
        check_length(bytes)?;
        let ssrc = rtcp_ssrc(bytes)?;
        let index = self.0.rtcp.rtcp_index(bytes)?;
        let mut window = self.0.rtcp_streams.get(ssrc)?;
        if !window.is_new(index) {
            return Err(SrtpError::Replayed);
        }
        let end = self.0.rtcp.open_rtcp(Place { ssrc, index }, bytes)?;
        window.insert(index);
        self.0.rtcp_streams.set(ssrc, window);
        Ok(&bytes[..end])
    }
}

/// Encrypts what is sent to the remote peer.
///
/// No two packets are encrypted with the same index, which would give both away: a packet that is
/// sent again must be the same bytes, stored when they were encrypted.
pub struct SrtpSender(Direction);

impl SrtpSender {
    /// A sender with the own master key and salt.
    ///
    /// # Errors
    /// The key or the salt has not the profile's length.
    pub fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Direction::new(profile, key, salt).map(Self)
    }

    /// Continues an RTP stream that someone else sent with the same key until now.
    ///
    /// `newest` is the index of the newest packet: the roll-over counter times 65,536 plus the
    /// sequence number.
    ///
    /// # Errors
    /// The stream is a ninth one.
    pub fn resume_rtp(&mut self, ssrc: u32, newest: u64) -> Result<(), SrtpError> {
        self.0.rtp_streams.get(ssrc)?;
        let window = IndexWindow::starting_behind(newest);
        self.0.rtp_streams.set(ssrc, window);
        Ok(())
    }

    /// Continues an RTCP stream that someone else sent with the same key until now; `newest` is the
    /// index of the newest packet.
    ///
    /// # Errors
    /// The stream is a ninth one.
    pub fn resume_rtcp(&mut self, ssrc: u32, newest: u32) -> Result<(), SrtpError> {
        self.0.rtcp_streams.get(ssrc)?;
        let window = IndexWindow::starting_behind(newest.into());
        self.0.rtcp_streams.set(ssrc, window);
        Ok(())
    }

    /// Encrypts an RTP packet in place, and appends its tag: 10 bytes, or 16 in GCM.
    ///
    /// A sequence number that is far behind the newest starts another round of the counter.
    ///
    /// # Errors
    /// The bytes are no RTP packet or longer than a datagram, the sequence number was used, the
    /// packet starts a ninth stream, or all indices were used. The packet is unchanged then.
    pub fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        check_length(packet)?;
        let read = RtpPacket::read_header(packet)?;
        let (ssrc, number) = (read.header().ssrc, read.header().sequence_number);
        let mut window = self.0.rtp_streams.get(ssrc)?;
        let index = window.index_of(number)?;
        if !window.is_new(index) {
            return Err(SrtpError::Replayed);
        }
        let place = Place { ssrc, index };
        self.0.rtp.seal_rtp(place, read.header_bytes(), packet)?;
        window.insert(index);
        self.0.rtp_streams.set(ssrc, window);
        Ok(())
    }

    /// Encrypts a compound RTCP packet in place, and appends its index and tag: 14 bytes, or 20 in
    /// GCM.
    ///
    /// # Errors
    /// The bytes are no RTCP packet or longer than a datagram, the packet starts a ninth stream, or
    /// all indices were used. The packet is unchanged then.
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        check_length(packet)?;
        let ssrc = rtcp_ssrc(packet)?;
        let mut window = self.0.rtcp_streams.get(ssrc)?;
        let index = window.next();
        if index > MAX_RTCP_INDEX {
            return Err(SrtpError::Exhausted);
        }
        self.0.rtcp.seal_rtcp(Place { ssrc, index }, packet)?;
        window.insert(index);
        self.0.rtcp_streams.set(ssrc, window);
        Ok(())
    }
}

fn check_length(bytes: &[u8]) -> Result<(), SrtpError> {
    let got = bytes.len();
    if got > MAX_BYTES {
        return Err(SrtpError::TooLong { got });
    }
    Ok(())
}

/// The sender of an RTCP packet: the first SSRC in it.
fn rtcp_ssrc(bytes: &[u8]) -> Result<u32, SrtpError> {
    match bytes.first_chunk::<RTCP_HEADER_BYTES>() {
        Some([_, _, _, _, ssrc @ ..]) => Ok(u32::from_be_bytes(*ssrc)),
        None => Err(SrtpError::Length {
            expected: RTCP_HEADER_BYTES,
            got: bytes.len(),
        }),
    }
}

/// Reads hexadecimal digits, with spaces between them.
#[cfg(test)]
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSRC: u32 = 0x1234_5678;

    fn pair(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
        let (key, salt) = (vec![7; profile.key_bytes()], vec![9; profile.salt_bytes()]);
        let sender = SrtpSender::new(profile, &key, &salt).unwrap();
        (sender, SrtpReceiver::new(profile, &key, &salt).unwrap())
    }

    fn rtp(ssrc: u32, number: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 111];
        packet.extend_from_slice(&number.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 1]);
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(b"payload");
        packet
    }

    fn protected(sender: &mut SrtpSender, number: u16) -> Vec<u8> {
        let mut packet = rtp(SSRC, number);
        sender.protect_rtp(&mut packet).unwrap();
        packet
    }

    fn rtcp(ssrc: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 201, 0, 2];
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(b"more");
        packet
    }

    #[test]
    fn a_packet_is_encrypted_and_decrypted() {
        for profile in SrtpProfile::ALL {
            let (mut sender, mut receiver) = pair(profile);
            let mut packet = protected(&mut sender, 1);
            assert_eq!(packet[..12], rtp(SSRC, 1)[..12]);
            assert_ne!(packet[12..19], *b"payload");
            let read = receiver.unprotect_rtp(&mut packet).unwrap();
            assert_eq!(packet[read.payload()], *b"payload");
            let mut packet = rtcp(SSRC);
            sender.protect_rtcp(&mut packet).unwrap();
            assert_ne!(packet[8..12], *b"more");
            assert_eq!(receiver.unprotect_rtcp(&mut packet).unwrap(), rtcp(SSRC));
        }
    }

    #[test]
    fn a_changed_byte_is_refused_and_changes_no_state() {
        for profile in SrtpProfile::ALL {
            let (mut sender, mut receiver) = pair(profile);
            let packet = protected(&mut sender, 40_000);
            for at in 0..packet.len() {
                let mut forged = packet.clone();
                forged[at] ^= 0x40;
                let sent = forged.clone();
                assert!(receiver.unprotect_rtp(&mut forged).is_err(), "byte {at}");
                assert_eq!(forged, sent);
            }
            let mut control = rtcp(SSRC);
            sender.protect_rtcp(&mut control).unwrap();
            for at in 0..control.len() {
                let mut forged = control.clone();
                forged[at] ^= 0x40;
                assert!(receiver.unprotect_rtcp(&mut forged).is_err(), "byte {at}");
            }
            // Neither of them counts as seen, nor any number of the forged ones.
            receiver.unprotect_rtp(&mut packet.clone()).unwrap();
            receiver.unprotect_rtcp(&mut control).unwrap();
        }
    }

    #[test]
    fn a_packet_is_received_once() {
        let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
        let packet = protected(&mut sender, 1);
        receiver.unprotect_rtp(&mut packet.clone()).unwrap();
        let error = receiver.unprotect_rtp(&mut packet.clone());
        assert_eq!(error, Err(SrtpError::Replayed));
        let mut control = rtcp(SSRC);
        sender.protect_rtcp(&mut control).unwrap();
        receiver.unprotect_rtcp(&mut control.clone()).unwrap();
        let error = receiver.unprotect_rtcp(&mut control);
        assert_eq!(error, Err(SrtpError::Replayed));
    }

    #[test]
    fn the_counter_rolls_over_in_both_directions() {
        for profile in SrtpProfile::ALL {
            let (mut sender, mut receiver) = pair(profile);
            let mut packets: Vec<_> = [65_534, 65_535, 0, 1, 2, 30_000, 60_000, 10_000]
                .map(|number| protected(&mut sender, number))
                .into();
            // One of the round before comes after the first of the next.
            packets.swap(1, 3);
            for mut packet in packets {
                receiver.unprotect_rtp(&mut packet).unwrap();
            }
        }
    }

    #[test]
    fn a_stream_under_way_is_received_in_its_first_and_second_round() {
        for profile in SrtpProfile::ALL {
            let (mut sender, mut receiver) = pair(profile);
            for number in [40_000, 65_535] {
                protected(&mut sender, number);
            }
            for number in [7, 8] {
                let mut packet = protected(&mut sender, number);
                receiver.unprotect_rtp(&mut packet).unwrap();
            }
            // In its third round it is not received.
            let mut receiver = pair(profile).1;
            for number in [30_000, 60_000, 90] {
                protected(&mut sender, number);
            }
            let mut packet = protected(&mut sender, 91);
            let error = receiver.unprotect_rtp(&mut packet);
            assert_eq!(error, Err(SrtpError::Authentication));
        }
    }

    #[test]
    fn streams_have_their_own_counters() {
        let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes256Gcm);
        for (wrapping, other) in [(65_535, 100), (0, 101)] {
            for ssrc in 0..4 {
                // Each second stream stays in its first round.
                let number = if ssrc % 2 == 0 { wrapping } else { other };
                let mut packet = rtp(ssrc, number);
                sender.protect_rtp(&mut packet).unwrap();
                let read = receiver.unprotect_rtp(&mut packet);
                assert_eq!(read.map(|read| read.header().ssrc), Ok(ssrc));
            }
        }
    }

    #[test]
    fn a_ninth_stream_is_refused() {
        let (mut sender, mut receiver) = pair(SrtpProfile::Aes128CmSha1_80);
        for ssrc in 0..8 {
            let mut packet = rtp(ssrc, 1);
            sender.protect_rtp(&mut packet).unwrap();
            receiver.unprotect_rtp(&mut packet).unwrap();
        }
        let error = sender.protect_rtp(&mut rtp(8, 1));
        assert_eq!(error, Err(SrtpError::TooManyStreams { ssrc: 8 }));
        let mut packet = rtp(8, 1);
        pair(SrtpProfile::Aes128CmSha1_80)
            .0
            .protect_rtp(&mut packet)
            .unwrap();
        let error = receiver.unprotect_rtp(&mut packet);
        assert_eq!(error, Err(SrtpError::TooManyStreams { ssrc: 8 }));
    }

    #[test]
    fn an_index_encrypts_once() {
        let (mut sender, _) = pair(SrtpProfile::AeadAes128Gcm);
        protected(&mut sender, 5);
        let mut packet = rtp(SSRC, 5);
        assert_eq!(sender.protect_rtp(&mut packet), Err(SrtpError::Replayed));
        assert_eq!(packet, rtp(SSRC, 5));
    }

    #[test]
    fn a_continued_stream_has_the_counter_of_before() {
        for profile in SrtpProfile::ALL {
            let (mut before, mut receiver) = pair(profile);
            for number in [40_000, 65_535, 3] {
                let mut packet = protected(&mut before, number);
                receiver.unprotect_rtp(&mut packet).unwrap();
            }
            let mut control = rtcp(SSRC);
            before.protect_rtcp(&mut control).unwrap();
            receiver.unprotect_rtcp(&mut control).unwrap();
            let (mut sender, _) = pair(profile);
            sender.resume_rtp(SSRC, 0x1_0003).unwrap();
            sender.resume_rtcp(SSRC, 0).unwrap();
            assert_eq!(
                sender.protect_rtp(&mut rtp(SSRC, 3)),
                Err(SrtpError::Replayed)
            );
            let mut packet = protected(&mut sender, 4);
            receiver.unprotect_rtp(&mut packet).unwrap();
            let mut control = rtcp(SSRC);
            sender.protect_rtcp(&mut control).unwrap();
            receiver.unprotect_rtcp(&mut control).unwrap();
        }
    }

    #[test]
    fn used_up_indices_are_an_error() {
        let (mut sender, _) = pair(SrtpProfile::AeadAes128Gcm);
        sender.resume_rtp(SSRC, (1 << 48) - 1).unwrap();
        sender.resume_rtcp(SSRC, (1 << 31) - 1).unwrap();
        let error = sender.protect_rtp(&mut rtp(SSRC, 0));
        assert_eq!(error, Err(SrtpError::Exhausted));
        let error = sender.protect_rtcp(&mut rtcp(SSRC));
        assert_eq!(error, Err(SrtpError::Exhausted));
    }

    #[test]
    fn short_and_long_packets_are_errors() {
        for profile in SrtpProfile::ALL {
            let (mut sender, mut receiver) = pair(profile);
            let packet = protected(&mut sender, 1);
            for end in 0..packet.len() {
                let mut cut = packet[..end].to_vec();
                assert!(receiver.unprotect_rtp(&mut cut).is_err());
                assert!(receiver.unprotect_rtcp(&mut cut).is_err());
            }
            for bytes in 0..8 {
                assert!(sender.protect_rtcp(&mut vec![0x80; bytes]).is_err());
            }
            let mut long = rtp(SSRC, 2);
            long.resize(65_536, 0);
            let error = SrtpError::TooLong { got: 65_536 };
            assert_eq!(sender.protect_rtp(&mut long), Err(error));
            assert_eq!(receiver.unprotect_rtp(&mut long), Err(error));
        }
    }

    #[test]
    fn padding_is_found_behind_the_encryption() {
        let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes256Gcm);
        let mut packet = rtp(SSRC, 1);
        packet[0] |= 0x20;
        packet.extend_from_slice(&[0, 0, 3]);
        sender.protect_rtp(&mut packet).unwrap();
        let read = receiver.unprotect_rtp(&mut packet).unwrap();
        assert_eq!(packet[read.payload()], *b"payload");
    }

    #[test]
    fn profiles_have_the_numbers_of_dtls() {
        let profiles = [1, 7, 8].map(SrtpProfile::from_dtls);
        assert_eq!(profiles, SrtpProfile::ALL.map(Some));
        // One with tags of 32 bits, which browsers do not offer.
        assert_eq!(SrtpProfile::from_dtls(2), None);
    }
}

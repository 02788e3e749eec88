//! SRTP against libsrtp, both ways: the same bytes, and the same decisions on what came twice or
//! late.
//!
//! `data/PROVENANCE.md` names the source of the reference.

use gradio_webrtc_media::{SrtpError, SrtpProfile, SrtpReceiver, SrtpSender};

const PACKETS: &str = include_str!("data/srtp_packets.txt");
const VERDICTS: &str = include_str!("data/srtp_verdicts.txt");

/// The master key and salt of `data/make_golden.py`: the bytes from 0 on.
fn master_key(profile: SrtpProfile) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = 0..;
    let key = bytes.by_ref().take(profile.key_bytes()).collect();
    (key, bytes.take(profile.salt_bytes()).collect())
}

fn sender(profile: SrtpProfile) -> SrtpSender {
    let (key, salt) = master_key(profile);
    SrtpSender::new(profile, &key, &salt).expect("a key of the profile's length")
}

fn receiver(profile: SrtpProfile) -> SrtpReceiver {
    let (key, salt) = master_key(profile);
    SrtpReceiver::new(profile, &key, &salt).expect("a key of the profile's length")
}

fn profile(name: &str) -> SrtpProfile {
    let found = SrtpProfile::ALL
        .into_iter()
        .find(|profile| format!("{profile:?}") == name);
    found.expect("a profile of that name")
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let pairs = digits.map(|pair| str::from_utf8(pair).expect("digits"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
        .collect()
}

/// The packets of a profile and protocol: as they are, and protected.
fn packets(of: SrtpProfile, protocol: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let lines = PACKETS
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let lines = lines.filter(|line| profile(line[0]) == of && line[1] == protocol);
    let packets: Vec<_> = lines.map(|line| (unhex(line[2]), unhex(line[3]))).collect();
    assert_eq!(packets.len(), if protocol == "rtp" { 28 } else { 8 });
    packets
}

#[test]
fn rtp_packets_are_those_of_libsrtp() {
    for profile in SrtpProfile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        for (plain, protected) in packets(profile, "rtp") {
            let mut bytes = plain.clone();
            assert_eq!(sender.protect_rtp(&mut bytes), Ok(()));
            assert_eq!(bytes, protected, "{profile:?}");
            let packet = receiver.unprotect_rtp(&mut bytes).expect("a packet");
            assert_eq!(bytes[..packet.payload().end], plain, "{profile:?}");
        }
    }
}

#[test]
fn rtcp_packets_are_those_of_libsrtp() {
    for profile in SrtpProfile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        for ssrc in [1, 0x0102_0304] {
            // libsrtp's first index is 1, and not 0 (RFC 3711 section 3.4).
            assert_eq!(sender.resume_rtcp(ssrc, 0), Ok(()));
        }
        for (plain, protected) in packets(profile, "rtcp") {
            let mut bytes = plain.clone();
            assert_eq!(sender.protect_rtcp(&mut bytes), Ok(()));
            assert_eq!(bytes, protected, "{profile:?}");
            let opened = receiver.unprotect_rtcp(&mut bytes);
            assert_eq!(opened, Ok(&plain[..]), "{profile:?}");
        }
    }
}

#[test]
fn packets_that_come_twice_or_late_are_refused_as_by_libsrtp() {
    let mut refused = 0;
    for line in VERDICTS.lines() {
        let (name, verdicts) = line.split_once(' ').expect("a profile and its packets");
        let profile = profile(name);
        let mut receiver = receiver(profile);
        for verdict in verdicts.split(' ') {
            let (index, verdict) = verdict.split_at(verdict.len() - 1);
            let index: u64 = index.parse().expect("an index");
            let opened = receiver.unprotect_rtp(&mut packet(profile, index));
            let expected = if verdict == "+" {
                Ok(())
            } else {
                Err(SrtpError::Replayed)
            };
            assert_eq!(opened.map(|_| ()), expected, "{profile:?}, {index}");
            refused += usize::from(verdict == "-");
        }
    }
    assert!(refused > 100, "{refused}");
}

/// The packet of that index, the roll-over counter included.
fn packet(profile: SrtpProfile, index: u64) -> Vec<u8> {
    let mut sender = sender(profile);
    assert_eq!(sender.resume_rtp(7, index - 1), Ok(()));
    let mut packet = vec![0x80, 111];
    packet.extend_from_slice(&index.to_be_bytes()[6..]);
    packet.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3]);
    assert_eq!(sender.protect_rtp(&mut packet), Ok(()));
    packet
}

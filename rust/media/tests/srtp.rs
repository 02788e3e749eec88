//! SRTP: what is received is what was sent, once, in any order; other bytes change nothing.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::collections::HashSet;

use gradio_webrtc_media::{RtpPacket, SrtpError, SrtpProfile, SrtpReceiver, SrtpSender};
use proptest::prelude::*;

fn pair(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
    let (key, salt) = (vec![1; profile.key_bytes()], vec![2; profile.salt_bytes()]);
    let sender = SrtpSender::new(profile, &key, &salt).unwrap();
    (sender, SrtpReceiver::new(profile, &key, &salt).unwrap())
}

fn profiles() -> impl Strategy<Value = SrtpProfile> {
    prop::sample::select(SrtpProfile::ALL.to_vec())
}

fn rtp(ssrc: u32, index: u64, payload: &[u8]) -> Vec<u8> {
    let [.., high, low] = index.to_be_bytes();
    let header = [0x80, 111, high, low, 0, 0, 0, 0];
    [&header[..], &ssrc.to_be_bytes(), payload].concat()
}

fn rtcp(ssrc: u32, body: &[u8]) -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes(), body].concat()
}

/// Indices that start in the first round of the counter, each within 300 of the one before.
fn orders() -> impl Strategy<Value = Vec<u64>> {
    let steps = prop::collection::vec(-150_i64..=200, 1..120);
    (65_000..65_536_i64, steps).prop_map(|(start, steps)| {
        let indices = steps.into_iter().scan(start, |index, step| {
            *index = (*index + step).max(start);
            Some(u64::try_from(*index).unwrap())
        });
        indices.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn packets_are_received_once_in_any_order_within_the_window(
        profile in profiles(),
        order in orders(),
        payload in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let (mut receiver, mut newest, mut received) = (pair(profile).1, 0, HashSet::new());
        for index in order {
            let (mut sender, _) = pair(profile);
            sender.resume_rtp(5, index - 1).unwrap();
            let mut bytes = rtp(5, index, &payload);
            sender.protect_rtp(&mut bytes).unwrap();
            let result = receiver.unprotect_rtp(&mut bytes);
            if index + 128 > newest && received.insert(index) {
                prop_assert_eq!(&bytes[result.unwrap().payload()], &payload[..]);
                newest = newest.max(index);
            } else {
                prop_assert_eq!(result, Err(SrtpError::Replayed));
            }
        }
    }

    #[test]
    fn control_packets_are_received_once_in_any_order_within_the_window(
        profile in profiles(),
        order in orders(),
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let (mut receiver, mut newest, mut received) = (pair(profile).1, 0, HashSet::new());
        for index in order {
            let (mut sender, _) = pair(profile);
            sender.resume_rtcp(5, u32::try_from(index).unwrap() - 1).unwrap();
            let mut bytes = rtcp(5, &body);
            sender.protect_rtcp(&mut bytes).unwrap();
            let result = receiver.unprotect_rtcp(&mut bytes);
            if index + 128 > newest && received.insert(index) {
                prop_assert_eq!(result.unwrap(), rtcp(5, &body));
                newest = newest.max(index);
            } else {
                prop_assert_eq!(result, Err(SrtpError::Replayed));
            }
        }
    }

    #[test]
    fn changed_packets_are_refused_and_the_next_is_received(
        profile in profiles(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..20),
        is_cut in any::<bool>(),
    ) {
        let (mut sender, mut receiver) = pair(profile);
        for (number, (at, change)) in (0..).zip(changes) {
            let mut bytes = rtp(5, number, b"some payload");
            sender.protect_rtp(&mut bytes).unwrap();
            let mut forged = bytes.clone();
            let at = at.index(forged.len());
            forged[at] ^= change;
            if is_cut {
                forged.truncate(at);
            }
            prop_assert!(receiver.unprotect_rtp(&mut forged).is_err());
            let packet = receiver.unprotect_rtp(&mut bytes).unwrap();
            prop_assert_eq!(&bytes[packet.payload()], b"some payload");
        }
    }

    #[test]
    fn any_bytes_are_refused(
        profile in profiles(),
        first in 0x80..0xc0_u8,
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (mut sender, mut receiver) = pair(profile);
        let mut bytes = [&[first], &rest[..]].concat();
        prop_assert!(receiver.unprotect_rtp(&mut bytes.clone()).is_err());
        prop_assert!(receiver.unprotect_rtcp(&mut bytes.clone()).is_err());
        // They can be sent, though: encryption asks for no more than a header.
        let before = bytes.clone();
        let is_rtp = RtpPacket::read_header(&bytes).is_ok();
        prop_assert_eq!(sender.protect_rtp(&mut bytes).is_ok(), is_rtp);
        if is_rtp {
            prop_assert!(bytes.len() > before.len());
            let opened = receiver.unprotect_rtp(&mut bytes);
            let padding_is_right = RtpPacket::read(&before).is_ok();
            prop_assert_eq!(opened.is_ok(), padding_is_right);
            prop_assert_eq!(&bytes[..before.len()], &before[..]);
        } else {
            prop_assert_eq!(bytes, before);
        }
    }
}

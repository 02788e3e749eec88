//! RTP: what was written is read, and any bytes are either a packet or an error.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use gradio_webrtc_media::{
    AudioLevel, ExtensionIds, Protocol, RtpExtensions, RtpHeader, RtpPacket,
};
use proptest::prelude::*;

fn headers() -> impl Strategy<Value = RtpHeader> {
    let numbers = (any::<u16>(), any::<u32>(), any::<u32>());
    (0..128_u8, any::<bool>(), numbers).prop_map(|(payload_type, marker, numbers)| {
        let (sequence_number, timestamp, ssrc) = numbers;
        RtpHeader {
            payload_type,
            marker,
            sequence_number,
            timestamp,
            ssrc,
        }
    })
}

fn levels() -> impl Strategy<Value = AudioLevel> {
    (any::<bool>(), 0..128_u8).prop_map(|(has_voice, below_full_scale_db)| AudioLevel {
        has_voice,
        below_full_scale_db,
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        header in headers(),
        level in prop::option::of(levels()),
        mid in prop::option::of("[a-z0-9]{1,16}"),
        transport_sequence_number in any::<Option<u16>>(),
        first_id in 1..=12_u8,
        payload in prop::collection::vec(any::<u8>(), 0..40),
        padding in prop::option::of(1..=8_u8),
    ) {
        let ids = ExtensionIds {
            audio_level: Some(first_id),
            mid: Some(first_id + 1),
            transport_sequence_number: Some(first_id + 2),
        };
        let extensions = RtpExtensions { audio_level: level, mid: mid.as_deref(), transport_sequence_number };
        let mut bytes = Vec::new();
        header.write(ids, &extensions, &mut bytes).unwrap();
        prop_assert_eq!(bytes.len() % 4, 0);
        let start = bytes.len();
        bytes.extend_from_slice(&payload);
        if let Some(padding) = padding {
            bytes[0] |= 0x20;
            bytes.resize(bytes.len() + usize::from(padding) - 1, 0);
            bytes.push(padding);
        }
        let packet = RtpPacket::read(&bytes).unwrap();
        prop_assert_eq!(packet.header(), &header);
        prop_assert_eq!(packet.payload(), start..start + payload.len());
        prop_assert_eq!(packet.extensions(&bytes, ids), extensions);
        let elements = packet.elements(&bytes).count();
        let expected = [level.is_some(), mid.is_some(), transport_sequence_number.is_some()];
        prop_assert_eq!(elements, expected.into_iter().filter(|&is_some| is_some).count());
    }

    #[test]
    fn any_bytes_are_a_packet_or_an_error(
        first in 0x80..0xc0_u8,
        rest in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let bytes = [&[first], &rest[..]].concat();
        if let Ok(packet) = RtpPacket::read(&bytes) {
            let payload = packet.payload();
            prop_assert!(packet.header_bytes() == payload.start);
            prop_assert!(payload.start <= payload.end && payload.end <= bytes.len());
            for (id, value) in packet.elements(&bytes) {
                prop_assert!(id > 0 && value.len() < bytes.len());
            }
            prop_assert_eq!(packet.csrcs(&bytes).count(), usize::from(first & 15));
            // Bytes of another packet are no panic either.
            packet.elements(&bytes[..bytes.len() / 2]).for_each(drop);
            packet.csrcs(&bytes[..bytes.len() / 2]).for_each(drop);
        }
        let protocol = Protocol::of(&bytes);
        prop_assert_eq!(protocol.is_some(), bytes.len() > 1);
    }
}

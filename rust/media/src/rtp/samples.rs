//! Packets for the tests of this folder.

use super::{ExtensionIds, RtpHeader};

pub(super) const HEADER: RtpHeader = RtpHeader {
    payload_type: 111,
    marker: true,
    sequence_number: 0x1234,
    timestamp: 0x5678_9abc,
    ssrc: 0xdead_beef,
};

pub(super) const IDS: ExtensionIds = ExtensionIds {
    audio_level: Some(1),
    mid: Some(4),
    transport_sequence_number: Some(3),
};

/// A packet with the given first byte and bytes behind the fixed header.
pub(super) fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    let fixed = [first, 0xef, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc];
    [&fixed[..], &[0xde, 0xad, 0xbe, 0xef], rest].concat()
}

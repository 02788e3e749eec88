//! Redundant audio: the last block is the packet, the others are the packets before it, and any bytes
//! are blocks or an error.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use gradio_webrtc_media::{OpusPacket, RedBlocks, RedEncoder};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn blocks_are_the_packet_and_those_before_it(
        start in any::<u32>(),
        packets in prop::collection::vec(
            (
                prop_oneof![Just(960_u32), 1..40_000_u32],
                0..12_usize,
                prop_oneof![1..300_usize, 1..1_300_usize],
                any::<u8>(),
            ),
            1..40,
        ),
    ) {
        let (mut encoder, mut timestamp, mut sent) = (RedEncoder::new(111), start, Vec::new());
        for (step, redundancy, bytes, content) in packets {
            timestamp = timestamp.wrapping_add(step);
            encoder.set_redundancy(redundancy);
            let (mut payload, mut out) = (vec![content; bytes], Vec::new());
            payload[0] = content & 0xfc;
            encoder.encode(timestamp, &payload, &mut out);
            sent.push((timestamp, payload));
            let blocks: Vec<_> = RedBlocks::read(&out, timestamp).unwrap().collect();
            prop_assert!(blocks.len() <= redundancy.min(9) + 1);
            prop_assert!(blocks.len() == 1 || out.len() <= 1_150);
            let redundant: Vec<bool> = blocks.iter().map(|block| block.is_redundant).collect();
            prop_assert!(redundant.iter().rev().skip(1).all(|&is_redundant| is_redundant));
            prop_assert_eq!(redundant.last(), Some(&false));
            // The newest that are no silence, without a gap, in their order.
            let is_worth = |payload: &[u8]| OpusPacket::read(payload).is_some_and(|packet| !packet.is_silence());
            let (own, before) = sent.split_last().unwrap();
            let mut candidates = before.iter().rev().filter(|(_, payload)| is_worth(payload));
            for (at, block) in blocks.iter().rev().enumerate() {
                let expected = if at == 0 { own } else { candidates.next().unwrap() };
                prop_assert_eq!((block.timestamp, block.data), (expected.0, &expected.1[..]));
                prop_assert_eq!(block.payload_type, 111);
            }
        }
    }

    #[test]
    fn any_bytes_are_blocks_or_an_error(
        headers in prop::collection::vec((0x80..=0xff_u8, any::<u8>(), 0..8_u8, any::<u8>()), 0..11),
        data in prop::collection::vec(any::<u8>(), 0..2_000),
        timestamp in any::<u32>(),
    ) {
        let headers = headers.iter().flat_map(|&(first, high, middle, low)| [first, high, middle & 3, low]);
        let payload: Vec<u8> = headers.chain(data).collect();
        if let Ok(blocks) = RedBlocks::read(&payload, timestamp) {
            let (mut bytes, mut own) = (0, 0);
            for block in blocks {
                bytes += block.data.len() + if block.is_redundant { 4 } else { 1 };
                own += usize::from(!block.is_redundant);
            }
            prop_assert_eq!((bytes, own), (payload.len(), 1));
        }
    }
}

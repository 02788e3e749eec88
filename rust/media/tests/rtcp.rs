//! RTCP: what was written is read, any bytes are parts or an error, and the statistics agree with
//! a count.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::time::Duration;

use gradio_webrtc_media::{
    NtpTime, ReceptionStatistics, ReportBlock, RtcpPart, RtcpParts, RtcpWriter, SenderInfo,
    round_trip,
};
use proptest::prelude::*;

fn blocks() -> impl Strategy<Value = ReportBlock> {
    let numbers = prop::array::uniform5(any::<u32>());
    (any::<u8>(), -0x80_0000..=0x7f_ffff, numbers).prop_map(|(fraction_lost, lost, numbers)| {
        let [
            ssrc,
            highest,
            jitter,
            last_sender_report,
            delay_since_report,
        ] = numbers;
        ReportBlock {
            ssrc,
            fraction_lost,
            packets_lost: lost,
            highest_sequence_number: highest,
            jitter,
            last_sender_report,
            delay_since_report,
        }
    })
}

fn written(write: impl FnOnce(&mut RtcpWriter<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut RtcpWriter::new(&mut bytes));
    bytes
}

/// Reads all that the part lists; returns the number of items.
fn items(part: RtcpPart<'_>) -> usize {
    match part {
        RtcpPart::SenderReport { reports, .. } | RtcpPart::ReceiverReport { reports, .. } => {
            reports.count()
        }
        RtcpPart::SourceDescription(chunks) => chunks.count(),
        RtcpPart::Goodbye(streams) => streams.count(),
        RtcpPart::Nack { lost, .. } => lost.count(),
        RtcpPart::Fir { requests, .. } => requests.count(),
        RtcpPart::Remb(remb) => remb.ssrcs.count(),
        RtcpPart::TransportFeedback(feedback) => feedback.packets().count(),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reports_are_read_as_written(
        ssrc in any::<u32>(),
        numbers in (any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>()),
        blocks in prop::collection::vec(blocks(), 0..70),
        name in "[a-zA-Z0-9+/]{0,40}",
        is_sender in any::<bool>(),
    ) {
        let (ntp, rtp_timestamp, packets, payload_bytes) = numbers;
        let sent = SenderInfo { ntp_time: NtpTime(ntp), rtp_timestamp, packets, payload_bytes };
        let bytes = written(|writer| {
            if is_sender {
                writer.sender_report(ssrc, &sent, &blocks);
            } else {
                writer.receiver_report(ssrc, &blocks);
            }
            writer.name(ssrc, &name).unwrap();
        });
        let (mut read, mut names, mut infos) = (Vec::new(), Vec::new(), Vec::new());
        for part in RtcpParts::read(&bytes).unwrap() {
            match part {
                RtcpPart::SenderReport { info, reports, .. } => {
                    infos.push(info);
                    read.extend(reports);
                }
                RtcpPart::ReceiverReport { reports, .. } => read.extend(reports),
                RtcpPart::SourceDescription(chunks) => names.extend(chunks),
                part => prop_assert!(false, "{part:?}"),
            }
        }
        prop_assert_eq!(read, blocks);
        prop_assert_eq!(names, [(ssrc, Some(&name[..]))]);
        prop_assert_eq!(infos, if is_sender { vec![sent] } else { Vec::new() });
    }

    #[test]
    fn missing_packets_are_read_as_written(
        first in any::<u16>(),
        steps in prop::collection::vec(prop_oneof![1..4_u16, 1..40_u16], 1..300),
    ) {
        let lost: Vec<u16> = steps
            .iter()
            .scan(first, |number, step| {
                *number = number.wrapping_add(*step);
                Some(*number)
            })
            .collect();
        let (mut rest, mut read) = (&lost[..], Vec::new());
        while !rest.is_empty() {
            let mut count = 0;
            let bytes = written(|writer| count = writer.nack(1, 2, rest));
            prop_assert!(count > 0 && bytes.len() <= 1_012);
            for part in RtcpParts::read(&bytes).unwrap() {
                let RtcpPart::Nack { sender_ssrc: 1, media_ssrc: 2, lost } = part else {
                    return Err(TestCaseError::fail(format!("{part:?}")));
                };
                read.extend(lost);
            }
            rest = &rest[count..];
        }
        prop_assert_eq!(read, lost);
    }

    #[test]
    fn receptions_are_read_as_written(
        first in any::<u16>(),
        start_ms in 0..100_000_000_u64,
        steps in prop::collection::vec(
            prop_oneof![
                3 => (Just(true), 0..30_000_i64),
                1 => (Just(true), -3_000_000..12_000_000_i64),
                2 => (Just(false), Just(0)),
            ],
            1..900,
        ),
    ) {
        let mut time_us = i64::try_from(start_ms).unwrap() * 1_000;
        let received: Vec<Option<Duration>> = steps
            .iter()
            .map(|&(is_received, step)| {
                time_us = (time_us + step).max(0);
                is_received.then(|| Duration::from_micros(time_us.cast_unsigned()))
            })
            .collect();
        let (mut rest, mut number, mut read) = (&received[..], first, Vec::new());
        while !rest.is_empty() {
            let mut count = 0;
            let bytes = written(|writer| {
                count = writer.transport_feedback((1, 2), 3, number, rest);
            });
            prop_assert!(count > 0 && count <= rest.len() && bytes.len() < 1_000);
            if bytes.is_empty() {
                read.extend(std::iter::repeat_n(None, count));
            } else {
                let part = RtcpParts::read(&bytes).unwrap().next();
                let Some(RtcpPart::TransportFeedback(feedback)) = part else {
                    return Err(TestCaseError::fail(format!("{part:?}")));
                };
                prop_assert_eq!(feedback.feedback_count, 3);
                let packets: Vec<_> = feedback.packets().collect();
                prop_assert_eq!(packets.len(), count);
                for (packet, at) in packets.iter().zip(0..) {
                    prop_assert_eq!(packet.sequence_number, number.wrapping_add(at));
                }
                read.extend(packets.iter().map(|packet| packet.received_us));
            }
            rest = &rest[count..];
            number = number.wrapping_add(u16::try_from(count).unwrap());
        }
        // In units of 250 µs, which do not add up.
        let expected: Vec<Option<i64>> = received
            .iter()
            .map(|time| time.map(|time| i64::try_from(time.as_micros() / 250 * 250).unwrap()))
            .collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_bytes_are_parts_or_an_error(
        parts in prop::collection::vec(
            (any::<u8>(), prop_oneof![198..210_u8, any::<u8>()], prop::collection::vec(any::<u8>(), 0..60)),
            0..6,
        ),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        for (first, packet_type, body) in parts {
            let words = u8::try_from(body.len() / 4).unwrap();
            bytes.extend_from_slice(&[0x80 | first & 0x1f, packet_type, 0, words]);
            bytes.extend_from_slice(&body[..4 * usize::from(words)]);
        }
        // Whole parts are always read, and bytes cut anywhere need not be.
        prop_assert_eq!(RtcpParts::read(&bytes).is_ok(), !bytes.is_empty());
        bytes.truncate(end.index(bytes.len() + 1));
        for part in RtcpParts::read(&bytes).into_iter().flatten() {
            prop_assert!(items(part) <= 65_535);
        }
    }

    #[test]
    fn losses_are_those_of_a_count(
        first in any::<u16>(),
        is_received in prop::collection::vec(any::<bool>(), 1..400),
        every in 1..50_usize,
    ) {
        let mut statistics = ReceptionStatistics::new(48_000);
        statistics.receive(first, 0, Duration::ZERO);
        let (mut lost, mut pending, mut expected, mut missing) = (0, 0, 1_u32, 0_u32);
        for (at, &is_received) in is_received.iter().enumerate() {
            let number = first.wrapping_add(1).wrapping_add(u16::try_from(at).unwrap());
            pending += 1;
            if is_received {
                statistics.receive(number, 0, Duration::ZERO);
                // Only what a later packet shows is expected at all.
                expected += pending;
                missing += pending - 1;
                pending = 0;
            }
            if at % every == 0 {
                let block = statistics.report(7, Duration::ZERO).unwrap();
                lost += missing;
                let fraction = (missing << 8).checked_div(expected).unwrap_or(0).min(255);
                prop_assert_eq!(u32::from(block.fraction_lost), fraction);
                prop_assert_eq!(block.packets_lost, lost.cast_signed());
                (expected, missing) = (0, 0);
            }
        }
    }

    #[test]
    fn the_round_trip_is_the_time_that_passed_elsewhere(
        sent_ms in 0..10_000_000_u64,
        there_ms in 0..30_000_u64,
        held_ms in 0..60_000_u64,
        back_ms in 0..30_000_u64,
    ) {
        let start = Duration::from_secs(3_900_000_000);
        let ms = Duration::from_millis;
        let mut remote = ReceptionStatistics::new(48_000);
        // The remote peer's clock is another one.
        remote.receive(1, 1, ms(77));
        remote.receive_sender_report(NtpTime::at(ms(sent_ms), start), ms(5_000));
        let block = remote.report(1, ms(5_000 + held_ms)).unwrap();
        let now = NtpTime::at(ms(sent_ms + there_ms + held_ms + back_ms), start);
        let trip = round_trip(now, &block).unwrap();
        let error = trip.abs_diff(ms(there_ms + back_ms));
        prop_assert!(error < Duration::from_micros(50), "{:?}", error);
    }
}

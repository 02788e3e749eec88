//! The targets of the media plane: packets of any bytes, read, written and encrypted.

use std::collections::HashSet;
use std::time::Duration;

use gradio_webrtc_core::Layout;
use gradio_webrtc_media::{
    AudioLevel, AudioReceiver, ExtensionIds, NtpTime, OPUS_RATES_HZ, Protocol, ReceptionStatistics,
    RedBlocks, RedEncoder, RtcpPart, RtcpParts, RtcpWriter, RtpExtensions, RtpHeader, RtpPacket,
    SenderInfo, SrtpError, SrtpProfile, SrtpReceiver, SrtpSender,
};

use crate::bytes::Bytes;
use crate::targets::Target;

/// All targets.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "rtp",
        run: rtp,
    },
    Target {
        name: "rtcp",
        run: rtcp,
    },
    Target {
        name: "red",
        run: red,
    },
    Target {
        name: "srtp",
        run: srtp,
    },
    Target {
        name: "receive",
        run: receive,
    },
];

/// Audio that may come without any time: the budget of `AudioReceiver` after a pause, and a packet
/// and a hole more.
const AT_ONCE: Duration = Duration::from_millis(10_620);

/// Packets in any order, at any time, of any bytes: the audio has whole samples, and never much
/// more of them than time passed.
fn receive(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (rate_hz, layout) = (bytes.one_of(&OPUS_RATES_HZ), bytes.one_of(&LAYOUTS));
    let mut receiver = AudioReceiver::new(rate_hz, layout).expect("a rate of Opus");
    let formats = (0..=127).collect();
    let (mut now, mut taken) = (Duration::ZERO, 0u64);
    let (mut sequence_number, mut timestamp, mut ssrc) = (0u16, 0u32, 1);
    while !bytes.is_empty() {
        match bytes.byte() % 8 {
            0 => now += Duration::from_millis(u64::from(bytes.byte())),
            1 => {
                let step = i16::from(bytes.byte().cast_signed());
                sequence_number = sequence_number.wrapping_add_signed(step);
            }
            2 => timestamp = u32::from_le_bytes(bytes.take()),
            3 => ssrc = u32::from(bytes.byte() % 3),
            4 => receiver.set_allowance(u32::from(bytes.byte()) * 960),
            operation => {
                let length = bytes.length(60);
                let payload = bytes.slice(length);
                let (number, time) = (sequence_number, timestamp);
                if operation == 5 {
                    receiver.insert_red(now, ssrc, number, time, payload, formats);
                } else {
                    receiver.insert(now, ssrc, number, time, payload.to_vec());
                }
                sequence_number = sequence_number.wrapping_add(1);
                timestamp = timestamp.wrapping_add(960);
            }
        }
        let _ = (receiver.deadline(), receiver.nacks(now).len());
        if receiver.is_due() {
            let mut audio = Vec::new();
            receiver.take(now, &mut audio);
            assert!(audio.len().is_multiple_of(receiver.channels()));
            taken += (audio.len() / receiver.channels()) as u64;
        }
    }
    let length = Duration::from_secs(taken) / rate_hz;
    let allowed = now.mul_f64(1.5) + AT_ONCE;
    assert!(length <= allowed, "{length:?} of audio in {now:?}");
}

const LAYOUTS: [Option<Layout>; 3] = [None, Some(Layout::Mono), Some(Layout::Stereo)];

/// A packet's parts are within its bytes, and its header is the same when it is written again.
fn rtp(input: &[u8]) {
    let protocol = Protocol::of(input);
    let Ok(packet) = RtpPacket::read(input) else {
        return;
    };
    assert!(matches!(protocol, Some(Protocol::Rtp | Protocol::Rtcp)));
    let payload = packet.payload();
    assert!(packet.header_bytes() == payload.start && payload.start <= payload.end);
    assert!(payload.end <= input.len());
    assert!(packet.csrcs(input).count() <= 15);
    let mut bytes = 0;
    for (id, value) in packet.elements(input) {
        assert!(id > 0);
        bytes += 1 + value.len();
    }
    assert!(bytes <= payload.start);
    // The first elements as if they were negotiated.
    let mut ids = packet.elements(input).map(|(id, _)| id);
    let ids = ExtensionIds {
        audio_level: ids.next(),
        mid: ids.next(),
        transport_sequence_number: ids.next(),
    };
    let extensions = packet.extensions(input, ids);
    let mut written = Vec::new();
    if packet
        .header()
        .write(ids, &extensions, &mut written)
        .is_ok()
    {
        let again = RtpPacket::read(&written).expect("what was written");
        assert_eq!(again.header(), packet.header());
        assert_eq!(again.extensions(&written, ids), extensions);
    }
}

/// The lists of all parts end.
fn rtcp(input: &[u8]) {
    let Ok(parts) = RtcpParts::read(input) else {
        return;
    };
    let (mut statistics, mut count) = (ReceptionStatistics::new(48_000), 0);
    for part in parts {
        count += 1;
        match part {
            RtcpPart::SenderReport { info, reports, .. } => {
                let now = Duration::from_millis(info.packets.into());
                statistics.receive_sender_report(info.ntp_time, now);
                for block in reports {
                    let [.., high, low] = block.highest_sequence_number.to_be_bytes();
                    let number = u16::from_be_bytes([high, low]);
                    statistics.receive(number, block.jitter, now);
                    let later = now.saturating_add(Duration::from_millis(block.ssrc.into()));
                    assert!(statistics.report(1, later).is_some());
                    let _ = gradio_webrtc_media::round_trip(NtpTime::at(later, now), &block);
                }
            }
            RtcpPart::ReceiverReport { reports, .. } => assert!(reports.count() <= 31),
            RtcpPart::SourceDescription(chunks) => assert!(chunks.count() <= 31),
            RtcpPart::Goodbye(streams) => assert!(streams.count() <= 31),
            RtcpPart::Nack { lost, .. } => nack(&lost.collect::<Vec<_>>()),
            RtcpPart::Fir { requests, .. } => assert!(requests.count() <= input.len() / 8),
            RtcpPart::Remb(remb) => assert!(remb.ssrcs.count() <= 255),
            RtcpPart::TransportFeedback(feedback) => receptions(
                &feedback
                    .packets()
                    .map(|packet| packet.received_us)
                    .collect::<Vec<_>>(),
            ),
            _ => {}
        }
    }
    assert!(count > 0 && count <= input.len() / 4);
    assert!(statistics.jitter() <= Duration::from_secs(1 << 17));
}

/// A list of missing packets is the same when it is written again, as far as one request goes.
fn nack(lost: &[u16]) {
    let mut bytes = Vec::new();
    let count = RtcpWriter::new(&mut bytes).nack(1, 2, lost);
    let mut read = Vec::new();
    for part in RtcpParts::read(&bytes).expect("what was written") {
        if let RtcpPart::Nack { lost, .. } = part {
            read.extend(lost);
        }
    }
    let (mut read, mut expected) = (read, lost[..count].to_vec());
    // The same packet may stand in two entries.
    read.sort_unstable();
    read.dedup();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(read, expected);
}

/// Times are the same when they are written again, as far as one feedback goes.
fn receptions(received_us: &[Option<i64>]) {
    let times: Vec<_> = received_us
        .iter()
        .map(|time| time.and_then(|time| u64::try_from(time).ok()))
        .map(|time| time.map(Duration::from_micros))
        .collect();
    let mut bytes = Vec::new();
    let count = RtcpWriter::new(&mut bytes).transport_feedback((1, 2), 0, 0, &times);
    assert!(bytes.len() < 1_000 && (count > 0 || times.is_empty()));
    let parts = RtcpParts::read(&bytes).into_iter().flatten();
    for part in parts {
        let RtcpPart::TransportFeedback(feedback) = part else {
            panic!("{part:?}");
        };
        for (packet, time) in feedback.packets().zip(&times[..count]) {
            // 24 bits of 64 ms wrap around.
            let time = time.map(|time| i64::try_from(time.as_micros()).unwrap_or(0));
            let difference = packet.received_us.zip(time).map(|(read, time)| read - time);
            assert_eq!(packet.received_us.is_some(), time.is_some());
            assert_eq!(difference.unwrap_or(0).rem_euclid(64_000 << 24), 0);
        }
    }
}

/// Blocks have all bytes of the payload; what is encoded is read.
fn red(input: &[u8]) {
    if let Ok(blocks) = RedBlocks::read(input, 0) {
        let bytes: usize = blocks
            .map(|block| block.data.len() + if block.is_redundant { 4 } else { 1 })
            .sum();
        assert_eq!(bytes, input.len());
    }
    let mut bytes = Bytes::new(input);
    let (mut encoder, mut timestamp) = (RedEncoder::new(bytes.byte()), 0_u32);
    while !bytes.is_empty() {
        encoder.set_redundancy(usize::from(bytes.byte() % 12));
        timestamp = timestamp.wrapping_add(u32::from(u16::from_le_bytes(bytes.take())));
        let length = bytes.length(1_300);
        let (payload, mut out) = (bytes.slice(length), Vec::new());
        encoder.encode(timestamp, payload, &mut out);
        let mut blocks = RedBlocks::read(&out, timestamp).expect("what was encoded");
        let own = blocks
            .find(|block| !block.is_redundant)
            .expect("the packet");
        assert_eq!((own.timestamp, own.data), (timestamp, payload));
    }
}

/// Packets are received once, in any order and among any others.
fn srtp(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let profile = bytes.one_of(&SrtpProfile::ALL);
    let (key, salt) = (vec![3; profile.key_bytes()], vec![4; profile.salt_bytes()]);
    let (Ok(mut sender), Ok(mut receiver)) = (
        SrtpSender::new(profile, &key, &salt),
        SrtpReceiver::new(profile, &key, &salt),
    ) else {
        panic!("the lengths of {profile:?}");
    };
    let (mut sent, mut opened) = (Vec::<Vec<u8>>::new(), HashSet::new());
    let mut number = u16::from_le_bytes(bytes.take());
    while !bytes.is_empty() {
        match bytes.byte() % 8 {
            0 => {
                let length = bytes.length(120);
                refuse(&mut receiver, bytes.slice(length));
            }
            1 if !sent.is_empty() => {
                let mut forged = sent[usize::from(bytes.byte()) % sent.len()].clone();
                let (at, change) = (usize::from(bytes.byte()) % forged.len(), bytes.byte());
                forged[at] ^= change.max(1);
                assert!(receiver.unprotect_rtp(&mut forged).is_err());
            }
            2 | 3 if !sent.is_empty() => {
                let at = usize::from(bytes.byte()) % sent.len();
                let mut packet = sent[at].clone();
                let result = receiver.unprotect_rtp(&mut packet);
                assert!(!(opened.contains(&at) && result.is_ok()));
                if let Ok(read) = result {
                    assert_eq!(&packet[read.payload()], &at.to_be_bytes());
                    opened.insert(at);
                } else {
                    assert_eq!(result, Err(SrtpError::Replayed));
                }
            }
            4 => control(&mut sender, &mut receiver, &mut bytes),
            _ if sent.len() < 200 => {
                number = number.wrapping_add(1);
                let mut packet = header(number);
                packet.extend_from_slice(&sent.len().to_be_bytes());
                assert_eq!(sender.protect_rtp(&mut packet), Ok(()));
                sent.push(packet);
            }
            _ => {}
        }
    }
}

fn header(sequence_number: u16) -> Vec<u8> {
    let header = RtpHeader {
        payload_type: 111,
        marker: false,
        sequence_number,
        timestamp: 0,
        ssrc: 5,
    };
    let ids = ExtensionIds {
        audio_level: Some(1),
        ..ExtensionIds::default()
    };
    let extensions = RtpExtensions {
        audio_level: Some(AudioLevel {
            has_voice: true,
            below_full_scale_db: 30,
        }),
        ..RtpExtensions::default()
    };
    let mut bytes = Vec::new();
    assert_eq!(header.write(ids, &extensions, &mut bytes), Ok(()));
    bytes
}

/// Bytes of others are refused, and not changed.
fn refuse(receiver: &mut SrtpReceiver, bytes: &[u8]) {
    let mut changed = bytes.to_vec();
    assert!(receiver.unprotect_rtp(&mut changed).is_err());
    assert!(receiver.unprotect_rtcp(&mut changed).is_err());
    assert_eq!(changed, bytes);
}

/// A report is received once, and not with any byte changed.
fn control(sender: &mut SrtpSender, receiver: &mut SrtpReceiver, bytes: &mut Bytes<'_>) {
    let mut packet = Vec::new();
    let ssrc = u32::from(bytes.byte() % 8);
    let mut writer = RtcpWriter::new(&mut packet);
    writer.sender_report(ssrc, &SenderInfo::default(), &[]);
    let plain = packet.clone();
    assert_eq!(sender.protect_rtcp(&mut packet), Ok(()));
    let mut forged = packet.clone();
    let at = usize::from(bytes.byte()) % forged.len();
    forged[at] ^= bytes.byte().max(1);
    assert!(receiver.unprotect_rtcp(&mut forged).is_err());
    assert_eq!(receiver.unprotect_rtcp(&mut packet.clone()), Ok(&plain[..]));
    assert_eq!(
        receiver.unprotect_rtcp(&mut packet),
        Err(SrtpError::Replayed)
    );
}

//! The corpus of the media plane's targets, written by the crate's own writers.

use std::io;
use std::path::Path;
use std::time::Duration;

use gradio_webrtc_media::{
    AudioLevel, ExtensionIds, NtpTime, OpusApplication, OpusEncoder, RedEncoder, ReportBlock,
    RtcpError, RtcpWriter, RtpError, RtpExtensions, RtpHeader, SenderInfo,
};

/// Writes the seeds of each target into its folder below `corpus`.
pub fn write(corpus: &Path) -> io::Result<()> {
    let mut seeds = vec![
        ("rtp", "bare", rtp(false)),
        ("rtp", "extensions", rtp(true)),
        ("rtp", "two-byte-extensions", two_byte()),
        ("rtcp", "reports", reports()),
        ("rtcp", "requests", Ok(requests())),
        ("rtcp", "receptions", Ok(receptions())),
        ("red", "three-blocks", Ok(redundant())),
        ("red", "packets", Ok(packets())),
        ("receive", "in-order", calls(|_| vec![])),
        (
            "receive",
            "a-hole",
            calls(|at| if at == 5 { vec![1, 1] } else { vec![] }),
        ),
        ("receive", "streams", calls(|at| vec![3, at / 8])),
        ("receive", "batches", calls(|at| vec![4, at / 4])),
        ("receive", "redundant", redundant_calls()),
    ];
    // Bytes that the target reads as operations: packets that come in another order, twice, changed,
    // and reports between them, in each profile.
    for (profile, name) in (0..).zip(["counter-mode", "gcm-128", "gcm-256"]) {
        let mut operations = vec![profile, 0xf8, 0xff];
        for at in 0..24 {
            operations.extend_from_slice(&[5, 5, 2, at / 2 * 3, 3, at, 1, at, 16, 1, 4, at, 7, 2]);
        }
        seeds.push(("srtp", name, Ok(operations)));
    }
    for (target, name, seed) in seeds {
        let seed = seed.map_err(io::Error::other)?;
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), seed)?;
    }
    Ok(())
}

/// Operations of `receive`: packets of speech 20 ms apart, each after whatever `before` it.
fn calls(before: impl Fn(u8) -> Vec<u8>) -> Seed {
    let mut encoder = OpusEncoder::new(1, OpusApplication::Voice)?;
    encoder.set_bit_rate(8_000)?;
    let (mut operations, mut packet) = (vec![4, 0], Vec::new());
    for at in 0..24 {
        let tone: Vec<i16> = (0..960).map(|k| (k % 320 * 40) - 6_000).collect();
        encoder.encode(&tone, &mut packet)?;
        packet.truncate(MOST_PACKET_BYTES);
        operations.extend_from_slice(&before(at));
        insert(&mut operations, 6, &packet)?;
    }
    Ok(operations)
}

/// Operations of `receive`: packets that carry those before them, of which some are lost.
fn redundant_calls() -> Seed {
    let (mut encoder, mut operations) = (RedEncoder::new(111), vec![4, 0]);
    encoder.set_redundancy(2);
    for at in 0..24_u8 {
        let mut payload = Vec::new();
        encoder.encode(u32::from(at) * 960, &[0x48, at, 2, 3, 4, 5], &mut payload);
        if at % 8 > 2 {
            insert(&mut operations, 5, &payload)?;
        } else {
            // Nothing comes in the place of one.
            operations.extend_from_slice(&[0, 20, 1, 1, 2]);
            operations.extend_from_slice(&(u32::from(at + 1) * 960).to_le_bytes());
        }
    }
    Ok(operations)
}

/// Adds 20 ms and the operation that inserts a payload.
fn insert(
    operations: &mut Vec<u8>,
    operation: u8,
    payload: &[u8],
) -> Result<(), std::num::TryFromIntError> {
    operations.extend_from_slice(&[0, 20, operation]);
    // As `Bytes::length` reads it: of the numbers with this remainder, one whose lowest bits choose
    // it.
    let length = u16::try_from(payload.len())?;
    let number = (0..4).map(|n| length + n * 61).find(|n| n % 4 > 1);
    operations.extend_from_slice(&number.unwrap_or(0).to_le_bytes());
    operations.extend_from_slice(payload);
    Ok(())
}

/// The longest payload that `receive` reads.
const MOST_PACKET_BYTES: usize = 60;

type Seed = Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;

const HEADER: RtpHeader = RtpHeader {
    payload_type: 111,
    marker: true,
    sequence_number: 65_535,
    timestamp: 960,
    ssrc: 0x0102_0304,
};

fn rtp(has_extensions: bool) -> Seed {
    let ids = ExtensionIds {
        audio_level: Some(1),
        mid: Some(4),
        transport_sequence_number: Some(3),
    };
    let extensions = RtpExtensions {
        audio_level: Some(AudioLevel {
            has_voice: true,
            below_full_scale_db: 40,
        }),
        mid: Some("0"),
        transport_sequence_number: Some(77),
    };
    let extensions = if has_extensions {
        extensions
    } else {
        RtpExtensions::default()
    };
    let mut bytes = Vec::new();
    HEADER
        .write(ids, &extensions, &mut bytes)
        .map_err(|error: RtpError| error.to_string())?;
    bytes.extend_from_slice(b"audio of 20 ms");
    Ok(bytes)
}

/// Extensions of the form that is only read, with a source, and with padding.
fn two_byte() -> Seed {
    let mut bytes = rtp(false)?;
    bytes[0] = 0xb1;
    let rest = [
        0, 0, 0, 9, 0x10, 0, 0, 2, 1, 1, 0x85, 0, 3, 2, 1, 2, 9, 9, 0, 0, 0, 4,
    ];
    bytes.truncate(12);
    bytes.extend_from_slice(&rest);
    Ok(bytes)
}

fn reports() -> Seed {
    let info = SenderInfo {
        ntp_time: NtpTime::at(Duration::from_secs(1), Duration::from_secs(3_900_000_000)),
        rtp_timestamp: 48_000,
        packets: 50,
        payload_bytes: 4_000,
    };
    let block = ReportBlock {
        ssrc: 2,
        fraction_lost: 12,
        packets_lost: -1,
        highest_sequence_number: 0x0001_0003,
        jitter: 300,
        last_sender_report: 0x1234_5678,
        delay_since_report: 65_536,
    };
    let mut bytes = Vec::new();
    let mut writer = RtcpWriter::new(&mut bytes);
    writer.sender_report(1, &info, &[block, block]);
    writer
        .name(1, "a name")
        .map_err(|error: RtcpError| error.to_string())?;
    writer.receiver_report(1, &[block]);
    Ok(bytes)
}

fn requests() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = RtcpWriter::new(&mut bytes);
    writer.nack(1, 2, &[65_535, 0, 3, 40, 41]);
    writer.pli(1, 2);
    // Read only: two requests for key frames, a bit rate, and a stream that ends.
    let fir = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 5, 0, 0, 0];
    bytes.extend_from_slice(&[0x84, 206, 0, 4]);
    bytes.extend_from_slice(&fir);
    bytes.extend_from_slice(&[0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0]);
    bytes.extend_from_slice(b"REMB\x01\x1f\x00\x00\x00\x00\x00\x02");
    bytes.extend_from_slice(&[0x81, 203, 0, 1, 0, 0, 0, 1]);
    bytes
}

fn receptions() -> Vec<u8> {
    let received: Vec<_> = (0..60_u64)
        .map(|at| (at % 5 != 3).then(|| Duration::from_millis(100 + at * 20 + at % 7 * 30)))
        .collect();
    let mut bytes = Vec::new();
    RtcpWriter::new(&mut bytes).transport_feedback((1, 2), 3, 65_530, &received);
    bytes
}

fn redundant() -> Vec<u8> {
    let (mut encoder, mut bytes) = (RedEncoder::new(111), Vec::new());
    encoder.set_redundancy(2);
    for timestamp in [0, 960, 1_920] {
        bytes.clear();
        encoder.encode(timestamp, &[0x48, 1, 2, 3, 4, 5], &mut bytes);
    }
    bytes
}

/// Operations: a redundancy, a step in time, a length of the second kind, and a payload.
fn packets() -> Vec<u8> {
    let mut bytes = vec![111];
    for redundancy in [0, 1, 2, 3, 9, 1, 0] {
        bytes.extend_from_slice(&[redundancy, 0xc0, 0x03, 4 * 8 + 1, 0]);
        bytes.extend_from_slice(&[0x48, redundancy, 3, 4, 5, 6, 7, 8]);
    }
    bytes
}

//! A sender, and a remote peer that decrypts and decodes all its packets, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gradio_webrtc_core::{Chunk, OutboundAudio};
use gradio_webrtc_media::{
    AudioReceiver, AudioSender, ExtensionIds, RtpHeader, SenderTerms, Sent, SrtpProfile,
    SrtpReceiver, SrtpSender,
};

/// Samples per channel of a frame.
pub const SAMPLES: u32 = 960;

/// The spacing of frames.
pub const FRAME: Duration = Duration::from_millis(20);

/// When the first audio is pushed.
pub const START: Duration = Duration::from_millis(7_003);

/// The stream.
pub const SSRC: u32 = 0xcafe;

/// The payload type of redundant audio, where it is agreed on.
pub const RED: u8 = 63;

/// Half the period, in samples, of the audio that is pushed.
const HALF_PERIOD: usize = 48;

/// Its amplitude, 10 dB below full scale.
const AMPLITUDE: i16 = 10_362;

/// The level in dB below full scale from which on a packet is no audio.
const QUIET_DB: u8 = 40;

/// When the frame of this number is due, if the clock never starts again.
pub fn at_frame(number: u32) -> Duration {
    START + number * FRAME
}

/// Terms whose sequence numbers wrap around after 36 packets, and timestamps after 10.
pub fn terms() -> SenderTerms {
    SenderTerms {
        ssrc: SSRC,
        payload_type: 111,
        red_payload_type: None,
        extension_ids: ExtensionIds {
            audio_level: Some(1),
            mid: Some(4),
            transport_sequence_number: Some(3),
        },
        mid: Some("audio".into()),
        sequence_number: 65_500,
        timestamp: 0_u32.wrapping_sub(10 * SAMPLES),
        has_nack: true,
    }
}

/// An empty queue of one second.
pub fn queue() -> Arc<Mutex<OutboundAudio>> {
    Arc::new(Mutex::new(OutboundAudio::new(48_000, 1.0).unwrap()))
}

/// Both ends of a direction.
pub fn srtp(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
    let (key, salt) = (vec![1; profile.key_bytes()], vec![2; profile.salt_bytes()]);
    let sender = SrtpSender::new(profile, &key, &salt).unwrap();
    (sender, SrtpReceiver::new(profile, &key, &salt).unwrap())
}

/// A packet as it was received.
pub struct Received {
    pub at: Duration,
    pub header: RtpHeader,
    pub payload: Vec<u8>,
    pub mid: String,
    pub has_voice: bool,
    pub level_db: u8,
    pub transport_number: u16,
}

/// A sender and its remote peer.
pub struct Network {
    pub now: Duration,
    pub sender: AudioSender,
    /// As they were encrypted.
    pub sent: Vec<Vec<u8>>,
    pub packets: Vec<Received>,
    srtp: SrtpReceiver,
    pushed: usize,
}

impl Network {
    pub fn new() -> Self {
        Self::of(terms(), SrtpProfile::AeadAes128Gcm)
    }

    pub fn of(terms: SenderTerms, profile: SrtpProfile) -> Self {
        let (sender, srtp) = srtp(profile);
        Self {
            now: START,
            sender: AudioSender::new(terms, sender, queue()).unwrap(),
            sent: Vec::new(),
            packets: Vec::new(),
            srtp,
            pushed: 0,
        }
    }

    /// Pushes so many frames of audio, all of which have room.
    pub fn push(&mut self, frames: usize) {
        self.push_samples(frames * SAMPLES as usize);
    }

    /// Pushes so many samples of audio: a square wave, whose level each packet has.
    pub fn push_samples(&mut self, samples: usize) {
        let audio: Vec<i16> = (self.pushed..self.pushed + samples)
            .map(|k| match k / HALF_PERIOD % 2 {
                0 => AMPLITUDE,
                _ => -AMPLITUDE,
            })
            .collect();
        let mut queue = self.sender.queue();
        assert_eq!(queue.push(48_000, Chunk::Mono(&audio)).unwrap(), samples);
        self.pushed += samples;
    }

    /// Polls at a time, and receives all that was sent.
    pub fn poll(&mut self, now: Duration) -> Sent {
        self.now = now;
        let first = self.sent.len();
        let sent = (self.sender)
            .poll(now, |packet| self.sent.push(packet.to_vec()))
            .unwrap();
        assert_eq!(self.sent.len() - first, sent.packets as usize);
        for index in first..self.sent.len() {
            let bytes = self.sent[index].clone();
            self.receive(bytes);
        }
        sent
    }

    /// Polls at the next deadlines, so many packets long.
    pub fn run_frames(&mut self, count: usize) {
        for _ in 0..count {
            let Some(deadline) = self.sender.deadline() else {
                return;
            };
            self.poll(self.now.max(deadline));
        }
    }

    /// Polls at all deadlines before a time.
    pub fn run_to(&mut self, end: Duration) {
        while let Some(deadline) = self.sender.deadline() {
            if self.now.max(deadline) >= end {
                break;
            }
            self.poll(self.now.max(deadline));
        }
        self.now = end;
    }

    /// Decodes all that was received; returns the number of channels, and the audio at 48 kHz.
    pub fn decode(&self) -> (usize, Vec<i16>) {
        let mut receiver = AudioReceiver::new(48_000, None).unwrap();
        let mut audio = Vec::new();
        for packet in &self.packets {
            let (number, timestamp) = (packet.header.sequence_number, packet.header.timestamp);
            receiver.insert(packet.at, SSRC, number, timestamp, packet.payload.clone());
            receiver.take(packet.at, &mut audio);
        }
        (receiver.channels(), audio)
    }

    /// The numbers of those packets that are no silence.
    pub fn packets_of_audio(&self) -> Vec<usize> {
        (0..self.packets.len())
            .filter(|&index| self.packets[index].level_db < QUIET_DB)
            .collect()
    }

    /// The packets whose timestamp is not 20 ms behind the one before, with the difference.
    pub fn gaps(&self) -> Vec<(usize, u32)> {
        (1..self.packets.len())
            .filter_map(|index| {
                let [before, after] =
                    [index - 1, index].map(|index| self.packets[index].header.timestamp);
                let gap = after.wrapping_sub(before);
                (gap != SAMPLES).then_some((index, gap))
            })
            .collect()
    }

    fn receive(&mut self, mut bytes: Vec<u8>) {
        let packet = self.srtp.unprotect_rtp(&mut bytes).unwrap();
        let header = *packet.header();
        assert_eq!(header.ssrc, SSRC);
        assert!([111, RED].contains(&header.payload_type));
        let extensions = packet.extensions(&bytes, terms().extension_ids);
        let level = extensions.audio_level.unwrap();
        let payload = bytes[packet.payload()].to_vec();
        self.packets.push(Received {
            at: self.now,
            header,
            payload,
            mid: extensions.mid.unwrap().into(),
            has_voice: level.has_voice,
            level_db: level.below_full_scale_db,
            transport_number: extensions.transport_sequence_number.unwrap(),
        });
    }
}

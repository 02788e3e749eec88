//! Outbound audio: audio of any rate in, packets of Opus every 20 ms out.

mod departures;
mod error;
mod history;
mod level;
mod pacer;
mod path;
mod pending;
mod reporter;

use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gradio_webrtc_core::OutboundAudio;

pub use error::SendError;
use history::History;
use pacer::AudioPacer;
use path::Path;
use pending::Pending;
use reporter::Reporter;

use crate::{
    AudioLevel, ExtensionIds, NtpTime, PathReport, RedEncoder, RemoteReport, ReportBlock,
    RtpExtensions, RtpHeader, SenderInfo, SrtpSender, StreamEncoder,
};

/// The clock of Opus over RTP (RFC 7587 section 4.1).
const RATE_HZ: u32 = 48_000;

/// Samples per channel in 20 ms: the packet time that WebRTC stacks use by default (RFC 7587
/// section 4.2).
const FRAME_SAMPLES: u32 = 960;

/// The headers below RTP: IPv4 (RFC 791) and UDP (RFC 768).
const DATAGRAM_HEADER_BYTES: usize = 28;

/// What was negotiated about a stream, and where its numbers start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderTerms {
    /// The stream.
    pub ssrc: u32,
    /// The number of Opus, 0 to 127.
    pub payload_type: u8,
    /// The number of redundant audio in that (RFC 2198), 0 to 127; `None` where there is none.
    pub red_payload_type: Option<u8>,
    /// The header extensions of the packets. Their transport sequence numbers count the packets of
    /// this sender from 0: no other stream of the transport may have them.
    pub extension_ids: ExtensionIds,
    /// The name of the media section, 1 to 16 bytes; sent where it has an identifier.
    pub mid: Option<String>,
    /// The number of the first packet: random, and best below 32,768. A receiver that lost all
    /// packets before the first wrap-around would decrypt none (RFC 3711 section 3.3.1).
    pub sequence_number: u16,
    /// The timestamp of the first packet: random (RFC 3550 section 5.1).
    pub timestamp: u32,
    /// True if the remote peer may request packets again (RFC 4585 section 4.2).
    pub has_nack: bool,
}

/// The results of an [`AudioSender::poll`], with those of polls before it that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sent {
    /// Frames of audio that left the queue. After any, a producer that waits for room may go on.
    pub frames: u32,
    /// Packets that were sent, those of silence included.
    pub packets: u32,
    /// True if the last audio left the queue.
    pub is_drained: bool,
    /// The time from [`AudioSender::expect_reply`] to the first frame of audio after it.
    pub reply_delay: Option<Duration>,
}

/// Counters of a sender since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SendStats {
    /// Packets, without those sent again.
    pub packets_sent: u64,
    /// The bytes of their payloads.
    pub payload_bytes: u64,
    /// Packets sent again.
    pub packets_resent: u64,
    /// Frames that an error kept from being sent.
    pub frames_failed: u64,
}

/// Sends one stream of audio: takes it out of a queue, paces, encodes and encrypts it.
///
/// The queue is shared with whoever fills it, and locked for the moment in which a frame is taken.
///
/// A queue that always has audio makes one packet every 20 ms without drift. Where it runs dry,
/// 240 ms of silence follow, and then nothing: [`Self::deadline`] is `None` until the next push.
/// The time in which nothing was sent shows as a gap of the timestamps, and as a marker.
///
/// # Examples
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use gradio_webrtc_core::{Chunk, OutboundAudio};
/// use gradio_webrtc_media::{AudioSender, ExtensionIds, SenderTerms, SrtpProfile, SrtpSender};
///
/// let terms = SenderTerms {
///     ssrc: 0xcafe,
///     payload_type: 111,
///     red_payload_type: None,
///     extension_ids: ExtensionIds::default(),
///     mid: None,
///     sequence_number: 7,
///     timestamp: 0,
///     has_nack: true,
/// };
/// let srtp = SrtpSender::new(SrtpProfile::AeadAes128Gcm, &[1; 16], &[2; 12])?;
/// let queue = Arc::new(Mutex::new(OutboundAudio::new(48_000, 1.0)?));
/// let mut sender = AudioSender::new(terms, srtp, queue)?;
/// assert_eq!(sender.deadline(), None);
///
/// sender.queue().push(16_000, Chunk::Mono(&[0_i16; 8_000]))?;
/// let (mut now, mut packets) = (Duration::from_secs(5), Vec::new());
/// for _ in 0..3 {
///     let sent = sender.poll(now, |packet| packets.push(packet.to_vec()))?;
///     assert_eq!(sent.frames, 1);
///     now = sender.deadline().unwrap();
/// }
/// assert_eq!((packets.len(), now), (3, Duration::from_millis(5_060)));
///
/// let mut resent = Vec::new();
/// sender.nack(now, [8], |packet| resent.push(packet.to_vec()));
/// assert_eq!(resent, packets[1..2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AudioSender {
    terms: SenderTerms,
    queue: Arc<Mutex<OutboundAudio>>,
    pacer: AudioPacer,
    /// `None` before the first frame: many sessions never have any.
    encoder: Option<StreamEncoder>,
    srtp: SrtpSender,
    history: History,
    path: Path,
    /// Our report by which a block of somebody else's measured the round trip.
    measured: u32,
    /// The frame that was pulled; one of silence keeps the layout of the last one of audio.
    frame: Vec<i16>,
    pending: Pending,
    payload: Vec<u8>,
    /// Packs the payloads of packets; `None` where no redundant audio was negotiated.
    red: Option<RedEncoder>,
    packed: Vec<u8>,
    next_sequence_number: u16,
    next_transport_sequence_number: u16,
    /// The timestamp of the last packet, and the time at which that was due.
    last: Option<(u32, Duration)>,
    expected_since: Option<Duration>,
    /// `None` where somebody else reports.
    reporter: Option<Reporter>,
    sent: Sent,
    stats: SendStats,
}

impl AudioSender {
    /// A sender of what a queue of audio at 48 kHz has.
    ///
    /// `srtp` has the keys; a stream that someone else sent before needs
    /// [`SrtpSender::resume_rtp`].
    ///
    /// # Errors
    /// [`SendError::Rtp`] for a payload type above 127, an extension's identifier outside 1 to 14,
    /// or a `mid` that has not 1 to 16 bytes; [`SendError::QueueRate`] for a queue of another rate.
    pub fn new(
        terms: SenderTerms,
        srtp: SrtpSender,
        queue: Arc<Mutex<OutboundAudio>>,
    ) -> Result<Self, SendError> {
        let frame_samples = lock(&queue).frame_samples();
        if frame_samples != FRAME_SAMPLES as usize {
            return Err(SendError::QueueRate { frame_samples });
        }
        // Later packets differ in their numbers alone.
        let (number, timestamp) = (terms.sequence_number, terms.timestamp);
        for payload_type in iter::once(terms.payload_type).chain(terms.red_payload_type) {
            header(&terms, payload_type, number, timestamp, true).write(
                terms.extension_ids,
                &extensions(&terms, 0, 0),
                &mut Vec::new(),
            )?;
        }
        Ok(Self {
            queue,
            pacer: AudioPacer::new(),
            encoder: None,
            srtp,
            history: History::new(terms.has_nack),
            path: Path::default(),
            measured: 0,
            frame: vec![0; FRAME_SAMPLES as usize],
            pending: Pending::default(),
            payload: Vec::new(),
            red: terms
                .red_payload_type
                .map(|_| RedEncoder::new(terms.payload_type)),
            packed: Vec::new(),
            next_sequence_number: terms.sequence_number,
            next_transport_sequence_number: 0,
            last: None,
            expected_since: None,
            reporter: None,
            sent: Sent::default(),
            stats: SendStats::default(),
            terms,
        })
    }

    /// The stream that is sent.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        self.terms.ssrc
    }

    /// The audio that waits to be sent; read the [`Self::deadline`] after a change.
    pub fn queue(&self) -> MutexGuard<'_, OutboundAudio> {
        lock(&self.queue)
    }

    /// When to [`Self::poll`]; a time in the past means at once, `None` that nothing is to be sent.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let held_until = self.path.held_until();
        if !self.pacer.is_idle() {
            return Some(self.pacer.due().max(held_until));
        }
        (!self.queue().is_empty()).then_some(held_until)
    }

    /// Measures the time from now to the next frame of audio, for [`Sent::reply_delay`].
    pub fn expect_reply(&mut self, now: Duration) {
        self.expected_since = Some(now);
    }

    /// Sends all packets that are due by now, each by a call of `datagrams`.
    ///
    /// After up to 200 ms in which nobody polled these are several, up to 11; after more than that
    /// the clock starts again, with one packet and a gap of the timestamps.
    ///
    /// # Errors
    /// [`SendError::Opus`] or [`SendError::Srtp`] if a frame could not be sent. It counts as a lost
    /// packet, and the next one may be sent: poll again for those that are due, and the results.
    pub fn poll(
        &mut self,
        now: Duration,
        mut datagrams: impl FnMut(&[u8]),
    ) -> Result<Sent, SendError> {
        while self.is_due(now) {
            if let Err(error) = self.send_frame(now, &mut datagrams) {
                self.stats.frames_failed += 1;
                return Err(error);
            }
        }
        Ok(std::mem::take(&mut self.sent))
    }

    /// Takes what a receiver report shows of the path; returns the time that packets wait in a queue
    /// there, as [`crate::EncoderAdaptation::report`] does.
    pub fn report(&mut self, now: Duration, path: &PathReport) -> Duration {
        if let Some(round_trip) = path.round_trip {
            self.history.set_round_trip(round_trip);
        }
        let encoder = self.encoder.as_mut();
        encoder.map_or(Duration::ZERO, |encoder| encoder.report(now, path))
    }

    /// As [`Self::report_remote`], of a block that somebody else has read: received at `now`, which is
    /// that time of day.
    pub fn report_block(&mut self, now: Duration, ntp_time: NtpTime, block: &ReportBlock) {
        let report = RemoteReport::read(block, now, ntp_time, &mut self.measured);
        self.report_remote(&report, Duration::ZERO, Duration::ZERO);
    }

    /// Takes a receiver report in.
    ///
    /// Where it shows a queue of 0.3 s and more, nothing is sent for as long, 0.9 s at most:
    /// what is in our own queue meanwhile is either a reply, which loses nothing by it, or of a live
    /// source, whose delay is worked off there.
    ///
    /// # Arguments
    /// `jitter`, `late`: the mean deviation of what is received from the remote peer, and for how
    /// much longer than others its slowest packets of late were under way.
    pub fn report_remote(&mut self, report: &RemoteReport, jitter: Duration, late: Duration) {
        let path = self.path.measure(report, jitter, late);
        let queue = self.report(report.at, &path);
        self.path.hold(report.at, queue);
    }

    /// Sends lost packets again, the same bytes; returns how many.
    ///
    /// The request comes from the remote peer, so it has bounds: the last 128 packets, each once in
    /// a round trip, half as many as were sent after the first 128, and 128 numbers a request.
    pub fn nack(
        &mut self,
        now: Duration,
        lost: impl IntoIterator<Item = u16>,
        mut datagrams: impl FnMut(&[u8]),
    ) -> u64 {
        let resent = self.history.resend(now, lost, &mut datagrams);
        self.stats.packets_resent += resent;
        resent
    }

    /// The counters until now.
    #[must_use]
    pub fn stats(&self) -> SendStats {
        self.stats
    }

    /// The content of a sender report that is sent now; `None` before the first packet.
    ///
    /// # Arguments
    /// `ntp_time`: the time of day at `now`.
    #[must_use]
    pub fn sender_info(&self, now: Duration, ntp_time: NtpTime) -> Option<SenderInfo> {
        let (timestamp, due) = self.last?;
        // Both times are the same one, also long after the last packet (RFC 3550 section 6.4.1).
        let passed = pacer::samples_in(now.saturating_sub(due));
        Some(SenderInfo {
            ntp_time,
            rtp_timestamp: timestamp.wrapping_add(low_32_bits(passed)),
            packets: low_32_bits(self.stats.packets_sent),
            payload_bytes: low_32_bits(self.stats.payload_bytes),
        })
    }

    /// Has the sender report from now on, about once a second; see [`Self::send_report`]. All other
    /// reports of this stream have to go through [`Self::send_rtcp`].
    ///
    /// # Arguments
    /// `name`: the canonical name of the participant (RFC 7022).
    ///
    /// # Errors
    /// [`SendError::Rtcp`] for a name of more than 255 bytes.
    pub fn start_reports(&mut self, now: Duration, name: String) -> Result<(), SendError> {
        let (ssrc, seed) = (self.terms.ssrc, self.terms.timestamp);
        self.reporter = Some(Reporter::new(now, ssrc, name, seed)?);
        Ok(())
    }

    /// When to [`Self::send_report`]; `None` where somebody else does.
    #[must_use]
    pub fn report_deadline(&self) -> Option<Duration> {
        self.reporter.as_ref().map(Reporter::due)
    }

    /// Sends the report that is due: of what was sent, and the block about the stream that is
    /// received. Without both nothing is sent.
    ///
    /// # Arguments
    /// `ntp_time`: the time of day at `now`.
    ///
    /// # Errors
    /// [`SendError::Srtp`] if it was not encrypted; the next one is due all the same.
    pub fn send_report(
        &mut self,
        now: Duration,
        ntp_time: NtpTime,
        received: Option<ReportBlock>,
        datagrams: impl FnMut(&[u8]),
    ) -> Result<(), SendError> {
        let info = self.sender_info(now, ntp_time);
        let Some(reporter) = &mut self.reporter else {
            return Ok(());
        };
        let packet = reporter.write(now, info, received);
        if packet.is_empty() {
            return Ok(());
        }
        self.send_rtcp(packet, datagrams)
    }

    /// Encrypts and sends a compound packet of RTCP.
    ///
    /// # Errors
    /// [`SendError::Srtp`] if it is none.
    pub fn send_rtcp(
        &mut self,
        mut packet: Vec<u8>,
        mut datagrams: impl FnMut(&[u8]),
    ) -> Result<(), SendError> {
        self.srtp.protect_rtcp(&mut packet)?;
        datagrams(&packet);
        Ok(())
    }

    /// True if a frame is due by now; where nothing was sent, audio in the queue is due at once.
    fn is_due(&mut self, now: Duration) -> bool {
        if now < self.path.held_until() {
            return false;
        }
        if !self.pacer.is_idle() {
            return self.pacer.is_due(now);
        }
        if self.queue().is_empty() {
            return false;
        }
        let idle = self.pacer.wake(now);
        self.queue().note_idle(idle.as_secs_f64());
        true
    }

    /// Takes the frame that is due, audio or the silence that fills a gap, and sends the packet that
    /// is whole with it.
    fn send_frame(
        &mut self,
        now: Duration,
        datagrams: &mut impl FnMut(&[u8]),
    ) -> Result<(), SendError> {
        let is_audio = self.pull();
        let place = self.pacer.advance(now, is_audio);
        if is_audio {
            self.note_pulled(now);
        }
        let sent = if self.pending.takes(place, self.frame.len()) {
            Ok(())
        } else {
            self.send_pending(now, datagrams)
        };
        self.pending.push(place, &self.frame);
        let needed = self.encoder.as_ref().map_or(1, StreamEncoder::frames);
        if self.pending.frames() >= needed || self.pacer.is_idle() {
            self.send_pending(now, datagrams)?;
        }
        sent
    }

    /// Sends the frames that were taken as one packet.
    fn send_pending(
        &mut self,
        now: Duration,
        datagrams: &mut impl FnMut(&[u8]),
    ) -> Result<(), SendError> {
        // A packet that fails is a lost one to the receiver, which conceals it.
        let number = self.next_sequence_number;
        self.next_sequence_number = number.wrapping_add(1);
        let level_db = match self.terms.extension_ids.audio_level {
            Some(_) => level::below_full_scale_db(self.pending.samples()),
            None => 0,
        };
        let encoded = self.encode();
        let Some(place) = self.pending.clear() else {
            return Ok(());
        };
        encoded?;
        let position = low_32_bits(place.position);
        let timestamp = self.terms.timestamp.wrapping_add(position);
        let payload_type = self.pack(timestamp);
        let header = header(&self.terms, payload_type, number, timestamp, place.is_first);
        self.send_packet(now, &header, level_db, datagrams)?;
        let before = self.last.replace((timestamp, place.due));
        if let (None, Some(reporter)) = (before, &mut self.reporter) {
            reporter.begin(now);
        }
        Ok(())
    }

    /// Takes the next frame out of the queue, or makes one of silence; true for audio.
    ///
    /// Nobody who pushes waits for the encoder.
    fn pull(&mut self) -> bool {
        let mut queue = lock(&self.queue);
        let mut pull = |partial| {
            let audio = queue.pull(partial);
            audio.map(|audio| copy(audio, &mut self.frame)).is_some()
        };
        let is_audio = pull(false) || (self.pacer.may_pad() && pull(true));
        if !is_audio {
            self.frame.fill(0);
        }
        is_audio
    }

    /// Encodes the frames; the first one makes the encoder.
    fn encode(&mut self) -> Result<(), SendError> {
        let samples = self.pending.samples();
        let channels = samples.len() / (FRAME_SAMPLES as usize * self.pending.frames());
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            None => self.encoder.insert(StreamEncoder::new(channels)?),
        };
        if self.red.is_some() {
            encoder.allow_redundancy();
        }
        encoder.set_channels(channels)?;
        Ok(encoder.encode(samples, &mut self.payload)?)
    }

    /// Adds packets before it to the encoded frame where the path loses some; returns the payload type.
    fn pack(&mut self, timestamp: u32) -> u8 {
        let encoder = self.encoder.as_ref();
        let redundancy = encoder.map_or(0, |encoder| encoder.terms().redundancy);
        let (Some(red), Some(red_type)) = (&mut self.red, self.terms.red_payload_type) else {
            return self.terms.payload_type;
        };
        red.set_redundancy(redundancy);
        self.packed.clear();
        red.encode(timestamp, &self.payload, &mut self.packed);
        if redundancy == 0 {
            return self.terms.payload_type;
        }
        std::mem::swap(&mut self.payload, &mut self.packed);
        red_type
    }

    /// Notes that a frame of audio left the queue.
    fn note_pulled(&mut self, now: Duration) {
        self.sent.frames += 1;
        self.sent.is_drained = lock(&self.queue).buffered_s() <= 0.0;
        if let Some(since) = self.expected_since.take() {
            self.sent.reply_delay = Some(now.saturating_sub(since));
        }
    }

    /// Encrypts the encoded frame, and sends it.
    fn send_packet(
        &mut self,
        now: Duration,
        header: &RtpHeader,
        level_db: u8,
        datagrams: &mut impl FnMut(&[u8]),
    ) -> Result<(), SendError> {
        let transport_number = self.next_transport_sequence_number;
        let packet = self.history.begin(header.sequence_number);
        header.write(
            self.terms.extension_ids,
            &extensions(&self.terms, level_db, transport_number),
            packet,
        )?;
        packet.extend_from_slice(&self.payload);
        self.srtp.protect_rtp(packet)?;
        let bytes = packet.len() + DATAGRAM_HEADER_BYTES;
        self.path.note(now, header.sequence_number, bytes);
        datagrams(self.history.keep(header.sequence_number));
        self.next_transport_sequence_number = transport_number.wrapping_add(1);
        self.sent.packets += 1;
        self.stats.packets_sent += 1;
        self.stats.payload_bytes += self.payload.len() as u64;
        Ok(())
    }
}

/// The header of a packet.
fn header(
    terms: &SenderTerms,
    payload_type: u8,
    sequence_number: u16,
    timestamp: u32,
    is_first: bool,
) -> RtpHeader {
    RtpHeader {
        payload_type,
        // The first packet after a time without any (RFC 3551 section 4.1): a jitter buffer may
        // adapt there.
        marker: is_first,
        sequence_number,
        timestamp,
        ssrc: terms.ssrc,
    }
}

/// The values of a packet's header extensions, those without an identifier included.
fn extensions(terms: &SenderTerms, level_db: u8, transport_number: u16) -> RtpExtensions<'_> {
    RtpExtensions {
        audio_level: Some(AudioLevel {
            // Not detected in outbound audio, which is mostly speech, but may be anything.
            has_voice: false,
            below_full_scale_db: level_db,
        }),
        mid: terms.mid.as_deref(),
        transport_sequence_number: Some(transport_number),
    }
}

/// Replaces the content of `frame`.
fn copy(audio: &[i16], frame: &mut Vec<i16>) {
    frame.clear();
    frame.extend_from_slice(audio);
}

/// Locks a queue, also after a panic of whoever pushed: what it has is audio in any case.
fn lock(queue: &Mutex<OutboundAudio>) -> MutexGuard<'_, OutboundAudio> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lower half of a counter that wraps around on the wire.
#[allow(clippy::cast_possible_truncation, reason = "meant")]
fn low_32_bits(count: u64) -> u32 {
    count as u32
}

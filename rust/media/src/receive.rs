//! Inbound audio: packets of Opus in any order in, audio without gaps out.

use std::time::Duration;

use gradio_webrtc_core::Layout;

use crate::red::RedPacket;
use crate::silence_gate::SilenceGate;
use crate::{
    GateTerms, JitterBuffer, JitterStats, OpusError, OpusPacket, PayloadTypes, Slot, StreamDecoder,
};

/// Packets that are decoded together at most, even if nobody needs them sooner: with 20 ms each
/// they take a millisecond.
const MAX_TOGETHER: usize = 7;

/// What a receiver counted, of all its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReceiveStats {
    /// Of the jitter buffer.
    pub jitter: JitterStats,
    /// Packets that are no Opus, behind a header that is: concealed.
    pub packets_broken: u64,
    /// Packets without voice that came in order and were never decoded, as nobody spoke.
    pub packets_gated: u64,
    /// Packets that were to be redundant audio, and are none: dropped.
    pub red_packets_refused: u64,
    /// The payloads of all packets, in bytes.
    pub bytes_received: u64,
}

/// Slots in, audio out.
#[derive(Debug)]
struct Playback {
    decoder: StreamDecoder,
    /// The first packet of a stream that follows another one; `None` once it was decoded.
    next_stream: Option<u64>,
    packets_broken: u64,
}

/// Receives one track: whoever sends may begin another stream at any time (RFC 3550 section 8).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use gradio_webrtc_media::{AudioReceiver, OpusApplication, OpusEncoder};
///
/// let mut packet = Vec::new();
/// OpusEncoder::new(1, OpusApplication::LowDelay)?.encode(&[0; 960], &mut packet)?;
/// let mut receiver = AudioReceiver::new(16_000, None)?;
/// receiver.insert(Duration::ZERO, 1, 7, 0, packet);
/// assert!(receiver.is_due());
/// let mut audio = Vec::new();
/// receiver.take(Duration::ZERO, &mut audio);
/// assert_eq!(audio.len(), 320);
/// # Ok::<(), gradio_webrtc_media::OpusError>(())
/// ```
#[derive(Debug)]
pub struct AudioReceiver {
    ssrc: Option<u32>,
    jitter: JitterBuffer,
    gate: SilenceGate,
    playback: Playback,
    /// Audio that may wait, in samples at 48 kHz: see [`Self::set_allowance`].
    allowance: u32,
    /// From the next sample to the end of the packet that came last, in samples at 48 kHz: time in
    /// which nothing was sent counts, too.
    ahead: u64,
    /// The number of packets that came since the last `take`.
    packets_waiting: usize,
    last_packet: Option<Duration>,
    stats: ReceiveStats,
}

impl AudioReceiver {
    /// A receiver whose audio has `rate_hz`, one of [`crate::OPUS_RATES_HZ`], and `layout`; without
    /// one as of [`StreamDecoder`].
    ///
    /// # Errors
    /// [`OpusError::Rate`], [`OpusError::OutOfMemory`].
    pub fn new(rate_hz: u32, layout: Option<Layout>) -> Result<Self, OpusError> {
        Ok(Self {
            ssrc: None,
            jitter: JitterBuffer::new(),
            gate: SilenceGate::default(),
            playback: Playback {
                decoder: StreamDecoder::new(rate_hz, layout)?,
                next_stream: None,
                packets_broken: 0,
            },
            allowance: 0,
            ahead: 0,
            packets_waiting: 0,
            last_packet: None,
            stats: ReceiveStats::default(),
        })
    }

    /// The stream that was received last; `None` before the first packet.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// The time at which the last packet came; `None` before the first one.
    #[must_use]
    pub fn last_packet(&self) -> Option<Duration> {
        self.last_packet
    }

    /// Channels of the audio that was taken last.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.playback.decoder.channels()
    }

    /// The rate of the audio, in Hz.
    #[must_use]
    pub fn rate_hz(&self) -> u32 {
        self.playback.decoder.rate_hz()
    }

    /// The counters until now.
    #[must_use]
    pub fn stats(&self) -> ReceiveStats {
        ReceiveStats {
            jitter: self.jitter.stats(),
            packets_broken: self.playback.packets_broken,
            packets_gated: self.gate.packets_passed(),
            ..self.stats
        }
    }

    /// Sets how much of the coming audio may wait, in samples at 48 kHz, since nothing could follow
    /// from it: packets that are decoded together find the processor's caches warm.
    pub fn set_allowance(&mut self, samples: u32) {
        self.allowance = samples;
    }

    /// Sets how packets without voice may stay undecoded from now on; `None` where all are needed.
    ///
    /// The last ones are kept, and decoded with the first that has voice, or may have some: so that
    /// the decoder has converged there. Time passes for the others: see [`Self::take_passed`].
    pub fn set_gate(&mut self, terms: Option<GateTerms>) {
        self.gate.set_terms(terms);
    }

    /// Decodes to another rate and layout, as of [`Self::new`], from the next packet on.
    ///
    /// The new decoder has not converged (RFC 7845 section 4.6): in a stream that is under way, the
    /// first tenth of a second is fainter.
    ///
    /// # Errors
    /// As of [`Self::new`]; nothing changes then.
    pub fn decode_to(&mut self, rate_hz: u32, layout: Option<Layout>) -> Result<(), OpusError> {
        let decoder = &mut self.playback.decoder;
        if (decoder.rate_hz(), decoder.layout()) != (rate_hz, layout) {
            *decoder = StreamDecoder::new(rate_hz, layout)?;
        }
        Ok(())
    }

    /// See [`JitterBuffer::start`].
    pub fn start(&mut self, now: Duration) {
        self.jitter.start(now);
    }

    /// See [`JitterBuffer::keep_pauses`].
    pub fn keep_pauses(&mut self) {
        self.jitter.keep_pauses();
    }

    /// See [`JitterBuffer::set_round_trip`].
    pub fn set_round_trip(&mut self, round_trip: Option<Duration>) {
        self.jitter.set_round_trip(round_trip);
    }

    /// Receives a packet: `sequence_number` and `timestamp`, at 48 kHz, as they were sent.
    pub fn insert(
        &mut self,
        now: Duration,
        ssrc: u32,
        sequence_number: u16,
        timestamp: u32,
        payload: Vec<u8>,
    ) {
        self.note(now, ssrc, payload.len());
        let samples = OpusPacket::read(&payload).map_or(0, |packet| packet.samples());
        self.jitter.insert(now, sequence_number, timestamp, payload);
        self.ahead = self.jitter.samples_before_last() + u64::from(samples);
    }

    /// Receives a packet of redundant audio (RFC 2198): the packet itself as [`Self::insert`] does, and
    /// those before it that it carries where they are missing. Where the packet itself is empty or no
    /// Opus, it is missing, too.
    ///
    /// What is no such, or has another format than one of `formats`, is dropped before it costs
    /// anything, and counted.
    pub fn insert_red(
        &mut self,
        now: Duration,
        ssrc: u32,
        sequence_number: u16,
        timestamp: u32,
        payload: &[u8],
        formats: PayloadTypes,
    ) {
        let Some(packet) = RedPacket::read(payload, timestamp, formats) else {
            self.stats.red_packets_refused += 1;
            return;
        };
        // First: it may begin another stream, whose numbers are its own.
        if packet.has_audio() {
            self.insert(now, ssrc, sequence_number, timestamp, packet.own.to_vec());
        } else {
            // It would take the place of its copy in the next packet.
            self.note(now, ssrc, packet.own.len());
        }
        self.stats.bytes_received += (payload.len() - packet.own.len()) as u64;
        for (behind, copy) in packet.copies() {
            let number = sequence_number.wrapping_sub(behind);
            self.jitter
                .insert_redundant(now, number, copy.timestamp, copy.data);
        }
    }

    /// True if so much has come that it should be taken.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.packets_waiting >= MAX_TOGETHER || self.ahead >= u64::from(self.allowance)
    }

    /// The time at which to `take` though nothing came; `None` while nothing is missing, also where
    /// audio waits that may.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.jitter.hole_deadline()
    }

    /// Returns the sequence numbers to request again now; see [`JitterBuffer::nacks`].
    pub fn nacks(&mut self, now: Duration) -> &[u16] {
        self.jitter.nacks(now)
    }

    /// Appends all audio that is decided by now, interleaved; what [`Self::set_gate`] has kept back
    /// is not.
    ///
    /// What `audio` has already is doubled where the stream becomes stereo.
    pub fn take(&mut self, now: Duration, audio: &mut Vec<i16>) {
        self.packets_waiting = 0;
        self.gate.begin();
        self.take_open(audio);
        while let Some(slot) = self.jitter.next(now) {
            self.gate.note(&slot);
            if self.gate.is_empty() && !self.gate.is_closed() {
                self.playback.play(slot, audio);
            } else {
                self.gate.keep(slot);
                self.take_open(audio);
            }
        }
    }

    /// Appends the audio that [`Self::set_gate`] has kept back, which follows what was taken last.
    pub fn take_kept(&mut self, audio: &mut Vec<i16>) {
        self.gate.open();
        self.take_open(audio);
    }

    /// Returns the audio that has passed undecoded before what was taken last, in samples per channel
    /// at [`Self::rate_hz`].
    pub fn take_passed(&mut self) -> u64 {
        self.gate.take_passed() * u64::from(self.rate_hz()) / 48_000
    }

    /// Notes that a packet of a stream came.
    fn note(&mut self, now: Duration, ssrc: u32, bytes: usize) {
        if self.ssrc != Some(ssrc) {
            self.ssrc = Some(ssrc);
            self.playback.next_stream = self.jitter.begin_stream();
        }
        self.stats.bytes_received += bytes as u64;
        self.packets_waiting += 1;
        self.last_packet = Some(now);
    }

    fn take_open(&mut self, audio: &mut Vec<i16>) {
        while !self.gate.is_closed()
            && let Some(slot) = self.gate.take()
        {
            self.playback.play(slot, audio);
        }
    }
}

impl Playback {
    fn play(&mut self, slot: Slot<'_>, audio: &mut Vec<i16>) {
        let decoder = &mut self.decoder;
        if let Slot::Packet(packet) = &slot
            && self
                .next_stream
                .is_some_and(|first| packet.sequence >= first)
        {
            self.next_stream = None;
            decoder.begin_stream();
        }
        let (length, outcome) = match slot {
            Slot::Packet(packet) => (packet.samples, decoder.decode(&packet.payload, audio)),
            Slot::Missing { samples, copy_in } => (
                samples,
                match copy_in {
                    Some(next) => decoder.decode_fec(next, samples, audio),
                    None => decoder.conceal(samples, audio),
                },
            ),
            Slot::Silence { samples } => return decoder.silence(samples, audio),
        };
        if outcome.is_err() {
            self.packets_broken += 1;
            // As if it had not come; where even that fails, time passes all the same.
            if decoder.conceal(length, audio).is_err() {
                decoder.silence(length, audio);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpusApplication, OpusEncoder};

    const MS: Duration = Duration::from_millis(1);

    fn packets(count: usize, channels: usize) -> Vec<Vec<u8>> {
        let mut encoder = OpusEncoder::new(channels, OpusApplication::LowDelay).unwrap();
        let frame: Vec<i16> = (0..960 * channels)
            .map(|n| if n % 96 < 48 { 4000 } else { -4000 })
            .collect();
        (0..count)
            .map(|_| {
                let mut packet = Vec::new();
                encoder.encode(&frame, &mut packet).unwrap();
                packet
            })
            .collect()
    }

    fn receive(receiver: &mut AudioReceiver, sequence: u16, packet: &[u8]) -> Vec<i16> {
        let now = u32::from(sequence) * 20 * MS;
        let timestamp = u32::from(sequence) * 960;
        receiver.insert(now, 1, sequence, timestamp, packet.to_vec());
        let mut audio = Vec::new();
        receiver.take(now, &mut audio);
        audio
    }

    #[test]
    fn each_packet_in_order_leaves_at_once() {
        let mut receiver = AudioReceiver::new(48_000, None).unwrap();
        for (sequence, packet) in (0u16..).zip(packets(5, 1)) {
            assert_eq!(receive(&mut receiver, sequence, &packet).len(), 960);
            assert_eq!(receiver.deadline(), None);
        }
        assert_eq!(receiver.stats().jitter.packets_received, 5);
    }

    #[test]
    fn a_lost_packet_is_filled_at_its_deadline() {
        let mut receiver = AudioReceiver::new(48_000, None).unwrap();
        let packets = packets(4, 1);
        receive(&mut receiver, 0, &packets[0]);
        receive(&mut receiver, 1, &packets[1]);
        assert!(receive(&mut receiver, 3, &packets[3]).is_empty());
        let deadline = receiver.deadline().unwrap();
        let mut audio = Vec::new();
        receiver.take(deadline, &mut audio);
        assert_eq!(audio.len(), 1_920);
        assert!(audio[..960].iter().any(|sample| sample.abs() > 1_000));
        assert_eq!(receiver.stats().jitter.concealed_samples, 960);
    }

    #[test]
    fn audio_that_may_wait_is_due_when_there_is_so_much() {
        let mut receiver = AudioReceiver::new(48_000, None).unwrap();
        receiver.set_allowance(2_400);
        let due: Vec<bool> = (0u16..)
            .zip(packets(6, 1))
            .map(|(sequence, packet)| {
                let timestamp = u32::from(sequence) * 960;
                receiver.insert(MS, 1, sequence, timestamp, packet);
                let is_due = receiver.is_due();
                if is_due {
                    receiver.take(MS, &mut Vec::new());
                }
                is_due
            })
            .collect();
        assert_eq!(due, [false, false, true, false, false, true]);
    }

    #[test]
    fn the_end_of_a_stream_comes_before_the_next_one() {
        let mut receiver = AudioReceiver::new(48_000, None).unwrap();
        let packets = packets(2, 2);
        receiver.insert(MS, 1, 7, 0, packets[0].clone());
        receiver.insert(MS, 2, 999, 77, packets[1].clone());
        let mut audio = Vec::new();
        receiver.take(MS, &mut audio);
        assert_eq!((audio.len(), receiver.channels()), (3_840, 2));
        assert_eq!(receiver.ssrc(), Some(2));
        assert_eq!(receiver.stats().jitter.packets_received, 2);
    }

    #[test]
    fn another_rate_and_layout_begin_with_the_next_packet() {
        let mut receiver = AudioReceiver::new(48_000, None).unwrap();
        let packets = packets(4, 2);
        assert_eq!(receive(&mut receiver, 0, &packets[0]).len(), 1_920);
        receiver.decode_to(16_000, Some(Layout::Mono)).unwrap();
        let mono = receive(&mut receiver, 1, &packets[1]);
        assert_eq!((mono.len(), receiver.channels()), (320, 1));
        assert_eq!(receiver.rate_hz(), 16_000);
        // Nothing changes: the decoder keeps its state, and the signal is whole.
        receiver.decode_to(16_000, Some(Layout::Mono)).unwrap();
        let mono = receive(&mut receiver, 2, &packets[2]);
        let loud = mono.iter().filter(|sample| sample.abs() > 1_000);
        assert!(loud.count() > 200);
        assert!(receiver.decode_to(44_100, None).is_err());
        assert_eq!(receive(&mut receiver, 3, &packets[3]).len(), 320);
    }

    #[test]
    fn a_broken_packet_is_concealed() {
        let mut receiver = AudioReceiver::new(48_000, None).unwrap();
        let packets = packets(1, 1);
        receive(&mut receiver, 0, &packets[0]);
        // Two frames of one length, 10 ms each, in an odd number of bytes.
        assert_eq!(
            receive(&mut receiver, 1, &[30 << 3 | 1, 1, 2, 3]).len(),
            960
        );
        assert_eq!(receiver.stats().packets_broken, 1);
    }
}

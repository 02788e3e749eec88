//! The counters of a jitter buffer.

use std::time::Duration;

/// What a jitter buffer counted since it was made, named as W3C's Identifiers for WebRTC's
/// Statistics API names them (`RTCReceivedRtpStreamStats`, `RTCInboundRtpStreamStats`), where it
/// has a name.
///
/// Samples are per channel, at 48 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct JitterStats {
    /// `packetsReceived`: all that came, late and repeated ones as well (RFC 3550 section 6.4.1).
    pub packets_received: u64,
    /// `packetsLost`: expected less received; below zero where packets came twice.
    pub packets_lost: i64,
    /// `packetsDiscarded`: came, and were not emitted: too late, out of the buffer's bounds, no
    /// Opus, or over the budget. Repeated ones are not in it.
    pub packets_discarded: u64,
    /// Packets that came again; W3C has no name for them.
    pub packets_repeated: u64,
    /// Of the discarded ones, those that came after they had been given up.
    pub packets_late: u64,
    /// Of the discarded ones, those over the budget of 1.5 times real time.
    pub packets_refused: u64,
    /// `fecPacketsReceived`: redundant copies, in-band ones of Opus as well.
    pub fec_packets_received: u64,
    /// `fecPacketsDiscarded`: of those, the ones that nothing was missing for.
    pub fec_packets_discarded: u64,
    /// `nackCount`, in packets: those that were requested again.
    pub packets_requested: u64,
    /// `jitterBufferDelay`: the time that samples were held, summed over the samples, in
    /// nanoseconds.
    pub jitter_buffer_delay_ns: u128,
    /// `jitterBufferEmittedCount`: the samples of packets that left the buffer.
    pub jitter_buffer_emitted_count: u64,
    /// `totalSamplesReceived`: all samples that left, filled-in ones as well.
    pub total_samples_received: u64,
    /// `concealedSamples`: samples of missing packets for which there was no copy.
    pub concealed_samples: u64,
    /// `silentConcealedSamples`: of those, the ones beyond 60 ms, which are silence.
    pub silent_concealed_samples: u64,
    /// `concealmentEvents`: runs of concealed samples.
    pub concealment_events: u64,
    /// Steps in the timestamps that were not filled: backwards, or over half a second.
    pub resynchronizations: u64,
    /// Sequences that began again, and streams after the first one.
    pub restarts: u64,
    /// `jitter`: the mean deviation between the packets' spacing when sent and when received (RFC
    /// 3550 section 6.4.1).
    pub jitter: Duration,
}

impl std::ops::Add for JitterStats {
    type Output = Self;

    /// Both together: the counters of one track whose sender began another stream. The jitter is
    /// that of the later one.
    fn add(self, later: Self) -> Self {
        Self {
            packets_received: self.packets_received + later.packets_received,
            packets_lost: self.packets_lost + later.packets_lost,
            packets_discarded: self.packets_discarded + later.packets_discarded,
            packets_repeated: self.packets_repeated + later.packets_repeated,
            packets_late: self.packets_late + later.packets_late,
            packets_refused: self.packets_refused + later.packets_refused,
            fec_packets_received: self.fec_packets_received + later.fec_packets_received,
            fec_packets_discarded: self.fec_packets_discarded + later.fec_packets_discarded,
            packets_requested: self.packets_requested + later.packets_requested,
            jitter_buffer_delay_ns: self.jitter_buffer_delay_ns + later.jitter_buffer_delay_ns,
            jitter_buffer_emitted_count: self.jitter_buffer_emitted_count
                + later.jitter_buffer_emitted_count,
            total_samples_received: self.total_samples_received + later.total_samples_received,
            concealed_samples: self.concealed_samples + later.concealed_samples,
            silent_concealed_samples: self.silent_concealed_samples
                + later.silent_concealed_samples,
            concealment_events: self.concealment_events + later.concealment_events,
            resynchronizations: self.resynchronizations + later.resynchronizations,
            restarts: self.restarts + later.restarts,
            jitter: later.jitter,
        }
    }
}

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
    /// `silentConcealedSamples`: of those, the ones beyond 100 ms, or 60 where turns are detected,
    /// which are silence.
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

//! What is sent over paths of different widths.

/// What a path may have to carry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Of one channel; at the lowest one, of both.
    pub(super) bits_per_s: i32,
    /// Frames of 20 ms in a packet.
    pub(super) frames: usize,
}

impl Step {
    const fn new(bits_per_s: i32, frames: usize) -> Self {
        Self { bits_per_s, frames }
    }

    /// The bits a second of all packets with their headers.
    pub(super) fn total(self, channels: usize) -> f64 {
        let channels = if self.frames > 1 { 1 } else { channels };
        #[allow(clippy::cast_precision_loss, reason = "small")]
        let (channels, frames) = (channels as f64, self.frames as f64);
        f64::from(self.bits_per_s) * channels + HEADER_BITS * PACKETS_PER_S / frames
    }
}

/// From a free path to a narrow one. The first bit rate is the upper end that RFC 7587 section 3.1.1
/// recommends for music in fullband, the others those for speech in fullband, wideband and
/// narrowband, rounded down. With headers they are 88, 56, 40 and 20 kbit/s: packets of 60 ms leave
/// a path of 24 kbit/s room for more than headers.
pub(super) const STEPS: [Step; 4] = [
    Step::new(64_000, 1),
    Step::new(32_000, 1),
    Step::new(16_000, 1),
    Step::new(12_000, 3),
];

/// Where a call begins, whose path nobody has seen yet: what a narrow one cannot carry is a delay
/// until the first report.
pub(super) const FIRST_STEP: usize = 1;

/// The headers of a packet: IPv4 and UDP 28 bytes, RTP 12, its extensions up to 12, SRTP 10 or 16.
const HEADER_BITS: f64 = 60.0 * 8.0;

/// Packets of one frame.
const PACKETS_PER_S: f64 = 50.0;

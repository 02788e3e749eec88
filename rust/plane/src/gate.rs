//! The gate: refuses datagrams before they cost anything.

use std::time::Duration;

use gradio_webrtc_media::Protocol;

/// The most bytes of a datagram. Those of WebRTC fit into one packet of Ethernet: 1,500.
pub const MAX_DATAGRAM_BYTES: usize = 2048;

/// The most media datagrams of one source, per second and at once. A client's video of 20 Mbit/s
/// are 2,100, and its audio 50.
pub const MEDIA_PER_SECOND: u32 = 3000;

/// STUN: its header (RFC 8489 section 5).
const MIN_STUN_BYTES: usize = 20;
/// DTLS: the header of a record (RFC 6347 section 4.1).
const MIN_DTLS_BYTES: usize = 13;
/// RTP: its header without sources (RFC 3550 section 5.1).
const MIN_RTP_BYTES: usize = 12;
/// RTCP: an empty report (RFC 3550 section 6.4.2).
const MIN_RTCP_BYTES: usize = 8;

const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / MEDIA_PER_SECOND as u64);
const BURST: Duration = INTERVAL.saturating_mul(MEDIA_PER_SECOND);

/// The receivers of a datagram that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// RTP and RTCP: the endpoint of its source, if there is one.
    Endpoint,
    /// STUN and DTLS.
    Mailbox,
}

/// The reasons for which a datagram is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its first byte is of no protocol that WebRTC uses over UDP.
    Protocol,
    /// It is shorter than the header of its protocol.
    Short,
    /// It is longer than [`MAX_DATAGRAM_BYTES`].
    Long,
}

/// Returns the destination of a datagram, by its length and its first two bytes (RFC 7983).
///
/// # Errors
/// [`Refusal`], for a datagram that nobody has any use for.
pub fn check(datagram: &[u8]) -> Result<Destination, Refusal> {
    let (least, destination) = match Protocol::of(datagram) {
        Some(Protocol::Stun) => (MIN_STUN_BYTES, Destination::Mailbox),
        Some(Protocol::Dtls) => (MIN_DTLS_BYTES, Destination::Mailbox),
        Some(Protocol::Rtp) => (MIN_RTP_BYTES, Destination::Endpoint),
        Some(Protocol::Rtcp) => (MIN_RTCP_BYTES, Destination::Endpoint),
        Some(Protocol::Zrtp | Protocol::TurnChannel) | None => return Err(Refusal::Protocol),
    };
    match datagram.len() {
        length if length < least => Err(Refusal::Short),
        length if length > MAX_DATAGRAM_BYTES => Err(Refusal::Long),
        _ => Ok(destination),
    }
}

/// A bucket of tokens, one for each media datagram: [`MEDIA_PER_SECOND`] at once and per second.
///
/// It is kept as the time at which the bucket will be full (the generic cell rate algorithm of ATM
/// Forum TM 4.1), which is exact, where a sum of fractions is not.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenBucket {
    full_at: Duration,
}

impl TokenBucket {
    /// Takes a token; false if there is none.
    pub fn take(&mut self, now: Duration) -> bool {
        let full_at = self.full_at.max(now).saturating_add(INTERVAL);
        let enough = full_at.saturating_sub(now) <= BURST;
        if enough {
            self.full_at = full_at;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(first: u8, second: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        for (byte, value) in bytes.iter_mut().zip([first, second]) {
            *byte = value;
        }
        bytes
    }

    #[test]
    fn the_protocol_and_the_length_decide() {
        for (first, second, least, destination) in [
            (0, 1, 20, Destination::Mailbox),
            (3, 1, 20, Destination::Mailbox),
            (20, 254, 13, Destination::Mailbox),
            (63, 254, 13, Destination::Mailbox),
            (128, 111, 12, Destination::Endpoint),
            (191, 111, 12, Destination::Endpoint),
            (128, 201, 8, Destination::Endpoint),
        ] {
            let of_length = |length| check(&datagram(first, second, length));
            assert_eq!(of_length(least), Ok(destination), "{first}");
            assert_eq!(of_length(least - 1), Err(Refusal::Short), "{first}");
            assert_eq!(of_length(2048), Ok(destination), "{first}");
            assert_eq!(of_length(2049), Err(Refusal::Long), "{first}");
        }
        for first in [4, 16, 19, 64, 79, 80, 127, 192, 255] {
            assert_eq!(check(&datagram(first, 0, 100)), Err(Refusal::Protocol));
        }
        assert_eq!(check(&[]), Err(Refusal::Protocol));
    }

    #[test]
    fn a_bucket_has_a_burst_and_fills_at_its_rate() {
        let mut bucket = TokenBucket::default();
        let mut taken = |now| (0..10_000).filter(|_| bucket.take(now)).count();
        let now = Duration::from_secs(5);
        assert_eq!(taken(now), 3000);
        assert_eq!(taken(now), 0);
        assert_eq!(taken(now + Duration::from_millis(100)), 300);
        assert_eq!(taken(now + Duration::from_secs(61)), 3000);
    }

    #[test]
    fn a_bucket_lets_its_rate_through_for_ever() {
        let mut bucket = TokenBucket::default();
        assert!((0..100_000).all(|count| bucket.take(INTERVAL * count)));
    }
}

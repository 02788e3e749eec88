//! What a datagram of a WebRTC transport carries (RFC 7983, RFC 5761).

/// The protocols that share one transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// ICE's connectivity checks.
    Stun,
    /// Another key exchange, which WebRTC does not use.
    Zrtp,
    /// The key exchange, and data channels.
    Dtls,
    /// Data from a TURN server.
    TurnChannel,
    /// Media.
    Rtp,
    /// Reports about media.
    Rtcp,
}

impl Protocol {
    /// Returns the protocol of a datagram by its first byte (RFC 7983 section 7), and that of
    /// media by its second (RFC 5761 section 4); `None` for what is none of them.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Option<Self> {
        match (*datagram.first()?, datagram.get(1)) {
            (0..=3, _) => Some(Self::Stun),
            (16..=19, _) => Some(Self::Zrtp),
            (20..=63, _) => Some(Self::Dtls),
            (64..=79, _) => Some(Self::TurnChannel),
            // Packet types 192 to 223; RTP with a marker has them for the payload types 64 to 95,
            // which are not used beside RTCP for this reason.
            (128..=191, Some(192..=223)) => Some(Self::Rtcp),
            (128..=191, Some(_)) => Some(Self::Rtp),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_distinguish_the_protocols() {
        let of = |first| Protocol::of(&[first, 0]);
        for (range, expected) in [
            (0..=3, Some(Protocol::Stun)),
            (4..=15, None),
            (16..=19, Some(Protocol::Zrtp)),
            (20..=63, Some(Protocol::Dtls)),
            (64..=79, Some(Protocol::TurnChannel)),
            (80..=127, None),
            (128..=191, Some(Protocol::Rtp)),
            (192..=255, None),
        ] {
            assert!(
                range.clone().all(|first| of(first) == expected),
                "{range:?}"
            );
        }
        for (second, expected) in [
            (191, Protocol::Rtp),
            (192, Protocol::Rtcp),
            (223, Protocol::Rtcp),
            (224, Protocol::Rtp),
            (111, Protocol::Rtp),
        ] {
            assert_eq!(Protocol::of(&[0x80, second]), Some(expected));
        }
        assert_eq!((Protocol::of(&[]), Protocol::of(&[0x80])), (None, None));
    }
}

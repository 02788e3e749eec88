//! A link with faults, in virtual time and always the same ones, and a receiver behind it.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "a model of small numbers"
)]

mod faults;
mod receivers;

#[allow(unused_imports, reason = "not every test needs chance")]
pub use faults::{Faults, Link, Random};
#[allow(unused_imports, reason = "not every test has a link")]
pub use receivers::{Reception, TROUBLE, receive, receive_by_count};

use std::time::Duration;

/// The length of a packet, in samples at 48 kHz: 20 ms.
pub const SAMPLES: u32 = 960;

/// The spacing of packets.
pub const FRAME: Duration = Duration::from_millis(20);

/// A number of milliseconds.
pub const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A payload of 20 ms with a number in it, with or without a copy of the packet before it.
pub fn payload(number: u64, has_fec: bool) -> Vec<u8> {
    // Configuration 9: speech codec, wideband, 20 ms.
    let mut bytes = vec![9 << 3, if has_fec { 0xc0 } else { 0x80 }];
    bytes.extend(number.to_be_bytes());
    bytes
}

/// The number in a payload.
pub fn number(payload: &[u8]) -> u64 {
    u64::from_be_bytes(payload[2..10].try_into().unwrap())
}

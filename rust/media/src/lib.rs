//! The media plane of one remote peer: packets in, audio out, and back.
//!
//! Sans I/O: nothing here knows a socket, a thread, or the time of day. Time is an argument, a
//! [`std::time::Duration`] since a moment that the caller chose once. Nothing depends on Python.

mod budget;
mod jitter;
mod opus_packet;

pub use jitter::{Insertion, JitterBuffer, JitterStats, Packet, Slot};
pub use opus_packet::OpusPacket;

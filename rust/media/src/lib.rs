//! The media plane of one remote peer: packets in, audio out, and back.
//!
//! Sans I/O: nothing here has a socket, a thread, or the time of day. Time is an argument, a
//! [`std::time::Duration`] since a moment that the caller chose once. Nothing depends on Python.

mod adaptation;
mod budget;
mod former_streams;
mod int16;
mod jitter;
mod least;
mod opus;
mod opus_packet;
mod protocol;
mod receive;
mod red;
mod remote_reports;
mod rtcp;
mod rtp;
mod secure_receiver;
mod send;
mod silence_gate;
mod srtp;
mod stall_timer;
mod stream_decoder;
mod stream_encoder;

pub use adaptation::{EncoderAdaptation, EncoderTerms, PathReport};
pub use jitter::{Insertion, JitterBuffer, JitterStats, Packet, Slot};
pub use opus::{OPUS_RATES_HZ, OpusApplication, OpusDecoder, OpusEncoder, OpusError, opus_rate_hz};
pub use opus_packet::OpusPacket;
pub use protocol::Protocol;
pub use receive::{AudioReceiver, ReceiveStats};
pub use red::{MAX_REDUNDANT_BLOCKS, RedBlock, RedBlocks, RedEncoder, RedError};
pub use remote_reports::RemoteReport;
pub use rtcp::{
    FirRequests, LostNumbers, NtpTime, PacketReception, PacketReceptions, ReceptionStatistics,
    Remb, ReportBlock, ReportBlocks, RtcpError, RtcpPart, RtcpParts, RtcpWriter, SdesChunks,
    SenderInfo, Ssrcs, TransportFeedback, round_trip,
};
pub use rtp::{
    AudioLevel, ExtensionElements, ExtensionIds, RtpError, RtpExtensions, RtpHeader, RtpPacket,
};
pub use secure_receiver::{PayloadTypes, Reception, SecureReceiver, SecureStats};
pub use send::{AudioSender, SendError, SendStats, SenderTerms, Sent};
pub use silence_gate::GateTerms;
pub use srtp::{SrtpError, SrtpProfile, SrtpReceiver, SrtpSender};
pub use stall_timer::{MAX_STALL, StallTimer};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::StreamEncoder;

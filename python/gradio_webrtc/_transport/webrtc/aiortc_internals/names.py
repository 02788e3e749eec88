"""Every private name of aiortc and aioice that this package uses, each written once.

Read in aiortc 1.16 and aioice 0.13. Neither library promises any of these names, so
pyproject.toml bounds both versions and `probe` looks for each name before anything is built on
it. A name stands here if it is given as a string, overridden or patched, even where it has no
underscore: it is not documented either. Constants only; imports nothing of either library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VERSIONS: Final = {"aiortc": ">=1.16,<1.17", "aioice": ">=0.13,<0.14"}
"""The versions in which the names were read; pyproject.toml has the same ranges."""

# ------------------------------------------------------------------ aiortc: RTCPeerConnection

CERTIFICATES: Final = "_RTCPeerConnection__certificates"

# --------------------------------------------------------------------- aiortc: RTCCertificate

CREATE_SSL_CONTEXT: Final = "_create_ssl_context"

# -------------------------------------------------------------------- aiortc: RTCIceTransport

CONNECTION: Final = "_connection"
MONITOR_TASK: Final = "_RTCIceTransport__monitor_task"

# ------------------------------------------------------------------- aiortc: RTCDtlsTransport

DTLS_TASK: Final = "_task"
RECEIVE_NEXT: Final = "_recv_next"
ROUTER: Final = "_rtp_router"
ROLE: Final = "_role"
SSL: Final = "_ssl"
RX_SRTP: Final = "_rx_srtp"
HANDLE_RTCP_DATA: Final = "_handle_rtcp_data"
HANDLE_RTP_DATA: Final = "_handle_rtp_data"
SEND_DATA: Final = "_send_data"
SETUP_SRTP: Final = "_setup_srtp"

# -------------------------------------------------------------------------- aiortc: RtpRouter

RECEIVERS: Final = "receivers"
ROUTE_RTP: Final = "route_rtp"
SSRC_TABLE: Final = "ssrc_table"

# ---------------------------------------------------------------------- aiortc: RTCRtpReceiver

ACTIVE_SSRC: Final = "_RTCRtpReceiver__active_ssrc"
CODECS: Final = "_RTCRtpReceiver__codecs"
DECODER_ERROR: Final = "_RTCRtpReceiver__decoder_error"
DECODER_QUEUE: Final = "_RTCRtpReceiver__decoder_queue"
DECODER_THREAD: Final = "_RTCRtpReceiver__decoder_thread"
JITTER_BUFFER: Final = "_RTCRtpReceiver__jitter_buffer"
LSR: Final = "_RTCRtpReceiver__lsr"
LSR_TIME: Final = "_RTCRtpReceiver__lsr_time"
NACK_GENERATOR: Final = "_RTCRtpReceiver__nack_generator"
RATE_ESTIMATOR: Final = "_RTCRtpReceiver__remote_bitrate_estimator"
RECEIVER_RTCP_STARTED: Final = "_RTCRtpReceiver__rtcp_started"
RECEIVER_RTCP_EXITED: Final = "_RTCRtpReceiver__rtcp_exited"
RECEIVER_TASK: Final = "_RTCRtpReceiver__rtcp_task"
REMOTE_STREAMS: Final = "_RTCRtpReceiver__remote_streams"
RTX_SSRC: Final = "_RTCRtpReceiver__rtx_ssrc"
TIMESTAMP_MAPPER: Final = "_RTCRtpReceiver__timestamp_mapper"
ENABLED: Final = "_enabled"
HANDLE_RTP_PACKET: Final = "_handle_rtp_packet"
SEND_RTCP: Final = "_send_rtcp"
SEND_RTCP_NACK: Final = "_send_rtcp_nack"
SEND_RTCP_PLI: Final = "_send_rtcp_pli"

RUN_RTCP: Final = "_run_rtcp"
"""Of a receiver and of a sender."""

# ------------------------------------------------------------------- aiortc: RemoteStreamTrack

QUEUE: Final = "_queue"
"""Of a track: its decoded frames. Of a connection of aioice: its datagrams."""

# ------------------------------------------------------------------------ aiortc: RTCRtpSender

ENCODER: Final = "_RTCRtpSender__encoder"
NEXT_FRAME: Final = "_next_encoded_frame"
OCTET_COUNT: Final = "_RTCRtpSender__octet_count"
PACKET_COUNT: Final = "_RTCRtpSender__packet_count"
ROUND_TRIP: Final = "_RTCRtpSender__rtt"
SENDER_LSR: Final = "_RTCRtpSender__lsr"
SENDER_SSRC: Final = "_ssrc"
RTP_HISTORY: Final = "_RTCRtpSender__rtp_history"
SENDER_RTCP_STARTED: Final = "_RTCRtpSender__rtcp_started"
SENDER_RTCP_EXITED: Final = "_RTCRtpSender__rtcp_exited"
SENDER_RTCP_TASK: Final = "_RTCRtpSender__rtcp_task"
SENDER_RTP_EXITED: Final = "_RTCRtpSender__rtp_exited"
SENDER_RTP_TASK: Final = "_RTCRtpSender__rtp_task"
HANDLE_RTCP_PACKET: Final = "_handle_rtcp_packet"
RETRANSMIT: Final = "_retransmit"
SEND_KEYFRAME: Final = "_send_keyframe"

# ------------------------------------------------------------- aiortc: Encoder, and its subclasses

PACK: Final = "pack"
PACKETIZE: Final = "_packetize"
SPLIT_BITSTREAM: Final = "_split_bitstream"

# -------------------------------------------------------------------- aiortc: RTCSctpTransport

SCTP_TIMERS: Final = ("_t1_cancel", "_t2_cancel", "_t3_cancel", "_reconfig_timer_cancel")

SCTP_STATE: Final = (
    "_advertised_rwnd",
    "_association_state",
    "_data_channel_queue",
    "_data_channels",
    "_last_received_tsn",
    "_last_sacked_tsn",
    "_outbound_queue",
    "_sack_duplicates",
    "_sack_misordered",
    "_sack_needed",
    "_sent_queue",
)

SCTP_METHODS: Final = (
    "_data_channel_receive",
    "_handle_data",
    "_receive",
    "_receive_chunk",
    "_receive_data_chunk",
    "_receive_forward_tsn_chunk",
    "_receive_sack_chunk",
    "_reset_deferred_streams",
    "_send_chunk",
)

# ------------------------------------------------------------------------- aiortc: RateCounter

RATE_COUNTER: Final = ("_erase_old", "_origin_ms", "_window_size", "reset")

# -------------------------------------------------------------------------- aioice: Connection

CHECK_LIST: Final = "_check_list"
CONSENT_TASK: Final = "_query_consent_task"
NOMINATED: Final = "_nominated"
PROTOCOLS: Final = "_protocols"
REMOTE_CANDIDATES: Final = "_remote_candidates"
BUILD_REQUEST: Final = "build_request"
DATA_RECEIVED: Final = "data_received"
GATHER: Final = "get_component_candidates"
QUERY_CONSENT: Final = "query_consent"
REQUEST_RECEIVED: Final = "request_received"
STUN_SERVER: Final = "stun_server"

# ---------------------------------------- aioice: StunProtocol, CandidatePair, Candidate, module

SEND_STUN: Final = "send_stun"
TRANSACTIONS: Final = "transactions"
PAIR_TASK: Final = "task"
NETWORK_HOST: Final = "_network_host"
FOUNDATION: Final = "candidate_foundation"
HOST_ADDRESSES: Final = "get_host_addresses"
PRIORITY: Final = "candidate_priority"
REFLEXIVE_CANDIDATE: Final = "server_reflexive_candidate"


@dataclass(frozen=True, eq=False)
class Aspect:
    """One thing that this room does, and the names without which it is left undone.

    Attributes:
        loss: The consequence for sessions, for the log.
        names: The names by owner; `probe` has an object for each owner.
    """

    loss: str
    names: dict[str, tuple[str, ...]]


CERTIFICATE: Final = Aspect(
    "clients with RSA certificates are refused, and sessions are not protected from chains of "
    "certificates that take long to check",
    {"RTCPeerConnection": (CERTIFICATES,), "RTCCertificate": (CREATE_SSL_CONTEXT,)},
)

ASSOCIATION: Final = Aspect(
    "sessions are not protected from floods of the data channel",
    {"RTCSctpTransport": (*SCTP_STATE, *SCTP_METHODS)},
)

RECEIVER: Final = Aspect(
    "sessions are not protected from video frames that are too large, nor from floods of streams",
    {
        "RTCRtpReceiver": (
            ACTIVE_SSRC,
            CODECS,
            DECODER_ERROR,
            DECODER_QUEUE,
            LSR,
            LSR_TIME,
            NACK_GENERATOR,
            RATE_ESTIMATOR,
            RECEIVER_RTCP_EXITED,
            REMOTE_STREAMS,
            RTX_SSRC,
            HANDLE_RTP_PACKET,
            RUN_RTCP,
            SEND_RTCP,
            SEND_RTCP_NACK,
            SEND_RTCP_PLI,
        ),
    },
)

VIDEO_RECEIVING: Final = Aspect(
    "inbound video freezes for long when packets are lost, and stays late",
    {
        "RTCRtpReceiver": (
            CODECS,
            DECODER_QUEUE,
            DECODER_THREAD,
            HANDLE_RTP_PACKET,
            JITTER_BUFFER,
            NACK_GENERATOR,
            RTX_SSRC,
            SEND_RTCP_NACK,
            SEND_RTCP_PLI,
            TIMESTAMP_MAPPER,
        ),
    },
)

PARKING: Final = Aspect(
    "each session has a thread that decodes nothing",
    {
        "RTCRtpReceiver": (DECODER_ERROR, DECODER_QUEUE, DECODER_THREAD),
        "RemoteStreamTrack": (QUEUE,),
    },
)

RATE: Final = Aspect(
    "sessions with video are not protected from a clock that jumps",
    {"RateCounter": RATE_COUNTER},
)

SENDER: Final = Aspect(
    "sessions are not protected from floods of requests for packets and key frames",
    {
        "RTCRtpSender": (
            PACKET_COUNT,
            ROUND_TRIP,
            SENDER_SSRC,
            RTP_HISTORY,
            SENDER_RTCP_EXITED,
            SENDER_RTP_EXITED,
            HANDLE_RTCP_PACKET,
            RETRANSMIT,
            RUN_RTCP,
            SENDER_RTP_TASK,
            SEND_KEYFRAME,
        ),
    },
)

DTLS: Final = Aspect(
    "sessions are not protected from floods of reports and of streams",
    {
        "RTCDtlsTransport": (
            ROUTER,
            RX_SRTP,
            HANDLE_RTCP_DATA,
            HANDLE_RTP_DATA,
            SEND_DATA,
            SETUP_SRTP,
        ),
        "RtpRouter": (RECEIVERS, ROUTE_RTP, SSRC_TABLE),
    },
)

FAULTS: Final = Aspect(
    "a datagram that a parser fails at ends its session", {"RTCDtlsTransport": (RECEIVE_NEXT,)}
)

GUARD: Final = Aspect(
    "datagrams of strangers reach the parsers of aiortc and aioice, and peers that vanish are "
    "detected after thirty seconds",
    {
        "RTCIceTransport": (CONNECTION,),
        "Connection": (
            CHECK_LIST,
            CONSENT_TASK,
            NOMINATED,
            PROTOCOLS,
            QUEUE,
            REMOTE_CANDIDATES,
            BUILD_REQUEST,
            DATA_RECEIVED,
            QUERY_CONSENT,
            REQUEST_RECEIVED,
        ),
        "StunProtocol": (SEND_STUN, TRANSACTIONS),
        "Candidate": (NETWORK_HOST,),
    },
)

DECODING: Final = Aspect(
    "inbound audio is decoded in threads, which takes about twice as long, and is delayed by a "
    "jitter buffer",
    {"RTCRtpReceiver": (JITTER_BUFFER,), "RemoteStreamTrack": (QUEUE,)},
)

FAST_PATH: Final = Aspect(
    "inbound audio takes the longer way through aiortc's queue and tasks",
    {
        "RTCIceTransport": (CONNECTION,),
        "Connection": (DATA_RECEIVED,),
        "RTCDtlsTransport": (ROLE, SSL),
        "RTCRtpReceiver": (ENABLED, REMOTE_STREAMS),
    },
)

FAST_SENDER: Final = Aspect(
    "outbound audio is sent by a task of aiortc's for each packet",
    {
        "RTCIceTransport": (CONNECTION,),
        "Connection": (NOMINATED,),
        "RTCDtlsTransport": (ROLE, SSL),
        "RTCRtpReceiver": (RECEIVER_RTCP_EXITED, RECEIVER_RTCP_STARTED, RECEIVER_TASK),
        "RTCRtpSender": (
            ENABLED,
            OCTET_COUNT,
            PACKET_COUNT,
            SENDER_LSR,
            SENDER_RTCP_EXITED,
            SENDER_RTCP_STARTED,
            SENDER_RTCP_TASK,
            SENDER_SSRC,
            SEND_RTCP,
        ),
    },
)

ENCODING: Final = Aspect(
    "outbound audio is encoded in threads, which takes about twice as long", {"Encoder": (PACK,)}
)

PACKING: Final = Aspect(
    "outbound audio takes a longer way, and its level is not sent",
    {"RTCRtpSender": (ENABLED, NEXT_FRAME)},
)

COUNTERS: Final = Aspect(
    "the statistics of sessions have no packets, bytes and round trips",
    {
        "RTCRtpReceiver": (REMOTE_STREAMS,),
        "RTCRtpSender": (OCTET_COUNT, PACKET_COUNT, ROUND_TRIP),
    },
)

VIDEO_ENCODING: Final = Aspect(
    "outbound video is encoded as aiortc does it, which takes longer, at bit rates that it begins "
    "with; video_bitrate has no effect, and frames keep their size under load",
    {
        "RTCRtpSender": (ENCODER,),
        "Vp8Encoder": (PACKETIZE,),
        "H264Encoder": (PACKETIZE, SPLIT_BITSTREAM),
    },
)

LOOPBACK: Final = Aspect(
    "a machine without a network cannot connect to itself", {"aioice.ice": (HOST_ADDRESSES,)}
)

ADDRESSES: Final = Aspect(
    "sessions use any UDP port and offer the machine's own addresses, and udp_ports and "
    "host_candidates have no effect",
    {
        "RTCIceTransport": (CONNECTION,),
        "Connection": (GATHER, PROTOCOLS, STUN_SERVER),
        "aioice.ice": (FOUNDATION, PRIORITY, REFLEXIVE_CANDIDATE),
    },
)

TEARDOWN: Final = Aspect(
    "a connection that does not close by itself keeps its tasks, threads and sockets",
    {
        "RTCIceTransport": (CONNECTION, MONITOR_TASK),
        "RTCDtlsTransport": (DTLS_TASK,),
        "RTCRtpReceiver": (DECODER_QUEUE, RECEIVER_TASK),
        "RTCRtpSender": (SENDER_RTCP_TASK, SENDER_RTP_TASK),
        "RTCSctpTransport": SCTP_TIMERS,
        "Connection": (CHECK_LIST, CONSENT_TASK, PROTOCOLS),
        "CandidatePair": (PAIR_TASK,),
    },
)

ASPECTS: Final = (
    CERTIFICATE,
    ASSOCIATION,
    RECEIVER,
    VIDEO_RECEIVING,
    PARKING,
    RATE,
    SENDER,
    DTLS,
    FAULTS,
    GUARD,
    DECODING,
    FAST_PATH,
    FAST_SENDER,
    ENCODING,
    PACKING,
    COUNTERS,
    VIDEO_ENCODING,
    LOOPBACK,
    ADDRESSES,
    TEARDOWN,
)

"""Decodes and encodes a connection's audio on the event loop, in place of aiortc's threads.

A packet of 20 ms is decoded in some twenty microseconds and encoded in fifty. Handing it to a
thread and back costs more than that, on the event loop and off it: wake a thread, wait for the
interpreter, make a task, wake the loop. A track that returns packets instead of frames is aiortc's
public interface; the rest is not. Where aiortc is not built as expected it does the work itself.
"""

from __future__ import annotations

import contextvars
import functools
from typing import TYPE_CHECKING, Any, Final

from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.sdp import SessionDescription

from gradio_webrtc._transport.webrtc.audio import AudioSender, level_dbov
from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver

from . import names, probe
from .receiver import HardenedReceiver
from .sender import HardenedSender

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
    from aiortc.jitterbuffer import JitterBuffer, JitterFrame
    from aiortc.rtcrtpparameters import RTCRtpParameters
    from aiortc.rtp import RtpPacket

    from gradio_webrtc._transport.base import AudioBlock, AudioSink
    from gradio_webrtc._transport.webrtc.answer import Red

AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
"""RFC 6464."""


class OpusJitterBuffer:
    """Stands where aiortc's receiver of audio has its jitter buffer, and leaves nothing to decode.

    That one holds five packets back in any case, and at the first that is lost stands still for 16.
    Packets of other codecs still go there, and from there to aiortc's decoder thread.

    Args:
        opus: Receives the packets of Opus.
        original: The jitter buffer of the receiver.
    """

    def __init__(self, opus: OpusReceiver, original: JitterBuffer) -> None:
        self.opus = opus
        self._original = original

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Receives a packet, on the event loop, as aiortc's jitter buffer does.

        Returns:
            False, since no key frame is needed, and the frame left to aiortc to decode: none of
            Opus.
        """
        if not self.opus.takes(packet.payload_type):
            return self._original.add(packet)
        self.opus.add(packet)
        return False, None


def code_inline(
    pc: RTCPeerConnection, answer_sdp: str, offered_red: Mapping[str, Red]
) -> dict[str, Red]:
    """Decodes and encodes Opus on the event loop, wherever the answer agrees on it.

    Args:
        pc: The answering side, whose answer is made but not yet applied.
        answer_sdp: The answer.
        offered_red: The redundant audio in the offer, by the names of media sections.

    Returns:
        That of it which the answer may accept: where Opus is decoded here, or none is received.
        aiortc has no name for such packets, and would drop them.
    """
    agreed = {
        media.rtp.muxId: media.rtp
        for media in SessionDescription.parse(answer_sdp).media
        if media.kind == "audio"
    }
    accepted = {}
    for transceiver in pc.getTransceivers():
        mid = str(transceiver.mid)
        if (rtp := agreed.get(mid)) is None:
            continue
        types = [codec.payloadType for codec in rtp.codecs if codec.name.lower() == "opus"]
        # A remote peer that sends nothing has no track.
        if probe.has(names.DECODING) and transceiver.receiver.track is not None:
            decode_inline(transceiver.receiver, types)
        red = offered_red.get(mid)
        if red is not None and red.opus in types and _accept_red(transceiver, red):
            accepted[mid] = red
        # aiortc sends in the codec that comes first.
        if types and rtp.codecs[0].payloadType == types[0] and probe.has(names.ENCODING):
            encode_inline(transceiver.sender, rtp)
    return accepted


def _accept_red(transceiver: RTCRtpTransceiver, red: Red) -> bool:
    """Has redundant audio received, and sent by a sender that can; False where it would be lost."""
    receiver, sender = transceiver.receiver, transceiver.sender
    if receiver.track is not None:
        opus = opus_receiver_of(receiver)
        if opus is None or not isinstance(receiver, HardenedReceiver):
            return False
        if opus.takes(red.payload_type):
            return False
        opus.red_type = red.payload_type
        receiver.accept_red(red.payload_type)
    if isinstance(sender, HardenedSender):
        sender.red_type = red.payload_type
    return True


def decode_inline(receiver: RTCRtpReceiver, payload_types: Collection[int | None]) -> None:
    """Puts a receiver's packets of Opus in order, and decodes them where they arrive.

    Call it before the receiver starts. Its statistics and reports stay as they are, and so does its
    track, with the end of it.
    """
    own = vars(receiver)
    frames = getattr(receiver.track, names.QUEUE)
    opus = OpusReceiver(payload_types, frames.put_nowait)
    own[names.JITTER_BUFFER] = OpusJitterBuffer(opus, own[names.JITTER_BUFFER])
    if isinstance(receiver, HardenedReceiver):
        receiver.park_decoder()


def opus_receiver_of(receiver: RTCRtpReceiver) -> OpusReceiver | None:
    """Returns the receiver of Opus that `decode_inline` made; ``None`` where aiortc decodes."""
    buffer: object = vars(receiver).get(names.JITTER_BUFFER)
    return buffer.opus if isinstance(buffer, OpusJitterBuffer) else None


def deliver_inline(
    receiver: RTCRtpReceiver, sink: AudioSink, read_block: Callable[[object], AudioBlock]
) -> None:
    """Delivers to a sink at once what is decoded inline, behind what already waits in the track.

    The sink runs in the current context: what user code looks up there belongs to its
    session, whichever task made the socket. An exception of the sink takes the place of a frame in
    the track, and is the last delivery: it must not reach the socket, whose other streams have no
    part in it. Where aiortc decodes, all of it comes through the track anyway, and nothing is done.

    Args:
        receiver: Of a track of audio.
        sink: Receives the blocks.
        read_block: Makes a block of whatever waits in the track.
    """
    opus = opus_receiver_of(receiver)
    if opus is None:
        return
    frames = getattr(receiver.track, names.QUEUE)
    while not frames.empty():
        waiting = frames.get_nowait()
        if waiting is None:
            # aiortc's mark of the end, which the reader of the track must find there.
            frames.put_nowait(None)
            return
        sink(read_block(waiting))
    # Not a function of ours, which would be one call more for each packet.
    run: Any = contextvars.copy_context().run
    opus.sink = functools.partial(run, sink)


def drop_inline(receiver: RTCRtpReceiver) -> None:
    """Drops what is decoded inline from now on: packets come until the connection is closed."""
    opus = opus_receiver_of(receiver)
    if opus is not None:
        opus.close()


def encode_inline(sender: RTCRtpSender, rtp: RTCRtpParameters) -> None:
    """Encodes a sender's track on the event loop, and adds the level where that was agreed."""
    track = sender.track
    if not isinstance(track, AudioSender):
        return
    track.encode_opus()
    if probe.has(names.PACKING):
        has_level = any(extension.uri == AUDIO_LEVEL for extension in rtp.headerExtensions)
        _skip_packing(sender, track, has_level=has_level)


def _skip_packing(sender: RTCRtpSender, track: AudioSender, *, has_level: bool) -> None:
    """Spares the sender its packing of packets, and adds what it leaves out of them: the level."""
    own = vars(sender)

    async def next_frame(*_codec: object) -> RTCEncodedFrame | None:
        # Every step in between would be another coroutine to resume for each packet.
        if track.readyState != "live":
            raise MediaStreamError
        paced = await track.pacer.next_frame()
        payload = track.writer.write(paced.samples)
        if not own[names.ENABLED]:  # as aiortc's own does
            return None
        level: Any = level_dbov(paced.samples) if has_level else None
        return RTCEncodedFrame([payload], paced.pts, level)

    own[names.NEXT_FRAME] = next_frame

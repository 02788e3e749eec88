"""Takes the sound of a connection out of aiortc's threads, and Opus out of its hands.

A packet of 20 ms is decoded in some fifty microseconds and encoded in a hundred. Handing it to a
thread and back costs more than that, on the event loop and off it: wake a thread, wait for the
interpreter, make a task, wake the loop. A track that gives packets instead of frames is aiortc's
public interface; the rest is not. Where aiortc does not look as expected it does the work itself.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final, cast

from aiortc.codecs.base import Encoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.sdp import SessionDescription
from av import Packet

from gradio_webrtc._transport.webrtc.audio import AudioSender
from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
    from aiortc.rtcrtpparameters import RTCRtpParameters
    from av import AudioFrame

JITTER_BUFFER: Final = "_RTCRtpReceiver__jitter_buffer"
NEXT_FRAME: Final = "_next_encoded_frame"
"""Private names of aiortc's, as of 1.16."""

AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
"""RFC 6464."""


def work_inline(pc: RTCPeerConnection, answer_sdp: str) -> None:
    """Decodes and encodes on the event loop what will be Opus, as far as it can be done.

    Args:
        pc: The answering side, whose answer is made but not yet applied.
        answer_sdp: That answer.
    """
    agreed = {
        media.rtp.muxId: media.rtp
        for media in SessionDescription.parse(answer_sdp).media
        if media.kind == "audio"
    }
    for transceiver in pc.getTransceivers():
        if (rtp := agreed.get(str(transceiver.mid))) is None:
            continue
        types = [codec.payloadType for codec in rtp.codecs if codec.name.lower() == "opus"]
        decode_inline(transceiver.receiver, types)
        # aiortc sends in the codec that comes first.
        if types and rtp.codecs[0].payloadType == types[0]:
            encode_inline(transceiver.sender, rtp)


def decode_inline(receiver: RTCRtpReceiver, payload_types: Collection[int | None]) -> bool:
    """Has a receiver's packets of Opus put in order and decoded where they arrive.

    Call it before the receiver starts. Its statistics and reports stay as they are, and so does its
    track, with the end of it.

    Returns:
        Whether it could be done.
    """
    frames: object = getattr(receiver.track, "_queue", None)
    theirs: object = getattr(receiver, JITTER_BUFFER, None)
    if isinstance(frames, asyncio.Queue) and isinstance(theirs, JitterBuffer):
        setattr(receiver, JITTER_BUFFER, OpusReceiver(payload_types, theirs, frames.put_nowait))
        return True
    return False


def deliver_inline(receiver: RTCRtpReceiver, deliver: Callable[[AudioFrame], float | None]) -> None:
    """Has what `decode_inline` decodes delivered at once, behind what already waits in the track.

    An exception of ``deliver`` takes the place of a frame in the track, and is the last delivery:
    it must not reach the socket, whose other streams have no part in it. Where aiortc decodes, all
    of it comes through the track anyway, and nothing is done.
    """
    arrivals: object = getattr(receiver, JITTER_BUFFER, None)
    if not isinstance(arrivals, OpusReceiver):
        return
    frames: asyncio.Queue[AudioFrame | Exception | None] = vars(receiver.track)["_queue"]

    def guarded(frame: AudioFrame) -> float | None:
        try:
            return deliver(frame)
        except Exception as error:  # noqa: BLE001 - raised by whoever reads the track
            arrivals.deliver = frames.put_nowait
            frames.put_nowait(error)
            return None

    while not frames.empty():
        waiting = frames.get_nowait()
        if waiting is None:
            # aiortc's mark of the end: whoever reads the track is to find it there.
            frames.put_nowait(None)
            return
        deliver(cast("AudioFrame", waiting))
    arrivals.deliver = guarded


def encode_inline(sender: RTCRtpSender, rtp: RTCRtpParameters) -> bool:
    """Has a sender's track give packets of Opus, stamped with their level where that was agreed.

    Returns:
        Whether it could be done.
    """
    track = sender.track
    if not isinstance(track, AudioSender) or not hasattr(Encoder, "pack"):
        return False
    track.encode_opus()
    has_level = any(extension.uri == AUDIO_LEVEL for extension in rtp.headerExtensions)
    if inspect.iscoroutinefunction(getattr(sender, NEXT_FRAME, None)):
        _give_directly(sender, track, has_level=has_level)
    return True


def _give_directly(sender: RTCRtpSender, track: AudioSender, *, has_level: bool) -> None:
    """Spares the sender its packing of packets, and adds what it leaves out of them: the level."""
    theirs: Any = getattr(sender, NEXT_FRAME)

    async def next_frame(*_codec: object) -> RTCEncodedFrame | None:
        packet = await track.recv()
        if not isinstance(packet, Packet):
            # There is no encoder after all. This frame is lost; the next goes aiortc's way.
            setattr(sender, NEXT_FRAME, theirs)
            return None
        if not sender._enabled:  # noqa: SLF001  # as aiortc's own does
            return None
        level: Any = track.level_dbov if has_level else None
        return RTCEncodedFrame([bytes(packet)], packet.pts or 0, level)

    setattr(sender, NEXT_FRAME, next_frame)

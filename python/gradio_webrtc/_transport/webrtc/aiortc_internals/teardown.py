"""Closes a connection from outside, where aiortc's own closing hangs or raises.

Holds the private names of aiortc 1.16 and aioice 0.13 that this takes. All of it runs on the event
loop and waits for nothing.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._transport.webrtc.incoming import drop
from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver

from .ice_internals import CHECK_LIST, CONNECTION, PROTOCOLS, RECEIVE_NEXT, transports_of
from .inline import JITTER_BUFFER, NEXT_FRAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiortc import RTCPeerConnection

    Step = tuple[str, Callable[[], object]]

logger = logging.getLogger(__name__)

SENDER_TASKS: Final = ("_RTCRtpSender__rtp_task", "_RTCRtpSender__rtcp_task")
RECEIVER_TASK: Final = "_RTCRtpReceiver__rtcp_task"
DECODER_QUEUE: Final = "_RTCRtpReceiver__decoder_queue"
MONITOR_TASK: Final = "_RTCIceTransport__monitor_task"
DTLS_TASK: Final = "_task"
CONSENT_TASK: Final = "_query_consent_task"
SCTP_TIMERS: Final = ("_t1_cancel", "_t2_cancel", "_t3_cancel", "_reconfig_timer_cancel")


def looks_as_expected(pc: RTCPeerConnection) -> bool:
    """True if a connection has the private names that do not depend on how far it came."""
    return (
        all(hasattr(each.receiver, DECODER_QUEUE) for each in pc.getTransceivers())
        and (pc.sctp is None or all(hasattr(pc.sctp, name) for name in SCTP_TIMERS))
        and all(
            hasattr(dtls, DTLS_TASK)
            and hasattr(dtls.transport, MONITOR_TASK)
            and isinstance(
                getattr(getattr(dtls.transport, CONNECTION, None), PROTOCOLS, None), list
            )
            for dtls in transports_of(pc)
        )
    )


async def close(pc: RTCPeerConnection, timeout_s: float, *, was_connected: bool) -> None:
    """Closes a connection; from outside, piece by piece, unless it closes by itself in time.

    Args:
        pc: The connection.
        timeout_s: How long aiortc may take, in seconds.
        was_connected: Whether it ever was. aiortc may still be connecting it otherwise, in a task
            that no closing ends.
    """
    # asyncio.timeout would wait for ever: aioice's close() swallows a cancellation.
    closing = asyncio.get_running_loop().create_task(pc.close())
    try:
        await asyncio.wait({closing}, timeout=timeout_s)
    finally:
        reason = _failure(closing, timeout_s)
        if reason is not None or not was_connected:
            _cancel_tasks_of(pc)
        if reason is not None:
            closing.cancel()
            failed = tear_down(pc)
            logger.warning(
                "a peer connection %s and was closed piece by piece; pieces that failed: %s",
                reason,
                ", ".join(failed) or "none",
            )


def tear_down(pc: RTCPeerConnection) -> list[str]:
    """Frees tasks, timers, threads and sockets of a connection, whatever state each is in.

    Returns:
        The names of the pieces that could not be freed.
    """
    failed = []
    for name, step in _steps(pc):
        try:
            step()
        except Exception as error:  # noqa: BLE001  # one piece must not keep the others
            failed.append(f"{name} ({type(error).__name__})")
    return failed


def _failure(closing: asyncio.Task[None], timeout_s: float) -> str | None:
    if not closing.done():
        return f"did not close within {timeout_s:g} s"
    if closing.cancelled():
        return "was cancelled while it closed"
    error = closing.exception()
    return None if error is None else f"raised {type(error).__name__} while it closed"


def let_go(pc: RTCPeerConnection) -> None:
    """Cuts what refers to each other in a closed connection, so that it is freed at once.

    A garbage collection would find all of it, encoders with their threads too, but nobody knows
    when.
    """
    for dtls in transports_of(pc):
        vars(dtls).pop(RECEIVE_NEXT, None)
        for emitter in (dtls, dtls.transport, dtls.transport.iceGatherer):
            emitter.remove_all_listeners()
    for each in pc.getTransceivers():
        vars(each.sender).pop(NEXT_FRAME, None)
        arrivals = vars(each.receiver).pop(JITTER_BUFFER, None)
        if isinstance(arrivals, OpusReceiver):
            arrivals.deliver = drop
    if pc.sctp is not None:
        pc.sctp.remove_all_listeners()


def _cancel_tasks_of(pc: RTCPeerConnection) -> None:
    """Cancels the tasks that aiortc started for a connection's own methods, and kept no hold of."""
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and frame.f_locals.get("self") is pc:
            task.cancel()


def _steps(pc: RTCPeerConnection) -> Iterator[Step]:
    # Sockets come first: they are what an attacker holds us by.
    for dtls in transports_of(pc):
        yield "sockets", partial(_close_sockets, dtls.transport)
        yield "ICE", partial(_cancel, dtls.transport, MONITOR_TASK)
        yield "DTLS", partial(_cancel, dtls, DTLS_TASK)
    for each in pc.getTransceivers():
        yield "receiver", partial(_cancel, each.receiver, RECEIVER_TASK)
        yield "decoder", partial(_end_decoder, each.receiver)
        for name in SENDER_TASKS:
            yield "sender", partial(_cancel, each.sender, name)
    if pc.sctp is not None:
        for name in SCTP_TIMERS:
            yield "SCTP", getattr(pc.sctp, name)
    yield "listeners", pc.remove_all_listeners


def _close_sockets(ice: object) -> None:
    connection: Any = getattr(ice, CONNECTION)
    _cancel(connection, CONSENT_TASK)
    for pair in getattr(connection, CHECK_LIST):
        _cancel(pair, "task")
    for protocol in getattr(connection, PROTOCOLS):
        transport = protocol.transport
        # A relayed one has no abort(); its close() gives the allocation back.
        getattr(transport, "abort", transport.close)()


def _end_decoder(receiver: object) -> None:
    getattr(receiver, DECODER_QUEUE).put(None)


def _cancel(owner: object, name: str) -> None:
    # A part that never started has no task.
    task = getattr(owner, name, None)
    if task is not None:
        task.cancel()

"""Closes a connection, from outside where aiortc's own closing hangs or raises.

Runs on the event loop. Beyond the time that aiortc is given, it waits for nothing.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from . import names
from .objects import transports_of
from .opus_coding import drop_inline
from .own_sockets import leave_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiortc import RTCPeerConnection

    from gradio_webrtc._workers.task_scope import TaskScope

    Step = tuple[str, Callable[[], object]]

logger = logging.getLogger(__name__)

SENDER_TASKS: Final = (names.SENDER_RTP_TASK, names.SENDER_RTCP_TASK)


async def close(
    pc: RTCPeerConnection, tasks: TaskScope, timeout_s: float, *, was_connected: bool
) -> None:
    """Closes a connection; from outside, piece by piece, unless it closes by itself in time.

    Args:
        pc: The connection.
        tasks: Owns the task in which it closes by itself.
        timeout_s: The longest time that aiortc may take, in seconds.
        was_connected: True if it ever was. aiortc may still be connecting it otherwise, in a task
            that no closing ends.
    """
    # asyncio.timeout would wait for ever: aioice's close() swallows a cancellation.
    closing = tasks.start(pc.close())
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


def detach(pc: RTCPeerConnection) -> None:
    """Cuts the references between the parts of a closed connection, so that it is freed at once.

    A garbage collection would find all of it, encoders with their threads too, but at no known
    time.
    """
    for dtls in transports_of(pc):
        vars(dtls).pop(names.RECEIVE_NEXT, None)
        leave_addresses(dtls)
        for emitter in (dtls, dtls.transport, dtls.transport.iceGatherer):
            emitter.remove_all_listeners()
    for each in pc.getTransceivers():
        vars(each.sender).pop(names.NEXT_FRAME, None)
        drop_inline(each.receiver)
        vars(each.receiver).pop(names.JITTER_BUFFER, None)
    if pc.sctp is not None:
        pc.sctp.remove_all_listeners()


def _cancel_tasks_of(pc: RTCPeerConnection) -> None:
    """Cancels the tasks that aiortc started for a connection's own methods, and does not keep."""
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and frame.f_locals.get("self") is pc:
            task.cancel()


def _steps(pc: RTCPeerConnection) -> Iterator[Step]:
    # Sockets come first: an attacker occupies those.
    for dtls in transports_of(pc):
        yield "sockets", partial(_close_sockets, dtls.transport)
        yield "ICE", partial(_cancel, dtls.transport, names.MONITOR_TASK)
        yield "DTLS", partial(_cancel, dtls, names.DTLS_TASK)
    for each in pc.getTransceivers():
        yield "receiver", partial(_cancel, each.receiver, names.RECEIVER_TASK)
        yield "decoder", partial(_end_decoder, each.receiver)
        for name in SENDER_TASKS:
            yield "sender", partial(_cancel, each.sender, name)
    if pc.sctp is not None:
        for name in names.SCTP_TIMERS:
            yield "SCTP", partial(_stop_timer, pc.sctp, name)
    yield "listeners", pc.remove_all_listeners


def _close_sockets(ice: object) -> None:
    connection: Any = getattr(ice, names.CONNECTION)
    _cancel(connection, names.CONSENT_TASK)
    for pair in getattr(connection, names.CHECK_LIST):
        _cancel(pair, names.PAIR_TASK)
    for protocol in getattr(connection, names.PROTOCOLS):
        transport = protocol.transport
        # A relayed one has no abort(); its close() gives the allocation back.
        getattr(transport, "abort", transport.close)()


def _stop_timer(sctp: object, name: str) -> None:
    getattr(sctp, name)()


def _end_decoder(receiver: object) -> None:
    getattr(receiver, names.DECODER_QUEUE).put(None)


def _cancel(owner: object, name: str) -> None:
    # A part that never started has no task.
    task = getattr(owner, name, None)
    if task is not None:
        task.cancel()

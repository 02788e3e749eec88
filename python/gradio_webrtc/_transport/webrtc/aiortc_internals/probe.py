"""Looks, once in a process, whether aiortc and aioice have the names that this room uses.

A name that is gone costs the aspects that need it, never the connection: aiortc then does that part
in its own way, and one warning names all that is lost. Runs on the event loop, since some objects
of aiortc ask for one when they are made; opens no socket, and starts no task and no thread.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import inspect
import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from aioice import Candidate, Connection, ice
from aiortc import (
    RTCCertificate,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSctpTransport,
)
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rate import RateCounter
from aiortc.rtcdtlstransport import RtpRouter
from aiortc.rtcrtpreceiver import RemoteStreamTrack

from . import names

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

KINDS: Final[dict[str, type]] = {
    names.CERTIFICATES: list,
    names.CHECK_LIST: list,
    names.JITTER_BUFFER: JitterBuffer,
    names.NOMINATED: dict,
    names.PROTOCOLS: list,
    names.QUEUE: asyncio.Queue,
    names.REMOTE_CANDIDATES: list,
    names.REMOTE_STREAMS: dict,
    names.TRANSACTIONS: dict,
}
"""The types of attributes whose value is replaced or read."""

COROUTINE_FUNCTIONS: Final = frozenset(
    {
        names.GATHER,
        names.NEXT_FRAME,
        names.QUERY_CONSENT,
        names.RECEIVE_NEXT,
        names.REFLEXIVE_CANDIDATE,
    }
)
"""Methods that are replaced on an object by a coroutine function, without a subclass, and functions
that are awaited."""


def has(aspect: names.Aspect) -> bool:
    """True if the libraries have all names that an aspect needs; call it on the event loop."""
    return aspect not in _lost()


@functools.cache
def _lost() -> frozenset[names.Aspect]:
    owners = _make_owners()
    missing = {
        aspect: found for aspect in names.ASPECTS if (found := sorted(_missing(aspect, owners)))
    }
    if missing:
        _warn(missing)
    return frozenset(missing)


def _warn(missing: dict[names.Aspect, list[str]]) -> None:
    versions = [f"{name} {_version(name)}" for name in names.VERSIONS]
    ranges = [f"{name} {versions}" for name, versions in names.VERSIONS.items()]
    logger.warning(
        "%s are not built as this package expects, without %s: %s. Install %s",
        " and ".join(versions),
        ", ".join(sorted({name for found in missing.values() for name in found})),
        "; ".join(aspect.loss for aspect in missing),
        " and ".join(ranges),
    )


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:  # as in a program that was frozen
        return "of an unknown version"


def _missing(aspect: names.Aspect, owners: dict[str, Any]) -> Iterator[str]:
    for owner, needed in aspect.names.items():
        for name in needed:
            value = _find(owners[owner], name)
            is_kind = isinstance(value, KINDS.get(name, object))
            is_coroutine = name not in COROUTINE_FUNCTIONS or inspect.iscoroutinefunction(value)
            if value is _missing or not is_kind or not is_coroutine:
                yield f"{owner}.{name}"


def _find(owner: Any, name: str) -> object:
    """Returns what an owner has under a name, or `_missing`.

    This room reads the attributes of an object from its own dict: one that became a property or a
    slot is not there. Methods are those of its class.
    """
    if isinstance(owner, type | ModuleType) or inspect.isroutine(getattr(type(owner), name, None)):
        return getattr(owner, name, _missing)
    return getattr(owner, "__dict__", {}).get(name, _missing)


def _make_owners() -> dict[str, Any]:
    """An object for each owner of names, as a connection would have it before it starts."""
    transport = RTCIceTransport(RTCIceGatherer(iceServers=[]))
    dtls = RTCDtlsTransport(transport, [RTCCertificate.generateCertificate()])
    socket = ice.StunProtocol(Connection(ice_controlling=False))
    candidate = Candidate("1", 1, "udp", 1, "192.0.2.1", 5000, "host")
    return {
        "Candidate": candidate,
        "CandidatePair": ice.CandidatePair(socket, candidate),
        "Connection": socket.receiver,
        "Encoder": Encoder,
        "H264Encoder": H264Encoder,
        "RTCCertificate": RTCCertificate,
        "RTCDtlsTransport": dtls,
        "RTCIceTransport": transport,
        "RTCPeerConnection": RTCPeerConnection(RTCConfiguration(iceServers=[])),
        "RTCRtpReceiver": RTCRtpReceiver("video", dtls),
        "RTCRtpSender": RTCRtpSender("audio", dtls),
        "RTCSctpTransport": RTCSctpTransport(dtls),
        "RateCounter": RateCounter(1000),
        "RemoteStreamTrack": RemoteStreamTrack("audio"),
        "RtpRouter": RtpRouter(),
        "StunProtocol": socket,
        "Vp8Encoder": Vp8Encoder,
        "aioice.ice": ice,
    }

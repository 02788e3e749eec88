"""The private names of aiortc and aioice: in one room, once, looked for, and never needed."""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.metadata
import inspect
import logging
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSctpTransport,
)
from support.loopback import Tone, client_of
from support.private_names import find_uses
from support.renamed import renamed
from support.repository import PACKAGE, ROOT
from support.signals import tone

from gradio_webrtc._config import SessionConfig
from gradio_webrtc._transport.webrtc.aiortc_internals import harden, names, probe
from gradio_webrtc._transport.webrtc.aiortc_internals.association import HardenedAssociation
from gradio_webrtc._transport.webrtc.aiortc_internals.certificate import OpenCertificate
from gradio_webrtc._transport.webrtc.aiortc_internals.dtls import HardenedDtls, HardenedRouter
from gradio_webrtc._transport.webrtc.aiortc_internals.receiver import (
    HardenedRateCounter,
    HardenedReceiver,
)
from gradio_webrtc._transport.webrtc.aiortc_internals.sender import HardenedSender

if TYPE_CHECKING:
    from collections.abc import Iterator

TRANSPORT = PACKAGE / "_transport"
ROOM = TRANSPORT / "webrtc" / "aiortc_internals"
NAMES_OF_GRADIO = {"_queue"}
"""Names that Gradio has, too. No object of aiortc with one of them leaves the transport."""

CONFIG = SessionConfig()

LISTED = sorted(
    {name for aspect in names.ASPECTS for needed in aspect.names.values() for name in needed}
)
"""Every name that an aspect needs."""

HARDENED = (
    HardenedAssociation,
    HardenedDtls,
    HardenedRateCounter,
    HardenedReceiver,
    HardenedRouter,
    HardenedSender,
    OpenCertificate,
)

# ---------------------------------------------------------------------------- one room, once


def test_nothing_outside_the_room_uses_a_private_name() -> None:
    found = []
    for file in sorted(set(PACKAGE.rglob("*.py")) - set(ROOM.rglob("*.py"))):
        listed = LISTED if file.is_relative_to(TRANSPORT) else set(LISTED) - NAMES_OF_GRADIO
        uses = find_uses(file.read_text("utf-8"), listed)
        found += [f"{file.relative_to(PACKAGE)}:{use}" for use in uses]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "receiver._enabled",
        "pc.sctp._sent_queue.clear()",
        "getattr(receiver, '_enabled', None)",
        "setattr(dtls, '_recv_next', None)",
        "hasattr(sender, 'get_host_addresses')",
        "vars(receiver)['_enabled']",
        "vars(dtls).pop('_recv_next', None)",
        "name = '_RTCRtpReceiver__jitter_buffer'",
        "connection.data_received = print",
        "from aioice import ice\nice.get_host_addresses = print",
        "from aiortc.codecs import vpx\nvpx.MAX_BITRATE = 1",
        "import aiortc.codecs.vpx as codec\ncodec.MIN_BITRATE = 1",
        "from aiortc.rtcrtpreceiver import RemoteStreamTrack",
        "from aioice.ice import Connection",
        "import pylibsrtp",
        "from aiortc import _private",
        "from aiortc import RTCRtpSender\nclass S(RTCRtpSender):\n  def _retransmit(self): ...",
    ],
)
def test_the_scan_finds_each_kind_of_use(source: str) -> None:
    assert find_uses(source, LISTED)


@pytest.mark.parametrize(
    "source",
    [
        "self._queue.put(1)",
        "cls._enabled",
        "from aiortc import RTCPeerConnection\nfrom aiortc.sdp import SessionDescription",
        "class Track:\n  def __init__(self):\n    self._task = None",
        "vars(self)['answer'] = 1",
    ],
)
def test_the_scan_finds_nothing_in_code_of_our_own(source: str) -> None:
    assert find_uses(source, LISTED) == []


def test_a_name_is_written_once() -> None:
    texts = [
        f"{file.name}:{node.lineno}: {node.value}"
        for file in ROOM.glob("*.py")
        if file.name != "names.py"
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value in LISTED
        and node.value.startswith("_")
    ]
    assert texts == []
    written = re.findall(r'"(_\w+)"', (ROOM / "names.py").read_text("utf-8"))
    assert sorted(written) == sorted(set(written))


def test_what_the_room_overrides_and_reads_of_the_libraries_is_listed() -> None:
    for kind in HARDENED:
        base = kind.__bases__[0]
        own = {each for each in vars(kind) if not each.startswith("__")}
        for name in own & {each for each in dir(base) if each.startswith("_")}:
            assert name in LISTED, name
        source = inspect.getsource(inspect.getmodule(base))  # type: ignore[arg-type]  # it has one
        for name in set(re.findall(r"\bself\.(_\w+)", inspect.getsource(kind))):
            is_theirs = re.search(rf"\bself\.{name}\b|def {name}\b", source) is not None
            assert not is_theirs or name in LISTED, name


def test_the_versions_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for library, versions in names.VERSIONS.items():
        assert f"{library}{versions}" in project["dependencies"]


# ------------------------------------------------------------------------------- as expected


async def test_the_installed_libraries_have_every_name(caplog: pytest.LogCaptureFixture) -> None:
    probe._lost.cache_clear()  # noqa: SLF001  # once in a process
    assert all(probe.has(aspect) for aspect in names.ASPECTS)
    assert caplog.records == []


@pytest.mark.parametrize("hardened", HARDENED)
def test_what_is_overridden_takes_the_same_arguments(hardened: type) -> None:
    base = hardened.__bases__[0]
    for name in set(vars(hardened)) & set(vars(base)):
        if inspect.isfunction(vars(hardened)[name]) and name != "__init__":
            ours, theirs = (inspect.signature(vars(each)[name]) for each in (hardened, base))
            assert list(ours.parameters) == list(theirs.parameters), name


async def test_a_connection_is_hardened_in_all_its_parts() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("audio")
    pc.addTransceiver("video")
    pc.createDataChannel("text")

    class Session:
        def end(self, _reason: str) -> None: ...

    harden(pc, Session().end)
    (first, second) = pc.getTransceivers()
    assert type(pc.sctp) is HardenedAssociation
    for transceiver in (first, second):
        assert type(transceiver.receiver) is HardenedReceiver
        assert type(transceiver.sender) is HardenedSender
        assert type(transceiver.receiver.transport) is HardenedDtls
        assert type(getattr(transceiver.receiver.transport, names.ROUTER)) is HardenedRouter
    await pc.close()


def test_no_constructor_is_needed() -> None:
    for hardened in (HardenedAssociation, HardenedReceiver, HardenedSender, HardenedDtls):
        assert "__init__" not in vars(hardened)
    assert issubclass(HardenedReceiver, RTCRtpReceiver)
    assert issubclass(HardenedSender, RTCRtpSender)
    assert issubclass(HardenedAssociation, RTCSctpTransport)


# ------------------------------------------------------------------------ other than expected


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The warnings and errors that are logged during the test."""
    lines: list[str] = []

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname} {record.getMessage()}")

    handler = Noting(logging.WARNING)
    caplog.set_level(logging.WARNING)
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


async def exchange_audio() -> None:
    """Connects, sends audio both ways and closes, with the transport as it is imported now."""
    transports: Any = importlib.import_module("gradio_webrtc._transport")
    transport = transports.PeerTransport([], CONFIG)
    transport.play_audio(Tone())
    client = client_of(transport, transports.read_offer, CONFIG, tone(30.0, 330, level=0.25))
    received = asyncio.Event()
    loud = 0

    def take(block: Any) -> float:
        nonlocal loud
        loud += int(abs(block.samples).max() > 2_000)
        if loud >= 5:
            received.set()
        return 0.0

    await asyncio.gather(client.call(), transport.connect())
    carrying = asyncio.get_running_loop().create_task(transport.carry_audio(take))
    await received.wait()
    await client.until(lambda: client.loud_seconds() > 0.1)
    await client.hang_up()
    await transport.wait_closed()
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)
    await transport.close()


async def answer() -> None:
    """Makes another connection, as far as the answer: all that leans on a name is set up then."""
    transports: Any = importlib.import_module("gradio_webrtc._transport")
    transport = transports.PeerTransport([], CONFIG)
    client = client_of(transport, transports.read_offer, CONFIG)
    await transport.answer(transports.read_offer(await client.offer(), CONFIG))
    await asyncio.gather(client.hang_up(), transport.close())


@pytest.mark.network
@pytest.mark.parametrize("name", LISTED)
async def test_without_a_name_a_session_works_and_one_warning_names_the_loss(
    name: str, warnings: list[str]
) -> None:
    with renamed(name):
        await exchange_audio()
        (warning,) = warnings
        await answer()
    assert warnings == [warning]
    assert warning.startswith("WARNING aiortc 1.")
    assert f".{name}" in warning
    lost = [aspect for aspect in names.ASPECTS if any(name in w for w in aspect.names.values())]
    assert all(aspect.loss in warning for aspect in lost)


def held_elsewhere(name: str) -> property:
    """An attribute that is stored under another name, as a later version may store it."""

    def read(owner: Any) -> Any:
        return getattr(owner, f"{name}_held")

    def write(owner: Any, value: Any) -> None:
        setattr(owner, f"{name}_held", value)

    return property(read, write)


async def test_an_attribute_that_became_a_property_counts_as_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = 0
    for aspect in names.ASPECTS:
        for owner, needed in aspect.names.items():
            for name in needed:
                example = probe._make_owners()[owner]  # noqa: SLF001  # as the probe sees it
                if isinstance(example, type) or name not in vars(example) or owner.islower():
                    continue
                checked += 1
                with monkeypatch.context() as patched:
                    patched.setattr(type(example), name, held_elsewhere(name), raising=False)
                    owners = probe._make_owners()  # noqa: SLF001  # as above
                    assert f"{owner}.{name}" in probe._missing(aspect, owners)  # noqa: SLF001
    assert checked > len(LISTED) / 3


async def test_the_warning_needs_no_metadata(
    monkeypatch: pytest.MonkeyPatch, warnings: list[str]
) -> None:
    def find_no_version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", find_no_version)
    monkeypatch.delattr("aiortc.codecs.base.Encoder.pack")
    probe._lost.cache_clear()  # noqa: SLF001  # once in a process
    assert [probe.has(names.ENCODING) for _ in range(3)] == [False] * 3
    probe._lost.cache_clear()  # noqa: SLF001  # for the tests that follow
    (warning,) = warnings
    assert "aiortc of an unknown version" in warning

"""aiortc is built as its private names are used: what we override, it calls itself."""

from __future__ import annotations

import inspect

import pytest
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSctpTransport,
    rate,
    rtcdtlstransport,
    rtcrtpreceiver,
    rtcrtpsender,
    rtcsctptransport,
)

from gradio_webrtc._transport.webrtc.aiortc_internals import hold_in_check, names
from gradio_webrtc._transport.webrtc.aiortc_internals.association import HeldAssociation
from gradio_webrtc._transport.webrtc.aiortc_internals.dtls import HeldDtls, HeldRouter
from gradio_webrtc._transport.webrtc.aiortc_internals.receiver import HeldRateCounter, HeldReceiver
from gradio_webrtc._transport.webrtc.aiortc_internals.sender import HeldSender

USED = [
    (HeldAssociation, rtcsctptransport, names.SCTP),
    (HeldReceiver, rtcrtpreceiver, names.RECEIVER),
    (HeldSender, rtcrtpsender, names.SENDER),
    (HeldDtls, rtcdtlstransport, names.DTLS),
    (HeldRouter, rtcdtlstransport, names.ROUTER),
    (HeldRateCounter, rate, names.RATE),
]


@pytest.mark.parametrize(("held", "module", "used"), USED)
def test_what_is_used_is_still_in_its_source(
    held: type, module: object, used: tuple[str, ...]
) -> None:
    source = inspect.getsource(module)  # type: ignore[arg-type]
    for name in used:
        assert name.removeprefix(f"_{held.__bases__[0].__name__}") in source, name


@pytest.mark.parametrize(("held", "module", "used"), USED)
def test_what_is_overridden_takes_the_same_arguments(
    held: type, module: object, used: tuple[str, ...]
) -> None:
    del module, used
    base = held.__bases__[0]
    for name in set(vars(held)) & set(vars(base)):
        if inspect.isfunction(vars(held)[name]) and name != "__init__":
            ours, theirs = (inspect.signature(vars(each)[name]) for each in (held, base))
            assert list(ours.parameters) == list(theirs.parameters), name


async def test_a_connection_is_held_in_all_its_parts() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("audio")
    pc.addTransceiver("video")
    pc.createDataChannel("text")

    class Call:
        def end(self, _reason: str) -> None: ...

    hold_in_check(pc, Call().end)
    (first, second) = pc.getTransceivers()
    assert type(pc.sctp) is HeldAssociation
    for transceiver in (first, second):
        assert type(transceiver.receiver) is HeldReceiver
        assert type(transceiver.sender) is HeldSender
        assert type(transceiver.receiver.transport) is HeldDtls
        assert type(transceiver.receiver.transport._rtp_router) is HeldRouter  # noqa: SLF001
    await pc.close()


def test_another_aiortc_is_named_once_with_what_is_open(caplog: pytest.LogCaptureFixture) -> None:
    class Other:
        """Built in another way."""

    for _ in range(3):
        assert names.become(Other(), HeldSender, names.SENDER, "everything, in this test") is None
    assert len(caplog.records) == 1
    assert "everything, in this test" in caplog.text


def test_no_constructor_is_needed() -> None:
    for held in (HeldAssociation, HeldReceiver, HeldSender, HeldDtls):
        assert "__init__" not in vars(held)
    assert issubclass(HeldReceiver, RTCRtpReceiver)
    assert issubclass(HeldSender, RTCRtpSender)
    assert issubclass(HeldAssociation, RTCSctpTransport)

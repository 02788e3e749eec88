"""Python and TypeScript agree on whatever stands in both."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from gradio_webrtc import TurnTimings, WebRTC
from gradio_webrtc._messages import MESSAGE_TYPES
from gradio_webrtc._server import link
from gradio_webrtc._session import session
from gradio_webrtc._transport.link import frames
from gradio_webrtc.errors import HandlerUnavailable, SignalingError, TooManySessions

FRONTEND = Path(__file__).parents[2] / "frontend"

GRADIOS = {
    "container",
    "elem_classes",
    "elem_id",
    "every",
    "inputs",
    "interactive",
    "key",
    "label",
    "min_width",
    "render",
    "scale",
    "show_label",
    "value",
    "visible",
}
"""Arguments that every Gradio component has; the page gets them from Gradio."""

SERVERS = {
    "_page",
    "_signaling",
    "allow_extra_tracks",
    "limits",
    "allowed_origins",
    "host_candidates",
    "self",
    "server_rtc_configuration",
    "udp_ports",
    "video_bitrate",
    "codec_preferences",
    "on_turn",
}
"""Arguments that only the server has a use for."""


def _interface(source: str, name: str) -> set[str]:
    found = re.search(rf"interface {name} {{(.*?)^}}", source, re.DOTALL | re.MULTILINE)
    assert found is not None
    return set(re.findall(r"^  (\w+)\??:", found[1], re.MULTILINE))


def test_every_argument_reaches_the_page() -> None:
    arguments = set(inspect.signature(WebRTC.__init__).parameters) - GRADIOS - SERVERS
    assert _interface((FRONTEND / "types.ts").read_text(), "WebRTCProps") == arguments


def test_every_event_is_defined_on_both_sides() -> None:
    events = {str(event) for event in WebRTC.EVENTS}
    dispatched = _interface((FRONTEND / "types.ts").read_text(), "WebRTCEvents")
    assert dispatched - {"error", "warning", "info"} == events


def test_every_message_is_defined_on_both_sides() -> None:
    source = (FRONTEND / "call" / "messages.ts").read_text()
    union = source.split("export type ServerMessage =")[1].split(";\n\n")[0]
    assert set(re.findall(r'type: "(\w+)"', union)) == set(MESSAGE_TYPES)


def test_a_turn_has_the_same_times_on_both_sides() -> None:
    source = (FRONTEND / "types.ts").read_text()
    times = set(re.findall(r'"(\w+)"', source.split("TURN_TIMES = [")[1].split("]")[0]))
    rest = {"number", "discarded_starts", "was_interrupted"}
    assert times | rest == set(TurnTimings(1).as_dict())
    package = (FRONTEND / "client" / "client.d.ts").read_text()
    assert _interface(package, "Turn") == times | rest


def test_frames_of_links_have_the_same_kinds_on_both_sides() -> None:
    source = (FRONTEND / "link" / "frames.ts").read_text()
    kinds = source.split("export const KIND = {")[1].split("}")[0]
    numbered = source.split("new Set([")[1].split("]")[0]
    assert dict(re.findall(r"(\w+): (\d+)", kinds)) == {
        kind.name: str(kind.value) for kind in frames.FrameKind
    }
    assert set(re.findall(r"KIND\.(\w+)", numbered)) == {kind.name for kind in frames.NUMBERED}
    assert f"HEADER_BYTES = {frames.HEADER.size};" in source
    assert f"ACK_BYTES = {frames.ACK.size};" in source


def test_carriers_of_links_have_the_same_terms_on_both_sides() -> None:
    http = (FRONTEND / "link" / "http_carrier.ts").read_text().lower()
    websocket = (FRONTEND / "link" / "websocket_carrier.ts").read_text()
    assert {f'"{link.SESSION_HEADER}"', f'"{link.RECEIVED_HEADER}"'} <= set(
        re.findall(r'"x-[\w-]+"', http)
    )
    assert f'PROTOCOL = "{link.SUBPROTOCOL}";' in websocket
    codes = dict(re.findall(r'\[(\d+), "(\w+)"\]', websocket))
    assert codes == {str(link.BROKEN_RULES): "refused", str(link.REPLACED): "replaced"}
    for status in (link.UNKNOWN, link.BROKEN, link.TOO_MANY):
        assert f"=== {status}" in http


@pytest.mark.parametrize("refusal", [TooManySessions, HandlerUnavailable])
def test_the_page_has_words_for_the_refusals_a_person_can_meet(
    refusal: type[SignalingError],
) -> None:
    # The others result from ids, offers and candidates, which the page makes and a user never sees.
    sources = "".join(path.read_text() for path in FRONTEND.glob("call/*.ts"))
    assert f'"{refusal.code}"' in sources


def test_the_page_has_the_words_for_the_time_limit() -> None:
    source = (FRONTEND / "call" / "call.svelte.ts").read_text()
    beginning = re.search(r'LIMIT_REASON = "(.*)"', source)
    assert beginning is not None
    assert f'self.end(f"{beginning[1]}' in inspect.getsource(session)

"""A page for `test_redundant.py`: an echo that notes what came over the wire of each session.

On the way to the client two packets in a row are lost, of twenty. In its answers redundant audio is
before Opus, where Chromium sends it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import gradio as gr
from echo import Echo
from support.notes import note

from gradio_webrtc import WebRTC
from gradio_webrtc._transport.webrtc import aiortc_internals as internals
from gradio_webrtc._transport.webrtc import peer
from gradio_webrtc._transport.webrtc.aiortc_internals import fast_sender
from gradio_webrtc._transport.webrtc.answer import state_terms

if TYPE_CHECKING:
    from aioice.ice import CandidatePair

    from gradio_webrtc._transport.webrtc.aiortc_internals.fast_path import RtpFastPath
    from gradio_webrtc._transport.webrtc.media_loop import SendNote

RED = 63
"""Chromium's payload type."""

install = internals.install_fast_path
paths: list[RtpFastPath | None] = []


def install_and_keep(*arguments: Any) -> RtpFastPath | None:
    paths.append(install(*arguments))
    return paths[-1]


class Noting(Echo):
    """Notes the counters of the session that ends."""

    def shutdown(self) -> None:
        path = paths.pop()
        counts: dict[str, Any] = {} if path is None else dict(path.secured.stats())
        note("wire", **counts)

    def copy(self) -> Noting:
        return Noting()


class LossySender(fast_sender.ThreadedSender):
    """Loses packets on their way, and notes when the first one carries another."""

    _count = 0
    _carries = False

    def _follow(self, pair: CandidatePair) -> None:
        """Leaves the packets to the event loop, where they can be lost."""

    def _take(self, sent: SendNote) -> None:
        if isinstance(sent, bytes) and not 192 <= sent[1] <= 223:
            self._count += 1
            if not self._carries and sent[1] & 0x7F == RED:
                self._carries = True
                note("carries")
            if self._count % 20 >= 18:
                return
        super()._take(sent)


def state_red_first(sdp: str, red: Any) -> str:
    return re.sub(rf"(m=audio \S+ \S+)(.*?) {RED}\b", rf"\1 {RED}\2", state_terms(sdp, red))


vars(peer)["state_terms"] = state_red_first
internals.install_fast_path = install_and_keep  # type: ignore[assignment]  # the same arguments
fast_sender.ThreadedSender = LossySender  # type: ignore[misc]  # where one is made

with gr.Blocks(title="Redundant audio") as page:
    call = WebRTC(label="Call", modality="audio")
    call.stream(Noting(), inputs=[call], outputs=[call])

if __name__ == "__main__":
    page.launch()

"""A page for `test_redundant.py`: an echo that notes what came over the wire of each session."""

from typing import Any

import gradio as gr
from echo import Echo
from support.notes import note

from gradio_webrtc import WebRTC
from gradio_webrtc._transport.webrtc import aiortc_internals as internals
from gradio_webrtc._transport.webrtc.aiortc_internals.fast_path import RtpFastPath

install = internals.install_fast_path
paths: list[RtpFastPath | None] = []


def install_and_keep(*arguments: Any) -> RtpFastPath | None:
    paths.append(install(*arguments))
    return paths[-1]


class Noting(Echo):
    """Notes the counters of the session that ends."""

    def shutdown(self) -> None:
        path = paths.pop()
        note("wire", **({} if path is None else path.secured.stats()))

    def copy(self) -> "Noting":
        return Noting()


internals.install_fast_path = install_and_keep

with gr.Blocks(title="Redundant audio") as page:
    call = WebRTC(label="Call", modality="audio")
    call.stream(Noting(), inputs=[call], outputs=[call])

if __name__ == "__main__":
    page.launch()

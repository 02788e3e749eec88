"""A client made of GStreamer's `webrtcbin`: ``gstreamer_client.py SECONDS [DIRECTION]``.

Run it with ``/usr/bin/python3``. With ``--check`` in place of the seconds it only reports, by its
exit code, whether all it needs is installed.

It sends a tone, and records what comes back; with the direction ``recvonly`` it sends nothing, and
opens no data channel, as a client of WHEP. A program of its own, because GStreamer's Python
bindings belong to the distribution's interpreter. It communicates in lines of JSON: writes
``{"offer": sdp}`` once all its candidates are gathered; reads ``{"answer": sdp}`` and
``{"candidate": text, "line": n}``; writes ``{"message": text}`` for what comes on the data channel,
and at last ``{"audio": base64}``, so many seconds of int16 at 48 kHz, then ends.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from typing import Any

import gi  # type: ignore[import-not-found]  # the distribution interpreter has it

for name in ("Gst", "GstSdp", "GstWebRTC"):
    gi.require_version(name, "1.0")
from gi.repository import (  # type: ignore[import-not-found]  # noqa: E402 - after require_version
    GLib,
    Gst,
    GstSdp,
    GstWebRTC,
)

TONE_HZ = 600
RATE_HZ = 48_000
ELEMENTS = ["webrtcbin", "nicesrc", "dtlssrtpenc", "srtpenc", "sctpenc", "opusenc", "rtpopuspay"]
PEER = "webrtcbin name=peer bundle-policy=max-bundle"
RECEIVED = "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000"
PIPELINE = f"""
{PEER}
audiotestsrc is-live=true freq={TONE_HZ} volume=0.3
  ! audio/x-raw,rate={RATE_HZ},channels=1 ! opusenc ! rtpopuspay pt=111 ! queue
  ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! peer.
"""
RECORDER = f"""
rtpopusdepay ! opusdec ! audioconvert ! audioresample
  ! audio/x-raw,format=S16LE,rate={RATE_HZ},channels=1
  ! appsink name=recorder emit-signals=true sync=false
"""


class GStreamerClient:
    """One session; `run` returns when the audio is complete."""

    def __init__(self, seconds: float, direction: str = "sendrecv") -> None:
        self._bytes_to_record = int(seconds * RATE_HZ) * 2
        self._audio = bytearray()
        self._loop = GLib.MainLoop()
        only_receives = direction == "recvonly"
        self._pipeline = Gst.Pipeline() if only_receives else Gst.parse_launch(PIPELINE)
        if only_receives:
            self._pipeline.add(Gst.parse_launch(PEER))
        self._peer = self._pipeline.get_by_name("peer")
        self._peer.connect("pad-added", self._listen)
        self._peer.connect("notify::ice-gathering-state", self._on_gathering)
        if not only_receives:
            self._peer.connect("on-negotiation-needed", self._offer)
        self._pipeline.set_state(Gst.State.READY)
        if only_receives:
            kind = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self._peer.emit("add-transceiver", kind, Gst.Caps.from_string(RECEIVED))
            # Asked for here: without a source, one in two never finds that it needs an offer.
            GLib.idle_add(self._offer, self._peer)
            return
        channel = self._peer.emit("create-data-channel", "text", None)
        channel.connect("on-open", lambda channel: channel.emit("send-string", "handshake"))
        channel.connect("on-message-string", lambda _channel, text: write(message=text))

    def run(self) -> None:
        self._pipeline.set_state(Gst.State.PLAYING)
        threading.Thread(target=self._read, daemon=True).start()
        self._loop.run()
        self._pipeline.set_state(Gst.State.NULL)

    def _offer(self, _peer: Any) -> None:
        self._peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self._describe))

    def _describe(self, promise: Any, *_: object) -> None:
        # The offer lives in the reply: without a name for it, both are gone before they are used.
        reply = promise.get_reply()
        self._peer.emit("set-local-description", reply.get_value("offer"), None)

    def _on_gathering(self, *_: object) -> None:
        state = self._peer.get_property("ice-gathering-state")
        if state == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            write(offer=self._peer.get_property("local-description").sdp.as_text())

    def _read(self) -> None:
        for line in sys.stdin:
            GLib.idle_add(self._take, json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if "candidate" in message:
            self._peer.emit("add-ice-candidate", message["line"], message["candidate"])
            return
        _, sdp = GstSdp.SDPMessage.new_from_text(message["answer"])
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self._peer.emit("set-remote-description", answer, None)

    def _listen(self, _peer: Any, pad: Any) -> None:
        if pad.direction != Gst.PadDirection.SRC:
            return
        recorder = Gst.parse_bin_from_description(RECORDER, ghost_unlinked_pads=True)
        recorder.get_by_name("recorder").connect("new-sample", self._receive)
        self._pipeline.add(recorder)
        recorder.sync_state_with_parent()
        pad.link(recorder.get_static_pad("sink"))

    def _receive(self, sink: Any) -> Any:
        buffer = sink.emit("pull-sample").get_buffer()
        self._audio += buffer.extract_dup(0, buffer.get_size())
        if len(self._audio) >= self._bytes_to_record and self._loop.is_running():
            write(audio=base64.b64encode(self._audio).decode())
            self._loop.quit()
        return Gst.FlowReturn.OK


def write(**message: str) -> None:
    """Writes one line to the process that started this one."""
    print(json.dumps(message), flush=True)  # noqa: T201 - the other half of the conversation


if __name__ == "__main__":
    Gst.init(None)
    if sys.argv[1] == "--check":
        sys.exit(0 if all(map(Gst.ElementFactory.find, ELEMENTS)) else 1)
    GStreamerClient(float(sys.argv[1]), *sys.argv[2:]).run()

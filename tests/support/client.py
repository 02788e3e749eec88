"""A client made of aiortc: it does what a page does, over real connections on this machine."""

from __future__ import annotations

import asyncio
import json
import uuid
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame, VideoFrame

from .frames import Camera

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from support.serving import SessionServer

    from gradio_webrtc.types import Modality, Mode

RATE_HZ = 48_000
FRAME_SAMPLES = 960


class Microphone(MediaStreamTrack):
    """Plays an array in real time, then silence."""

    kind = "audio"

    def __init__(self, samples: NDArray[np.int16]) -> None:
        super().__init__()
        self._samples = samples.reshape(-1)
        self._frames = 0
        self._origin_s: float | None = None
        self.finished = asyncio.Event()

    def say(self, samples: NDArray[np.int16]) -> None:
        """Plays this next, int16 ``(n,)``: behind what is still to be played, or from now on."""
        missing = self._frames * FRAME_SAMPLES - self._samples.size
        self._samples = np.concatenate(
            [self._samples, np.zeros(max(0, missing), np.int16), samples.reshape(-1)]
        )
        self.finished.clear()

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        if self._origin_s is None:
            self._origin_s = loop.time()
        await asyncio.sleep(self._origin_s + self._frames * 0.02 - loop.time())
        begin = self._frames * FRAME_SAMPLES
        block = self._samples[begin : begin + FRAME_SAMPLES]
        if block.size < FRAME_SAMPLES:
            block = np.pad(block, (0, FRAME_SAMPLES - block.size))
            self.finished.set()
        frame = AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, begin, Fraction(1, RATE_HZ)
        self._frames += 1
        return frame


class Client:
    """One client of a `SessionServer`.

    Attributes:
        audio_frames: Every frame of audio that came back: its pts at 48 kHz and its first channel.
        right: The second channel of each of these frames.
        video_frames: Every video frame that came back: its pts at 90 kHz and pixels, blue first.
        messages: Every message on the data channel; as a rule dicts.
        outputs: The values of each of the AdditionalOutputs, fetched when announced.
        webrtc_id: Its own id, as older pages have one; set to "" before the session, the server's.
        answer: The answer of the server.
        secret: The secret in the answer.
        camera: Takes numbered frames; may be replaced before the session.
        on_send_input: Called when the server asks for inputs; they are sent, unless it is replaced.
    """

    channel_options: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        manager: SessionServer,
        microphone: NDArray[np.int16] | None = None,
        inputs: Sequence[Any] = (),
        *,
        mode: Mode = "send-receive",
        configuration: RTCConfiguration | None = None,
        modality: Modality = "audio",
    ) -> None:
        self.webrtc_id = str(uuid.uuid4())
        self.answer: dict[str, Any] = {}
        self.secret: str | None = None
        self.audio_frames: list[tuple[int, NDArray[np.int16]]] = []
        self.right: list[NDArray[np.int16]] = []
        self.video_frames: list[tuple[int, NDArray[np.uint8]]] = []
        self.messages: list[Any] = []
        self.outputs: list[tuple[Any, ...]] = []
        self.on_send_input: Callable[[], None] = self.send_inputs
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.ended = asyncio.Event()
        self._server = manager
        self._inputs = inputs
        self._mode = mode
        self._modality = modality
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.pc = RTCPeerConnection(configuration or RTCConfiguration(iceServers=[]))
        self.microphone = Microphone(np.zeros(0, np.int16) if microphone is None else microphone)
        self.camera = Camera()
        self.open_channel(**self.channel_options)
        self.pc.on("connectionstatechange", self._on_state)
        self.pc.on("track", self._on_track)

    def open_channel(self, **options: Any) -> None:
        """Opens the data channel; with the options of ``createDataChannel``."""
        self.channel = self.pc.createDataChannel("text", **options)
        self.channel.on("open", lambda: self.channel.send("handshake"))
        self.channel.on("message", self._on_message)

    async def offer(self) -> dict[str, Any]:
        """The offer as a page would post it."""
        for kind in self._modality.split("-"):
            if self._mode == "receive":
                self.pc.addTransceiver(kind, direction="recvonly")
            else:
                track = self.microphone if kind == "audio" else self.camera
                direction = "sendonly" if self._mode == "send" else "sendrecv"
                self.pc.addTransceiver(track, direction=direction)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        own_id = {"webrtc_id": self.webrtc_id} if self.webrtc_id else {}
        return {"type": "offer", "sdp": self.pc.localDescription.sdp, **own_id}

    async def call(self) -> dict[str, Any]:
        """Calls, and waits until the connection stands, or hangs up where the server refuses.

        Returns the server's answer or refusal.
        """
        answer = await self._server.handle_request(await self.offer())
        if answer.get("status") == "failed":
            await self.hang_up()
            return answer
        self.answer, self.secret = answer, str(answer["secret"])
        self.webrtc_id = self.webrtc_id or str(answer["webrtc_id"])
        await self.pc.setRemoteDescription(
            RTCSessionDescription(sdp=str(answer["sdp"]), type="answer")
        )
        if answer.get("candidates_follow"):
            await self._take_candidates()
        await self.connected.wait()
        return answer

    def send_inputs(self, *inputs: Any) -> None:
        """Delivers the values of the page's inputs, as the Gradio event ``tick`` does."""
        self._inputs = inputs or self._inputs
        self._server.find(self.webrtc_id, self.secret).set_inputs(self._inputs)

    async def hang_up(self) -> None:
        """Leaves as a page does, with a goodbye."""
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def vanish(self) -> None:
        """Goes without a goodbye: nothing of it reaches the network any more."""
        for protocol in self._sockets():
            vars(protocol.transport)["sendto"] = lambda *_args: None

    async def lose_network(self, seconds: float) -> None:
        """Sends into nothing for so long, and gets nothing."""
        self.vanish()
        for protocol in self._sockets():
            protocol.datagram_received = lambda *_args: None
        await asyncio.sleep(seconds)
        for protocol in self._sockets():
            del protocol.datagram_received
            del vars(protocol.transport)["sendto"]

    def _sockets(self) -> list[Any]:
        ice = self.pc.getSenders()[0].transport.transport
        return list(ice._connection._protocols)  # noqa: SLF001  # no public way to be cut off

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds; looked at whenever something arrives."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    def received_audio(self) -> NDArray[np.int16]:
        """The received audio on its own time line; where nothing was sent there is silence."""
        if not self.audio_frames:
            return np.zeros(0, np.int16)
        first, last = self.audio_frames[0][0], self.audio_frames[-1][0]
        line = np.zeros(last - first + FRAME_SAMPLES, np.int16)
        for pts, samples in self.audio_frames:
            line[pts - first : pts - first + samples.size] = samples
        return line

    def loud_seconds(self) -> float:
        """The seconds of received audio that are not silence."""
        return 0.02 * sum(bool(np.abs(samples).max() > 200) for _, samples in self.audio_frames)

    def audible_seconds(self) -> float:
        """The time for which it was louder than a quarter of full scale, in seconds, to 5 ms."""
        if not self.audio_frames:
            return 0.0
        pieces = np.concatenate([samples for _, samples in self.audio_frames]).reshape(-1, 240)
        return 0.005 * int((np.abs(pieces.astype(np.int32)).max(axis=1) > 8192).sum())

    async def _take_candidates(self) -> None:
        """Asks for the server's addresses, which took longer than its answer."""
        body = {"type": "candidates", "webrtc_id": self.webrtc_id, "secret": self.secret}
        answer: dict[str, Any] = await self._server.handle_request(body)
        for each in answer["candidates"]:
            candidate = candidate_from_sdp(each["candidate"].removeprefix("candidate:"))
            candidate.sdpMid, candidate.sdpMLineIndex = each["sdpMid"], each["sdpMLineIndex"]
            await self.pc.addIceCandidate(candidate)

    def _on_message(self, text: str) -> None:
        message = json.loads(text)
        self.messages.append(message)
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "send_input":
            self.on_send_input()
        if kind == "fetch_output":
            self._fetch_output()
        if kind == "end_stream":
            self.ended.set()
        self._news.set()

    def _fetch_output(self) -> None:
        waiting = self._server.find(self.webrtc_id, self.secret).outputs
        if (outputs := waiting.take()) is not None:
            self.outputs.append(outputs.args)
            waiting.done()

    def _on_state(self) -> None:
        if self.pc.connectionState == "connected":
            self.connected.set()
        if self.pc.connectionState in ("closed", "failed"):
            self.closed.set()
            self._news.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        task = asyncio.get_running_loop().create_task(self._listen(track))
        self._tasks.add(task)

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, VideoFrame):
                pixels = frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
                self.video_frames.append((frame.pts or 0, pixels))
                self._news.set()
                continue
            if not isinstance(frame, AudioFrame) or frame.pts is None:
                raise TypeError(f"expected audio, got {frame!r}")
            channels = frame.to_ndarray().astype(np.int16, copy=False)
            channels = channels.reshape(-1, len(frame.layout.channels))
            self.audio_frames.append((frame.pts, channels[:, 0].copy()))
            self.right.append(channels[:, -1].copy())
            self._news.set()

"""pipecat behind `call_server.py`: its SmallWebRTC transport in the shortest pipeline there is.

Everything is its default but for what makes it cheaper: one runner for all sessions, no logging, no
RTVI, no turn tracking, no idle timeout. Silero ends a turn after half a second, as in the other
stacks, without the model that pipecat asks after 0.2 s. An echo stays at the 16 kHz of its input.
"""

import asyncio

from conversing import CHUNKS, REPLY_RATE_HZ, TONE
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    InputAudioRawFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner

PAUSE_S = 0.5
INPUT_RATE_HZ = 16_000


class Counted(FrameProcessor):
    """Counts the frames that come in; the base of what a session does with them."""

    def __init__(self, meter) -> None:
        super().__init__()
        self._meter = meter

    async def process_frame(self, frame, direction):
        """Passes on what is not the user's audio."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._meter.received += 1
            await self.hear(frame)
        else:
            await self.push_frame(frame, direction)

    async def hear(self, frame):
        """Takes the user's audio, and passes none of it on."""


class Echo(Counted):
    """Gives back each frame as it comes."""

    async def hear(self, frame):
        """Sends it."""
        await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, 1))


class Answer(Counted):
    """Answers with the same audio as every stack, and is interrupted by the user."""

    def __init__(self, meter, chunks) -> None:
        super().__init__(meter)
        self._chunks = chunks

    async def process_frame(self, frame, direction):
        """Answers when the user pauses."""
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            await self.broadcast_interruption()
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            for _ in range(self._chunks):
                await self.push_frame(TTSAudioRawFrame(TONE.tobytes(), REPLY_RATE_HZ, 1))


def make_offer(scenario, meter, *, has_output=True):
    """Returns what answers offers, with that scenario's pipeline."""
    logger.remove()
    runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
    running = asyncio.get_running_loop().create_task(runner.run(auto_end=False))
    output_rate_hz = INPUT_RATE_HZ if scenario == "echo" else REPLY_RATE_HZ
    rates = PipelineParams(audio_in_sample_rate=INPUT_RATE_HZ, audio_out_sample_rate=output_rate_hz)

    def processors():
        if scenario == "echo":
            return [Echo(meter)]
        analyzer = SileroVADAnalyzer(params=VADParams(stop_secs=PAUSE_S))
        chunks = {"conversation": CHUNKS, "reply": 1, "listening": 0}[scenario]
        return [VADProcessor(vad_analyzer=analyzer), Answer(meter, chunks)]

    async def offer(body):
        if running.done():
            running.result()
        connection = SmallWebRTCConnection()
        await connection.initialize(sdp=body["sdp"], type=body["type"])
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=has_output)
        transport = SmallWebRTCTransport(connection, params)
        pipeline = Pipeline([transport.input(), *processors(), transport.output()])
        worker = PipelineWorker(
            pipeline,
            params=rates,
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
            check_dangling_tasks=False,
        )
        await runner.add_workers(worker)
        return connection.get_answer()

    return offer

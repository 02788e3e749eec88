"""The moments at which pipecat ends a turn, in seconds of audio. Runs in pipecat's environment.

``pipecat_turns.py FILE RULE``: "smart" is its default, Silero for 0.2 s and then its Smart Turn
model, or three seconds of silence; a number is Silero alone with a pause of so many seconds. Its
analyzers are driven in the order in which its pipeline does it, without the pipeline. A transcript,
which its default also waits for, is not waited for, and the model's own time is not counted.
"""

import json
import sys
import types

import numpy as np
from loguru import logger
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.turn.smart_turn import base_smart_turn
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams, VADState

RATE_HZ = 16_000
FRAME_SAMPLES = RATE_HZ // 50


class AudioClock(types.SimpleNamespace):
    """Stands for the module ``time``: the seconds of audio so far."""

    now_s = 1.0

    def monotonic(self):
        """The time that the age of buffered audio is measured by."""
        return self.now_s

    perf_counter = monotonic


class Silence:
    """The rule without a model: the pause that the detector waits for ends the turn."""

    def append_audio(self, _audio, _is_speaking):
        """Never ends a turn by itself."""
        return EndOfTurnState.INCOMPLETE

    def update_vad_start_secs(self, _seconds):
        """Has no use for it."""

    def _process_speech_segment(self, _audio):
        return EndOfTurnState.COMPLETE, None

    def _clear(self, _state):
        pass

    _audio_buffer = None


def decisions(samples, rule, smart):
    """The moment of each decision that a turn is over."""
    clock = base_smart_turn.time = AudioClock()
    params = VADParams() if rule == "smart" else VADParams(stop_secs=float(rule))
    detector = SileroVADAnalyzer(params=params)
    detector.set_sample_rate(RATE_HZ)
    smart._clear(EndOfTurnState.COMPLETE)
    is_speaking, is_turn, times = False, False, []
    for begin in range(0, samples.size - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        clock.now_s += FRAME_SAMPLES / RATE_HZ
        audio = samples[begin : begin + FRAME_SAMPLES].tobytes()
        is_over = smart.append_audio(audio, is_speaking) == EndOfTurnState.COMPLETE
        new = detector._run_analyzer(audio)
        if not is_speaking and new == VADState.SPEAKING:
            smart.update_vad_start_secs(params.start_secs)
            is_turn = True
            is_speaking = True
        elif is_speaking and new == VADState.QUIET:
            is_speaking = False
            verdict, _ = smart._process_speech_segment(smart._audio_buffer)
            if verdict == EndOfTurnState.COMPLETE:
                smart._clear(verdict)
                is_over = True
        if is_over and is_turn:
            times.append((begin + FRAME_SAMPLES) / RATE_HZ)
            is_turn = False
    return times


def main():
    """Prints the decisions of each recording in the file."""
    logger.remove()
    rule = sys.argv[2]
    smart = Silence()
    if rule == "smart":
        smart = LocalSmartTurnAnalyzerV3()
        smart.set_sample_rate(RATE_HZ)
    with np.load(sys.argv[1]) as spoken:
        every = [spoken[f"arr_{index}"] for index in range(len(spoken.files))]
    print(json.dumps([decisions(each, rule, smart) for each in every]))


main()

"""The options of pause detection, under their names in gradio_webrtc 0.0.31 and fastrtc.

Plain values, and the pause detector of the core that follows from them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, cast

from gradio_webrtc._audio import PauseDetector

if TYPE_CHECKING:
    from gradio_webrtc.types import VoiceActivityDetector

CONTINUE_SHARE: Final = 0.6
RELEASE_SHARE: Final = 0.3
"""Shares of ``threshold`` at which speech that has begun goes on, and at which it is over:
0.3 and 0.15 for the default 0.5, the values that the rule was measured with."""

PRE_ROLL_SHARE: Final = 0.75
"""The share of ``speech_pad_ms`` kept before the first window of speech: 0.3 s for the default,
enough for the softest onset that the detector was measured to be late for. The rest of the pad
is the silence that ends every turn anyway."""

CANDIDATE_S: Final = 0.192
"""Seconds of silence after which a pause is announced as a candidate: six windows of Silero."""

SILERO_WINDOWS: Final = (512, 256)
"""Samples in a window of Silero 6.2, at 16 and at 8 kHz."""

LONGEST_TURN_S: Final = 120.0
"""Seconds after which a turn ends that has no other limit. A turn is kept in memory: 96 kB a second
at 48 kHz, so 11.5 MB. Nobody is known to talk for two minutes without half a second of silence, but
a room of people, a radio and a stranger's noise go on for hours."""


@dataclass
class AlgoOptions:
    """The beginning and the end of a turn.

    The detector takes windows of 32 ms and keeps its state for the whole session; there are no
    blocks any more, except for a `PauseDetectionModel` of your own or an overridden
    ``determine_pause``, where ``audio_chunk_duration`` is the block that they are given.

    Attributes:
        audio_chunk_duration: Less ``speech_threshold``, the silence that ends a turn: 0.5 s by
            default. Longer lets people think; shorter answers sooner and cuts more people off.
        started_talking_threshold: Seconds of speech that begin a turn. At 0.2 a "yes" of
            0.35 s begins one, while most words shorter than 0.2 s do not. Raise it when coughs are
            detected as words.
        speech_threshold: See ``audio_chunk_duration``, which must be the longer one.
        max_continuous_speech_s: Ends a turn that has lasted this long although nobody paused, as
            among other voices; in seconds from its onset. Speech that merely goes on then does not
            interrupt the answer; the end of the turn that it is part of does. Without a limit of
            yours it is `LONGEST_TURN_S`; 900 s are the most.

    Example:
        >>> AlgoOptions(audio_chunk_duration=0.9).pause_s  # allows longer pauses
        0.8
    """

    audio_chunk_duration: float = 0.6
    started_talking_threshold: float = 0.2
    speech_threshold: float = 0.1
    max_continuous_speech_s: float = math.inf

    def longest_turn_s(self, other_limit_s: float = math.inf) -> float:
        """Returns the length at which a turn ends, in seconds: the least of the given limits.

        Args:
            other_limit_s: Another limit beside ``max_continuous_speech_s``.
        """
        given_s = min(self.max_continuous_speech_s, other_limit_s)
        return LONGEST_TURN_S if given_s == math.inf else given_s

    @property
    def pause_s(self) -> float:
        """The silence that ends a turn, in seconds.

        Raises:
            ValueError: It is not more than zero.
        """
        pause_s = self.audio_chunk_duration - self.speech_threshold
        if pause_s <= 0:
            raise ValueError(
                "audio_chunk_duration less speech_threshold is the silence that ends a turn; it "
                f"must be more than 0 s, got {self.audio_chunk_duration} - {self.speech_threshold}"
            )
        return pause_s


@dataclass
class SileroVadOptions:
    """The built-in detector's rules for speech.

    `ReplyOnPause` works window by window; `SileroVADModel`, which cuts a finished recording into
    chunks of speech, uses every field but ``window_size_samples``. A field that `ReplyOnPause` does
    not use causes a warning when it is not at its default.

    Attributes:
        threshold: The probability from which a window counts as speech, 0 to 1. Speech that has
            begun goes on down to 0.6 times this, and is over below 0.3 times this.
        min_speech_duration_ms: The shortest chunk. Not for `ReplyOnPause`: there,
            ``AlgoOptions.started_talking_threshold`` decides.
        max_speech_duration_s: The longest chunk; for `ReplyOnPause` the longest turn, when that is
            shorter than ``AlgoOptions.max_continuous_speech_s``.
        min_silence_duration_ms: The shortest gap between chunks. Not for `ReplyOnPause`: there,
            ``AlgoOptions.audio_chunk_duration`` decides.
        window_size_samples: Without effect: Silero 6.2 takes 512 samples at 16 kHz, 256 at 8 kHz.
        speech_pad_ms: The audio added on both sides of a chunk. `ReplyOnPause` keeps three quarters
            of it before the first window of speech, and the whole pause after the last.

    Example:
        >>> clearer_speech = SileroVadOptions(threshold=0.7)
        >>> handler = ReplyOnPause(lambda audio: audio, model_options=clearer_speech)
    """

    threshold: float = 0.5
    min_speech_duration_ms: int = 250
    max_speech_duration_s: float = math.inf
    min_silence_duration_ms: int = 2000
    window_size_samples: int = 1024
    speech_pad_ms: int = 400


_INSTEAD: Final = {
    "min_speech_duration_ms": "AlgoOptions.started_talking_threshold decides",
    "min_silence_duration_ms": "AlgoOptions.audio_chunk_duration decides",
    "window_size_samples": "Silero 6.2 has windows of one size",
}


def warn_of_idle_options(options: SileroVadOptions) -> None:
    """Warns of each field that was changed and has no effect in `ReplyOnPause`."""
    defaults = {field.name: field.default for field in fields(SileroVadOptions)}
    for name, reason in _INSTEAD.items():
        value = getattr(options, name)
        if value == defaults[name] or (name == "window_size_samples" and value in SILERO_WINDOWS):
            continue
        warnings.warn(
            f"SileroVadOptions.{name} has no effect in ReplyOnPause: {reason}",
            UserWarning,
            stacklevel=3,
        )


def own_detector(given: Any) -> VoiceActivityDetector | None:
    """Returns a session's own detector, if there is a way to: by its class, or by ``copy()``."""
    if isinstance(given, type):
        return cast("VoiceActivityDetector", given())
    duplicate = getattr(given, "copy", None)
    return cast("VoiceActivityDetector | None", given if duplicate is None else duplicate())


def make_detector(
    sample_rate_hz: int,
    algo: AlgoOptions,
    silero: SileroVadOptions,
    vad: VoiceActivityDetector | None = None,
) -> PauseDetector:
    """Returns the pause detector that these options describe.

    Args:
        sample_rate_hz: The rate of its audio, 8000 to 192000 Hz.
        algo: The beginning and the end of turns.
        silero: The rules for speech; its ``threshold`` also holds for another ``vad``.
        vad: Returns the probability of speech in place of the built-in Silero.

    Raises:
        ValueError: The options contradict themselves or each other.
    """
    return PauseDetector(
        sample_rate_hz,
        vad=vad,
        threshold=silero.threshold,
        continue_threshold=silero.threshold * CONTINUE_SHARE,
        release_threshold=silero.threshold * RELEASE_SHARE,
        started_talking_s=algo.started_talking_threshold,
        pause_s=algo.pause_s,
        candidate_s=min(CANDIDATE_S, algo.pause_s),
        pre_roll_s=silero.speech_pad_ms / 1000 * PRE_ROLL_SHARE,
        max_speech_s=algo.longest_turn_s(silero.max_speech_duration_s),
    )

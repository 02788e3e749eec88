"""The options of pause detection, under their names in gradio_webrtc 0.0.31 and fastrtc.

Plain values, and the pause detector of the core that follows from them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

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

CERTAIN_S: Final = 0.832
"""Seconds of silence after which a pause is certain: 26 windows of Silero. Of turns with one or two
pauses of 0.2 to 0.8 s in them one to three in a hundred end too early (`benches/python/turns.py`);
at the half second of turns without speculation it is more than half."""

SILERO_WINDOWS: Final = (512, 256)
"""Samples in a window of Silero 6.2, at 16 and at 8 kHz."""

LONGEST_TURN_S: Final = 120.0
"""Seconds after which a turn ends that has no other limit. A turn is kept in memory: 96 kB a second
at 48 kHz, so 11.5 MB. Nobody is known to talk for two minutes without half a second of silence, but
a room of people, a radio and a stranger's noise go on for hours."""


class _Derived(float):
    """A pause that follows from the two older options, and goes on to do so in a copy."""


class _PauseSetting:
    """`AlgoOptions.pause_s`: as it was set, or derived from the two older options."""

    def __get__(self, options: AlgoOptions | None, _: object = None) -> float:
        if options is None:
            # The default of the dataclass: not set.
            return _Derived(math.nan)
        own_s: float | None = vars(options)["_pause_s"]
        derived_s = options.audio_chunk_duration - options.speech_threshold
        return _Derived(derived_s) if own_s is None else own_s

    def __set__(self, options: AlgoOptions, pause_s: float) -> None:
        vars(options)["_pause_s"] = None if isinstance(pause_s, _Derived) else pause_s


@dataclass
class AlgoOptions:
    """The beginning and the end of a turn.

    The detector takes windows of 32 ms and keeps its state for the whole session; there are no
    blocks any more, except for a `PauseDetectionModel` of your own or an overridden
    ``determine_pause``, where ``audio_chunk_duration`` is the block that they are given.

    Attributes:
        audio_chunk_duration: Less ``speech_threshold``, the silence that ends a turn, unless
            ``pause_s`` is given: 0.5 s by default.
        started_talking_threshold: Seconds of speech that begin a turn. At 0.2 a "yes" of
            0.35 s begins one, while most words shorter than 0.2 s do not. Raise it when coughs are
            detected as words.
        speech_threshold: See ``audio_chunk_duration``, which must be the longer one.
        max_continuous_speech_s: Ends a turn that has lasted this long although nobody paused, as
            among other voices; in seconds from its onset. Speech that merely goes on then does not
            interrupt the answer; the end of the turn that it is part of does. Without a limit of
            yours it is `LONGEST_TURN_S`; 900 s are the most.
        pause_s: The silence that ends a turn, in seconds, more than 0. Longer lets people think;
            shorter answers sooner and cuts more people off.

    Example:
        >>> AlgoOptions(pause_s=0.8).pause_s  # allows longer pauses
        0.8
        >>> AlgoOptions(audio_chunk_duration=0.9).pause_s  # the same, by its older name
        0.8
    """

    audio_chunk_duration: float = 0.6
    started_talking_threshold: float = 0.2
    speech_threshold: float = 0.1
    max_continuous_speech_s: float = math.inf
    pause_s: float = _PauseSetting()  # type: ignore[assignment]  # a descriptor, as dataclasses take

    def longest_turn_s(self, other_limit_s: float = math.inf) -> float:
        """Returns the length at which a turn ends, in seconds: the least of the given limits.

        Args:
            other_limit_s: Another limit beside ``max_continuous_speech_s``.
        """
        given_s = min(self.max_continuous_speech_s, other_limit_s)
        return LONGEST_TURN_S if given_s == math.inf else given_s


@dataclass(frozen=True)
class Speculation:
    """The terms on which answers are begun before it is certain that the user's turn is over.

    A short silence has the function begin, on what was said so far. What it gives is held back, in
    its order, until the silence has lasted: then all of it is played at once. Where the user talks
    on, it is dropped, and the turn goes on with nothing lost.

    Attributes:
        after_s: The silence that begins an answer, in seconds, more than 0.
        pause_s: The silence that makes it certain, and ends the turn, in seconds: longer than
            ``after_s``. `AlgoOptions.pause_s` counts where that is longer.
        max_starts: The answers that are begun in one turn, 1 or more. The last one that is allowed
            may be dropped as well; the turn is answered when it is certain then.
        max_speech_s: The length of a turn, in seconds, from which on none is begun: a longer one
            costs more to transcribe than the wait for its end.
        max_held_s: The audio that is held back, in seconds, more than 0. With that much the
            function is not stepped any further until it is certain.

    Raises:
        TypeError: A value that is no number.
        ValueError: A value out of its range.

    Example:
        >>> handler = ReplyOnPause(lambda audio: audio, speculative=Speculation(max_starts=2))
    """

    after_s: float = CANDIDATE_S
    pause_s: float = CERTAIN_S
    max_starts: int = 3
    max_speech_s: float = 15.0
    max_held_s: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not isinstance(value := getattr(self, field.name), int | float | np.number):
                raise TypeError(f"{field.name} is a number, got {value!r}")
        for name in ("after_s", "max_speech_s", "max_held_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is more than 0 s, got {getattr(self, name)!r}")
        if not self.pause_s > self.after_s:
            raise ValueError(
                f"pause_s is longer than after_s, got {self.pause_s!r} and {self.after_s!r}"
            )
        if not self.max_starts >= 1:
            raise ValueError(f"max_starts is 1 or more, got {self.max_starts!r}")


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


def as_speculation(given: bool | Speculation | None) -> Speculation | None:  # noqa: FBT001 - a user's
    """Returns the terms that ``speculative=`` stands for; ``None`` for none."""
    if isinstance(given, Speculation):
        return given
    return Speculation() if given else None


def certain_pause_s(algo: AlgoOptions, speculation: Speculation | None) -> float:
    """Returns the silence that ends a turn, in seconds.

    Raises:
        TypeError: It is no number.
        ValueError: It is not more than zero.
    """
    pause_s = algo.pause_s
    if not isinstance(pause_s, int | float | np.number):
        raise TypeError(f"pause_s is a number of seconds, got {pause_s!r}")
    if not pause_s > 0:
        raise ValueError(
            "pause_s, or else audio_chunk_duration less speech_threshold, is the silence that "
            f"ends a turn; it must be more than 0 s, got {pause_s:g}"
        )
    return pause_s if speculation is None else max(pause_s, speculation.pause_s)


def candidate_silence_s(algo: AlgoOptions, speculation: Speculation | None) -> float:
    """Returns the silence after which a turn may be over, in seconds."""
    candidate_s = CANDIDATE_S if speculation is None else speculation.after_s
    return min(candidate_s, certain_pause_s(algo, speculation))


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
            stacklevel=4,
        )


def own_detector(given: Any) -> VoiceActivityDetector | None:
    """Returns a session's own detector, if there is a way to: by its class, or by ``copy()``."""
    return cast("VoiceActivityDetector | None", own_instance(given))


def own_instance(given: Any) -> Any:
    """Returns an object of a session's own, by its class or by ``copy()``; else what was given."""
    if isinstance(given, type):
        return given()
    duplicate = getattr(given, "copy", None)
    return given if duplicate is None else duplicate()


def make_detector(
    sample_rate_hz: int,
    algo: AlgoOptions,
    silero: SileroVadOptions,
    vad: VoiceActivityDetector | None = None,
    speculation: Speculation | None = None,
) -> PauseDetector:
    """Returns the pause detector that these options describe.

    Args:
        sample_rate_hz: The rate of its audio, 8000 to 192000 Hz.
        algo: The beginning and the end of turns.
        silero: The rules for speech; its ``threshold`` also holds for another ``vad``.
        vad: Returns the probability of speech in place of the built-in Silero.
        speculation: The terms on which answers are begun before the end.

    Raises:
        ValueError: The options contradict themselves or each other.
    """
    pause_s = certain_pause_s(algo, speculation)
    return PauseDetector(
        sample_rate_hz,
        vad=vad,
        threshold=silero.threshold,
        continue_threshold=silero.threshold * CONTINUE_SHARE,
        release_threshold=silero.threshold * RELEASE_SHARE,
        started_talking_s=algo.started_talking_threshold,
        pause_s=pause_s,
        candidate_s=candidate_silence_s(algo, speculation),
        pre_roll_s=silero.speech_pad_ms / 1000 * PRE_ROLL_SHARE,
        max_speech_s=algo.longest_turn_s(silero.max_speech_duration_s),
    )

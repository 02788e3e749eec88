"""Counts the instructions of the core's hot kernels, and fails when one takes more than recorded.

A count does not depend on how busy the machine is, nor, as only the core's own instructions on AVX2
are counted, on its processor or its C library. It does depend on the compiler: counts of another
rustc than the recorded one are shown, and held against nothing.

``instructions.py`` compares and fails when a count grew by more than `TOLERANCE`;
``instructions.py --record`` writes ``benches/instructions.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

BENCHES: Final = Path(__file__).resolve().parents[1]
RECORD: Final = BENCHES / "instructions.json"

TOLERANCE: Final = 0.05

# Valgrind supports it, and every x86-64 server has it; valgrind does not support AVX-512.
INSTRUCTION_SET: Final = "AVX2"

KERNELS: Final = (
    "silero window",
    "resample 48 to 16 kHz",
    "resample 24 to 48 kHz",
    "pause detector frame",
    "inbound frame",
    "outbound frame",
    "assemble 64 KiB",
)

ROUNDS: Final = (50, 150)
"""Two numbers of rounds: between them lie the kernel's alone, and two seconds of speech."""


class NotCountedError(Exception):
    """This machine cannot count; the message has the reason."""


def program() -> Path:
    """Builds the program that runs the kernels, for the baseline processor in any environment."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", BENCHES.parent / "target")) / "instructions"
    manifest = ["--locked", "--manifest-path", str(BENCHES / "Cargo.toml")]
    subprocess.run(  # noqa: S603
        [cargo(), "build", "--release", "--quiet", *manifest, "--bin", "instructions"],
        env={
            **os.environ,
            "CARGO_TARGET_DIR": str(target),
            "CARGO_ENCODED_RUSTFLAGS": "-Ctarget-cpu=x86-64",
        },
        check=True,
    )
    return target / "release" / "instructions"


def cargo() -> str:
    """Its name, or its path from the environment."""
    return os.environ.get("CARGO", "cargo")


def rustc_version() -> str:
    """Such as "rustc 1.95.0 (…)", of the compiler that cargo takes."""
    compiler = os.environ.get("RUSTC", "rustc")
    done = subprocess.run([compiler, "--version"], capture_output=True, check=True, text=True)  # noqa: S603
    return done.stdout.strip()


def callgrind(file: Path, kernel: str, rounds: int) -> int:
    """Counts instructions of the program itself, without those of libraries, in so many rounds.

    Raises:
        NotCountedError: If valgrind does not get through, or the processor lacks the instructions.
    """
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile"
        options = [f"--callgrind-out-file={profile}", "--compress-strings=no", "--compress-pos=no"]
        done = subprocess.run(  # noqa: S603
            ["valgrind", "--tool=callgrind", *options, str(file), kernel, str(rounds)],  # noqa: S607
            capture_output=True,
            check=False,
            text=True,
        )
        if done.returncode != 0:
            raise NotCountedError(f"valgrind ended with {done.returncode}: {done.stderr[-500:]}")
        if done.stdout.strip() != INSTRUCTION_SET:
            raise NotCountedError(f"this processor has {done.stdout.strip()} under valgrind")
        return own_instructions(profile.read_text("utf-8"), str(file))


def own_instructions(profile: str, program: str) -> int:
    """The sum of an object's own costs in a callgrind profile (its manual, section 3.2)."""
    total, is_own, is_call = 0, False, False
    for line in profile.splitlines():
        if line.startswith("ob="):
            is_own = line[3:] == program
        elif line.startswith("calls="):
            is_call = True
        elif line[:1].isdigit():
            # The line after "calls=" is what the callee cost, which is counted there.
            total += int(line.split()[1]) if is_own and not is_call else 0
            is_call = False
    return total


def count() -> dict[str, int]:
    """Instructions for a round of each kernel.

    Raises:
        NotCountedError: If this machine cannot count.
    """
    if platform.machine() not in {"x86_64", "AMD64"}:
        raise NotCountedError(f"recorded for x86-64, this is {platform.machine()}")
    if shutil.which("valgrind") is None:
        raise NotCountedError("valgrind is not installed")
    file = program()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tasks = [
            [pool.submit(callgrind, file, kernel, rounds) for rounds in ROUNDS]
            for kernel in KERNELS
        ]
        totals = [(few.result(), many.result()) for few, many in tasks]
    return {
        kernel: round((many - few) / (ROUNDS[1] - ROUNDS[0]))
        for kernel, (few, many) in zip(KERNELS, totals, strict=True)
    }


def compare(counts: dict[str, int]) -> int:
    """Prints both; returns the number of kernels that grew, if the compiler is the recorded one."""
    recorded = json.loads(RECORD.read_text("utf-8"))
    grown = 0
    for kernel, now in counts.items():
        growth = now / recorded["instructions"][kernel] - 1
        is_grown = growth > TOLERANCE
        grown += is_grown
        print(f"{kernel:24} {now:8} {growth:+7.1%}{'  GREW' if is_grown else ''}")
    if recorded["rustc"] != rustc_version():
        print(f"recorded with {recorded['rustc']}, counted with {rustc_version()}: no verdict")
        return 0
    if grown:
        print(f"by more than {TOLERANCE:.0%}: find the reason, or give one and record the counts")
    return grown


def record(counts: dict[str, int]) -> None:
    """Writes the file that later counts are held against."""
    content = {
        "rustc": rustc_version(),
        "instruction set": INSTRUCTION_SET,
        "instructions": counts,
    }
    RECORD.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def main() -> int:
    """0 unless a kernel grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    is_recording = parser.parse_args().record
    try:
        counts = count()
    except NotCountedError as reason:
        print(f"instructions not counted: {reason}")
        return 0
    if is_recording:
        record(counts)
    return min(compare(counts), 1)


if __name__ == "__main__":
    sys.exit(main())

"""Measures the import, the size and a thousand turns of this package."""

import asyncio
import json
import sys
from pathlib import Path

import footprints
import numpy as np

RATE_HZ = 48_000


def reply(audio):
    """Answers with the user's own audio."""
    yield audio


async def memory(turn):
    """The memory that the turns after the first few took, in MB."""
    from gradio_webrtc import ReplyOnPause  # noqa: PLC0415

    sys.path.append(str(Path(__file__).parents[2] / "tests"))
    from support.fake_session import ForgetfulSession  # noqa: PLC0415

    handler = ReplyOnPause(reply).copy()
    session = ForgetfulSession()
    handler.bind(session)
    begin_mb = 0.0
    for count in range(footprints.TURNS):
        if count == footprints.WARM_TURNS:
            begin_mb = footprints.resident_mb()
        for frame in turn:
            handler.receive((RATE_HZ, frame))
            await asyncio.sleep(0)
        if session.counts["pause_detected"] > count:
            await handler.wait_until_ready()
            while await handler.session_emit() is not None:
                pass
    grown_mb = footprints.resident_mb() - begin_mb
    pauses = session.counts["pause_detected"]
    if pauses != footprints.TURNS:
        raise RuntimeError(f"{pauses} turns were detected")
    await handler.release()
    return grown_mb


def packed_mb(folder):
    """The size of the wheel, which the build of this package compresses once more."""
    sys.path.append(str(Path(__file__).parents[2] / "frontend"))
    from smallest_wheel import compress_again  # noqa: PLC0415

    return footprints.packed_mb(folder, compress_again)


result = {"import": footprints.import_ms("gradio_webrtc", ["gradio", "aiortc"])}
if len(sys.argv) > 1:
    folder = Path(sys.modules["gradio_webrtc"].__file__).parent
    result |= {
        "grown": asyncio.run(memory(np.load(sys.argv[1]))),
        "packed": packed_mb(folder),
        "page": footprints.page_kb(folder),
        "beyond": len(footprints.beyond("gradio_webrtc", frozenset())),
        "all": footprints.count_all("gradio_webrtc"),
    }
print(json.dumps(result))

"""Stand-ins for all that the guide's "Server-to-Client Only" needs: OpenCV, and a film to read."""

import sys
from types import ModuleType
from typing import Any, cast

from support.frames import numbered
from support.notes import note

__all__: list[str] = []

FRAMES = 300


class VideoCapture:
    """A film of `FRAMES` numbered frames; behind its end there is nothing, as in OpenCV."""

    def __init__(self, url: str) -> None:
        self._read = 0
        note("C07.open", url=url)

    def read(self) -> tuple[bool, Any]:
        if self._read == FRAMES:
            note("C07.end")
            return False, None
        self._read += 1
        return True, numbered(self._read - 1)


_cv2 = cast("Any", ModuleType("cv2"))
_cv2.VideoCapture = VideoCapture
sys.modules["cv2"] = _cv2

"""`split_output` for users' own code, as in gradio_webrtc 0.0.31."""

import numpy as np
import pytest

from gradio_webrtc._legacy.outputs import split_output
from gradio_webrtc.types import AdditionalOutputs, CloseStream

TONE = np.ones((1, 480), np.int16)
OUTPUTS = AdditionalOutputs(1, "two")
CLOSE = CloseStream("bye")


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ((24000, TONE), ((24000, TONE), None)),
        ((24000, TONE, "stereo"), ((24000, TONE, "stereo"), None)),
        (((24000, TONE), OUTPUTS), ((24000, TONE), OUTPUTS)),
        ((TONE, CLOSE), (TONE, CLOSE)),
        (OUTPUTS, (None, OUTPUTS)),
        (TONE, (TONE, None)),
        (None, (None, None)),
    ],
)
def test_users_can_part_it_as_well(data: object, parts: object) -> None:
    assert split_output(data) == parts


@pytest.mark.parametrize("data", [(1, 2, 3), (TONE,), ("text", "more")])
def test_a_tuple_that_cannot_be_parted_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="must"):
        split_output(data)

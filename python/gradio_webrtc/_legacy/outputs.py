"""`split_output`, as gradio_webrtc 0.0.31 and fastrtc gave it to users' own code.

A function without state, for any thread. Imports the public types alone.
"""

from __future__ import annotations

import numpy as np

from gradio_webrtc.types import AdditionalOutputs, CloseStream


def split_output(data: object) -> tuple[object, AdditionalOutputs | CloseStream | None]:
    """Splits an emitted item into its media and its other part.

    Args:
        data: Media, AdditionalOutputs or CloseStream, or a pair of media and one of these.

    Returns:
        Media or ``None``; AdditionalOutputs, CloseStream or ``None``.

    Raises:
        ValueError: A tuple that is neither audio nor such a pair.
    """
    match data:
        case AdditionalOutputs() | CloseStream():
            return None, data
        case (media, (AdditionalOutputs() | CloseStream()) as extra):
            return media, extra
        case (_, np.ndarray()) | (_, np.ndarray(), _):
            return data, None
        case tuple() if len(data) != 2:  # noqa: PLR2004 - the two of the message
            raise ValueError(
                "The tuple must have exactly two elements: the data and an instance of "
                "AdditionalOutputs."
            )
        case tuple():
            raise ValueError(
                "The last element of the tuple must be an instance of AdditionalOutputs."
            )
    return data, None

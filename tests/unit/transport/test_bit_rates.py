"""The bit rate of our encoder for frames of a size."""

from __future__ import annotations

from gradio_webrtc._transport.webrtc.aiortc_internals.bit_rates import suitable_bitrate


def test_more_pixels_get_more_bits() -> None:
    assert suitable_bitrate(1280, 720) == 2_500_000
    assert suitable_bitrate(720, 1280) == 2_500_000
    assert suitable_bitrate(16, 16) == 200_000
    assert suitable_bitrate(1920, 1080) == 4_000_000
    assert 700_000 < suitable_bitrate(640, 480) < 1_200_000

"""Gives fastrtc the model it would download: the same kind, out of a wheel."""

import os

from fastrtc.pause_detection.silero import SileroVADModel

SileroVADModel.download_model = staticmethod(lambda: os.environ["BENCH_SILERO_OLD"])

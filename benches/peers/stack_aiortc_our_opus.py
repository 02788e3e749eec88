"""The bare echo on aiortc, with the settings of our Opus encoder and decoder in place of its own.

What is left between this and ours is the session, the handler and the path of a packet.
"""

from aiortc.codecs import opus
from av import AudioResampler, CodecContext
from stack_aiortc import make_offer

__all__ = ["make_offer"]


def _encoder(self):
    self.codec = CodecContext.create("libopus", "w")
    self.codec.format, self.codec.layout = "s16", "mono"
    self.codec.sample_rate = opus.SAMPLE_RATE
    self.codec.time_base = opus.TIME_BASE
    self.codec.bit_rate = 64_000
    self.codec.options = {"application": "lowdelay", "compression_level": "2"}
    self.resampler = AudioResampler(
        format="s16", layout="mono", rate=opus.SAMPLE_RATE, frame_size=opus.SAMPLES_PER_FRAME
    )
    self.first_packet_pts = None


def _decoder(self):
    self.codec = CodecContext.create("libopus", "r")
    self.codec.format, self.codec.layout = "s16", "mono"
    self.codec.sample_rate = opus.SAMPLE_RATE


opus.OpusEncoder.__init__ = _encoder
opus.OpusDecoder.__init__ = _decoder

"""This package behind `call_server.py`."""

from conversing import make_handler, make_video_function

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause, StreamHandler
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.manager import SessionManager
from gradio_webrtc._session.signaling import Signaling
from gradio_webrtc._ui.streaming import make_template


def make_offer(scenario, meter):
    """Returns what answers offers, with that scenario's handler."""
    manager = SessionManager()
    if scenario == "video":
        show = make_video_function(meter)
        template = make_template(show, "send-receive", "video", takes_inputs=False)
        manager.serve(template.copy, SessionConfig(modality="video"), concurrency_limit=None)
        return Signaling(manager).handle_request
    handler = make_handler(
        scenario, StreamHandler, ReplyOnPause, meter, AsyncStreamHandler, counts_turns=False
    )
    manager.serve(handler.copy, concurrency_limit=None)
    before = {}

    def update():
        """Adds what the sessions under way have counted since the last time."""
        for stats in manager.all_stats():
            emits, replies, packets = before.get(stats.webrtc_id, (0, 0, 0))
            meter.emits += stats.emits - emits
            if not scenario.startswith("echo"):
                meter.received += stats.transport.packets_received - packets
            meter.own_ms += [1000 * each for each in stats.reply_delays_s[replies:]]
            before[stats.webrtc_id] = (
                stats.emits,
                len(stats.reply_delays_s),
                stats.transport.packets_received,
            )

    meter.update = update
    return Signaling(manager).handle_request

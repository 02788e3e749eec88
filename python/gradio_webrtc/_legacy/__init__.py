"""The parts that exist for programs of gradio_webrtc 0.0.31 and fastrtc only.

Imports the public types and the options of turns; nothing else of ours.
"""

"""Counts what installing pipecat brings, in its environment."""

import json

import footprints

print(json.dumps({"all": footprints.count_all("pipecat-ai", frozenset({"webrtc", "silero"}))}))

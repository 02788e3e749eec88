"""What every test runs under."""

from __future__ import annotations

import os

from hypothesis import settings

# Before anything imports Gradio: no test talks to the outside.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

# A change is judged by the same inputs as the one before it; `make fuzz-python` tries others.
settings.register_profile("fixed", derandomize=True, database=None, deadline=None, max_examples=40)
settings.register_profile("long", deadline=None, max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

"""What every test runs under."""

from __future__ import annotations

import os

# Before anything imports Gradio: no test talks to the outside.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

"""The CPU of importing a handler, beside that of NumPy, PyAV and aiortc, in a fresh interpreter.

``handler_import.py MODULE...``: the package that has ``ReplyOnPause``, and more modules; or those
that a program of another kind imports.
"""

import importlib
import json
import sys
import time

MEDIA = ("numpy", "av", "aiortc")
"""What a program of real-time media imports in any case."""

began = time.process_time()
for name in MEDIA:
    importlib.import_module(name)
media = time.process_time()
modules = [importlib.import_module(name) for name in sys.argv[1:]]
# A name that is imported on first use is imported now. pipecat has none of that name.
getattr(modules[0], "ReplyOnPause", None)
print(
    json.dumps(
        {"media": 1000 * (media - began), "handler": 1000 * (time.process_time() - media)},
    )
)

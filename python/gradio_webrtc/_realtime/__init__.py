"""The OpenAI Realtime protocol, as services speak it: events, a connection, audio and tools.

Runs on the event loop. Imports neither handlers nor sessions nor Gradio.
"""

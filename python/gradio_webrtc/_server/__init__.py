"""Routes of a FastAPI app over which clients ask for sessions, without Gradio.

Runs on the event loop. Imports no handler and no Gradio.
"""

"""One client's session, from its offer to its end.

Imports no transport but its protocol, except in `signaling`, and no Gradio.
"""

"""Gradio's neighbours: the way from a page to its session and back.

Imports `_session` and what is below it. Modules that need no Gradio import none.
"""

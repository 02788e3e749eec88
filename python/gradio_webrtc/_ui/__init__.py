"""Gradio's neighbours: what stands between the page and a session."""

"""WebRTC through aiortc, and what is held in check of it."""

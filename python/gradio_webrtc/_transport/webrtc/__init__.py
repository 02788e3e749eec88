"""WebRTC through aiortc, with bounds on whatever a remote peer can cause.

Runs on the event loop. Imports neither sessions nor handlers; private names of aiortc are used in
`aiortc_internals` alone.
"""

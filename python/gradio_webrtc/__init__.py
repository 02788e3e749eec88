"""Real-time voice and video for Gradio over WebRTC."""

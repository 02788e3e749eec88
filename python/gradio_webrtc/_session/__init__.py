"""One client from its offer to its end. Knows no Gradio."""

"""A component in every place that Gradio has for one, and two with limits of their own."""

import gradio as gr
from echo import Echo

from gradio_webrtc import WebRTC


def call(name: str, limit: int = 1) -> WebRTC:
    """Make an echo that the test finds by its name."""
    made = WebRTC(label=name, elem_id=name, mode="send-receive", modality="audio")
    made.stream(Echo(), inputs=[made], outputs=[made], concurrency_limit=limit)
    return made


with gr.Blocks(title="Places") as demo:
    with gr.Row():
        call("one", limit=1)
        call("two", limit=2)
    with gr.Tab("First"):
        gr.Markdown("Nothing here.")
    with gr.Tab("Second"):
        call("tab")
    with gr.Row(visible=False) as row:
        call("row")
    show = gr.Button("Show the row")
    show.click(lambda: gr.Row(visible=True), outputs=row)
    count = gr.Slider(label="Rendered", minimum=0, maximum=2, step=1, value=0)

    @gr.render(inputs=count)  # type: ignore[untyped-decorator]  # Gradio's
    def rendered(count: int) -> None:
        """Render as many components as the slider is set to."""
        for number in range(count):
            call(f"rendered-{number}")


demo.queue(default_concurrency_limit=3)

if __name__ == "__main__":
    demo.launch()

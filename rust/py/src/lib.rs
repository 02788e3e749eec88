//! Registration of `gradio_webrtc._core`; no logic.

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _core {}

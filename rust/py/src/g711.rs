//! G.711 for Python.

use gradio_webrtc_core::{Law, reserve};
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::array::{detach_if_long, int16, planes, with_bytes};
use crate::error::{IntoPyResult, audio_error};

/// See [`Law::decode_all`].
#[pyfunction]
#[pyo3(signature = (codes, law="mulaw"))]
pub fn decode_g711<'py>(
    py: Python<'py>,
    codes: &Bound<'py, PyAny>,
    law: &str,
) -> PyResult<Bound<'py, PyArray2<i16>>> {
    let law = law_of(law)?;
    let mut samples = Vec::new();
    with_bytes(py, codes, |codes| {
        reserve(&mut samples, codes.len()).into_py_result()?;
        detach_if_long(py, codes.len(), || law.decode_all(codes, &mut samples));
        Ok(())
    })?;
    planes(py, samples, 1)
}

/// See [`Law::encode_all`].
#[pyfunction]
#[pyo3(signature = (samples, law="mulaw"))]
pub fn encode_g711<'py>(
    py: Python<'py>,
    samples: &Bound<'py, PyAny>,
    law: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let law = law_of(law)?;
    let samples = int16(samples, 1)?;
    let samples = samples.plane(0)?;
    let mut codes = Vec::new();
    reserve(&mut codes, samples.len()).into_py_result()?;
    detach_if_long(py, samples.len(), || law.encode_all(samples, &mut codes));
    Ok(PyBytes::new(py, &codes))
}

fn law_of(name: &str) -> PyResult<Law> {
    match name {
        "mulaw" => Ok(Law::Mu),
        "alaw" => Ok(Law::A),
        _ => Err(audio_error(format!(
            "expected the law 'mulaw' or 'alaw', got {name:?}"
        ))),
    }
}

//! `NetworkLink` for Python.

use std::time::Duration;

use gradio_webrtc_netem::{Conditions, Link, RateCap};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::exclusive_cell::{ExclusiveCell, Guard};

/// An hour, the longest time of [`Conditions`].
const MAX_MS: f64 = 3_600_000.0;

/// See [`Link`].
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct NetworkLink(ExclusiveCell<Link>);

#[pymethods]
impl NetworkLink {
    #[new]
    fn new(network: Network) -> PyResult<Self> {
        let seed = network.seed;
        let link = Link::new(network.into_conditions()?, seed).map_err(refused)?;
        Ok(Self(ExclusiveCell::new(link)))
    }

    fn set_network(&self, py: Python<'_>, network: Network) -> PyResult<()> {
        let conditions = network.into_conditions()?;
        self.lock(py)?.set_conditions(conditions).map_err(refused)
    }

    fn send(&self, py: Python<'_>, now_s: f64, packet: &[u8]) -> PyResult<()> {
        let now = seconds("now_s", now_s)?;
        self.lock(py)?.send(now, packet.to_vec());
        Ok(())
    }

    fn poll<'py>(&self, py: Python<'py>, now_s: f64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let now = seconds("now_s", now_s)?;
        let packet = self.lock(py)?.poll(now);
        Ok(packet.map(|packet| PyBytes::new(py, &packet)))
    }

    #[getter]
    fn deadline_s(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        // Rounded up to the next number: whoever polls at the deadline must not be a hair early.
        let deadline = self.lock(py)?.deadline();
        Ok(deadline.map(|deadline| deadline.as_secs_f64().next_up()))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.lock(py)?.stats();
        let counts = PyDict::new(py);
        for (name, count) in [
            ("sent", stats.sent),
            ("lost", stats.lost),
            ("blacked_out", stats.blacked_out),
            ("overflowed", stats.overflowed),
            ("reordered", stats.reordered),
            ("duplicated", stats.duplicated),
            ("corrupted", stats.corrupted),
            ("delivered", stats.delivered),
        ] {
            counts.set_item(name, count)?;
        }
        Ok(counts)
    }
}

impl NetworkLink {
    fn lock(&self, py: Python<'_>) -> PyResult<Guard<'_, Link>> {
        self.0.lock(py)
    }
}

/// The attributes of a Python object that describes a network.
#[derive(FromPyObject)]
struct Network {
    loss: f64,
    burst_loss: f64,
    burst_packets: f64,
    delay_ms: f64,
    jitter_ms: f64,
    keep_order: bool,
    reorder: f64,
    duplicate: f64,
    corrupt: f64,
    kbit_per_s: Option<f64>,
    queue_ms: f64,
    blackouts: Vec<(f64, f64)>,
    seed: u64,
}

impl Network {
    fn into_conditions(self) -> PyResult<Conditions> {
        let queue = milliseconds("queue_ms", self.queue_ms)?;
        let rate = self.kbit_per_s.map(|kbit_per_s| cap(kbit_per_s, queue));
        let blackouts = self.blackouts.into_iter().map(|(begin_s, end_s)| {
            Ok(seconds("blackouts", begin_s)?..seconds("blackouts", end_s)?)
        });
        Ok(Conditions {
            loss: self.loss,
            burst_loss: self.burst_loss,
            burst_packets: self.burst_packets,
            delay: milliseconds("delay_ms", self.delay_ms)?,
            jitter: milliseconds("jitter_ms", self.jitter_ms)?,
            keeps_order: self.keep_order,
            reorder: self.reorder,
            duplicate: self.duplicate,
            corrupt: self.corrupt,
            rate: rate.transpose()?,
            blackouts: blackouts.collect::<PyResult<_>>()?,
        })
    }
}

/// Also bounds the number, in the words of Python's names; the core checks what it is given again.
fn cap(kbit_per_s: f64, queue: Duration) -> PyResult<RateCap> {
    if !(0.001..f64::INFINITY).contains(&kbit_per_s) {
        return Err(wrong("kbit_per_s", "of 0.001 or more", kbit_per_s));
    }
    let bits_per_s = 1_000.0 * kbit_per_s;
    Ok(RateCap { bits_per_s, queue })
}

fn milliseconds(name: &str, value: f64) -> PyResult<Duration> {
    if !(0.0..=MAX_MS).contains(&value) {
        return Err(wrong(name, "from 0 to 3600000", value));
    }
    seconds(name, value / 1_000.0)
}

fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| wrong(name, "of 0 or more", value))
}

fn wrong(name: &str, expected: &str, value: f64) -> PyErr {
    PyValueError::new_err(format!("expected {name} {expected}, got {value}"))
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(error: gradio_webrtc_netem::ConditionError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

//! The thread that owns the sockets of sessions, for Python.
//!
//! The thread never waits for the interpreter: what is for Python waits in a mailbox, whose doorbell
//! wakes an event loop.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gradio_webrtc_media::Reception;
use gradio_webrtc_plane::{Clock, Endpoint, EndpointId, Mailbox, Plane, SocketId};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::array::{row, with_bytes};
use crate::error::since;
use crate::secure::{Receiver, SecureReceiver};

/// Audio that may wait in a mailbox, in samples of all channels: five seconds in stereo. What comes
/// while there is so much is dropped.
const MAX_WAITING: usize = 5 * 2 * 48_000;

/// What an endpoint has for its session.
pub struct Delivery {
    endpoint: u64,
    audio: Option<Audio>,
}

struct Audio {
    channels: usize,
    samples: Vec<i16>,
    waiting: Arc<AtomicUsize>,
}

/// Where the audio of a receiver goes.
pub struct Outlet {
    endpoint: u64,
    mailbox: Arc<Mailbox<Delivery>>,
    waiting: Arc<AtomicUsize>,
}

impl Outlet {
    fn push(&self, channels: usize, samples: &[i16]) {
        if self.waiting.load(Ordering::Relaxed) + samples.len() > MAX_WAITING {
            return;
        }
        self.waiting.fetch_add(samples.len(), Ordering::Relaxed);
        self.mailbox.push(Delivery {
            endpoint: self.endpoint,
            audio: Some(Audio {
                channels,
                samples: samples.to_vec(),
                waiting: Arc::clone(&self.waiting),
            }),
        });
    }
}

impl Endpoint for Receiver {
    fn receive(&mut self, now: Duration, datagram: &mut [u8]) -> bool {
        self.secure.receive(now, datagram) != Reception::Foreign
    }

    fn advance(&mut self, now: Duration) {
        self.is_ahead = false;
        let receiver = self.secure.audio_mut();
        let is_late = receiver.deadline().is_some_and(|deadline| deadline <= now);
        if !receiver.is_due() && !is_late {
            return;
        }
        self.audio.clear();
        receiver.take(now, &mut self.audio);
        // Until the session has heard this, it may need the next packet at once.
        receiver.set_allowance(0);
        if let Some(outlet) = &self.outlet
            && !self.audio.is_empty()
        {
            outlet.push(receiver.channels(), &self.audio);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        if self.is_ahead {
            return Some(Duration::ZERO);
        }
        self.secure.audio().deadline()
    }
}

/// See [`Mailbox`].
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct MediaMailbox(Arc<Mailbox<Delivery>>);

#[pymethods]
impl MediaMailbox {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self(Arc::new(Mailbox::new()?)))
    }

    fn open_doorbell(&self) -> PyResult<i32> {
        Ok(self.0.doorbell()?.into_raw_fd())
    }

    fn take<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        let mail = self.0.take();
        let (datagrams, deliveries) = (PyList::empty(py), PyList::empty(py));
        for letter in mail.datagrams {
            let source = (letter.source.ip().to_string(), letter.source.port());
            let bytes = PyBytes::new(py, &letter.bytes);
            datagrams.append((letter.socket.number(), bytes, source))?;
        }
        for delivery in mail.items {
            let Some(audio) = delivery.audio else {
                deliveries.append((delivery.endpoint, py.None(), 0))?;
                continue;
            };
            audio
                .waiting
                .fetch_sub(audio.samples.len(), Ordering::Relaxed);
            let samples = row(py, &audio.samples)?;
            deliveries.append((delivery.endpoint, samples, audio.channels))?;
        }
        Ok((datagrams, deliveries))
    }
}

/// See [`Plane`].
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct MediaPlane(Arc<Plane>);

#[pymethods]
impl MediaPlane {
    #[new]
    fn new(now_s: f64) -> PyResult<Self> {
        let clock = Clock::showing(since(now_s)?);
        Ok(Self(Arc::new(Plane::new(clock)?)))
    }

    fn bind(
        &self,
        host: &str,
        port: u16,
        receive_buffer_bytes: usize,
        mailbox: &MediaMailbox,
    ) -> PyResult<MediaSocket> {
        let address = address_of(host, port)?;
        let (id, address) = self.0.bind(address, receive_buffer_bytes, &mailbox.0)?;
        Ok(MediaSocket {
            plane: Arc::clone(&self.0),
            id,
            address,
        })
    }

    fn attach(
        &self,
        py: Python<'_>,
        receiver: &SecureReceiver,
        mailbox: &MediaMailbox,
        endpoint: u64,
    ) -> PyResult<MediaEndpoint> {
        let outlet = Outlet {
            endpoint,
            mailbox: Arc::clone(&mailbox.0),
            waiting: Arc::default(),
        };
        receiver.lock(py)?.outlet = Some(outlet);
        let failures = Arc::clone(&mailbox.0);
        let shared: Arc<Mutex<dyn Endpoint>> = receiver.shared();
        let id = self.0.attach(shared, move |_| {
            failures.push(Delivery {
                endpoint,
                audio: None,
            });
        });
        Ok(MediaEndpoint {
            plane: Arc::clone(&self.0),
            id,
            is_open: AtomicBool::new(true),
        })
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

/// A socket of a plane.
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct MediaSocket {
    plane: Arc<Plane>,
    id: SocketId,
    address: SocketAddr,
}

#[pymethods]
impl MediaSocket {
    #[getter]
    fn number(&self) -> usize {
        self.id.number()
    }

    #[getter]
    fn address(&self) -> (String, u16) {
        (self.address.ip().to_string(), self.address.port())
    }

    fn send(
        &self,
        py: Python<'_>,
        datagram: &Bound<'_, PyAny>,
        host: &str,
        port: u16,
    ) -> PyResult<()> {
        let to = address_of(host, port)?;
        with_bytes(py, datagram, |bytes| {
            Ok(self.plane.send(self.id, bytes, to)?)
        })
    }

    fn close(&self) {
        self.plane.unbind(self.id);
    }
}

/// An endpoint of a plane.
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct MediaEndpoint {
    plane: Arc<Plane>,
    id: EndpointId,
    is_open: AtomicBool,
}

#[pymethods]
impl MediaEndpoint {
    fn admit(&self, socket: &MediaSocket, host: &str, port: u16) -> PyResult<()> {
        let source = address_of(host, port)?;
        self.plane.admit(self.id, socket.id, source);
        Ok(())
    }

    fn wake(&self) {
        self.plane.wake(self.id);
    }

    fn close(&self) {
        if self.is_open.swap(false, Ordering::Relaxed) {
            self.plane.detach(self.id);
        }
    }
}

fn address_of(host: &str, port: u16) -> PyResult<SocketAddr> {
    let ip: IpAddr = host.parse().map_err(|_| {
        let error = io::Error::from(io::ErrorKind::InvalidInput);
        PyOSError::new_err(format!(
            "expected an address of IPv4 or IPv6, got {host:?}: {error}"
        ))
    })?;
    Ok(SocketAddr::new(ip, port))
}

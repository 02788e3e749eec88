//! The thread that owns the sockets of sessions, for Python.
//!
//! The thread never waits for the interpreter: what is for Python waits in a mailbox, whose doorbell
//! wakes an event loop.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gradio_webrtc_core as core;
use gradio_webrtc_media::{self as media, Reception};
use gradio_webrtc_plane::{Clock, Endpoint, EndpointId, Mailbox, Plane, SocketId};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::array::{row, with_bytes};
use crate::error::{os_error, since};
use crate::inbound_turns::for_python;
use crate::outbound::OutboundAudio;
use crate::secure::{Receiver, SecureReceiver};
use crate::secure_sender::{Packet, SecureSender, Wake};

/// Audio that may wait in a mailbox, in seconds. What comes while there is so much is dropped.
const MAX_WAITING_S: usize = 5;

/// Audio that turns are detected in while an event waits in a mailbox, in seconds: what comes then
/// passes without detection. An event loop that is slow for a while misses no end of a turn, and
/// one that is dead costs no more memory than this audio does, and the turn before it.
const MAX_UNTAKEN_S: u64 = 10;

/// Samples of all channels for which a receiver keeps memory: 100 ms in stereo, more than comes as
/// a rule.
const MAX_KEPT_SAMPLES: usize = 2 * 4_800;

/// Silence that is detected in, in the place of audio that does not come.
static SILENCE: [i16; MAX_KEPT_SAMPLES] = [0; MAX_KEPT_SAMPLES];

/// What an endpoint has for its session.
pub struct Delivery {
    pub endpoint: u64,
    pub content: Content,
}

/// The kinds of that.
pub enum Content {
    /// Audio, interleaved.
    Audio {
        rate_hz: u32,
        channels: usize,
        samples: Vec<i16>,
    },
    /// What was detected in audio that the session does not need itself; and what shows that it waits.
    Detected(
        Result<Vec<core::DetectedEvent>, core::AudioError>,
        #[allow(dead_code, reason = "it counts")] Arc<()>,
    ),
    /// A packet that the event loop has to send.
    Packet(Packet),
    /// Audio has left a queue: whoever waits for that may go on. The delay of a reply, in seconds, if
    /// its first frame was among it.
    Sent(Option<f64>),
    /// The endpoint panicked, and receives and sends no more.
    Failed,
}

/// Where the audio of a receiver goes: to its session, or to the detector of turns alone.
pub struct Outlet {
    endpoint: u64,
    mailbox: Arc<Mailbox<Delivery>>,
    /// Samples of all channels that were delivered, and not processed yet.
    waiting: usize,
    turns: Option<Arc<Mutex<core::InboundTurns>>>,
    /// Shared with each detection that waits in the mailbox.
    untaken: Arc<()>,
    /// Samples per channel behind the oldest of them.
    behind: u64,
    /// The epoch of the turns when audio was last taken.
    epoch: u64,
    /// True if a turn was open behind the audio that was taken last.
    is_open: bool,
    stall: media::StallTimer,
}

impl Outlet {
    /// Notes that so many samples were processed.
    pub fn delivered(&mut self, samples: usize) {
        self.waiting = self.waiting.saturating_sub(samples);
    }

    /// True while delivered audio was not processed yet, and where turns are detected in its place.
    pub fn is_delivering(&self) -> bool {
        self.waiting > 0 || self.turns.is_some()
    }

    /// Has turns detected from now on, in place of delivering audio; false while some is under way.
    /// A turn that is open already may have had its last packet: see [`Self::watch`].
    pub fn feed(&mut self, turns: Arc<Mutex<core::InboundTurns>>) -> bool {
        if self.waiting > 0 {
            return false;
        }
        let shared = turns.lock().unwrap_or_else(PoisonError::into_inner);
        (self.epoch, self.is_open) = (shared.epoch(), shared.is_open());
        drop(shared);
        self.turns = Some(turns);
        true
    }

    /// Has the timer run while a turn is open that the last packet of a client may have left so.
    pub fn watch(&mut self, last_packet: Option<Duration>) {
        self.stall.watch(self.is_open, last_packet);
    }

    /// Has silence detected in, in the place of audio that did not come, until no turn is open;
    /// returns what [`Self::take`] does.
    fn end_turn(&mut self, rate_hz: u32, channels: usize) -> u32 {
        let Some(turns) = self.turns.clone() else {
            return 0;
        };
        let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
        let stalled_s = usize::try_from(media::MAX_STALL.as_secs()).unwrap_or(0);
        let mut left = stalled_s * rate_hz as usize * channels;
        while turns.is_open() && left > 0 {
            let piece = left.min(SILENCE.len());
            self.detect(&mut turns, rate_hz, channels, &SILENCE[..piece]);
            left -= piece;
        }
        turns.batch_allowance(48_000)
    }

    /// Sets how much may stay undecoded in a receiver: the turns alone decide.
    ///
    /// Where a new epoch has begun, what is kept there belongs to the one before, and passes.
    fn set_gate(&mut self, receiver: &mut media::AudioReceiver, audio: &mut Vec<i16>) {
        let Some(turns) = &self.turns else { return };
        let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.epoch() != self.epoch {
            self.epoch = turns.epoch();
            audio.clear();
            receiver.take_kept(audio);
            if !audio.is_empty() {
                let channels = u16::try_from(receiver.channels()).unwrap_or(u16::MAX);
                // As in `detect`: there is nobody for an error.
                let _ = turns.pass_over(receiver.rate_hz(), channels, audio);
            }
        }
        let terms = turns.quiet_terms(receiver.rate_hz());
        let scale = 48_000 / receiver.rate_hz();
        receiver.set_gate(terms.map(|terms| media::GateTerms {
            pre_roll: terms.pre_roll * scale,
            step: terms.step * scale,
        }));
    }

    /// Lets so many samples per channel pass, which stayed undecoded.
    fn pass(&mut self, rate_hz: u32, samples: u64) {
        let Some(turns) = &self.turns else { return };
        let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = turns.pass_quiet(rate_hz, samples) {
            drop(turns);
            self.push(Content::Detected(Err(error), Arc::clone(&self.untaken)));
        }
    }

    /// Takes audio; returns how much of the coming audio may wait, in samples at 48 kHz.
    fn take(&mut self, rate_hz: u32, channels: usize, samples: &[i16]) -> u32 {
        if let Some(turns) = self.turns.clone() {
            // A lock that is poisoned has panicked in the interpreter's thread, which has the error.
            let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
            return self.detect(&mut turns, rate_hz, channels, samples);
        }
        if self.waiting + samples.len() <= MAX_WAITING_S * rate_hz as usize * channels {
            self.waiting += samples.len();
            self.push(Content::Audio {
                rate_hz,
                channels,
                samples: samples.to_vec(),
            });
        }
        // Until the session has processed this, it may need the next packet at once.
        0
    }

    fn detect(
        &mut self,
        turns: &mut core::InboundTurns,
        rate_hz: u32,
        channels: usize,
        samples: &[i16],
    ) -> u32 {
        let is_taken = Arc::strong_count(&self.untaken) == 1;
        let count = (samples.len() / channels) as u64;
        self.behind = if is_taken { 0 } else { self.behind + count };
        let channels = u16::try_from(channels).unwrap_or(u16::MAX);
        if self.behind > MAX_UNTAKEN_S * u64::from(rate_hz) {
            // Should it be refused, it is dropped all the same: an error would wait for nobody, too.
            let _ = turns.pass_over(rate_hz, channels, samples);
            self.is_open = false;
            return 0;
        }
        // Much comes at once where a silence ends. In pieces it leaves no large buffers behind.
        for piece in samples.chunks(MAX_KEPT_SAMPLES) {
            let mut detected = turns.process(rate_hz, channels, piece);
            while detected.as_ref().is_ok_and(|events| !events.is_empty()) {
                self.push(Content::Detected(detected, Arc::clone(&self.untaken)));
                detected = turns.proceed();
            }
            if detected.is_err() {
                self.push(Content::Detected(detected, Arc::clone(&self.untaken)));
            }
        }
        self.is_open = turns.is_open();
        turns.batch_allowance(48_000)
    }

    fn push(&self, content: Content) {
        self.mailbox.push(Delivery {
            endpoint: self.endpoint,
            content,
        });
    }
}

impl Endpoint for Receiver {
    fn receive(&mut self, now: Duration, datagram: &mut [u8]) -> bool {
        self.secure.receive(now, datagram) != Reception::Foreign
    }

    fn advance(&mut self, now: Duration) {
        self.is_ahead = false;
        let Self {
            secure,
            audio,
            outlet: Some(outlet),
            ..
        } = self
        else {
            return;
        };
        let receiver = secure.audio_mut();
        let is_late = receiver.deadline().is_some_and(|deadline| deadline <= now);
        let has_stalled = outlet.stall.has_stalled(now, receiver.last_packet());
        if !receiver.is_due() && !is_late && !has_stalled {
            return;
        }
        outlet.set_gate(receiver, audio);
        audio.clear();
        receiver.take(now, audio);
        let passed = receiver.take_passed();
        if passed > 0 {
            outlet.pass(receiver.rate_hz(), passed);
        }
        if !audio.is_empty() {
            let (rate_hz, channels) = (receiver.rate_hz(), receiver.channels());
            let allowance = outlet.take(rate_hz, channels, audio);
            receiver.set_allowance(allowance);
            audio.clear();
            audio.shrink_to(MAX_KEPT_SAMPLES);
        }
        if has_stalled {
            // Behind the packets that have waited to be decoded.
            let allowance = outlet.end_turn(receiver.rate_hz(), receiver.channels());
            receiver.set_allowance(allowance);
        }
        outlet.watch(receiver.last_packet());
    }

    fn deadline(&self) -> Option<Duration> {
        if self.is_ahead {
            return Some(Duration::ZERO);
        }
        let stall = self.outlet.as_ref().and_then(|it| it.stall.deadline());
        let hole = self.secure.audio().deadline();
        stall.into_iter().chain(hole).min()
    }
}

/// See [`Mailbox`].
#[pyclass(frozen, module = "gradio_webrtc._core.plane")]
pub struct MediaMailbox(Arc<Mailbox<Delivery>>);

#[pymethods]
impl MediaMailbox {
    #[new]
    fn new() -> PyResult<Self> {
        let mailbox = Mailbox::new().map_err(os_error)?;
        Ok(Self(Arc::new(mailbox)))
    }

    fn open_doorbell(&self) -> PyResult<i32> {
        Ok(self.0.doorbell().map_err(os_error)?.into_raw_fd())
    }

    fn close(&self) {
        self.0.close();
    }

    fn take<'py>(
        &self,
        py: Python<'py>,
        most_datagrams: usize,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        let mail = self.0.take_some(most_datagrams);
        let (datagrams, deliveries) = (PyList::empty(py), PyList::empty(py));
        for letter in mail.datagrams {
            let source = (letter.source.ip().to_string(), letter.source.port());
            let bytes = PyBytes::new(py, &letter.bytes);
            datagrams.append((letter.socket.number(), bytes, source))?;
        }
        for Delivery { endpoint, content } in mail.items {
            match content {
                Content::Audio {
                    rate_hz,
                    channels,
                    samples,
                } => {
                    let samples = row(py, &samples)?;
                    deliveries.append((endpoint, (rate_hz, channels, samples)))?;
                }
                Content::Detected(detected, _) => {
                    // An error is an item of its own: it must not take the others with it.
                    let detected = match for_python(detected) {
                        Ok(events) => PyList::new(py, events)?.into_any(),
                        Err(error) => error.into_value(py).into_bound(py).into_any(),
                    };
                    deliveries.append((endpoint, detected))?;
                }
                Content::Packet(packet) => {
                    let bytes = PyBytes::new(py, &packet.bytes);
                    deliveries.append((endpoint, bytes))?;
                }
                Content::Sent(reply_delay_s) => {
                    deliveries.append((endpoint, (reply_delay_s,)))?;
                }
                Content::Failed => deliveries.append((endpoint, py.None()))?,
            }
        }
        Ok((datagrams, deliveries))
    }
}

/// See [`Plane`].
#[pyclass(frozen, module = "gradio_webrtc._core.plane")]
pub struct MediaPlane(Arc<Plane>);

#[pymethods]
impl MediaPlane {
    #[new]
    fn new(now_s: f64) -> PyResult<Self> {
        let clock = Clock::showing(since(now_s)?);
        let plane = Plane::new(clock).map_err(os_error)?;
        Ok(Self(Arc::new(plane)))
    }

    fn bind(
        &self,
        host: &str,
        port: u16,
        receive_buffer_bytes: usize,
        mailbox: &MediaMailbox,
    ) -> PyResult<MediaSocket> {
        let address = address_of(host, port)?;
        let bound = self.0.bind(address, receive_buffer_bytes, &mailbox.0);
        let (id, address) = bound.map_err(os_error)?;
        Ok(MediaSocket {
            plane: Arc::clone(&self.0),
            id,
            address,
        })
    }

    fn attach(
        &self,
        receiver: &SecureReceiver,
        mailbox: &MediaMailbox,
        endpoint: u64,
    ) -> PyResult<MediaEndpoint> {
        let outlet = Outlet {
            endpoint,
            mailbox: Arc::clone(&mailbox.0),
            waiting: 0,
            turns: None,
            untaken: Arc::new(()),
            behind: 0,
            epoch: 0,
            is_open: false,
            stall: media::StallTimer::default(),
        };
        receiver.lock()?.outlet = Some(outlet);
        Ok(self.add(receiver.shared(), mailbox, endpoint))
    }

    fn attach_sender(
        &self,
        sender: &SecureSender,
        queue: &OutboundAudio,
        mailbox: &MediaMailbox,
        endpoint: u64,
    ) -> PyResult<MediaEndpoint> {
        let (shared, flags) = sender.attached(endpoint, &mailbox.0)?;
        let attached = self.add(shared, mailbox, endpoint);
        queue.wake_by(Wake {
            plane: Arc::clone(&self.0),
            id: attached.id,
            flags,
        })?;
        Ok(attached)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

impl MediaPlane {
    fn add(
        &self,
        shared: Arc<Mutex<dyn Endpoint>>,
        mailbox: &MediaMailbox,
        endpoint: u64,
    ) -> MediaEndpoint {
        let failures = Arc::clone(&mailbox.0);
        let id = self.0.attach(shared, move |_| {
            failures.push(Delivery {
                endpoint,
                content: Content::Failed,
            });
        });
        MediaEndpoint {
            plane: Arc::clone(&self.0),
            id,
            is_open: AtomicBool::new(true),
        }
    }
}

/// A socket of a plane.
#[pyclass(frozen, module = "gradio_webrtc._core.plane")]
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

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.plane.socket_stats(self.id).unwrap_or_default();
        let refused = stats.refused_protocol
            + stats.refused_short
            + stats.refused_long
            + stats.refused_rate
            + stats.refused_mailbox;
        let counts = PyDict::new(py);
        counts.set_item("received", stats.received)?;
        counts.set_item("media", stats.media)?;
        counts.set_item("mailed", stats.mailed)?;
        counts.set_item("refused", refused)?;
        counts.set_item("sent", stats.sent)?;
        counts.set_item("send_blocked", stats.send_blocked)?;
        Ok(counts)
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
            self.plane.send(self.id, bytes, to).map_err(os_error)
        })
    }

    fn close(&self) {
        self.plane.unbind(self.id);
    }
}

impl MediaSocket {
    pub fn plane(&self) -> Arc<Plane> {
        Arc::clone(&self.plane)
    }

    pub fn id(&self) -> SocketId {
        self.id
    }
}

/// An endpoint of a plane.
#[pyclass(frozen, module = "gradio_webrtc._core.plane")]
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

impl Drop for MediaEndpoint {
    /// A session that was never closed, on an event loop that is, leaves nothing in the plane.
    fn drop(&mut self) {
        self.close();
    }
}

pub fn address_of(host: &str, port: u16) -> PyResult<SocketAddr> {
    let ip: IpAddr = host.parse().map_err(|_| {
        let error = io::Error::from(io::ErrorKind::InvalidInput);
        PyOSError::new_err(format!(
            "expected an address of IPv4 or IPv6, got {host:?}: {error}"
        ))
    })?;
    Ok(SocketAddr::new(ip, port))
}

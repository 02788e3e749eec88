//! `SecureSender` for Python: outbound audio that the thread of the plane sends.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gradio_webrtc_media as media;
use gradio_webrtc_plane::{Endpoint, EndpointId, Mailbox, Plane, SocketId};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::array::with_bytes;
use crate::error::{audio_error, since};
use crate::exclusive_cell::lock_attached;
use crate::outbound::OutboundAudio;
use crate::plane::{Content, Delivery, MediaSocket, address_of};
use crate::secure::{Receiver, SecureReceiver, with_keys};

/// The room, in samples per channel, from which on a producer that waited goes on: a quarter of a
/// second. Less would wake it for each packet.
const ROOM_SAMPLES: usize = 12_000;

/// Packets that wait for the event loop to send them, half a second; newer ones are lost.
const MAX_PACKETS: usize = 25;

/// What both sides read without the lock, which the thread holds while it encodes.
#[derive(Default)]
pub struct Flags {
    /// Nothing is sent until the thread is woken.
    is_idle: AtomicBool,
    needs_room: AtomicBool,
    needs_drained: AtomicBool,
}

/// Wakes the thread for a queue that has changed.
pub struct Wake {
    pub plane: Arc<Plane>,
    pub id: EndpointId,
    pub flags: Arc<Flags>,
}

impl Wake {
    /// Call it after each change of the queue. While frames are due anyway the thread sees it then.
    pub fn changed(&self) {
        if self.flags.is_idle.load(Ordering::SeqCst) {
            self.plane.wake(self.id);
        }
    }
}

/// The socket from which packets are sent, and the remote peer's address.
struct Route {
    plane: Arc<Plane>,
    socket: SocketId,
    to: SocketAddr,
}

/// A packet for the event loop to send, counted while it exists.
pub struct Packet {
    pub bytes: Vec<u8>,
    waiting: Arc<AtomicUsize>,
}

impl Drop for Packet {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where packets go, and notes about them.
struct Outlet {
    endpoint: u64,
    mailbox: Arc<Mailbox<Delivery>>,
    /// `None` where the event loop has to send, as by a relay.
    route: Option<Route>,
    waiting: Arc<AtomicUsize>,
}

impl Outlet {
    fn send(&self, packet: &[u8]) {
        if let Some(Route { plane, socket, to }) = &self.route {
            // An error is a lost packet: a network that is gone ends the session by its silence.
            let _ = plane.send(*socket, packet, *to);
        } else if self.waiting.fetch_add(1, Ordering::Relaxed) < MAX_PACKETS {
            self.push(Content::Packet(Packet {
                bytes: packet.to_vec(),
                waiting: Arc::clone(&self.waiting),
            }));
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn push(&self, content: Content) {
        self.mailbox.push(Delivery {
            endpoint: self.endpoint,
            content,
        });
    }
}

/// What the reports of a session are made of, and have brought.
struct Reports {
    /// Of the stream that comes. The thread locks it with the sender locked, and never the other way
    /// round.
    receiver: Arc<Mutex<Receiver>>,
    /// The time between the beginning of 1900 and that of the plane's clock.
    clock_start: Duration,
    round_trip: Option<Duration>,
}

/// A sender, and where its packets go.
pub struct Sender {
    audio: media::AudioSender,
    flags: Arc<Flags>,
    outlet: Option<Outlet>,
    /// `None` where aiortc reports.
    reports: Option<Reports>,
}

impl Sender {
    /// Notes what left the queue, for whoever waits for that.
    fn note(&self, outlet: &Outlet, sent: media::Sent) {
        let has_room = sent.frames > 0
            && self.flags.needs_room.load(Ordering::SeqCst)
            && (sent.is_drained || self.audio.queue().room(48_000) >= ROOM_SAMPLES)
            && self.flags.needs_room.swap(false, Ordering::SeqCst);
        let is_drained = sent.is_drained && self.flags.needs_drained.swap(false, Ordering::SeqCst);
        if has_room || is_drained || sent.reply_delay.is_some() {
            let reply_delay_s = sent.reply_delay.map(|delay| delay.as_secs_f64());
            outlet.push(Content::Sent(reply_delay_s));
        }
    }

    /// Adapts to the newest report of the remote peer, and sends our own where it is due.
    fn exchange_reports(&mut self, now: Duration) {
        let Self {
            audio,
            outlet: Some(outlet),
            reports: Some(reports),
            ..
        } = self
        else {
            return;
        };
        let is_due = audio.report_deadline().is_some_and(|due| now >= due);
        let (received, remote) = {
            // Should it have panicked, its numbers are reported all the same.
            let lock = reports.receiver.lock();
            let secure = &mut lock.unwrap_or_else(PoisonError::into_inner).secure;
            let received = if is_due { secure.report(now) } else { None };
            let remote = secure.take_remote_report();
            (received, remote.map(|remote| (remote, secure.path())))
        };
        if let Some((remote, (jitter, late))) = remote {
            audio.report_remote(&remote, jitter, late);
            // A report without a round trip leaves the one before.
            reports.round_trip = remote.round_trip.or(reports.round_trip);
        }
        if is_due {
            let ntp_time = media::NtpTime::at(now, reports.clock_start);
            // One that is not encrypted is a report less.
            let _ = audio.send_report(now, ntp_time, received, |packet| outlet.send(packet));
        }
    }
}

impl Endpoint for Sender {
    fn receive(&mut self, _: Duration, _: &mut [u8]) -> bool {
        false
    }

    fn advance(&mut self, now: Duration) {
        self.exchange_reports(now);
        let Some(outlet) = &self.outlet else { return };
        // A frame that failed is counted, and the next deadline comes.
        if let Ok(sent) = self.audio.poll(now, |packet| outlet.send(packet)) {
            self.note(outlet, sent);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        // Before the queue is seen: what is pushed after that finds it set, and wakes the thread.
        self.flags.is_idle.store(true, Ordering::SeqCst);
        let deadline = self.audio.deadline();
        if deadline.is_some() {
            self.flags.is_idle.store(false, Ordering::SeqCst);
        }
        deadline
            .into_iter()
            .chain(self.audio.report_deadline())
            .min()
    }
}

/// See [`media::AudioSender`].
///
/// Shared with the thread that owns the sockets, which never waits for the interpreter.
#[pyclass(frozen, module = "gradio_webrtc._core.media")]
pub struct SecureSender {
    sender: Arc<Mutex<Sender>>,
    flags: Arc<Flags>,
}

#[pymethods]
impl SecureSender {
    #[new]
    #[pyo3(signature = (
        queue, profile, key, salt, *, ssrc, payload_type, sequence_number, timestamp,
        mid=None, mid_id=None, audio_level_id=None, has_nack=false, red_payload_type=None,
    ))]
    #[allow(clippy::too_many_arguments)] // what was negotiated
    fn new(
        py: Python<'_>,
        queue: &OutboundAudio,
        profile: &str,
        key: &Bound<'_, PyAny>,
        salt: &Bound<'_, PyAny>,
        ssrc: u32,
        payload_type: u8,
        sequence_number: u16,
        timestamp: u32,
        mid: Option<String>,
        mid_id: Option<u8>,
        audio_level_id: Option<u8>,
        has_nack: bool,
        red_payload_type: Option<u8>,
    ) -> PyResult<Self> {
        let srtp = with_keys(py, profile, key, salt, media::SrtpSender::new)?;
        let terms = media::SenderTerms {
            ssrc,
            payload_type,
            red_payload_type,
            extension_ids: media::ExtensionIds {
                audio_level: audio_level_id,
                mid: mid_id,
                transport_sequence_number: None,
            },
            mid,
            sequence_number,
            timestamp,
            has_nack,
        };
        let audio = media::AudioSender::new(terms, srtp, queue.shared())
            .map_err(|error| audio_error(error.to_string()))?;
        let flags = Arc::new(Flags::default());
        let sender = Sender {
            audio,
            flags: Arc::clone(&flags),
            outlet: None,
            reports: None,
        };
        Ok(Self {
            sender: Arc::new(Mutex::new(sender)),
            flags,
        })
    }

    fn send_from(&self, socket: &MediaSocket, host: &str, port: u16) -> PyResult<()> {
        let route = Route {
            plane: socket.plane(),
            socket: socket.id(),
            to: address_of(host, port)?,
        };
        self.set_route(Some(route))
    }

    fn send_by_loop(&self) -> PyResult<()> {
        self.set_route(None)
    }

    fn notify_room(&self) {
        self.flags.needs_room.store(true, Ordering::SeqCst);
    }

    fn notify_drained(&self) {
        self.flags.needs_drained.store(true, Ordering::SeqCst);
    }

    fn expect_reply(&self, now_s: f64) -> PyResult<()> {
        let now = since(now_s)?;
        self.lock()?.audio.expect_reply(now);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // as in the block
    fn report(
        &self,
        now_s: f64,
        ntp_time: u64,
        fraction_lost: u8,
        highest_sequence_number: u32,
        jitter: u32,
        last_sender_report: u32,
        delay_since_report: u32,
    ) -> PyResult<()> {
        let now = since(now_s)?;
        let block = media::ReportBlock {
            fraction_lost,
            highest_sequence_number,
            jitter,
            last_sender_report,
            delay_since_report,
            ..media::ReportBlock::default()
        };
        let audio = &mut self.lock()?.audio;
        audio.report_block(now, media::NtpTime(ntp_time), &block);
        Ok(())
    }

    fn nack(&self, now_s: f64, lost: Vec<u16>) -> PyResult<u64> {
        let now = since(now_s)?;
        let mut guard = self.lock()?;
        let Sender { audio, outlet, .. } = &mut *guard;
        let Some(outlet) = outlet else { return Ok(0) };
        Ok(audio.nack(now, lost, |packet| outlet.send(packet)))
    }

    fn sender_info(&self, now_s: f64, ntp_time: u64) -> PyResult<Option<(u32, u32, u32)>> {
        let now = since(now_s)?;
        let ntp_time = media::NtpTime(ntp_time);
        let info = self.lock()?.audio.sender_info(now, ntp_time);
        Ok(info.map(|info| (info.rtp_timestamp, info.packets, info.payload_bytes)))
    }

    fn start_reports(
        &self,
        now_s: f64,
        ntp_time: u64,
        receiver: &SecureReceiver,
        name: String,
    ) -> PyResult<()> {
        let now = since(now_s)?;
        let clock_start = media::NtpTime(ntp_time).since_1900().saturating_sub(now);
        let ssrc = {
            let mut sender = self.lock()?;
            let started = sender.audio.start_reports(now, name);
            started.map_err(|error| audio_error(error.to_string()))?;
            sender.reports = Some(Reports {
                receiver: receiver.shared(),
                clock_start,
                round_trip: None,
            });
            sender.audio.ssrc()
        };
        receiver.lock()?.secure.start_reports(ssrc, clock_start);
        Ok(())
    }

    fn send_rtcp(&self, py: Python<'_>, packet: &Bound<'_, PyAny>) -> PyResult<()> {
        let packet = with_bytes(py, packet, |bytes| Ok(bytes.to_vec()))?;
        let mut guard = self.lock()?;
        let Sender { audio, outlet, .. } = &mut *guard;
        let Some(outlet) = outlet else { return Ok(()) };
        let sent = audio.send_rtcp(packet, |packet| outlet.send(packet));
        sent.map_err(|error| audio_error(error.to_string()))
    }

    #[getter]
    fn round_trip_s(&self) -> PyResult<Option<f64>> {
        let sender = self.lock()?;
        let trip = sender.reports.as_ref().and_then(|it| it.round_trip);
        Ok(trip.map(|trip| trip.as_secs_f64()))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.lock()?.audio.stats();
        let counts = PyDict::new(py);
        counts.set_item("packets_sent", stats.packets_sent)?;
        counts.set_item("bytes_sent", stats.payload_bytes)?;
        counts.set_item("packets_resent", stats.packets_resent)?;
        counts.set_item("frames_failed", stats.frames_failed)?;
        Ok(counts)
    }
}

impl SecureSender {
    /// The sender, for the thread; its notes and packets go to a mailbox from now on.
    pub fn attached(
        &self,
        endpoint: u64,
        mailbox: &Arc<Mailbox<Delivery>>,
    ) -> PyResult<(Arc<Mutex<Sender>>, Arc<Flags>)> {
        self.lock()?.outlet = Some(Outlet {
            endpoint,
            mailbox: Arc::clone(mailbox),
            route: None,
            waiting: Arc::default(),
        });
        Ok((Arc::clone(&self.sender), Arc::clone(&self.flags)))
    }

    fn set_route(&self, route: Option<Route>) -> PyResult<()> {
        if let Some(outlet) = &mut self.lock()?.outlet {
            outlet.route = route;
        }
        Ok(())
    }

    fn lock(&self) -> PyResult<MutexGuard<'_, Sender>> {
        lock_attached(&self.sender)
    }
}

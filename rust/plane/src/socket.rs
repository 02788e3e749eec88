//! One UDP socket: its descriptor, the endpoints of its sources, its counters.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use socket2::{Domain, Protocol, SockAddr, Type};

use crate::endpoint::Attachment;
use crate::gate::{Refusal, TokenBucket};
use crate::lock;
use crate::mailbox::Letterbox;

/// A socket of a plane; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub(crate) usize);

impl SocketId {
    /// The number of the socket, among all of its plane.
    #[must_use]
    pub fn number(self) -> usize {
        self.0
    }
}

/// The counts of a socket, in datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketStats {
    /// Those that were read.
    pub received: u64,
    /// Those that an endpoint took.
    pub media: u64,
    /// Those that were put into the mailbox.
    pub mailed: u64,
    /// Dropped: of no protocol that WebRTC uses.
    pub refused_protocol: u64,
    /// Dropped: shorter than the header of their protocol.
    pub refused_short: u64,
    /// Dropped: longer than [`MAX_DATAGRAM_BYTES`](crate::MAX_DATAGRAM_BYTES).
    pub refused_long: u64,
    /// Dropped: media above [`MEDIA_PER_SECOND`](crate::MEDIA_PER_SECOND) of one source.
    pub refused_rate: u64,
    /// Dropped: [`MAX_WAITING`](crate::MAX_WAITING) others of this socket were in the mailbox.
    pub refused_mailbox: u64,
    /// Errors of the operating system instead of a datagram, ICMP's among them on some systems.
    pub receive_errors: u64,
    /// Those that were sent.
    pub sent: u64,
    /// Those not sent, since the operating system had no room for them.
    pub send_blocked: u64,
}

/// The counters behind [`SocketStats`].
#[derive(Debug, Default)]
pub struct Counters {
    pub received: AtomicU64,
    pub media: AtomicU64,
    pub mailed: AtomicU64,
    pub refused_protocol: AtomicU64,
    pub refused_short: AtomicU64,
    pub refused_long: AtomicU64,
    pub refused_rate: AtomicU64,
    pub refused_mailbox: AtomicU64,
    pub receive_errors: AtomicU64,
    pub sent: AtomicU64,
    pub send_blocked: AtomicU64,
}

/// Adds to a counter, which orders nothing else.
pub fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

impl Counters {
    pub fn refuse(&self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::Protocol => &self.refused_protocol,
            Refusal::Short => &self.refused_short,
            Refusal::Long => &self.refused_long,
        };
        count(counter, 1);
    }

    fn read(&self) -> SocketStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SocketStats {
            received: read(&self.received),
            media: read(&self.media),
            mailed: read(&self.mailed),
            refused_protocol: read(&self.refused_protocol),
            refused_short: read(&self.refused_short),
            refused_long: read(&self.refused_long),
            refused_rate: read(&self.refused_rate),
            refused_mailbox: read(&self.refused_mailbox),
            receive_errors: read(&self.receive_errors),
            sent: read(&self.sent),
            send_blocked: read(&self.send_blocked),
        }
    }
}

/// The address of a remote peer, as a key: IPv4 within IPv6 is IPv4, and neither the flow nor the
/// interface counts, which other parts of a program may have lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(IpAddr, u16);

impl From<SocketAddr> for Source {
    fn from(address: SocketAddr) -> Self {
        Self(address.ip().to_canonical(), address.port())
    }
}

/// The endpoint of a source.
#[derive(Debug)]
pub struct Route {
    pub attachment: Arc<Attachment>,
    pub bucket: TokenBucket,
}

pub struct Socket {
    id: SocketId,
    /// `None` once it is closed. Locked for reading while it is used, so that it is closed at once
    /// when `close` returns, and its port is free.
    udp: RwLock<Option<UdpSocket>>,
    letterbox: Arc<dyn Letterbox>,
    pub routes: Mutex<HashMap<Source, Route>>,
    pub counters: Counters,
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Socket")
            .field("id", &self.id)
            .field("udp", &self.udp)
            .finish_non_exhaustive()
    }
}

impl Socket {
    pub fn new(id: SocketId, udp: UdpSocket, letterbox: Arc<dyn Letterbox>) -> Self {
        Self {
            id,
            udp: RwLock::new(Some(udp)),
            letterbox,
            routes: Mutex::default(),
            counters: Counters::default(),
        }
    }

    pub fn id(&self) -> SocketId {
        self.id
    }

    pub fn letterbox(&self) -> &dyn Letterbox {
        &*self.letterbox
    }

    pub fn stats(&self) -> SocketStats {
        self.counters.read()
    }

    /// Returns the socket, which stays open while the guard lives.
    pub fn udp(&self) -> RwLockReadGuard<'_, Option<UdpSocket>> {
        self.udp.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the socket after the uses of it that have begun, and discards its routes.
    pub fn close(&self) -> Option<UdpSocket> {
        lock(&self.routes).clear();
        let mut udp = self.udp.write().unwrap_or_else(PoisonError::into_inner);
        udp.take()
    }

    /// Makes the media of a source the endpoint's.
    pub fn admit(&self, source: Source, attachment: &Arc<Attachment>) {
        let mut routes = lock(&self.routes);
        // An admission again is no further burst.
        let bucket = routes
            .get(&source)
            .map(|route| route.bucket)
            .unwrap_or_default();
        let attachment = Arc::clone(attachment);
        routes.insert(source, Route { attachment, bucket });
    }

    /// Ends the admission of a source, unless it was admitted to another endpoint meanwhile.
    pub fn dismiss(&self, source: Source, attachment: &Attachment) {
        let mut routes = lock(&self.routes);
        if let Some(route) = routes.get(&source)
            && route.attachment.id() == attachment.id()
        {
            routes.remove(&source);
        }
    }

    /// Sends a datagram at once or not at all.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let udp = self.udp();
        let udp = udp.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        loop {
            match udp.send_to(datagram, to) {
                Ok(_) => count(&self.counters.sent, 1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    count(&self.counters.send_blocked, 1);
                }
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }
}

/// Opens a UDP socket that never waits and shares its address with nobody.
///
/// The size of the buffer is a request: an operating system may give less, which only loses more
/// of a burst. 0 leaves it as the system has it.
pub fn open(address: SocketAddr, receive_buffer_bytes: usize) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // "::" is one candidate and "0.0.0.0" another one, of which each has its own socket.
        socket.set_only_v6(true)?;
    }
    if receive_buffer_bytes > 0 {
        let _ = socket.set_recv_buffer_size(receive_buffer_bytes);
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

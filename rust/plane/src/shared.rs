//! The state that a plane's handle and its thread share: all sockets and endpoints.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, Waker};

use crate::endpoint::{Attachment, OnFailure};
use crate::mailbox::Letterbox;
use crate::socket::{self, Socket, Source};
use crate::{Clock, Endpoint, EndpointId, MAX_SOURCES, SocketId, lock};

/// The counts of a plane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlaneStats {
    /// The sockets that are bound now.
    pub sockets: usize,
    /// The endpoints that are attached now.
    pub endpoints: usize,
    /// The endpoints that have panicked, each of which was detached.
    pub failed_endpoints: u64,
}

/// What interrupts the thread's sleep: sockets, and others.
#[derive(Debug)]
struct Wakes {
    registry: Registry,
    waker: Waker,
}

/// Everything but what the thread alone uses. No lock of it is held while an endpoint is called.
#[derive(Debug)]
pub struct Shared {
    pub clock: Clock,
    /// `None` once the thread has ended: its descriptors end with it, whoever still holds this.
    wakes: RwLock<Option<Wakes>>,
    closed: AtomicBool,
    last_id: AtomicUsize,
    failed_endpoints: AtomicU64,
    sockets: Mutex<HashMap<SocketId, Arc<Socket>>>,
    endpoints: Mutex<HashMap<EndpointId, Arc<Attachment>>>,
    /// The endpoints whose deadlines have changed, or that are gone.
    woken: Mutex<Vec<EndpointId>>,
}

impl Shared {
    pub fn new(clock: Clock, registry: Registry, waker: Waker) -> Self {
        Self {
            clock,
            wakes: RwLock::new(Some(Wakes { registry, waker })),
            closed: AtomicBool::new(false),
            last_id: AtomicUsize::new(0),
            failed_endpoints: AtomicU64::new(0),
            sockets: Mutex::default(),
            endpoints: Mutex::default(),
            woken: Mutex::default(),
        }
    }

    fn next_id(&self) -> usize {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub fn stats(&self) -> PlaneStats {
        PlaneStats {
            sockets: lock(&self.sockets).len(),
            endpoints: lock(&self.endpoints).len(),
            failed_endpoints: self.failed_endpoints.load(Ordering::Relaxed),
        }
    }

    pub fn socket(&self, id: SocketId) -> Option<Arc<Socket>> {
        lock(&self.sockets).get(&id).map(Arc::clone)
    }

    pub fn endpoint(&self, id: EndpointId) -> Option<Arc<Attachment>> {
        lock(&self.endpoints).get(&id).map(Arc::clone)
    }

    pub fn bind(
        &self,
        address: SocketAddr,
        receive_buffer_bytes: usize,
        letterbox: Arc<dyn Letterbox>,
    ) -> io::Result<(SocketId, SocketAddr)> {
        let udp = socket::open(address, receive_buffer_bytes)?;
        let address = udp.local_addr()?;
        let id = SocketId(self.next_id());
        let socket = Arc::new(Socket::new(id, udp, letterbox));
        // Events come once: the thread has to find the socket at the first one.
        {
            let mut sockets = lock(&self.sockets);
            if self.is_closed() {
                return Err(io::ErrorKind::NotConnected.into());
            }
            sockets.insert(id, Arc::clone(&socket));
        }
        let registered = self.register(&socket);
        if registered.is_err() {
            self.unbind(id);
        }
        registered.map(|()| (id, address))
    }

    fn register(&self, socket: &Socket) -> io::Result<()> {
        // Open while it is registered: its number would be another file's otherwise.
        let udp = socket.udp();
        let udp = udp.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let mut source = SourceFd(&udp.as_raw_fd());
        let token = Token(socket.id().0);
        let wakes = self.wakes();
        let wakes = wakes.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        wakes
            .registry
            .register(&mut source, token, Interest::READABLE)
    }

    pub fn unbind(&self, id: SocketId) {
        let socket = lock(&self.sockets).remove(&id);
        if let Some(udp) = socket.and_then(|socket| socket.close())
            && let Some(wakes) = &*self.wakes()
        {
            // It may not be registered; closing it ends its events in any case.
            let _ = wakes.registry.deregister(&mut SourceFd(&udp.as_raw_fd()));
        }
    }

    pub fn attach(&self, endpoint: Arc<Mutex<dyn Endpoint>>, on_failure: OnFailure) -> EndpointId {
        let id = EndpointId(self.next_id());
        let attachment = Arc::new(Attachment::new(id, endpoint, on_failure));
        let mut endpoints = lock(&self.endpoints);
        if !self.is_closed() {
            endpoints.insert(id, attachment);
        }
        id
    }

    pub fn admit(&self, endpoint: EndpointId, socket: SocketId, source: SocketAddr) {
        let (Some(attachment), Some(socket)) = (self.endpoint(endpoint), self.socket(socket))
        else {
            return;
        };
        let source = Source::from(source);
        let mut sources = lock(attachment.sources());
        // `detach` takes the sources after this.
        if !attachment.is_attached() {
            return;
        }
        // Those of closed sockets take up no room.
        sources.retain(|&(of, other)| {
            (of, other) != (socket.id(), source) && self.socket(of).is_some()
        });
        if sources.len() == MAX_SOURCES
            && let Some((old_socket, old)) = sources.pop_front()
            && let Some(old_socket) = self.socket(old_socket)
        {
            old_socket.dismiss(old, &attachment);
        }
        sources.push_back((socket.id(), source));
        socket.admit(source, &attachment);
    }

    /// Has the thread read the deadline of an endpoint.
    pub fn wake(&self, id: EndpointId) {
        let attachment = self.endpoint(id);
        if attachment.is_some_and(|attachment| attachment.set_woken()) {
            self.add_woken(id);
        }
    }

    fn add_woken(&self, id: EndpointId) {
        let mut woken = lock(&self.woken);
        woken.push(id);
        // Further ones are taken with the first.
        if woken.len() == 1 {
            drop(woken);
            self.interrupt();
        }
    }

    /// Interrupts the thread's sleep, or prevents the next one.
    fn interrupt(&self) {
        if let Some(wakes) = &*self.wakes() {
            // Another interruption that was not seen yet is as good.
            let _ = wakes.waker.wake();
        }
    }

    fn wakes(&self) -> RwLockReadGuard<'_, Option<Wakes>> {
        self.wakes.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frees the descriptors, at the end of the thread.
    pub fn free(&self) {
        let mut wakes = self.wakes.write().unwrap_or_else(PoisonError::into_inner);
        *wakes = None;
    }

    /// Moves the endpoints of `wake` and `detach` to `ids`.
    pub fn take_woken(&self, ids: &mut Vec<EndpointId>) {
        ids.append(&mut lock(&self.woken));
    }

    /// Removes an endpoint, without waiting for a call under way.
    pub fn detach(&self, id: EndpointId) -> Option<Arc<Attachment>> {
        let attachment = lock(&self.endpoints).remove(&id)?;
        attachment.detach();
        for (socket, source) in std::mem::take(&mut *lock(attachment.sources())) {
            if let Some(socket) = self.socket(socket) {
                socket.dismiss(source, &attachment);
            }
        }
        // The thread removes its deadline.
        self.add_woken(id);
        Some(attachment)
    }

    /// Removes an endpoint that has panicked, and reports it.
    pub fn fail(&self, id: EndpointId) {
        let Some(attachment) = self.detach(id) else {
            return;
        };
        self.failed_endpoints.fetch_add(1, Ordering::Relaxed);
        if let Some(report) = attachment.take_on_failure() {
            report(id);
        }
    }

    /// Closes all sockets, and removes all endpoints without waiting for a call under way.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let sockets: Vec<_> = lock(&self.sockets).keys().copied().collect();
        for socket in sockets {
            self.unbind(socket);
        }
        let endpoints: Vec<_> = lock(&self.endpoints).keys().copied().collect();
        for endpoint in endpoints {
            self.detach(endpoint);
        }
        self.interrupt();
    }
}

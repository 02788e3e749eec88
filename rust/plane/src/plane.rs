//! The handle of the thread.

use std::io;
use std::net::SocketAddr;
use std::process;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use mio::{Poll, Waker};

use crate::shared::Shared;
use crate::worker::{WAKE, Worker};
use crate::{Clock, Endpoint, EndpointId, Mailbox, PlaneStats, SocketId, SocketStats, lock};

/// The thread that owns the UDP sockets of WebRTC sessions.
///
/// Every method may be called on any thread and returns within microseconds, except for `close`.
/// Ids of what is gone are ignored. Dropping it closes it.
///
/// # Examples
/// ```
/// # #[cfg(unix)] {
/// use gradio_webrtc_plane::{Clock, Mailbox, Plane};
/// use std::net::{Ipv4Addr, SocketAddr};
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let plane = Plane::new(Clock::showing(Duration::ZERO))?;
/// let mailbox = Arc::new(Mailbox::<()>::new()?);
/// let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
/// let (socket, address) = plane.bind(any_port, 1 << 20, &mailbox)?;
/// plane.send(socket, b"hello", address)?;
/// plane.unbind(socket);
/// # }
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Plane {
    shared: Arc<Shared>,
    thread_id: ThreadId,
    thread: Mutex<Option<JoinHandle<()>>>,
    process: u32,
}

impl Plane {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system's, if it has no more file descriptors or threads.
    pub fn new(clock: Clock) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let shared = Arc::new(Shared::new(clock, poll.registry().try_clone()?, waker));
        let worker = Worker::new(Arc::clone(&shared), poll);
        let thread = thread::Builder::new()
            .name("gradio-webrtc-media".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            shared,
            thread_id: thread.thread().id(),
            thread: Mutex::new(Some(thread)),
            process: process::id(),
        })
    }

    /// Returns the time on the plane's clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    /// Opens a UDP socket whose datagrams go to `mailbox`, unless they are media of a source that is
    /// [admitted](Self::admit). Returns its address, too, with the port that it got for port 0.
    ///
    /// The address is shared with no other socket. `receive_buffer_bytes` is a request that the
    /// operating system may cut; 0 leaves its own size.
    ///
    /// # Errors
    /// The operating system's, with its number: address in use, for instance. `NotConnected` after
    /// [`close`](Self::close).
    pub fn bind<Item: Send + 'static>(
        &self,
        address: SocketAddr,
        receive_buffer_bytes: usize,
        mailbox: &Arc<Mailbox<Item>>,
    ) -> io::Result<(SocketId, SocketAddr)> {
        let mailbox = Arc::clone(mailbox);
        self.shared.bind(address, receive_buffer_bytes, mailbox)
    }

    /// Sends a datagram, on the caller's thread. Without room in the operating system's buffer it is
    /// dropped and counted, which is no error: a network may lose it as well.
    ///
    /// # Errors
    /// The operating system's; `NotConnected` if the socket is closed.
    pub fn send(&self, socket: SocketId, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let socket = self.shared.socket(socket);
        let socket = socket.ok_or(io::ErrorKind::NotConnected)?;
        socket.send(datagram, to)
    }

    /// Closes a socket: when this returns, its port is free, and the mailbox gets nothing more of it.
    /// What the mailbox has already, it keeps.
    pub fn unbind(&self, socket: SocketId) {
        self.shared.unbind(socket);
    }

    /// Has the thread call an endpoint, whose deadline it reads at once.
    ///
    /// If the endpoint panics, or its mutex is poisoned, it is detached, and `on_failure` is called on
    /// the thread.
    pub fn attach(
        &self,
        endpoint: Arc<Mutex<dyn Endpoint>>,
        on_failure: impl FnOnce(EndpointId) + Send + 'static,
    ) -> EndpointId {
        let id = self.shared.attach(endpoint, Box::new(on_failure));
        self.wake(id);
        id
    }

    /// Makes the media that come from `source` to `socket` the endpoint's, from now on. They were
    /// another one's, or went to the mailbox. Of more than [`MAX_SOURCES`](crate::MAX_SOURCES) the
    /// one whose admission is the oldest ends.
    pub fn admit(&self, endpoint: EndpointId, socket: SocketId, source: SocketAddr) {
        self.shared.admit(endpoint, socket, source);
    }

    /// Has the thread read the endpoint's deadline, which has changed.
    pub fn wake(&self, endpoint: EndpointId) {
        self.shared.wake(endpoint);
    }

    /// Ends the calls of an endpoint: after the return there are none. Waits for one that runs,
    /// except on the thread itself. The caller may hold the endpoint's mutex, but no other lock that
    /// an endpoint takes. In a process that was forked off it does nothing, as [`close`](Self::close).
    pub fn detach(&self, endpoint: EndpointId) {
        if process::id() != self.process {
            return;
        }
        let attachment = self.shared.detach(endpoint);
        if let Some(attachment) = attachment
            && !self.is_on_thread()
        {
            attachment.wait_for_turn();
        }
    }

    /// Returns the counts of the plane.
    #[must_use]
    pub fn stats(&self) -> PlaneStats {
        self.shared.stats()
    }

    /// Returns the counts of a socket; `None` once it is closed.
    #[must_use]
    pub fn socket_stats(&self, socket: SocketId) -> Option<SocketStats> {
        Some(self.shared.socket(socket)?.stats())
    }

    /// Closes all sockets, detaches all endpoints, and waits for the end of the thread.
    ///
    /// The caller must hold no lock that an endpoint takes, nor the mutex of one. On the thread itself
    /// it does not wait. In a process that was forked off it does nothing: the thread and the poll are
    /// those of the other one.
    pub fn close(&self) {
        if process::id() != self.process {
            return;
        }
        self.shared.close();
        if self.is_on_thread() {
            return;
        }
        if let Some(thread) = lock(&self.thread).take() {
            // It has caught the panics of others, and has none of its own to report.
            let _ = thread.join();
        }
    }

    fn is_on_thread(&self) -> bool {
        thread::current().id() == self.thread_id
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.close();
    }
}

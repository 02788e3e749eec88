//! The receivers of media, and the calls of them that the thread makes.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::SocketId;
use crate::lock;
use crate::socket::Source;

/// The most sources of one endpoint; another one replaces the oldest.
pub const MAX_SOURCES: usize = 16;

/// A receiver of the media of one remote peer.
///
/// The thread calls it with its mutex locked, once for each batch. All sessions wait for the thread:
/// a call must take microseconds, and so must whoever else holds the mutex, who must not wait for
/// the interpreter of Python meanwhile. An endpoint that panics is detached.
///
/// An endpoint may call every method of its [`Plane`](crate::Plane), and may be dropped on its
/// thread.
pub trait Endpoint: Send {
    /// Receives RTP or RTCP, and returns true; false passes it on to the mailbox of the socket.
    ///
    /// A datagram that is no good to anybody was received, too. `now` is the time on the plane's
    /// clock at which it was read. The bytes may be overwritten, but only if the result is true.
    fn receive(&mut self, now: Duration, datagram: &mut [u8]) -> bool;

    /// Does what there is to do at `now`: after each batch of datagrams for this endpoint, and when
    /// its deadline has come.
    fn advance(&mut self, now: Duration);

    /// Returns the time at which `advance` must be called although nothing comes; `None` for never.
    ///
    /// Read after each `advance`, after [`attach`](crate::Plane::attach) and after
    /// [`wake`](crate::Plane::wake). One in the past is due a millisecond after the last `advance`.
    fn deadline(&self) -> Option<Duration>;
}

/// An endpoint of a plane; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub(crate) usize);

/// A function to be called, on the thread, when an endpoint has panicked.
pub type OnFailure = Box<dyn FnOnce(EndpointId) + Send>;

/// The results of a visit to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// It has this deadline now.
    Deadline(Option<Duration>),
    /// It was detached before or meanwhile.
    Detached,
    /// It panicked, now or earlier, in this thread or in another one.
    Failed,
}

/// An endpoint that is attached to a plane.
pub struct Attachment {
    id: EndpointId,
    endpoint: Arc<Mutex<dyn Endpoint>>,
    attached: AtomicBool,
    /// Held by the thread while it calls the endpoint, and taken after the endpoint's own mutex: who
    /// detaches it waits for this one, and may hold the other.
    turn: Mutex<()>,
    woken: AtomicBool,
    sources: Mutex<VecDeque<(SocketId, Source)>>,
    on_failure: Mutex<Option<OnFailure>>,
}

impl fmt::Debug for Attachment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Attachment")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Attachment {
    pub fn new(id: EndpointId, endpoint: Arc<Mutex<dyn Endpoint>>, on_failure: OnFailure) -> Self {
        Self {
            id,
            endpoint,
            attached: AtomicBool::new(true),
            turn: Mutex::new(()),
            woken: AtomicBool::new(false),
            sources: Mutex::default(),
            on_failure: Mutex::new(Some(on_failure)),
        }
    }

    pub fn id(&self) -> EndpointId {
        self.id
    }

    pub fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Acquire)
    }

    /// Ends the calls; one that the thread has begun may still run.
    pub fn detach(&self) {
        self.attached.store(false, Ordering::Release);
    }

    /// Waits for the end of the thread's calls. Not on the thread, which would wait for itself.
    pub fn wait_for_turn(&self) {
        drop(lock(&self.turn));
    }

    /// Stores that the deadline has changed; true if that was not stored already.
    pub fn set_woken(&self) -> bool {
        !self.woken.swap(true, Ordering::AcqRel)
    }

    pub fn clear_woken(&self) {
        self.woken.store(false, Ordering::Release);
    }

    pub fn take_on_failure(&self) -> Option<OnFailure> {
        lock(&self.on_failure).take()
    }

    /// The sources whose media it gets, the oldest first.
    pub fn sources(&self) -> &Mutex<VecDeque<(SocketId, Source)>> {
        &self.sources
    }

    /// Has `work` call the endpoint, with its mutex locked; a panic goes no further.
    pub fn visit(&self, work: impl FnOnce(&mut Calls<'_>) -> Option<Duration>) -> Visit {
        let visit = AssertUnwindSafe(|| {
            let Ok(mut endpoint) = self.endpoint.lock() else {
                return Visit::Failed;
            };
            let _turn = lock(&self.turn);
            let deadline = work(&mut Calls {
                endpoint: &mut *endpoint,
                attachment: self,
            });
            if self.is_attached() {
                Visit::Deadline(deadline)
            } else {
                Visit::Detached
            }
        });
        catch_unwind(visit).unwrap_or(Visit::Failed)
    }
}

/// The calls of a locked endpoint; none is made once it is detached, by itself for instance.
pub struct Calls<'a> {
    endpoint: &'a mut dyn Endpoint,
    attachment: &'a Attachment,
}

impl Calls<'_> {
    pub fn receive(&mut self, now: Duration, datagram: &mut [u8]) -> bool {
        self.attachment.is_attached() && self.endpoint.receive(now, datagram)
    }

    pub fn advance(&mut self, now: Duration) {
        if self.attachment.is_attached() {
            self.endpoint.advance(now);
        }
    }

    pub fn deadline(&self) -> Option<Duration> {
        if self.attachment.is_attached() {
            self.endpoint.deadline()
        } else {
            None
        }
    }
}

//! The thread: sleeps, reads sockets, calls endpoints.

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mio::{Events, Poll, Token};

use crate::batch::{Batch, Media};
use crate::bells::Round;
use crate::deadlines::Deadlines;
use crate::endpoint::Visit;
use crate::shared::Shared;
use crate::socket::{Counters, count};
use crate::wakes::Wakes;
use crate::{EndpointId, SocketId};

/// The events of a waker. Ids of sockets are counted from 0 on, and never get there.
pub const WAKE: Token = Token(usize::MAX);

/// The most events of one wake; further ones come at once with the next.
const EVENTS: usize = 256;

pub struct Worker {
    shared: Arc<Shared>,
    poll: Poll,
    events: Events,
    /// The sockets that may have more datagrams, for which there will be no event.
    readable: BTreeSet<SocketId>,
    deadlines: Deadlines,
    batch: Batch,
    media: Vec<Media>,
    woken: Vec<EndpointId>,
    wakes: Wakes,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, poll: Poll) -> Self {
        Self {
            shared,
            poll,
            events: Events::with_capacity(EVENTS),
            readable: BTreeSet::new(),
            deadlines: Deadlines::default(),
            batch: Batch::new(),
            media: Vec::new(),
            woken: Vec::new(),
            wakes: Wakes::default(),
        }
    }

    /// Runs until the plane is closed.
    pub fn run(mut self) {
        while !self.shared.is_closed() {
            if self.sleep().is_err() {
                break;
            }
            let _round = Round::begin();
            for socket in std::mem::take(&mut self.readable) {
                if self.read(socket) {
                    self.readable.insert(socket);
                }
            }
            self.read_deadlines();
            self.advance_due();
        }
    }

    /// Waits for a datagram, a deadline or a waker, and not at all if there is more to read.
    fn sleep(&mut self) -> io::Result<()> {
        let timeout = if self.readable.is_empty() {
            let rest = self.wakes.rest(self.shared.clock.now());
            if !rest.is_zero() {
                thread::sleep(rest);
            }
            let now = self.shared.clock.now();
            self.deadlines.next().map(|due| due.saturating_sub(now))
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        self.wakes.note(self.shared.clock.now());
        let tokens = self.events.iter().map(mio::event::Event::token);
        let sockets = tokens.filter(|token| *token != WAKE);
        self.readable.extend(sockets.map(|token| SocketId(token.0)));
        Ok(())
    }

    /// Reads one batch of a socket and hands it on; true if there may be more.
    fn read(&mut self, id: SocketId) -> bool {
        let Some(socket) = self.shared.socket(id) else {
            return false;
        };
        let more = self.batch.read(&socket);
        if !self.batch.is_empty() {
            let now = self.shared.clock.now();
            self.batch.route(&socket, now, &mut self.media);
            self.deliver(&socket.counters, now);
            self.batch.mail(&socket, now);
        }
        more
    }

    /// Calls each endpoint once, with all its datagrams of the batch.
    fn deliver(&mut self, counters: &Counters, now: Duration) {
        let mut media = std::mem::take(&mut self.media);
        // Stable: the datagrams of one endpoint stay in order.
        media.sort_by_key(|datagram| datagram.attachment.id());
        for group in media.chunk_by(|one, next| one.attachment.id() == next.attachment.id()) {
            let attachment = &group[0].attachment;
            let mut taken = 0;
            let visit = attachment.visit(|calls| {
                for datagram in group {
                    let receive = |bytes: &mut [u8]| calls.receive(now, bytes);
                    taken += usize::from(self.batch.offer(datagram.index, receive));
                }
                calls.advance(now);
                calls.deadline()
            });
            count(&counters.media, taken);
            self.deadlines.called(attachment.id(), now);
            self.settle(attachment.id(), visit);
        }
        for datagram in media.drain(..) {
            discard(datagram);
        }
        self.media = media;
    }

    /// Reads the deadlines that have changed.
    fn read_deadlines(&mut self) {
        let mut woken = std::mem::take(&mut self.woken);
        self.shared.take_woken(&mut woken);
        for id in woken.drain(..) {
            if let Some(attachment) = self.shared.endpoint(id) {
                // Before the deadline is read: a change after that is one more.
                attachment.clear_woken();
                let visit = attachment.visit(|calls| calls.deadline());
                self.settle(id, visit);
                discard(attachment);
            } else {
                self.deadlines.remove(id);
            }
        }
        self.woken = woken;
    }

    /// Calls the endpoints whose deadlines have come, the earliest first.
    fn advance_due(&mut self) {
        let now = self.shared.clock.now();
        while let Some(id) = self.deadlines.pop_due(now) {
            let Some(attachment) = self.shared.endpoint(id) else {
                self.deadlines.remove(id);
                continue;
            };
            let visit = attachment.visit(|calls| {
                calls.advance(now);
                calls.deadline()
            });
            self.deadlines.called(id, now);
            self.settle(id, visit);
            discard(attachment);
        }
    }

    fn settle(&mut self, id: EndpointId, visit: Visit) {
        match visit {
            Visit::Deadline(deadline) => self.deadlines.set(id, deadline),
            Visit::Detached => self.deadlines.remove(id),
            Visit::Failed => {
                self.deadlines.remove(id);
                // What it reports to is not ours either.
                let report = AssertUnwindSafe(|| self.shared.fail(id));
                let _ = catch_unwind(report);
            }
        }
    }
}

impl Drop for Worker {
    /// Without its thread, for whatever reason, a plane takes nothing more, and holds no
    /// descriptor.
    fn drop(&mut self) {
        self.shared.close();
        self.shared.free();
    }
}

/// Drops what may be the last owner of an endpoint, whose own `drop` may panic.
fn discard<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

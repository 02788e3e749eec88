//! What one reading of a socket gave, until everything is with its receiver.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::Attachment;
use crate::gate::{self, Destination, MAX_DATAGRAM_BYTES};
use crate::lock;
use crate::socket::{Socket, Source, count};

/// The most datagrams of one socket that are read before others have their turn.
pub const DATAGRAMS_PER_BATCH: usize = 64;

/// One more than is allowed, so that a datagram that was cut is known by its length.
const BUFFER_BYTES: usize = MAX_DATAGRAM_BYTES + 1;

#[derive(Debug)]
struct Received {
    length: usize,
    source: SocketAddr,
    /// It goes to the mailbox.
    mail: bool,
}

/// A media datagram, and the endpoint of its source.
#[derive(Debug)]
pub struct Media {
    pub attachment: Arc<Attachment>,
    /// Its place in the batch.
    pub index: usize,
}

/// The datagrams of one reading; its buffers are allocated once.
#[derive(Debug)]
pub struct Batch {
    buffers: Box<[[u8; BUFFER_BYTES]]>,
    received: Vec<Received>,
}

impl Batch {
    pub fn new() -> Self {
        Self {
            buffers: vec![[0; BUFFER_BYTES]; DATAGRAMS_PER_BATCH].into_boxed_slice(),
            received: Vec::with_capacity(DATAGRAMS_PER_BATCH),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// Replaces the contents by the next datagrams of a socket; true if it may have more.
    pub fn read(&mut self, socket: &Socket) -> bool {
        self.received.clear();
        let udp = socket.udp();
        let Some(udp) = &*udp else { return false };
        let mut more = false;
        for _ in 0..DATAGRAMS_PER_BATCH {
            let buffer = &mut self.buffers[self.received.len()];
            let result = udp.recv_from(buffer);
            // After an error the socket waits for its next event: one that stays would otherwise
            // keep the thread busy.
            more = result.is_ok();
            match result {
                Ok((length, source)) => self.received.push(Received {
                    length,
                    source,
                    mail: false,
                }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => more = true,
                Err(_) => count(&socket.counters.receive_errors, 1),
            }
        }
        count(&socket.counters.received, self.received.len());
        more
    }

    /// Drops what must not pass, and adds what an endpoint gets to `media`.
    pub fn route(&mut self, socket: &Socket, now: Duration, media: &mut Vec<Media>) {
        let mut routes = lock(&socket.routes);
        for (index, received) in self.received.iter_mut().enumerate() {
            match gate::check(&self.buffers[index][..received.length]) {
                Err(refusal) => socket.counters.refuse(refusal),
                Ok(Destination::Mailbox) => received.mail = true,
                Ok(Destination::Endpoint) => {
                    let Some(route) = routes.get_mut(&Source::from(received.source)) else {
                        received.mail = true;
                        continue;
                    };
                    if route.bucket.take(now) {
                        let attachment = Arc::clone(&route.attachment);
                        media.push(Media { attachment, index });
                    } else {
                        count(&socket.counters.refused_rate, 1);
                    }
                }
            }
        }
    }

    /// Has an endpoint receive a datagram; true if it was taken, and does not go to the mailbox.
    pub fn offer(&mut self, index: usize, receive: impl FnOnce(&mut [u8]) -> bool) -> bool {
        let received = &mut self.received[index];
        let taken = receive(&mut self.buffers[index][..received.length]);
        received.mail = !taken;
        taken
    }

    /// Puts the rest into the mailbox, in the order in which it came, unless the socket was closed.
    pub fn mail(&self, socket: &Socket, now: Duration) {
        let letters = self.received.iter().zip(&self.buffers);
        let mut letters = letters
            .filter(|(received, _)| received.mail)
            .map(|(received, buffer)| (received.source, &buffer[..received.length]))
            .peekable();
        if letters.peek().is_none() {
            return;
        }
        let total = self
            .received
            .iter()
            .filter(|received| received.mail)
            .count();
        let udp = socket.udp();
        if udp.is_some() {
            let refused = socket.letterbox().post(socket.id(), now, &mut letters);
            count(&socket.counters.refused_mailbox, refused);
            count(&socket.counters.mailed, total - refused);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;
    use crate::{Endpoint, EndpointId, Mailbox, SocketId, socket};

    struct Idle;

    impl Endpoint for Idle {
        fn receive(&mut self, _: Duration, _: &mut [u8]) -> bool {
            true
        }
        fn advance(&mut self, _: Duration) {}
        fn deadline(&self) -> Option<Duration> {
            None
        }
    }

    /// A socket, its mailbox, and a peer that is connected to it.
    fn connected() -> (Socket, Arc<Mailbox<()>>, UdpSocket) {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let udp = socket::open(any_port, 1 << 20).unwrap();
        let peer = UdpSocket::bind(any_port).unwrap();
        peer.connect(udp.local_addr().unwrap()).unwrap();
        let mailbox = Arc::new(Mailbox::new().unwrap());
        (
            Socket::new(SocketId(0), udp, mailbox.clone()),
            mailbox,
            peer,
        )
    }

    /// Reads until there are `count` datagrams in a batch, which a socket may give later.
    fn read(batch: &mut Batch, socket: &Socket, count: usize) {
        let started = Instant::now();
        while batch.received.len() < count {
            assert!(started.elapsed() < Duration::from_secs(30));
            batch.read(socket);
        }
    }

    #[test]
    fn a_source_has_its_rate_and_not_more() {
        let (socket, mailbox, peer) = connected();
        let endpoint = Arc::new(Mutex::new(Idle));
        let attachment = Attachment::new(EndpointId(0), endpoint, Box::new(|_| ()));
        let attachment = Arc::new(attachment);
        let source = Source::from(peer.local_addr().unwrap());
        socket.admit(source, &attachment);
        let (mut batch, mut media) = (Batch::new(), Vec::new());
        let now = Duration::from_secs(1);
        for _ in 0..3100 {
            peer.send(&[0x80; 12]).unwrap();
            read(&mut batch, &socket, 1);
            batch.route(&socket, now, &mut media);
            batch.mail(&socket, now);
            batch.received.clear();
            // Which must not fill the bucket.
            socket.admit(source, &attachment);
        }
        assert_eq!(media.len(), 3000);
        assert_eq!(socket.stats().refused_rate, 100);
        assert!(mailbox.take().is_empty());
    }

    #[test]
    fn a_batch_is_full_at_its_bound_and_there_may_be_more() {
        let (socket, _, peer) = connected();
        let mut batch = Batch::new();
        for _ in 0..=DATAGRAMS_PER_BATCH {
            peer.send(&[0; 20]).unwrap();
        }
        assert!(batch.read(&socket));
        assert_eq!(batch.received.len(), DATAGRAMS_PER_BATCH);
        assert!(!batch.read(&socket));
        assert_eq!(batch.received.len(), 1);
    }

    #[test]
    fn a_closed_socket_gives_its_mailbox_nothing() {
        let (socket, mailbox, peer) = connected();
        let mut batch = Batch::new();
        peer.send(&[0; 20]).unwrap();
        read(&mut batch, &socket, 1);
        batch.route(&socket, Duration::ZERO, &mut Vec::new());
        assert!(socket.close().is_some());
        batch.mail(&socket, Duration::ZERO);
        assert!(mailbox.take().is_empty());
        assert!(!batch.read(&socket) && batch.is_empty());
    }
}

//! The mailbox of an event loop, and its doorbell.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::SocketId;
use crate::bells::{self, Rings};
use crate::lock;

/// The most datagrams of one socket that wait in a mailbox; newer ones are dropped. With
/// [`MAX_DATAGRAM_BYTES`](crate::MAX_DATAGRAM_BYTES) each they are two megabytes; an event loop that is busy for a
/// moment loses none of a burst.
pub const MAX_WAITING: usize = 1024;

/// A datagram that is not the media of an admitted source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The socket that it came to.
    pub socket: SocketId,
    /// The address that it came from.
    pub source: SocketAddr,
    /// The time at which it was read, on the plane's clock.
    pub received_at: Duration,
    /// All of it: at most [`MAX_DATAGRAM_BYTES`](crate::MAX_DATAGRAM_BYTES).
    pub bytes: Vec<u8>,
}

/// The contents of a mailbox, each kind in the order in which it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail<Item> {
    /// The datagrams of all sockets.
    pub datagrams: Vec<Datagram>,
    /// The items of all endpoints.
    pub items: Vec<Item>,
}

impl<Item> Mail<Item> {
    /// True if nothing was in the mailbox.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty() && self.items.is_empty()
    }
}

impl<Item> Default for Mail<Item> {
    fn default() -> Self {
        Self {
            datagrams: Vec::new(),
            items: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Contents<Item> {
    mail: Mail<Item>,
    waiting: HashMap<SocketId, usize>,
    /// A byte is in the doorbell.
    rung: bool,
    /// The doorbell will ring at the end of a round.
    is_left: bool,
    /// `None` once it is closed.
    bell: Option<Bell>,
}

/// The two ends of the doorbell's stream.
#[derive(Debug)]
struct Bell {
    button: UnixStream,
    doorbell: UnixStream,
}

/// Everything for one event loop: datagrams of sockets, and items of endpoints.
///
/// The doorbell is a stream in which there is one byte while the mailbox is not empty: an event loop
/// sleeps until it is readable, and calls [`take`](Self::take). Of each socket at most
/// [`MAX_WAITING`] datagrams wait. Items are bounded by whoever pushes them.
#[derive(Debug)]
pub struct Mailbox<Item> {
    contents: Arc<Mutex<Contents<Item>>>,
}

impl<Item: Send + 'static> Mailbox<Item> {
    /// An empty mailbox.
    ///
    /// # Errors
    /// The operating system's, if it has no more file descriptors.
    pub fn new() -> io::Result<Self> {
        let (button, doorbell) = UnixStream::pair()?;
        button.set_nonblocking(true)?;
        doorbell.set_nonblocking(true)?;
        Ok(Self {
            contents: Arc::new(Mutex::new(Contents {
                mail: Mail::default(),
                waiting: HashMap::new(),
                rung: false,
                is_left: false,
                bell: Some(Bell { button, doorbell }),
            })),
        })
    }

    /// Returns the stream that is readable while the mailbox is not empty; the caller's own.
    ///
    /// Nothing must be read from it: [`take`](Self::take) does that.
    ///
    /// # Errors
    /// The operating system's, if it has no more file descriptors; `NotConnected` after
    /// [`close`](Self::close).
    pub fn doorbell(&self) -> io::Result<UnixStream> {
        let contents = lock(&self.contents);
        let bell = contents.bell.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        bell.doorbell.try_clone()
    }

    /// Adds an item, and rings if the mailbox was empty.
    pub fn push(&self, item: Item) {
        let mut contents = lock(&self.contents);
        if contents.bell.is_some() {
            contents.mail.items.push(item);
            self.ring(&mut contents);
        }
    }

    /// Drops all contents, and what comes later, and frees the descriptors, whoever still holds the
    /// mailbox. The doorbell of the event loop is its own.
    pub fn close(&self) {
        let mut contents = lock(&self.contents);
        contents.bell = None;
        contents.waiting.clear();
        let mail = std::mem::take(&mut contents.mail);
        // Without the lock: an item may be the last owner of what has a mailbox of its own.
        drop(contents);
        drop(mail);
    }

    /// Returns all contents, and silences the doorbell until there are new ones. Does not wait.
    #[must_use]
    pub fn take(&self) -> Mail<Item> {
        self.take_some(usize::MAX)
    }

    /// Returns all items, and the oldest datagrams, at most so many; while others are left, the
    /// doorbell goes on ringing. An event loop that takes few at a time has turns for others
    /// between them, whatever is sent to its sockets.
    #[must_use]
    pub fn take_some(&self, most_datagrams: usize) -> Mail<Item> {
        let mut guard = lock(&self.contents);
        let contents = &mut *guard;
        let count = contents.mail.datagrams.len().min(most_datagrams);
        let rest = contents.mail.datagrams.split_off(count);
        let mail = std::mem::take(&mut contents.mail);
        contents.mail.datagrams = rest;
        if contents.mail.datagrams.is_empty() {
            contents.waiting.clear();
            if contents.rung
                && let Some(bell) = &contents.bell
            {
                // It is there, since the lock was held when it was written. Without it, at worst
                // the event loop wakes once for nothing.
                let _ = (&bell.doorbell).read(&mut [0]);
                contents.rung = false;
            }
        } else {
            for datagram in &mail.datagrams {
                if let Some(waiting) = contents.waiting.get_mut(&datagram.socket) {
                    *waiting -= 1;
                }
            }
        }
        mail
    }
}

impl<Item: Send + 'static> Mailbox<Item> {
    /// Rings for a new content, at once or at the end of the thread's round.
    fn ring(&self, contents: &mut Contents<Item>) {
        contents.is_left = contents.is_left || (!contents.rung && bells::leave(&self.contents));
        if !contents.is_left {
            contents.ring();
        }
    }
}

impl<Item: Send> Rings for Mutex<Contents<Item>> {
    fn ring(&self) {
        let mut contents = lock(self);
        contents.is_left = false;
        if !contents.mail.is_empty() {
            contents.ring();
        }
    }
}

impl<Item> Contents<Item> {
    /// Rings once for contents that nobody has taken. Under the lock, so that each byte belongs to
    /// one `take`.
    fn ring(&mut self) {
        if !self.rung
            && let Some(bell) = &self.bell
        {
            // It cannot be full. Should the write be interrupted, the next content rings.
            self.rung = matches!((&bell.button).write(&[1]), Ok(1));
        }
    }
}

/// The datagrams of one batch: their sources and their bytes.
pub type Letters<'a> = dyn Iterator<Item = (SocketAddr, &'a [u8])> + 'a;

/// A mailbox of any items, as sockets use it.
pub trait Letterbox: Send + Sync {
    /// Adds datagrams in order, and returns the number of those for which there was no room.
    fn post(&self, socket: SocketId, received_at: Duration, letters: &mut Letters<'_>) -> usize;
}

impl<Item: Send + 'static> Letterbox for Mailbox<Item> {
    fn post(&self, socket: SocketId, received_at: Duration, letters: &mut Letters<'_>) -> usize {
        let mut contents = lock(&self.contents);
        if contents.bell.is_none() {
            return letters.count();
        }
        let mut waiting = contents.waiting.get(&socket).copied().unwrap_or_default();
        let room = MAX_WAITING - waiting;
        let posted = (&mut *letters).take(room).map(|(source, bytes)| Datagram {
            socket,
            source,
            received_at,
            bytes: bytes.to_vec(),
        });
        let before = contents.mail.datagrams.len();
        contents.mail.datagrams.extend(posted);
        let count = contents.mail.datagrams.len() - before;
        if count > 0 {
            waiting += count;
            contents.waiting.insert(socket, waiting);
            self.ring(&mut contents);
        }
        letters.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bells::Round;

    fn ringing(doorbell: &mut UnixStream) -> usize {
        doorbell.read(&mut [0; 16]).unwrap_or_default()
    }

    fn post(mailbox: &Mailbox<u8>, socket: SocketId, count: usize) -> usize {
        let source = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut letters = (0..count).map(|_| (source, &[7_u8][..]));
        mailbox.post(socket, Duration::ZERO, &mut letters)
    }

    #[test]
    fn the_doorbell_rings_on_while_some_are_left() {
        let mailbox = Mailbox::new().unwrap();
        let mut doorbell = mailbox.doorbell().unwrap();
        post(&mailbox, SocketId(1), MAX_WAITING);
        mailbox.push(1_u8);
        let mail = mailbox.take_some(60);
        assert_eq!((mail.items, mail.datagrams.len()), (vec![1], 60));
        // There is room for as many as were taken.
        assert_eq!(post(&mailbox, SocketId(1), 61), 1);
        assert_eq!(
            mailbox.take_some(MAX_WAITING - 1).datagrams.len(),
            MAX_WAITING - 1
        );
        assert_eq!(ringing(&mut doorbell), 1);
        let mailbox = Mailbox::<u8>::new().unwrap();
        let mut doorbell = mailbox.doorbell().unwrap();
        post(&mailbox, SocketId(1), 2);
        assert_eq!(mailbox.take_some(1).datagrams.len(), 1);
        assert_eq!(mailbox.take_some(1).datagrams.len(), 1);
        assert_eq!(ringing(&mut doorbell), 0);
        assert!(mailbox.take().is_empty());
    }

    #[test]
    fn the_doorbell_has_one_byte_while_there_is_mail() {
        let mailbox = Mailbox::new().unwrap();
        let mut doorbell = mailbox.doorbell().unwrap();
        assert_eq!(ringing(&mut doorbell), 0);
        mailbox.push(1_u8);
        mailbox.push(2);
        post(&mailbox, SocketId(1), 3);
        let mail = mailbox.take();
        assert_eq!((mail.items, mail.datagrams.len()), (vec![1, 2], 3));
        assert_eq!(ringing(&mut doorbell), 0);
        assert!(mailbox.take().is_empty());
        post(&mailbox, SocketId(1), 3);
        mailbox.push(3);
        assert_eq!(ringing(&mut doorbell), 1);
    }

    #[test]
    fn the_doorbell_rings_at_the_end_of_a_round() {
        let mailbox = Arc::new(Mailbox::new().unwrap());
        let mut doorbell = mailbox.doorbell().unwrap();
        let round = Round::begin();
        mailbox.push(1_u8);
        post(&mailbox, SocketId(1), 3);
        assert_eq!(ringing(&mut doorbell), 0);
        // The round is that of this thread.
        let other = Arc::new(Mailbox::new().unwrap());
        let pushing = Arc::clone(&other);
        std::thread::spawn(move || pushing.push(1_u8))
            .join()
            .unwrap();
        assert_eq!(ringing(&mut other.doorbell().unwrap()), 1);
        drop(round);
        assert_eq!(ringing(&mut doorbell), 1);
        mailbox.push(2);
        assert_eq!(mailbox.take().items, [1, 2]);
        // What was taken before the end needs no bell, and what comes later has its own.
        let round = Round::begin();
        mailbox.push(3);
        assert_eq!(mailbox.take().items, [3]);
        drop(round);
        assert_eq!(ringing(&mut doorbell), 0);
        mailbox.push(4);
        assert_eq!(ringing(&mut doorbell), 1);
    }

    #[test]
    fn a_closed_mailbox_holds_nothing() {
        let mailbox = Mailbox::new().unwrap();
        let mut doorbell = mailbox.doorbell().unwrap();
        let item = std::sync::Arc::new(());
        mailbox.push(std::sync::Arc::clone(&item));
        mailbox.close();
        mailbox.push(std::sync::Arc::clone(&item));
        let mut letters = std::iter::once((SocketAddr::from(([127, 0, 0, 1], 9)), &[7_u8][..]));
        assert_eq!(mailbox.post(SocketId(1), Duration::ZERO, &mut letters), 1);
        assert_eq!(std::sync::Arc::strong_count(&item), 1);
        assert!(mailbox.take().is_empty());
        // The other end is gone: a byte, and then the end of the stream.
        assert_eq!(ringing(&mut doorbell), 1);
        assert_eq!(doorbell.read(&mut [0; 1]).unwrap(), 0);
        assert!(mailbox.doorbell().is_err());
    }

    #[test]
    fn each_socket_has_its_own_bound() {
        let mailbox = Mailbox::new().unwrap();
        assert_eq!(post(&mailbox, SocketId(1), MAX_WAITING - 1), 0);
        assert_eq!(post(&mailbox, SocketId(1), 10), 9);
        assert_eq!(post(&mailbox, SocketId(1), 1), 1);
        assert_eq!(post(&mailbox, SocketId(2), 10), 0);
        assert_eq!(mailbox.take().datagrams.len(), MAX_WAITING + 10);
        assert_eq!(post(&mailbox, SocketId(1), 1), 0);
    }
}

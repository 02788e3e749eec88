//! The UDP sockets of WebRTC sessions, and the one thread that reads them.
//!
//! A [`Plane`] owns the thread and the sockets. Media of a remote peer go to an [`Endpoint`], on the
//! thread, as soon as they are there; everything else goes to the [`Mailbox`] of an event loop. The
//! thread sleeps until a datagram comes, a deadline of an endpoint comes, or another thread wakes
//! it. It decodes nothing and decrypts nothing, and nothing here depends on Python.
//!
//! Locks are taken in this order, and several of them only where this list has them together: an
//! endpoint's mutex, then the turn of its attachment; the sources of an attachment, then the table
//! of sockets or the routes of one. No table is locked while an endpoint is called, so an endpoint may
//! call every method of the plane.
#![cfg(unix)]

mod batch;
mod bells;
mod clock;
mod deadlines;
mod endpoint;
mod gate;
mod mailbox;
mod plane;
mod shared;
mod socket;
mod wakes;
mod worker;

pub use clock::Clock;
pub use endpoint::{Endpoint, EndpointId, MAX_SOURCES};
pub use gate::{MAX_DATAGRAM_BYTES, MEDIA_PER_SECOND};
pub use mailbox::{Datagram, MAX_WAITING, Mail, Mailbox};
pub use plane::Plane;
pub use shared::PlaneStats;
pub use socket::{SocketId, SocketStats};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex of the crate's own. Nothing panics while one is held, and each value is
/// valid after every statement.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

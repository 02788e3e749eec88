//! The descriptors of a plane. Alone in its process, whose descriptors it counts.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gradio_webrtc_plane::{Clock, Mailbox, Plane};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_closed_plane_that_is_still_held_has_none() {
    let before = descriptors();
    let plane = Plane::new(Clock::showing(Duration::ZERO)).unwrap();
    let mailbox = Arc::new(Mailbox::<()>::new().unwrap());
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    plane.bind(any_port, 0, &mailbox).unwrap();
    assert!(descriptors() > before);
    plane.close();
    mailbox.close();
    assert_eq!(descriptors(), before);
    // What comes late is refused, and costs none.
    assert!(plane.bind(any_port, 0, &mailbox).is_err());
    assert_eq!(descriptors(), before);
}

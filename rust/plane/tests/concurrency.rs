//! Everything at once, from several threads: nothing waits for ever, and nothing is left.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use gradio_webrtc_plane::{Endpoint, Plane, SocketId};
use support::{Bench, any_port, rtcp, rtp, stun};

/// Answers each datagram, is often due, and is checked not to be called once it is detached.
struct Busy {
    plane: Weak<Plane>,
    socket: SocketId,
    peer: SocketAddr,
    detached: Arc<AtomicBool>,
    deadline: Duration,
    called_late: Arc<AtomicBool>,
}

impl Busy {
    fn check(&self) {
        if self.detached.load(Ordering::SeqCst) {
            self.called_late.store(true, Ordering::SeqCst);
        }
    }
}

impl Endpoint for Busy {
    fn receive(&mut self, now: Duration, datagram: &mut [u8]) -> bool {
        self.check();
        self.deadline = now + Duration::from_micros(datagram.len() as u64);
        if let Some(plane) = self.plane.upgrade() {
            let _ = plane.send(self.socket, datagram, self.peer);
        }
        datagram[1] != 201
    }

    fn advance(&mut self, now: Duration) {
        self.check();
        self.deadline = now;
    }

    fn deadline(&self) -> Option<Duration> {
        self.check();
        Some(self.deadline)
    }
}

/// The life of a session; every second one is detached by who holds its mutex.
fn session(bench: &Bench, called_late: &Arc<AtomicBool>, by_holder: bool) {
    let (socket, address) = bench.plane.bind(any_port(), 0, &bench.mailbox).unwrap();
    let peer = support::peer();
    let detached = Arc::new(AtomicBool::new(false));
    let endpoint = Arc::new(Mutex::new(Busy {
        plane: Arc::downgrade(&bench.plane),
        socket,
        peer: peer.local_addr().unwrap(),
        detached: Arc::clone(&detached),
        deadline: Duration::ZERO,
        called_late: Arc::clone(called_late),
    }));
    let id = bench.plane.attach(endpoint.clone(), |_| ());
    bench.plane.admit(id, socket, peer.local_addr().unwrap());
    for number in 0..20 {
        for bytes in [rtp(number), rtcp(number), stun(number)] {
            peer.send_to(&bytes, address).unwrap();
        }
        bench.plane.wake(id);
    }
    // The first answer: the endpoint works.
    peer.recv(&mut [0; 100]).unwrap();
    let held = by_holder.then(|| endpoint.lock().unwrap());
    bench.plane.detach(id);
    detached.store(true, Ordering::SeqCst);
    drop(held);
    bench.plane.unbind(socket);
    for number in 0..20 {
        let _ = peer.send_to(&rtp(number), address);
    }
}

#[test]
fn sessions_of_several_threads_come_and_go() {
    let bench = Bench::new();
    let called_late = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for count in 0..50 {
                    session(&bench, &called_late, count % 2 == 0);
                    let _ = bench.mailbox.take();
                }
            });
        }
    });
    assert!(!called_late.load(Ordering::SeqCst));
    let stats = bench.plane.stats();
    assert_eq!((stats.sockets, stats.endpoints), (1, 0));
    assert_eq!(stats.failed_endpoints, 0);
    let _ = bench.mailbox.take();
    assert_eq!(bench.settle(), [[0; 0]; 0]);
}

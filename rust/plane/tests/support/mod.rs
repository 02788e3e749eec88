//! Real sockets of this machine, endpoints that report each call, and waits for events.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gradio_webrtc_plane::{Clock, Endpoint, EndpointId, Mail, Mailbox, Plane, SocketId};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

/// Only for tests that fail.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Receive(Vec<u8>),
    Advance(Duration),
}

/// Reports its calls, and does what a test has it do.
pub struct Reporter {
    pub calls: Sender<Call>,
    pub deadline: Option<Duration>,
    pub takes_rtcp: bool,
    pub on_receive: Box<dyn FnMut() + Send>,
    /// Returns the next deadline.
    pub on_advance: Box<dyn FnMut(Duration) -> Option<Duration> + Send>,
}

impl Reporter {
    pub fn new() -> (Self, Receiver<Call>) {
        let (calls, received) = channel();
        let reporter = Self {
            calls,
            deadline: None,
            takes_rtcp: true,
            on_receive: Box::new(|| ()),
            on_advance: Box::new(|_| None),
        };
        (reporter, received)
    }
}

impl Endpoint for Reporter {
    fn receive(&mut self, _: Duration, datagram: &mut [u8]) -> bool {
        if datagram[1] == 201 && !self.takes_rtcp {
            return false;
        }
        let _ = self.calls.send(Call::Receive(datagram.to_vec()));
        (self.on_receive)();
        true
    }

    fn advance(&mut self, now: Duration) {
        let _ = self.calls.send(Call::Advance(now));
        self.deadline = (self.on_advance)(now);
    }

    fn deadline(&self) -> Option<Duration> {
        self.deadline
    }
}

pub struct Bench {
    pub plane: Arc<Plane>,
    pub mailbox: Arc<Mailbox<u8>>,
    pub socket: SocketId,
    pub address: SocketAddr,
    /// A remote peer.
    pub peer: UdpSocket,
}

impl Bench {
    pub fn new() -> Self {
        let plane = Arc::new(Plane::new(Clock::showing(Duration::from_secs(100))).unwrap());
        let mailbox = Arc::new(Mailbox::new().unwrap());
        let (socket, address) = plane.bind(any_port(), 1 << 20, &mailbox).unwrap();
        Self {
            plane,
            mailbox,
            socket,
            address,
            peer: peer(),
        }
    }

    pub fn send(&self, datagram: &[u8]) {
        self.peer.send_to(datagram, self.address).unwrap();
    }

    pub fn attach(&self, reporter: Reporter) -> (EndpointId, Arc<Mutex<Reporter>>) {
        let endpoint = Arc::new(Mutex::new(reporter));
        let id = self.plane.attach(endpoint.clone(), |_| ());
        (id, endpoint)
    }

    pub fn admit(&self, endpoint: EndpointId, peer: &UdpSocket) {
        let source = peer.local_addr().unwrap();
        self.plane.admit(endpoint, self.socket, source);
    }

    /// Waits until everything sent before went where it goes; the mailbox is empty afterwards.
    pub fn settle(&self) -> Vec<Vec<u8>> {
        self.send(&stun(255));
        let mut mailed = Vec::new();
        while mailed.last() != Some(&stun(255)) {
            let mail = wait_for_mail(&self.mailbox);
            mailed.extend(mail.datagrams.into_iter().map(|datagram| datagram.bytes));
        }
        mailed.pop();
        mailed
    }
}

pub fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub fn peer() -> UdpSocket {
    let peer = UdpSocket::bind(any_port()).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

pub fn datagram(first: u8, second: u8, number: u8) -> Vec<u8> {
    let mut bytes = vec![number; 20];
    bytes[0] = first;
    bytes[1] = second;
    bytes
}

pub fn rtp(number: u8) -> Vec<u8> {
    datagram(128, 111, number)
}

pub fn rtcp(number: u8) -> Vec<u8> {
    datagram(128, 201, number)
}

pub fn stun(number: u8) -> Vec<u8> {
    datagram(0, 1, number)
}

pub fn dtls(number: u8) -> Vec<u8> {
    datagram(22, 254, number)
}

/// Waits for the doorbell, as an event loop does.
pub fn wait_for_mail<Item: Send + 'static>(mailbox: &Mailbox<Item>) -> Mail<Item> {
    let doorbell = mailbox.doorbell().unwrap();
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(1);
    let mut source = SourceFd(&doorbell.as_raw_fd());
    let registry = poll.registry();
    registry
        .register(&mut source, Token(0), Interest::READABLE)
        .unwrap();
    poll.poll(&mut events, Some(PATIENCE)).unwrap();
    assert!(!events.is_empty(), "no mail");
    mailbox.take()
}

pub fn next_call(calls: &Receiver<Call>) -> Call {
    calls.recv_timeout(PATIENCE).unwrap()
}

/// Skips advances.
pub fn next_received(calls: &Receiver<Call>) -> Vec<u8> {
    loop {
        if let Call::Receive(bytes) = next_call(calls) {
            return bytes;
        }
    }
}

/// Skips datagrams.
pub fn next_advance(calls: &Receiver<Call>) -> Duration {
    loop {
        if let Call::Advance(now) = next_call(calls) {
            return now;
        }
    }
}

/// Of those that are there.
pub fn all_received(calls: &Receiver<Call>) -> Vec<Vec<u8>> {
    let received = calls.try_iter().filter_map(|call| match call {
        Call::Receive(bytes) => Some(bytes),
        Call::Advance(_) => None,
    });
    received.collect()
}

/// For counters, which have no event.
pub fn eventually(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
}

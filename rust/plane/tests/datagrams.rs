//! Datagrams over real sockets: to endpoints, to the mailbox, or nowhere.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use gradio_webrtc_plane::{Clock, MAX_SOURCES, MAX_WAITING, Mailbox, Plane};
use support::{
    Bench, Reporter, all_received, any_port, datagram, dtls, eventually, next_received, peer, rtcp,
    rtp, stun, wait_for_mail,
};

#[test]
fn media_of_an_admitted_source_reach_the_endpoint_and_the_rest_the_mailbox() {
    let bench = Bench::new();
    let (reporter, calls) = Reporter::new();
    let (endpoint, _) = bench.attach(reporter);
    bench.admit(endpoint, &bench.peer);
    for bytes in [rtp(1), stun(2), rtcp(3), dtls(4), rtp(5), stun(6)] {
        bench.send(&bytes);
    }
    assert_eq!(bench.settle(), [stun(2), dtls(4), stun(6)]);
    assert_eq!(all_received(&calls), [rtp(1), rtcp(3), rtp(5)]);
    let stats = || bench.plane.socket_stats(bench.socket).unwrap();
    assert_eq!((stats().received, stats().media), (7, 3));
    // Counted after the doorbell rings.
    eventually(|| stats().mailed == 4);
}

#[test]
fn the_endpoint_decides_about_rtcp_and_the_order_stays() {
    let bench = Bench::new();
    let (mut reporter, calls) = Reporter::new();
    reporter.takes_rtcp = false;
    let (endpoint, _) = bench.attach(reporter);
    bench.admit(endpoint, &bench.peer);
    for bytes in [rtcp(1), rtp(2), stun(3), rtcp(4)] {
        bench.send(&bytes);
    }
    assert_eq!(bench.settle(), [rtcp(1), stun(3), rtcp(4)]);
    assert_eq!(all_received(&calls), [rtp(2)]);
}

#[test]
fn media_of_unknown_sources_are_mail_with_their_source() {
    let bench = Bench::new();
    let (reporter, calls) = Reporter::new();
    let (endpoint, _) = bench.attach(reporter);
    bench.admit(endpoint, &bench.peer);
    let stranger = peer();
    stranger.send_to(&rtp(1), bench.address).unwrap();
    let mail = wait_for_mail(&bench.mailbox);
    let [letter] = &mail.datagrams[..] else {
        panic!("{mail:?}")
    };
    assert_eq!(letter.bytes, rtp(1));
    assert_eq!(letter.source, stranger.local_addr().unwrap());
    assert_eq!(letter.socket, bench.socket);
    assert!(letter.received_at >= Duration::from_secs(100));
    assert!(letter.received_at <= bench.plane.now());
    assert_eq!(all_received(&calls), [[0; 0]; 0]);
}

#[test]
fn what_nobody_has_any_use_for_is_refused_by_reason() {
    let bench = Bench::new();
    let long = |length: usize| [vec![0, 1], vec![0; length - 2]].concat();
    bench.send(&datagram(80, 0, 0));
    bench.send(&[]);
    bench.send(&stun(1)[..19]);
    bench.send(&rtp(1)[..11]);
    bench.send(&rtcp(1)[..7]);
    bench.send(&long(2049));
    bench.send(&long(5000));
    bench.send(&long(2048));
    assert_eq!(bench.settle(), [long(2048)]);
    let stats = bench.plane.socket_stats(bench.socket).unwrap();
    assert_eq!(stats.refused_protocol, 2);
    assert_eq!(stats.refused_short, 3);
    assert_eq!(stats.refused_long, 2);
    assert_eq!(stats.received, 9);
}

#[test]
fn a_full_mailbox_keeps_the_oldest_of_a_socket() {
    let bench = Bench::new();
    let stats = || bench.plane.socket_stats(bench.socket).unwrap();
    let total = MAX_WAITING + 44;
    for sent in 1..=total {
        bench.send(&stun(u8::from(sent > MAX_WAITING)));
        // The operating system's buffer must not be what bounds them.
        if sent % 50 == 0 || sent == total {
            eventually(|| stats().mailed + stats().refused_mailbox == sent as u64);
        }
    }
    assert_eq!(stats().refused_mailbox, 44);
    let mail = bench.mailbox.take();
    assert_eq!(mail.datagrams.len(), MAX_WAITING);
    assert!(mail.datagrams.iter().all(|letter| letter.bytes == stun(0)));
    bench.send(&stun(9));
    assert_eq!(wait_for_mail(&bench.mailbox).datagrams[0].bytes, stun(9));
}

#[test]
fn a_flood_of_one_socket_lets_the_others_have_their_turn() {
    let bench = Bench::new();
    let (reporter, calls) = Reporter::new();
    let (endpoint, locked) = bench.attach(reporter);
    bench.admit(endpoint, &bench.peer);
    let (quiet, quiet_address) = bench.plane.bind(any_port(), 0, &bench.mailbox).unwrap();
    bench
        .plane
        .admit(endpoint, quiet, bench.peer.local_addr().unwrap());
    // The thread stands still while the datagrams come.
    let stopped = locked.lock().unwrap();
    for _ in 0..200 {
        bench.send(&rtp(1));
    }
    bench.peer.send_to(&rtp(2), quiet_address).unwrap();
    drop(stopped);
    let received: Vec<_> = (0..201).map(|_| next_received(&calls)).collect();
    let place = received.iter().position(|bytes| *bytes == rtp(2)).unwrap();
    // It may have stopped within the first batch; another one of 64 may come before the quiet one.
    assert!(place <= 128, "{place}");
}

#[test]
fn a_port_in_use_keeps_its_error_and_is_free_after_unbind() {
    let bench = Bench::new();
    let error = bench
        .plane
        .bind(bench.address, 0, &bench.mailbox)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let of_the_system = UdpSocket::bind(bench.address).unwrap_err();
    assert_eq!(error.raw_os_error(), of_the_system.raw_os_error());
    bench.plane.unbind(bench.socket);
    let again = bench.plane.bind(bench.address, 0, &bench.mailbox).unwrap();
    assert_eq!(again.1, bench.address);
    assert_ne!(again.0, bench.socket);
    assert_eq!(bench.plane.stats().sockets, 1);
    // And the new one works, although its descriptor may have the old one's number.
    assert_eq!(bench.settle(), [[0; 0]; 0]);
}

#[test]
fn datagrams_are_sent_until_the_socket_is_closed() {
    let bench = Bench::new();
    let to = bench.peer.local_addr().unwrap();
    bench.plane.send(bench.socket, &rtp(7), to).unwrap();
    let mut buffer = [0; 100];
    let (length, source) = bench.peer.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], source), (&rtp(7)[..], bench.address));
    assert_eq!(bench.plane.socket_stats(bench.socket).unwrap().sent, 1);
    let other_family = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
    let mistake = bench.plane.send(bench.socket, &rtp(7), other_family);
    assert!(mistake.unwrap_err().raw_os_error().is_some());
    bench.plane.unbind(bench.socket);
    let error = bench.plane.send(bench.socket, &rtp(7), to).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert_eq!(bench.plane.socket_stats(bench.socket), None);
}

#[test]
fn an_endpoint_has_sixteen_sources_and_the_oldest_goes() {
    let bench = Bench::new();
    let (reporter, calls) = Reporter::new();
    let (endpoint, _) = bench.attach(reporter);
    let peers: Vec<_> = (0..=MAX_SOURCES).map(|_| peer()).collect();
    for peer in &peers[..MAX_SOURCES] {
        bench.admit(endpoint, peer);
    }
    // Admitted again, the first is the newest.
    bench.admit(endpoint, &peers[0]);
    bench.admit(endpoint, &peers[MAX_SOURCES]);
    for (number, peer) in (0..).zip(&peers) {
        peer.send_to(&rtp(number), bench.address).unwrap();
    }
    assert_eq!(bench.settle(), [rtp(1)]);
    let received = all_received(&calls);
    assert_eq!(received.len(), MAX_SOURCES);
    assert!(!received.contains(&rtp(1)));
}

#[test]
fn a_source_belongs_to_the_endpoint_that_it_was_last_admitted_to() {
    let bench = Bench::new();
    let (reporter, first_calls) = Reporter::new();
    let (first, _) = bench.attach(reporter);
    let (reporter, second_calls) = Reporter::new();
    let (second, _) = bench.attach(reporter);
    bench.admit(first, &bench.peer);
    bench.admit(second, &bench.peer);
    // The first endpoint's end does not end the second one's admission.
    bench.plane.detach(first);
    bench.send(&rtp(1));
    assert_eq!(next_received(&second_calls), rtp(1));
    assert_eq!(all_received(&first_calls), [[0; 0]; 0]);
    bench.plane.detach(second);
    bench.send(&rtp(2));
    assert_eq!(bench.settle(), [rtp(2)]);
}

#[test]
fn each_socket_has_the_mailbox_that_it_was_bound_with() {
    let bench = Bench::new();
    let other = Arc::new(Mailbox::<String>::new().unwrap());
    let (socket, address) = bench.plane.bind(any_port(), 0, &other).unwrap();
    bench.peer.send_to(&stun(1), address).unwrap();
    other.push("item".to_owned());
    let mut mail = wait_for_mail(&other);
    if mail.datagrams.is_empty() {
        mail.datagrams = wait_for_mail(&other).datagrams;
    }
    assert_eq!(mail.datagrams[0].socket, socket);
    assert!(bench.mailbox.take().is_empty());
}

#[test]
fn ipv6_works_where_it_exists() {
    let Ok(peer) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return;
    };
    let plane = Plane::new(Clock::showing(Duration::ZERO)).unwrap();
    let mailbox = Arc::new(Mailbox::<()>::new().unwrap());
    let any_port = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let (socket, address) = plane.bind(any_port, 0, &mailbox).unwrap();
    let (reporter, calls) = Reporter::new();
    let endpoint = Arc::new(std::sync::Mutex::new(reporter));
    let endpoint = plane.attach(endpoint, |_| ());
    plane.admit(endpoint, socket, peer.local_addr().unwrap());
    peer.send_to(&rtp(1), address).unwrap();
    assert_eq!(next_received(&calls), rtp(1));
    peer.send_to(&stun(2), address).unwrap();
    let mail = wait_for_mail(&mailbox);
    assert_eq!(mail.datagrams[0].source, peer.local_addr().unwrap());
}

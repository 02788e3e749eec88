//! The life of an endpoint: deadlines, detaching, panics, and the end of the plane.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gradio_webrtc_plane::{Clock, Mailbox, Plane};
use support::{
    Bench, Call, PATIENCE, Reporter, any_port, eventually, next_advance, next_call, next_received,
    rtp, stun, wait_for_mail,
};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_plane_is_shared_by_threads() {
    fn check<T: Send + Sync>() {}
    check::<Plane>();
    check::<Mailbox<u8>>();
}

#[test]
fn an_endpoint_advances_once_after_its_part_of_a_batch() {
    let bench = Bench::new();
    let (reporter, calls) = Reporter::new();
    let (endpoint, locked) = bench.attach(reporter);
    bench.admit(endpoint, &bench.peer);
    let stopped = locked.lock().unwrap();
    // The thread may stand still with the first of them.
    for number in 0..20 {
        bench.send(&rtp(number));
    }
    drop(stopped);
    bench.settle();
    let calls: Vec<_> = calls.try_iter().collect();
    let advances = calls.iter().filter(|call| matches!(call, Call::Advance(_)));
    assert!(advances.count() <= 2, "{calls:?}");
    assert!(matches!(calls.last(), Some(Call::Advance(_))));
}

#[test]
fn a_busy_thread_wakes_250_times_a_second() {
    let bench = Bench::new();
    let (reporter, calls) = Reporter::new();
    let (endpoint, _) = bench.attach(reporter);
    bench.admit(endpoint, &bench.peer);
    let begin = bench.plane.now();
    for number in 0..200 {
        bench.send(&rtp(number));
        thread::sleep(MS / 2);
    }
    bench.settle();
    let passed = bench.plane.now().saturating_sub(begin);
    let calls: Vec<_> = calls.try_iter().collect();
    let advances = calls.iter().filter(|call| matches!(call, Call::Advance(_)));
    let advances = advances.count();
    // Eight may come at once.
    assert!(
        advances as u128 <= 8 + passed.as_millis() / 4 + 1,
        "{advances} in {passed:?}"
    );
    assert_eq!(calls.len(), 200 + advances);
}

#[test]
fn deadlines_come_in_order_and_not_early() {
    let bench = Bench::new();
    let now = bench.plane.now();
    // The thread stands still until it can read all three deadlines together.
    let obstacle = Arc::new(Mutex::new(Reporter::new().0));
    let held = obstacle.lock().unwrap();
    bench.plane.attach(obstacle.clone(), |_| ());
    let (order, came) = channel();
    for after in [30, 10, 20] {
        let order = order.clone();
        let (mut reporter, _) = Reporter::new();
        let due = now + after * MS;
        reporter.deadline = Some(due);
        reporter.on_advance = Box::new(move |now| {
            order.send((due, now)).unwrap();
            None
        });
        bench.attach(reporter);
    }
    drop(held);
    for after in [10, 20, 30] {
        let (due, at) = came.recv_timeout(PATIENCE).unwrap();
        assert_eq!(due, now + after * MS);
        assert!(at >= due);
    }
    // None of them has another one.
    bench.settle();
    assert!(came.try_recv().is_err());
}

#[test]
fn a_deadline_that_has_changed_is_read_after_wake() {
    let bench = Bench::new();
    let (mut reporter, calls) = Reporter::new();
    reporter.deadline = Some(Duration::MAX);
    let (endpoint, locked) = bench.attach(reporter);
    for _ in 0..100 {
        locked.lock().unwrap().deadline = Some(bench.plane.now());
        bench.plane.wake(endpoint);
        next_advance(&calls);
    }
    assert!(calls.try_recv().is_err());
}

#[test]
fn wakes_get_through_beside_endpoints_that_come_and_go() {
    let bench = Bench::new();
    let (reporter, calls) = Reporter::new();
    let (endpoint, locked) = bench.attach(reporter);
    for _ in 0..100 {
        let (transient, _) = bench.attach(Reporter::new().0);
        bench.plane.detach(transient);
        locked.lock().unwrap().deadline = Some(bench.plane.now());
        bench.plane.wake(endpoint);
        next_advance(&calls);
    }
    assert_eq!(bench.plane.stats().endpoints, 1);
}

#[test]
fn a_deadline_that_stays_in_the_past_lets_the_thread_sleep() {
    let bench = Bench::new();
    let (mut reporter, calls) = Reporter::new();
    reporter.deadline = Some(Duration::ZERO);
    reporter.on_advance = Box::new(|_| Some(Duration::ZERO));
    bench.attach(reporter);
    let mut last = next_advance(&calls);
    for _ in 0..20 {
        let now = next_advance(&calls);
        assert!(now >= last + MS);
        last = now;
    }
}

#[test]
fn detach_waits_for_the_call_under_way() {
    let bench = Bench::new();
    let (mut reporter, calls) = Reporter::new();
    let (release, released) = channel::<()>();
    let log = Arc::new(Mutex::new(Vec::new()));
    let of_endpoint = Arc::clone(&log);
    reporter.on_receive = Box::new(move || {
        let _ = released.recv_timeout(PATIENCE);
        of_endpoint.lock().unwrap().push("received");
    });
    let (endpoint, _) = bench.attach(reporter);
    bench.admit(endpoint, &bench.peer);
    bench.send(&rtp(1));
    assert_eq!(next_received(&calls), rtp(1));
    thread::scope(|scope| {
        scope.spawn(|| {
            bench.plane.detach(endpoint);
            log.lock().unwrap().push("detached");
        });
        eventually(|| bench.plane.stats().endpoints == 0);
        release.send(()).unwrap();
    });
    assert_eq!(*log.lock().unwrap(), ["received", "detached"]);
    bench.send(&rtp(2));
    assert_eq!(bench.settle(), [rtp(2)]);
    // Not even an advance after the call in which it was detached.
    assert!(calls.try_recv().is_err());
}

#[test]
fn who_holds_the_mutex_may_detach() {
    let bench = Bench::new();
    for count in 1..=20 {
        let (reporter, calls) = Reporter::new();
        let (endpoint, locked) = bench.attach(reporter);
        bench.admit(endpoint, &bench.peer);
        // The thread reads the first deadline in the turn of the first of these at the latest.
        bench.settle();
        bench.settle();
        let held = locked.lock().unwrap();
        bench.send(&rtp(1));
        let received = || bench.plane.socket_stats(bench.socket).unwrap().received;
        // The fourth of each round is that of the last `settle`.
        eventually(|| received() == 4 * count - 1);
        bench.plane.detach(endpoint);
        drop(held);
        assert_eq!(bench.settle(), [rtp(1)]);
        assert!(calls.try_recv().is_err());
    }
}

#[test]
fn an_endpoint_may_detach_itself_and_use_the_plane() {
    let bench = Bench::new();
    let (mut reporter, calls) = Reporter::new();
    let itself = Arc::new(Mutex::new(None));
    let (plane, id) = (Arc::downgrade(&bench.plane), Arc::clone(&itself));
    let (socket, to) = (bench.socket, bench.peer.local_addr().unwrap());
    reporter.on_receive = Box::new(move || {
        let plane = plane.upgrade().unwrap();
        let endpoint = id.lock().unwrap().unwrap();
        plane.admit(endpoint, socket, SocketAddr::from(([127, 0, 0, 1], 9)));
        plane.wake(endpoint);
        plane.send(socket, b"answer", to).unwrap();
        plane.detach(endpoint);
    });
    let (endpoint, _) = bench.attach(reporter);
    *itself.lock().unwrap() = Some(endpoint);
    bench.admit(endpoint, &bench.peer);
    bench.send(&rtp(1));
    bench.send(&rtp(2));
    let mut answer = [0; 10];
    assert_eq!(bench.peer.recv(&mut answer).unwrap(), 6);
    assert_eq!(bench.settle(), [rtp(2)]);
    assert_eq!(next_call(&calls), Call::Receive(rtp(1)));
    assert!(calls.try_recv().is_err());
    assert_eq!(bench.plane.stats().endpoints, 0);
}

#[test]
fn a_panic_ends_one_endpoint_and_nothing_else() {
    let bench = Bench::new();
    let (mut reporter, _) = Reporter::new();
    reporter.on_receive = Box::new(|| panic!("a mistake in an endpoint"));
    let mailbox = Arc::clone(&bench.mailbox);
    let endpoint = Arc::new(Mutex::new(reporter));
    let failing = bench.plane.attach(endpoint, move |_| {
        mailbox.push(7);
        panic!("a mistake in its report");
    });
    bench.admit(failing, &bench.peer);
    let healthy_peer = support::peer();
    let (reporter, calls) = Reporter::new();
    let (healthy, _) = bench.attach(reporter);
    bench.admit(healthy, &healthy_peer);
    bench.send(&rtp(1));
    healthy_peer.send_to(&rtp(2), bench.address).unwrap();
    assert_eq!(next_received(&calls), rtp(2));
    assert_eq!(wait_for_mail(&bench.mailbox).items, [7]);
    let stats = bench.plane.stats();
    assert_eq!((stats.endpoints, stats.failed_endpoints), (1, 1));
    bench.send(&rtp(3));
    assert_eq!(bench.settle(), [rtp(3)]);
}

#[test]
fn a_panic_of_a_deadline_or_of_a_drop_ends_one_endpoint() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a mistake in a drop");
        }
    }
    let bench = Bench::new();
    let (mut reporter, _) = Reporter::new();
    let bomb = Bomb;
    reporter.deadline = Some(Duration::ZERO);
    reporter.on_advance = Box::new(move |_| {
        // Captured, and so dropped with the endpoint, on the thread.
        let _ = &bomb;
        panic!("a mistake in advance");
    });
    bench.plane.attach(Arc::new(Mutex::new(reporter)), |_| ());
    eventually(|| bench.plane.stats().failed_endpoints == 1);
    assert_eq!(bench.settle(), [[0; 0]; 0]);
}

#[test]
fn a_poisoned_endpoint_is_detached() {
    let bench = Bench::new();
    let (reporter, calls) = Reporter::new();
    let (endpoint, locked) = bench.attach(reporter);
    let owner = thread::spawn(move || {
        let _held = locked.lock().unwrap();
        panic!("a mistake in an owner");
    });
    owner.join().unwrap_err();
    bench.plane.wake(endpoint);
    eventually(|| bench.plane.stats().failed_endpoints == 1);
    assert_eq!(bench.plane.stats().endpoints, 0);
    assert!(calls.try_recv().is_err());
}

#[test]
fn close_joins_the_thread_and_leaves_nothing() {
    let bench = Bench::new();
    let (mut reporter, calls) = Reporter::new();
    reporter.deadline = Some(Duration::MAX);
    let (endpoint, locked) = bench.attach(reporter);
    bench.admit(endpoint, &bench.peer);
    bench.plane.close();
    bench.plane.close();
    assert_eq!(Arc::strong_count(&locked), 1);
    assert_eq!(Arc::strong_count(&bench.mailbox), 1);
    assert_eq!(bench.plane.stats().sockets, 0);
    let error = bench.plane.bind(any_port(), 0, &bench.mailbox).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    bench.plane.attach(locked.clone(), |_| ());
    bench.plane.wake(endpoint);
    bench.plane.detach(endpoint);
    assert_eq!(Arc::strong_count(&locked), 1);
    assert!(calls.try_recv().is_err());
    // Its port is free.
    std::net::UdpSocket::bind(bench.address).unwrap();
}

#[test]
fn a_plane_may_be_dropped_on_its_own_thread() {
    let plane = Arc::new(Plane::new(Clock::showing(Duration::ZERO)).unwrap());
    let mailbox = Arc::new(Mailbox::<()>::new().unwrap());
    let (_, address) = plane.bind(any_port(), 0, &mailbox).unwrap();
    let (mut reporter, calls) = Reporter::new();
    let (give, given) = channel::<Arc<Plane>>();
    reporter.deadline = Some(Duration::ZERO);
    reporter.on_advance = Box::new(move |_| {
        drop(given.recv_timeout(PATIENCE));
        None
    });
    plane.attach(Arc::new(Mutex::new(reporter)), |_| ());
    give.send(plane).unwrap();
    next_advance(&calls);
    // Nobody has the endpoint any more when the thread is at its end.
    assert_eq!(
        calls.recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Disconnected)
    );
    std::net::UdpSocket::bind(address).unwrap();
}

#[test]
fn the_mailbox_wakes_an_event_loop_with_what_an_endpoint_delivers() {
    let bench = Bench::new();
    let mailbox = Arc::clone(&bench.mailbox);
    let (mut reporter, _) = Reporter::new();
    let mut number = 0;
    reporter.on_receive = Box::new(move || {
        number += 1;
        mailbox.push(number);
    });
    let (endpoint, _) = bench.attach(reporter);
    bench.admit(endpoint, &bench.peer);
    for number in 1..=3 {
        bench.send(&rtp(number));
    }
    let mut items = Vec::new();
    while items.len() < 3 {
        items.extend(wait_for_mail(&bench.mailbox).items);
    }
    assert_eq!(items, [1, 2, 3]);
    bench.send(&stun(4));
    let mail = wait_for_mail(&bench.mailbox);
    assert_eq!((mail.datagrams.len(), mail.items.len()), (1, 0));
}

//! Whether a source plays on what is received, and how late that came.
//!
//! An echo has played as much as it has received, apart from a moment, at any time. A reply has not:
//! it pauses while the user goes on to be received, or comes faster than real time, or goes on while
//! nothing is received.

/// The time between two looks at the difference, in seconds.
const LOOK_S: f64 = 0.25;

/// Looks that have to agree: 2 s; and those that are stored, 3 s.
const MIN_LOOKS: usize = 8;
const LOOKS: usize = 12;

/// By how much the difference of an echo varies at most, in seconds: frames under way through the code
/// of a program, and the blocks in which it emits them.
const MOST_APART_S: f64 = 0.1;

/// What comes at once after so long a gap was held back on its way, in seconds. A packet that was lost
/// holds back what comes after it for 40 ms.
const HELD_BACK_S: f64 = 0.03;

/// The part of a frame's length up to which it comes at once with the one before.
const AT_ONCE: f64 = 0.75;

/// Compares what is received with what is played.
///
/// Times are in seconds, by a clock that never goes back.
#[derive(Debug)]
pub(crate) struct EchoWatch {
    received_s: f64,
    last_s: f64,
    /// The time without anything before the last burst, and what came at once in it.
    gap_s: f64,
    burst_s: f64,
    /// The differences at the last looks, the newest at `next - 1`.
    differences_s: [f64; LOOKS],
    looks: usize,
    next: usize,
    looked_s: f64,
    /// As of the last look.
    is_echo: bool,
}

/// What is to be expected of a source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Expected {
    /// Nothing new.
    Same,
    /// So many seconds of what it plays come late, all in all.
    Late(f64),
    /// It is no echo, or is one from now on: what was missing in it until now was no hole.
    NotLate,
}

impl EchoWatch {
    pub(crate) fn new() -> Self {
        Self {
            received_s: 0.0,
            last_s: f64::NEG_INFINITY,
            gap_s: 0.0,
            burst_s: 0.0,
            differences_s: [0.0; LOOKS],
            looks: 0,
            next: 0,
            looked_s: f64::NEG_INFINITY,
            is_echo: false,
        }
    }

    /// True if the source plays on what is received, as of the last look.
    pub(crate) fn is_echo(&self) -> bool {
        self.is_echo
    }

    /// Notes that so many seconds were received now, `played_s` after what was played until now.
    pub(crate) fn receive(&mut self, now_s: f64, seconds: f64, played_s: f64) -> Expected {
        let apart_s = now_s - self.last_s;
        self.last_s = now_s;
        let was_echo = self.is_echo;
        let late_s = self.late_s();
        // Within a burst what was received just now cannot have been played yet.
        if apart_s < AT_ONCE * seconds {
            self.burst_s += seconds;
        } else {
            (self.gap_s, self.burst_s) = (apart_s - seconds, 0.0);
            self.look(now_s, played_s);
        }
        self.received_s += seconds;
        if self.is_echo != was_echo {
            return Expected::NotLate;
        }
        if self.is_echo && self.burst_s > 0.0 && self.late_s() > late_s.max(HELD_BACK_S) {
            return Expected::Late(self.late_s());
        }
        Expected::Same
    }

    /// What of the last burst was held back.
    fn late_s(&self) -> f64 {
        self.gap_s.min(self.burst_s)
    }

    fn look(&mut self, now_s: f64, played_s: f64) {
        if now_s - self.looked_s < LOOK_S {
            return;
        }
        self.looked_s = now_s;
        self.differences_s[self.next] = self.received_s - played_s;
        self.next = (self.next + 1) % LOOKS;
        self.looks = LOOKS.min(self.looks + 1);
        let differences_s = &self.differences_s[..self.looks];
        let least_s = differences_s.iter().copied().fold(f64::INFINITY, f64::min);
        let most_s = differences_s
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        self.is_echo = self.looks >= MIN_LOOKS && most_s - least_s <= MOST_APART_S;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_S: f64 = 0.02;

    /// A client that is received for so long, and a source that has played `played_s(now)`.
    struct Call {
        watch: EchoWatch,
        now_s: f64,
        received_s: f64,
        played_s: f64,
    }

    impl Call {
        fn new() -> Self {
            Self {
                watch: EchoWatch::new(),
                now_s: 100.0,
                received_s: 0.0,
                played_s: 0.0,
            }
        }

        fn receive(&mut self) -> Expected {
            self.received_s += FRAME_S;
            self.watch.receive(self.now_s, FRAME_S, self.played_s)
        }

        /// Frames in real time, each of which is followed by so much audio of the source.
        fn go_on(&mut self, frames: u32, played_s: f64) -> Vec<Expected> {
            (0..frames)
                .map(|_| {
                    self.now_s += FRAME_S;
                    let expected = self.receive();
                    self.played_s += played_s;
                    expected
                })
                .filter(|expected| *expected != Expected::Same)
                .collect()
        }

        /// So many frames that were held back come at once.
        fn burst(&mut self, frames: u32) -> Expected {
            self.now_s += f64::from(frames) * FRAME_S;
            let all: Vec<_> = (0..frames).map(|_| self.receive()).collect();
            *all.last().unwrap()
        }
    }

    fn is_late(expected: Expected, seconds: f64) -> bool {
        matches!(expected, Expected::Late(late_s) if (late_s - seconds).abs() < 1e-6)
    }

    #[test]
    fn what_an_echo_receives_in_a_burst_is_late() {
        let mut call = Call::new();
        assert_eq!(call.go_on(150, FRAME_S), [Expected::NotLate]);
        for frames in [4, 50, 250] {
            // The first of them was on time.
            let late_s = f64::from(frames - 1) * FRAME_S;
            assert!(is_late(call.burst(frames), late_s), "{frames}");
            call.played_s += f64::from(frames) * FRAME_S;
            call.go_on(25, FRAME_S);
        }
    }

    #[test]
    fn nothing_is_late_where_nothing_was_sent() {
        let mut call = Call::new();
        call.go_on(150, FRAME_S);
        call.now_s += 3.0;
        assert_eq!(call.go_on(50, FRAME_S), []);
    }

    #[test]
    fn replies_are_no_echo() {
        // In real time, and going on while nothing is received.
        let mut call = Call::new();
        call.go_on(150, FRAME_S);
        call.played_s += 10.0 * FRAME_S;
        assert_eq!(call.burst(10), Expected::Same);
        // With pauses, and faster than real time.
        for played_s in [0.0, 1.3 * FRAME_S] {
            let mut call = Call::new();
            call.go_on(150, FRAME_S);
            assert_eq!(call.go_on(50, played_s), [Expected::NotLate]);
            assert_eq!(call.burst(10), Expected::Same);
        }
    }

    #[test]
    fn a_call_that_has_begun_is_no_echo_yet() {
        let mut call = Call::new();
        call.go_on(80, FRAME_S);
        assert_eq!(call.burst(10), Expected::Same);
    }
}

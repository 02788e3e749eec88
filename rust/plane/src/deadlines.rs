//! The deadlines of all endpoints, the earliest first.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::EndpointId;

/// The least time from one call of an endpoint to the next that no datagram causes. An endpoint
/// whose deadline stays in the past would otherwise keep the thread from ever sleeping; epoll
/// counts in milliseconds, too.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
struct Entry {
    due: Option<Duration>,
    /// The time before which it is not due.
    free_at: Duration,
}

/// The time at which each endpoint is due; the thread's own.
#[derive(Debug, Default)]
pub struct Deadlines {
    queue: BTreeSet<(Duration, EndpointId)>,
    entries: HashMap<EndpointId, Entry>,
}

impl Deadlines {
    /// Returns the earliest time at which an endpoint is due.
    pub fn next(&self) -> Option<Duration> {
        self.queue.first().map(|&(due, _)| due)
    }

    /// Takes the endpoint out that is due first, if that is not after `now`.
    pub fn pop_due(&mut self, now: Duration) -> Option<EndpointId> {
        let &(due, id) = self.queue.first()?;
        if due > now {
            return None;
        }
        self.set(id, None);
        Some(id)
    }

    /// Stores that an endpoint was called at `now`, so that it is not due within a millisecond.
    pub fn called(&mut self, id: EndpointId, now: Duration) {
        self.entries.entry(id).or_default().free_at = now.saturating_add(MIN_INTERVAL);
    }

    /// Replaces the deadline of an endpoint.
    pub fn set(&mut self, id: EndpointId, deadline: Option<Duration>) {
        let entry = self.entries.entry(id).or_default();
        let due = deadline.map(|deadline| deadline.max(entry.free_at));
        if due == entry.due {
            return;
        }
        if let Some(old) = std::mem::replace(&mut entry.due, due) {
            self.queue.remove(&(old, id));
        }
        if let Some(due) = due {
            self.queue.insert((due, id));
        }
    }

    /// Removes an endpoint.
    pub fn remove(&mut self, id: EndpointId) {
        self.set(id, None);
        self.entries.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn endpoints_are_due_in_order() {
        let mut deadlines = Deadlines::default();
        let [first, second, third] = [0, 1, 2].map(EndpointId);
        deadlines.set(first, Some(at(30)));
        deadlines.set(second, Some(at(10)));
        deadlines.set(third, Some(at(20)));
        deadlines.set(first, Some(at(15)));
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop_due(at(9)), None);
        deadlines.remove(third);
        let due: Vec<_> = std::iter::from_fn(|| deadlines.pop_due(at(20))).collect();
        assert_eq!(due, [second, first]);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_deadline_in_the_past_lets_the_thread_sleep() {
        let mut deadlines = Deadlines::default();
        let id = EndpointId(1);
        deadlines.set(id, Some(at(5)));
        assert_eq!(deadlines.pop_due(at(10)), Some(id));
        deadlines.called(id, at(10));
        deadlines.set(id, Some(at(5)));
        assert_eq!(deadlines.pop_due(at(10)), None);
        assert_eq!(deadlines.next(), Some(at(11)));
    }

    #[test]
    fn nothing_is_kept_of_a_removed_endpoint() {
        let mut deadlines = Deadlines::default();
        deadlines.set(EndpointId(1), Some(Duration::MAX));
        deadlines.remove(EndpointId(1));
        assert!(deadlines.queue.is_empty() && deadlines.entries.is_empty());
    }
}

//! The least of recent values.

use std::time::Duration;

/// The least value of the last one to two windows, so that one that does not come back is discarded.
#[derive(Debug, Clone)]
pub(crate) struct RecentLeast<T> {
    window: Duration,
    end: Duration,
    current: Option<T>,
    before: Option<T>,
}

impl<T: Ord + Copy> RecentLeast<T> {
    /// Without a value yet.
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            end: Duration::ZERO,
            current: None,
            before: None,
        }
    }

    /// Adds a value, and returns the least one.
    pub(crate) fn add(&mut self, now: Duration, value: T) -> T {
        if now >= self.end {
            let is_recent = now < self.end.saturating_add(self.window);
            self.before = self.current.take().filter(|_| is_recent);
            self.end = now.saturating_add(self.window);
        }
        let least = self.current.map_or(value, |least| least.min(value));
        self.current = Some(least);
        self.before.map_or(least, |before| before.min(least))
    }

    /// The least one; `None` before the first.
    pub(crate) fn get(&self) -> Option<T> {
        self.current.into_iter().chain(self.before).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_one_to_two_windows() {
        let s = Duration::from_secs;
        let mut least = RecentLeast::new(s(10));
        assert_eq!(least.get(), None);
        assert_eq!(least.add(s(100), 5), 5);
        assert_eq!(least.add(s(109), 7), 5);
        assert_eq!(least.add(s(111), 8), 5);
        assert_eq!(least.get(), Some(5));
        assert_eq!(least.add(s(121), 9), 8);
        assert_eq!(least.add(s(160), 9), 9, "long after the last one");
    }
}

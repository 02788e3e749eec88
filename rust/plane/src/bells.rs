//! The doorbells that ring together, at the end of a round of the thread.

use std::cell::RefCell;
use std::sync::Arc;

/// Something whose doorbell may ring later.
pub trait Rings: Send + Sync {
    /// Rings, if there still is a reason.
    fn ring(&self);
}

thread_local! {
    /// Those of this thread's round; `None` outside one.
    static LEFT: RefCell<Option<Vec<Arc<dyn Rings>>>> = const { RefCell::new(None) };
}

/// Leaves a doorbell to the end of this thread's round; false if there is no round.
pub fn leave(bell: &Arc<impl Rings + 'static>) -> bool {
    LEFT.with_borrow_mut(|left| match left {
        Some(left) => {
            left.push(Arc::clone(bell) as Arc<dyn Rings>);
            true
        }
        None => false,
    })
}

/// A round of this thread: all that it does after one wake.
///
/// An event loop that is woken in the midst of one waits for the locks that the thread holds, and takes
/// the core from it where there is one for both. That was a third of what it did.
#[derive(Debug)]
pub struct Round(());

impl Round {
    /// Begins one; its end is where this is dropped.
    pub fn begin() -> Self {
        LEFT.set(Some(Vec::new()));
        Self(())
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        for bell in LEFT.take().unwrap_or_default() {
            bell.ring();
        }
    }
}

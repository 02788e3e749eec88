//! Access by one thread at a time: the lock that makes the classes safe with and without the GIL.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

/// A value that one thread uses at a time; a second thread waits, without the GIL.
///
/// Use from inside a use would wait for itself for ever, and is an error instead: a detector
/// written in Python could do it, or a finalizer that runs in between.
#[derive(Debug)]
pub struct ExclusiveCell<T> {
    value: Mutex<T>,
    /// The thread that holds the lock, 0 for none; see [`this_thread`].
    thread: AtomicUsize,
}

impl<T> ExclusiveCell<T> {
    pub fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            thread: AtomicUsize::new(0),
        }
    }

    /// Locks the value for this thread while the guard lives.
    ///
    /// # Errors
    /// `RuntimeError` when this thread already holds the lock, and after a panic in an earlier use,
    /// which may have left the value half changed.
    pub fn lock(&self, py: Python<'_>) -> PyResult<Guard<'_, T>> {
        // Relaxed is enough: a thread always reads its own last store, and any value that another
        // thread stores is not equal to its own. The mutex orders everything else.
        if self.thread.load(Ordering::Relaxed) == this_thread() {
            return Err(PyRuntimeError::new_err(
                "this object is already in use on this thread",
            ));
        }
        // Not `lock`: a thread that waited with the GIL held would keep the holder from going on,
        // where that one needs the GIL again.
        let value = self.value.lock_py_attached(py).map_err(|_| panicked())?;
        self.thread.store(this_thread(), Ordering::Relaxed);
        Ok(Guard {
            value,
            thread: &self.thread,
        })
    }
}

/// Locks what is shared with the thread that owns the sockets, attached to the interpreter.
///
/// Whoever waited for the interpreter with such a lock held would hold up that thread, and all
/// sessions with it. It needs no interpreter, and has the lock for some hundred microseconds at most.
///
/// # Errors
/// `RuntimeError` after a panic in an earlier use.
pub fn lock_attached<T>(shared: &Mutex<T>) -> PyResult<MutexGuard<'_, T>> {
    shared.lock().map_err(|_| panicked())
}

fn panicked() -> PyErr {
    PyRuntimeError::new_err("an earlier call on this object panicked; make a new one")
}

/// Access to the value of an [`ExclusiveCell`].
pub struct Guard<'a, T> {
    value: MutexGuard<'a, T>,
    thread: &'a AtomicUsize,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // Before the mutex is unlocked: fields are dropped after this.
        self.thread.store(0, Ordering::Relaxed);
    }
}

/// A number that no other living thread has, and never 0: the address of a thread-local variable.
///
/// `std::thread::ThreadId` has no stable conversion to an integer that an atomic could hold.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here) as usize)
}

//! One thread at a time: what makes the classes safe with and without the GIL.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

/// A value that threads use one after the other; who calls meanwhile waits, without the GIL.
///
/// Use from inside a use, which would wait for itself for ever, is an error: a detector written in
/// Python could do it, or a finalizer that runs in between.
#[derive(Debug)]
pub struct Serial<T> {
    value: Mutex<T>,
    /// The thread at work, 0 for none.
    thread: AtomicUsize,
}

impl<T> Serial<T> {
    pub fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            thread: AtomicUsize::new(0),
        }
    }

    /// The value, for this thread alone while the guard lives.
    pub fn lock(&self, py: Python<'_>) -> PyResult<Guard<'_, T>> {
        if self.thread.load(Ordering::Relaxed) == this_thread() {
            return Err(PyRuntimeError::new_err(
                "this object is at work on this very thread",
            ));
        }
        let value = self.value.lock_py_attached(py).map_err(|_| {
            PyRuntimeError::new_err("this object broke down in an earlier call; make a new one")
        })?;
        self.thread.store(this_thread(), Ordering::Relaxed);
        Ok(Guard {
            value,
            thread: &self.thread,
        })
    }
}

/// Access to the value of a [`Serial`].
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
        // Before the mutex opens: fields are dropped after this.
        self.thread.store(0, Ordering::Relaxed);
    }
}

/// A number no other living thread has: where its own variable stands.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here) as usize)
}

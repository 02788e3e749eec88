//! One direction of a bad network: datagrams in, and those that get through out, at their time.
//!
//! Nothing here depends on Python, sockets, threads or the time of day: time is an argument, and
//! chance a seed. Two runs with the same calls give the same result on every machine.
//!
//! ```
//! use gradio_webrtc_netem::{Conditions, Link};
//! use std::time::Duration;
//!
//! let delay = Duration::from_millis(50);
//! let mut link = Link::new(Conditions { delay, ..Conditions::default() }, 1)?;
//! link.send(Duration::ZERO, vec![1, 2, 3]);
//! assert_eq!(link.deadline(), Some(delay));
//! assert_eq!(link.poll(Duration::ZERO), None);
//! assert_eq!(link.poll(delay), Some(vec![1, 2, 3]));
//! # Ok::<(), gradio_webrtc_netem::ConditionError>(())
//! ```

mod conditions;
mod link;
mod random;

pub use conditions::{ConditionError, Conditions, RateCap};
pub use link::{HEADER_BYTES, Link, LinkStats, MAX_UNDER_WAY};

//! Which answer is given when: at first, above a rate, and then always.
//!
//! Must never look at the request: what a URL does may depend on how often it was asked, not on who asks.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::reply::Reply;

/// An answer, and others that are given instead of it at first or above a rate. Made from a [`Reply`].
///
/// As a behaviour of a host, [`Behaviour::of_host`], it may let requests through to what their URLs do.
#[derive(Debug, Default)]
pub struct Behaviour {
    gates: Vec<Gate>,
    reply: Option<Reply>,
    delay: Duration,
}

#[derive(Debug)]
enum Gate {
    First { left: AtomicU32, reply: Reply },
    AtMost { requests: usize, per: Duration, admitted: Mutex<VecDeque<Instant>>, reply: Reply },
}

impl Gate {
    /// The answer for a request that does not get past.
    fn refusal(&self) -> Option<&Reply> {
        match self {
            Self::First { left, reply } => left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
                .then_some(reply),
            Self::AtMost { requests, per, admitted, reply } => {
                let now = Instant::now();
                let mut admitted = admitted.lock().expect("no thread panicked while it counted a request");
                while admitted.front().is_some_and(|&at| now - at >= *per) {
                    admitted.pop_front();
                }
                if admitted.len() >= *requests {
                    return Some(reply);
                }
                admitted.push_back(now);
                None
            }
        }
    }
}

impl From<Reply> for Behaviour {
    fn from(reply: Reply) -> Self {
        Self { reply: Some(reply), ..Self::default() }
    }
}

impl Behaviour {
    /// A behaviour for a whole host: what gets past it meets what its URL does.
    pub fn of_host() -> Self {
        Self::default()
    }

    /// Gives `reply` to the first `times` requests.
    pub fn first(mut self, times: u32, reply: Reply) -> Self {
        self.gates.push(Gate::First { left: AtomicU32::new(times), reply });
        self
    }

    /// Gives `reply` to every request above `requests` in any window of `per`; refused requests do not count.
    pub fn at_most(mut self, requests: usize, per: Duration, reply: Reply) -> Self {
        self.gates.push(Gate::AtMost { requests, per, admitted: Mutex::default(), reply });
        self
    }

    /// Delays every request, refused or not.
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The answer to the next request, if this behaviour has one; counts the request.
    pub(super) fn next(&self) -> Option<Reply> {
        self.gates.iter().find_map(Gate::refusal).or(self.reply.as_ref()).cloned()
    }

    pub(super) fn delay(&self) -> Duration {
        self.delay
    }
}

impl Reply {
    /// This answer, after `reply` was given to the first `times` requests.
    pub fn after_first(self, times: u32, reply: Self) -> Behaviour {
        Behaviour::from(self).first(times, reply)
    }

    /// This answer, unless more than `requests` came in a window of `per`: then `reply`.
    pub fn at_most(self, requests: usize, per: Duration, reply: Self) -> Behaviour {
        Behaviour::from(self).at_most(requests, per, reply)
    }
}

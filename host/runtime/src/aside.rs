//! Calls that compute for long go on aside: each on a thread of its own that gets what nobody else wants.
//!
//! Yielding on an async thread makes room for its other tasks, but not for the library's threads, nor for those of other
//! programs: only the system can share processors out among all of them. Must never share such a thread, nor move a call
//! that has only waited.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::time::{ClockId, clock_gettime};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

/// How far such a thread stands back, from 0 to 19. At 15 it gets about a thirtieth of a processor that somebody else keeps
/// busy, and all of one that is idle. Whoever wakes up next to it may have to wait until its slice has ended.
const NICENESS: i32 = 15;

/// Held by the doubted call that computes: all of them together get half of one processor. Even what nobody else wants is
/// not for nothing, as processors share caches and clock.
static TURN: Mutex<()> = Mutex::new(());

/// Calls of a plugin that have to end with an answer before it is trusted again, after one that failed by its own doing.
pub(crate) type Doubts = Arc<AtomicU32>;

/// Where a call is computed: known to its guest, which sees how long it computes, and to whoever drives it.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    doubts: Doubts,
    is_slow: AtomicBool,
    is_aside: AtomicBool,
    is_last: AtomicBool,
}

impl Lane {
    /// Of a call that begins: aside only if it computes for long; or at once, and behind everybody else, if it is doubted.
    /// There it computes for half of the time at most while it is doubted, which may begin later.
    pub(crate) fn new(doubts: Doubts) -> Arc<Self> {
        let is_doubted = doubts.load(Ordering::Relaxed) > 0;
        let [is_slow, is_aside, is_last] = [is_doubted, false, is_doubted].map(AtomicBool::new);
        Arc::new(Self { doubts, is_slow, is_aside, is_last })
    }

    fn is_doubted(&self) -> bool {
        self.doubts.load(Ordering::Relaxed) > 0
    }

    /// The call is to go on aside from its next poll on.
    pub(crate) fn is_slow(&self) {
        self.is_slow.store(true, Ordering::Relaxed);
    }

    /// From now on the call, which is computed by who says so, gets what nobody else wants, if it is aside.
    pub(crate) fn goes_last(&self) {
        if self.is_aside.load(Ordering::Relaxed) && !self.is_last.swap(true, Ordering::Relaxed) {
            stand_last();
        }
    }

    /// Processor time that the call had aside, if it is there.
    pub(crate) fn time_aside(&self) -> Option<Duration> {
        // The thread has no other.
        let is_aside = self.is_aside.load(Ordering::Relaxed);
        is_aside.then(|| Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default())
    }

    /// Drives a call to its end. Dropped, it ends the call; one that is aside ends when its guest yields next.
    pub(crate) async fn drive<T: Send + 'static>(self: Arc<Self>, mut call: BoxFuture<'static, T>) -> T {
        let here = std::future::poll_fn(|context| {
            if self.is_slow.load(Ordering::Relaxed) {
                return Poll::Ready(None);
            }
            call.as_mut().poll(context).map(Some)
        });
        match here.await {
            Some(done) => done,
            None => self.aside(call).await,
        }
    }

    async fn aside<T: Send + 'static>(self: Arc<Self>, call: BoxFuture<'static, T>) -> T {
        let (hand_over, taken) = mpsc::channel::<BoxFuture<'static, T>>();
        let (mut answer, answered) = oneshot::channel();
        let runtime = Handle::current();
        let thread = thread::Builder::new().name("plugin-aside".into()).spawn(move || {
            let Ok(call) = taken.recv() else { return };
            // Of this thread alone, as Linux has it. Where it may not, the call computes as others do.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            if self.is_last.load(Ordering::Relaxed) {
                stand_last();
            }
            self.is_aside.store(true, Ordering::Relaxed);
            let done = runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = answer.closed() => None,
                    done = self.paced(call) => Some(done),
                }
            });
            if let Some(done) = done {
                // Nobody waits for it any more.
                let _ = answer.send(done);
            }
        });
        let Ok(thread) = thread else {
            // Out of threads: it stays where it is.
            return call.await;
        };
        let call = Box::pin(call.in_current_span().with_current_subscriber());
        // It waits for nothing else.
        let _ = hand_over.send(call);
        match answered.await {
            Ok(done) => done,
            Err(_) => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                // It ends without an answer only when it panics.
                Ok(()) => std::future::pending().await,
            },
        }
    }

    /// Computes a call, on a thread of its own; a doubted one in turn with others, and rests as long as it computed.
    #[allow(clippy::disallowed_methods, reason = "the thread is the call's own, and is to rest")]
    async fn paced<T>(&self, mut call: impl Future<Output = T> + Unpin) -> T {
        std::future::poll_fn(|context| {
            let _turn = self.is_doubted().then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
            let before = self.time_aside();
            let polled = Pin::new(&mut call).poll(context);
            if self.is_doubted() && polled.is_pending() {
                let computed =
                    self.time_aside().unwrap_or_default().saturating_sub(before.unwrap_or_default());
                thread::sleep(computed);
            }
            polled
        })
        .await
    }
}

/// This thread gives way to whoever wakes up, at once, and beside one who keeps its processor busy it gets a three-hundredth
/// (`SCHED_IDLE`). Where it may not, it stays as it is.
fn stand_last() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(doubts: u32) -> Arc<Lane> {
        Lane::new(Arc::new(AtomicU32::new(doubts)))
    }

    fn name() -> Option<String> {
        thread::current().name().map(ToOwned::to_owned)
    }

    #[tokio::test]
    async fn a_call_stays_until_it_is_slow_and_goes_on_where_it_was() {
        let lane = lane(0);
        let slow = Arc::clone(&lane);
        let call = async move {
            let mut places = vec![(name(), slow.time_aside().is_some())];
            slow.is_slow();
            for _ in 0..2 {
                tokio::task::yield_now().await;
                places.push((name(), slow.time_aside().is_some()));
            }
            // The run's own clock and tasks.
            tokio::time::sleep(Duration::from_millis(1)).await;
            (places, tokio::spawn(async { name() }).await.unwrap())
        };
        let (places, spawned) = lane.drive(Box::pin(call)).await;
        assert_eq!(places[0], (name(), false));
        let aside = (Some("plugin-aside".to_owned()), true);
        assert_eq!(places[1..], [aside.clone(), aside]);
        assert_eq!(spawned, name());
    }

    #[tokio::test]
    async fn a_call_aside_stands_back_and_one_that_is_doubted_or_very_slow_goes_last() {
        let standing = || {
            let policy = thread_priority::unix::thread_schedule_policy().unwrap();
            let is_last = policy == ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
            (rustix::process::getpriority_process(None).unwrap() == NICENESS, is_last)
        };
        let before = standing();
        for is_doubted in [false, true] {
            let lane = lane(is_doubted.into());
            lane.is_slow();
            lane.goes_last();
            assert_eq!(standing(), before, "where others are nothing changes");
            let slow = Arc::clone(&lane);
            let call = async move {
                let at_first = standing();
                slow.goes_last();
                (at_first, standing().1)
            };
            let (at_first, goes_last) = lane.drive(Box::pin(call)).await;
            assert_eq!((at_first, goes_last), ((!is_doubted, is_doubted), true));
        }
        assert_eq!(standing(), before, "who drives them does not");
    }

    /// Two that compute for 30 ms each, a bit at a time: never both, and both for at most half of the time.
    #[tokio::test(flavor = "multi_thread")]
    async fn doubted_calls_compute_one_at_a_time_and_rest() {
        static COMPUTING: AtomicU32 = AtomicU32::new(0);
        let computes = async || {
            let lane = lane(1);
            let measured = Arc::clone(&lane);
            let call = async move {
                loop {
                    // Aside from its first poll on.
                    assert_eq!(COMPUTING.fetch_add(1, Ordering::SeqCst), 0, "two compute at once");
                    let until = measured.time_aside().unwrap() + Duration::from_millis(3);
                    while measured.time_aside().unwrap() < until {}
                    COMPUTING.fetch_sub(1, Ordering::SeqCst);
                    if until > Duration::from_millis(30) {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            };
            lane.drive(Box::pin(call)).await;
        };
        let began = std::time::Instant::now();
        tokio::join!(computes(), computes());
        // They rest after each bit but their last; what the threads themselves need is counted too.
        assert!(began.elapsed() >= Duration::from_millis(2 * (30 + 20)), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_dropped_call_ends_and_a_panic_reaches_who_waits() {
        let turns = Arc::new(AtomicU32::new(0));
        let counts = Arc::clone(&turns);
        let endless = async move {
            loop {
                counts.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        };
        let call = tokio::spawn(lane(1).drive::<()>(Box::pin(endless)));
        while turns.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        call.abort();
        // What the call held is given back, and this is a part of it.
        while Arc::strong_count(&turns) > 1 {
            tokio::task::yield_now().await;
        }
        let panics = async { std::panic::resume_unwind(Box::new("as ordered")) };
        let panic = tokio::spawn(lane(1).drive::<()>(Box::pin(panics))).await.unwrap_err();
        assert_eq!(*panic.into_panic().downcast::<&str>().unwrap(), "as ordered");
    }
}

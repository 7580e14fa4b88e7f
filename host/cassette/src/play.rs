//! A host that has a call's answers and nothing else.
//!
//! Must never answer a request twice with one exchange: a plugin that asks more often than it did is told so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use gleaner_runtime::{GuestHost, GuestHttpError, GuestRequest, GuestResponse, Plugin, Sandbox};

use crate::cassette::Call;
use crate::verdict::{Verdict, differences, said};

/// Asks the plugin what that call was about, within these limits, and compares what it does with what was recorded.
pub async fn play(plugin: &Plugin, call: &Call, sandbox: &Sandbox) -> Verdict {
    let player = Arc::new(Player { call: call.clone(), played: Mutex::default() });
    let host = Arc::clone(&player) as Arc<dyn GuestHost>;
    let report = plugin.resolve(&call.query.query(sandbox.wall.0), host, sandbox).await;
    let answer = said(&report);
    let played = player.played();
    let left = call.exchanges.iter().enumerate().filter(|(place, _)| !played.used.contains(place));
    Verdict {
        differences: differences(&call.answer, &answer),
        missing: played.missing.clone(),
        unused: left.map(|(_, one)| format!("{} {}", one.method, one.url)).collect(),
        answer,
    }
}

struct Player {
    call: Call,
    played: Mutex<Played>,
}

#[derive(Default)]
struct Played {
    /// By their place in the call.
    used: Vec<usize>,
    missing: Vec<String>,
}

impl Player {
    fn played(&self) -> MutexGuard<'_, Played> {
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl GuestHost for Player {
    async fn send(&self, request: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        let mut played = self.played();
        let mut known = self.call.exchanges.iter().enumerate();
        let Some((place, exchange)) =
            known.find(|(place, one)| !played.used.contains(place) && one.is_of(&request))
        else {
            let asked = format!("{} {}", request.method.as_str(), request.url);
            let told = format!("{asked} is not on the cassette");
            played.missing.push(asked);
            return Err(GuestHttpError::Transport(told));
        };
        played.used.push(place);
        let answer = Result::from(&exchange.answer);
        answer.and_then(|answer: GuestResponse| match answer.body.len() as u64 > request.max_bytes {
            true => Err(GuestHttpError::TooLarge(request.max_bytes)),
            false => Ok(answer),
        })
    }

    fn setting(&self, key: &str) -> Option<String> {
        self.call.settings.get(key).cloned().flatten()
    }

    fn now_ms(&self) -> u64 {
        self.call.now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Recorder;
    use crate::record::tests::{Echo, report, request};

    #[tokio::test]
    async fn what_was_recorded_is_given_once_and_nothing_else() {
        let recorder = Recorder::new(Arc::new(Echo));
        for path in ["one", "two", "away"] {
            let _ = recorder.send(request(&format!("https://a.org/{path}"))).await;
        }
        let _ = recorder.setting("contact");
        let call = recorder.call(&gleaner_runtime::Query::default(), &report());
        let player = Player { call, played: Mutex::default() };
        let asks = async |path: &str| player.send(request(&format!("https://a.org/{path}"))).await;
        assert_eq!(asks("two").await.unwrap().body, b"/two");
        assert_eq!(asks("one").await.unwrap().body, b"/one");
        assert_eq!(asks("away").await, Err(GuestHttpError::RateLimited(None)));
        for path in ["one", "other"] {
            let Err(GuestHttpError::Transport(told)) = asks(path).await else { panic!("{path}") };
            assert_eq!(told, format!("GET https://a.org/{path} is not on the cassette"));
        }
        assert_eq!(player.played().missing, ["GET https://a.org/one", "GET https://a.org/other"]);
        assert_eq!((player.setting("contact").as_deref(), player.setting("key")), (Some("a@b.org"), None));
        assert_eq!(player.now_ms(), 4711);
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_now_is_so() {
        let recorder = Recorder::new(Arc::new(Echo));
        let _ = recorder.send(request("https://a.org/long")).await;
        let call = recorder.call(&gleaner_runtime::Query::default(), &report());
        let player = Player { call, played: Mutex::default() };
        let small = GuestRequest { max_bytes: 4, ..request("https://a.org/long") };
        assert_eq!(player.send(small).await, Err(GuestHttpError::TooLarge(4)));
    }
}

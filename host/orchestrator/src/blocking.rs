//! Which hosts refused to give files to this run: their candidates are tried after those of other hosts.
//!
//! In memory only, and never a reason not to try: a host that refuses today may give tomorrow.

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use gleaner_content::FetchFacts;
use gleaner_model::candidate::{Candidate, HostType};
use gleaner_model::key::HostKey;
use gleaner_model::reason::Reason;

/// Most hosts kept: a run over millions of works meets many publishers, and memory is bounded.
const MOST: usize = 4096;

/// The hosts. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Blocking(Arc<RwLock<Arc<BTreeSet<HostKey>>>>);

impl Blocking {
    /// The hosts known now.
    pub(crate) fn hosts(&self) -> Arc<BTreeSet<HostKey>> {
        Arc::clone(&self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Takes in a failed fetch: a challenge, a login page or a 403 speaks of the host that was asked, and of the one
    /// that it was sent on to. One file that a repository keeps back says nothing of its others.
    pub(crate) fn note(&self, candidate: &Candidate, reason: Reason, facts: &FetchFacts) {
        let refused = match reason {
            Reason::ChallengePage | Reason::LoginPage => true,
            Reason::HttpStatus => facts.status == Some(403),
            _ => false,
        };
        if !refused || candidate.host_type == Some(HostType::Repository) {
            return;
        }
        let asked = std::iter::once(candidate.url.host_key());
        let hosts: Vec<HostKey> = asked.chain(facts.chain.last().and_then(HostKey::of)).collect();
        let known = self.hosts();
        if hosts.iter().all(|host| known.contains(host)) || known.len() >= MOST {
            return;
        }
        let mut all = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::make_mut(&mut all).extend(hosts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_learnt_and_other_failures_are_not() {
        let json = r#"{"resolver":"r","url":"https://p.example/1","kind":"file","confidence":0.5}"#;
        let candidate: Candidate = serde_json::from_str(json).unwrap();
        let repository = Candidate { host_type: Some(HostType::Repository), ..candidate.clone() };
        let chain = ["https://p.example/1", "https://login.example/"].map(|url| url.parse().unwrap());
        let facts =
            |status| FetchFacts { chain: chain.to_vec(), status: Some(status), ..FetchFacts::default() };
        let blocking = Blocking::default();
        blocking.note(&repository, Reason::ChallengePage, &facts(200));
        blocking.note(&candidate, Reason::NotFound, &facts(404));
        blocking.note(&candidate, Reason::HttpStatus, &facts(500));
        assert!(blocking.hosts().is_empty());
        blocking.note(&candidate, Reason::HttpStatus, &facts(403));
        let hosts: Vec<String> = blocking.hosts().iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["login.example", "p.example"]);
    }
}

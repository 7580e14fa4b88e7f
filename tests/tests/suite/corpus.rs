//! A sample of the works with a known truth: every file that can be found is found, and none is taken for another.
//!
//! All of them are harvested by `cargo xtask bench resolve`. Must never look at what a file is called: bytes decide.

use std::collections::BTreeSet;

use gleaner_tests::corpus::{self, Corpus, Trap};
use gleaner_tests::harness::{Bench, TIMEOUT, bundled_resolvers};

/// Every share of the cases is in a hundred.
const SAMPLE: usize = 200;

#[test]
fn every_file_that_can_be_found_is_found_and_no_other_is_kept() {
    let harvest = corpus::harvest(SAMPLE, Bench::with_every_resolver, &bundled_resolvers(), TIMEOUT);
    let verdict = &harvest.verdict;
    println!("{harvest:#?}");
    assert_eq!(verdict.wrong, Vec::<String>::new(), "files that are not the work's");
    assert_eq!(verdict.missed, Vec::<String>::new(), "files that were not found");
    assert_eq!((verdict.found, verdict.findable, verdict.works), (160, 160, SAMPLE));
    // Each work costs one call nearly; all others together are few, as works are asked about together.
    let calls = harvest.calls;
    assert!((SAMPLE..2 * SAMPLE).contains(&calls), "services were asked {calls} times");
}

#[test]
fn a_corpus_is_the_same_each_time_and_has_every_case_and_trap() {
    let resolvers = bundled_resolvers();
    let (corpus, again) = (Corpus::of(600, &resolvers), Corpus::of(600, &resolvers));
    assert_eq!(Corpus::list(&corpus.works), Corpus::list(&again.works));
    for (work, same) in corpus.works.iter().zip(&again.works) {
        assert_eq!((work.case, &work.right, &work.traps), (same.case, &same.right, &same.traps));
    }
    let ids: BTreeSet<_> = corpus.works.iter().map(|work| &work.artifact_id).collect();
    let hashes: Vec<_> = corpus.works.iter().flat_map(|work| &work.right).collect();
    let distinct: BTreeSet<_> = hashes.iter().collect();
    assert_eq!(
        (ids.len(), distinct.len()),
        (600, hashes.len()),
        "no two works have a name or a file in common"
    );
    let traps: BTreeSet<_> = corpus.works.iter().flat_map(|work| work.traps.iter().copied()).collect();
    assert_eq!(traps, BTreeSet::from(Trap::ALL));
    // Of any hundred works, sixty are known to Unpaywall, twenty are elsewhere, twenty have no copy.
    for hundred in corpus.works.chunks(100) {
        assert_eq!(hundred.iter().filter(|work| work.right.is_empty()).count(), 20);
    }
}

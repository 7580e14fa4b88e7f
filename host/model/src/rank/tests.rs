//! The ranking, as a table.

use super::*;
use crate::candidate::CandidateUrl;
use crate::key::ResolverName;

use CandidateKind::{File, LandingPage};
use HostType::{Publisher, Repository};
use Version::{Accepted, Published, Submitted};

fn candidate(
    kind: CandidateKind,
    version: Option<Version>,
    host_type: Option<HostType>,
    host: &str,
    confidence: f32,
) -> Candidate {
    Candidate {
        resolver: ResolverName::new("r").unwrap(),
        url: CandidateUrl::parse(&format!("https://{host}/x")).unwrap(),
        kind,
        media_type: None,
        version,
        license: None,
        host_type,
        confidence,
        extra: Vec::new(),
    }
}

fn hosts(names: &[&str]) -> BTreeSet<HostKey> {
    names.iter().map(|name| HostKey::from_normalised(name)).collect()
}

#[test]
fn better_candidates_come_first() {
    let ranking = Ranking { license: LicenseFilter::Open, blocking: hosts(&["walled.example"]) };
    let learnt = hosts(&["refuses.example"]);
    let ranked = [
        candidate(File, Some(Published), Some(Publisher), "gives.example", 0.9),
        // A repository's is not refused by what one of its files was.
        candidate(File, Some(Published), Some(Repository), "refuses.example", 0.4),
        candidate(File, Some(Published), Some(Publisher), "refuses.example", 0.9),
        candidate(File, Some(Published), None, "walled.example", 0.8),
        candidate(File, Some(Accepted), Some(Repository), "r.example", 0.9),
        candidate(File, Some(Accepted), Some(Repository), "r.example", 0.5),
        candidate(File, None, None, "gives.example", 0.1),
        candidate(File, None, Some(Publisher), "walled.example", 1.0),
        candidate(File, Some(Submitted), Some(Repository), "r.example", 1.0),
        candidate(LandingPage, Some(Published), Some(Publisher), "gives.example", 1.0),
    ];
    for (at, one) in ranked.iter().enumerate() {
        for other in &ranked[at + 1..] {
            assert_eq!(ranking.compare(&learnt, one, other), Ordering::Less, "{one:?}\n{other:?}");
            assert_eq!(ranking.compare(&learnt, other, one), Ordering::Greater, "{one:?}\n{other:?}");
        }
        assert_eq!(ranking.compare(&learnt, one, one), Ordering::Equal);
    }
}

#[test]
fn who_refuses_matters_only_once_it_is_known() {
    let publisher = candidate(File, Some(Published), Some(Publisher), "p.example", 0.9);
    let repository = candidate(File, Some(Published), Some(Repository), "r.example", 0.5);
    let compare = |learnt: &[&str]| Ranking::default().compare(&hosts(learnt), &publisher, &repository);
    assert_eq!(compare(&[]), Ordering::Less);
    assert_eq!(compare(&["p.example"]), Ordering::Greater);
}

#[test]
fn licences_are_read_as_services_spell_them() {
    for (license, expected) in [
        ("cc-by", Openness::Open),
        ("CC BY-NC-ND 4.0", Openness::Open),
        ("cc0-1.0", Openness::Open),
        ("http://creativecommons.org/licenses/by/4.0/", Openness::Open),
        ("https://www.creativecommons.org/licenses/by-nc/3.0", Openness::Open),
        ("public-domain", Openness::Open),
        ("pd", Openness::Open),
        ("publisher-specific-oa", Openness::Open),
        ("other-oa", Openness::Open),
        ("acs-specific: authorchoice/editors choice usage agreement", Openness::Open),
        ("elsevier-specific: oa user license", Openness::Open),
        ("http://arxiv.org/licenses/nonexclusive-distrib/1.0/", Openness::Open),
        ("publisher-specific license", Openness::Unstated),
        ("https://example.org/our-terms", Openness::Unstated),
        ("", Openness::Unstated),
        ("https://www.elsevier.com/tdm/userlicense/1.0/", Openness::Closed),
        ("http://onlinelibrary.wiley.com/termsAndConditions#vor", Openness::Closed),
        ("http://doi.wiley.com/10.1002/tdm_license_1.1", Openness::Closed),
        ("https://doi.org/10.15223/policy-stm-asf", Openness::Closed),
        ("All rights reserved", Openness::Closed),
        ("http://rightsstatements.org/vocab/InC/1.0/", Openness::Closed),
    ] {
        assert_eq!(openness(Some(license)), expected, "{license}");
    }
    assert_eq!(openness(None), Openness::Unstated);
}

#[test]
fn the_filter_drops_what_is_not_open_and_nothing_when_told_so() {
    let with = |license: Option<&str>| Candidate {
        license: license.map(str::to_owned),
        ..candidate(File, None, None, "a.example", 0.5)
    };
    let (open, any) = (Ranking::default(), Ranking { license: LicenseFilter::Any, ..Ranking::default() });
    for (license, admitted) in [(Some("cc-by"), true), (None, true), (Some("tdm"), false)] {
        assert_eq!(open.admits(&with(license)), admitted, "{license:?}");
        assert!(any.admits(&with(license)));
    }
}

//! Licences as publishers deposit them, and which of them are open. Must never take a licence for open that is not
//! known to be, nor one whose embargo has not passed.

use crate::Version;
use gleaner_sdk::Maybe;
use serde::Deserialize;

/// Licences under which everybody may read: how their URLs begin, without scheme and `www.`. What each allows
/// beyond reading differs.
const OPEN: [&str; 4] = [
    "creativecommons.org/licenses/",
    "creativecommons.org/publicdomain/",
    // Elsevier's own licence for open-access and open-archive articles.
    "elsevier.com/open-access/userlicense/",
    // The American Chemical Society's, for articles that their authors made open.
    "pubs.acs.org/page/policy/authorchoice_",
];

/// One entry of a work's `license`.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct License {
    /// Names the licence.
    #[serde(rename = "URL")]
    pub(crate) url: Maybe<String>,
    content_version: Maybe<Version>,
    start: Maybe<Start>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Start {
    /// Milliseconds since 1970, also before.
    timestamp: Maybe<i64>,
}

impl License {
    /// Whether it is in force for a version of the work. One for text mining says nothing of reading. What says
    /// no version counts as the version of record: that is what a publisher has.
    pub(crate) fn covers(&self, version: Version, now_ms: u64) -> bool {
        let own = self.content_version.unwrap_or(Version::Unspecified);
        let wanted = if version == Version::Unspecified { Version::Vor } else { version };
        let start = self.start.as_ref().and_then(|start| *start.timestamp);
        (own == wanted || own == Version::Unspecified)
            && start.is_some_and(|start| i128::from(start) <= i128::from(now_ms))
    }

    pub(crate) fn is_open(&self) -> bool {
        let url = self.url.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
        let place = url.split_once("://").map_or("", |(_, place)| place);
        let place = place.strip_prefix("www.").unwrap_or(place);
        OPEN.iter().any(|open| place.starts_with(open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn license(json: &str) -> License {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_known_licences_are_open() {
        for (url, open) in [
            ("http://creativecommons.org/licenses/by/4.0/", true),
            ("https://www.creativecommons.org/licenses/by-nc-nd/3.0/igo/", true),
            ("HTTPS://creativecommons.org/publicdomain/zero/1.0/", true),
            ("https://www.elsevier.com/open-access/userlicense/1.0/", true),
            ("http://pubs.acs.org/page/policy/authorchoice_termsofuse.html", true),
            ("https://www.elsevier.com/tdm/userlicense/1.0/", false),
            ("http://onlinelibrary.wiley.com/termsAndConditions#vor", false),
            ("https://evil.example/creativecommons.org/licenses/by/4.0/", false),
            ("creativecommons.org", false),
            ("", false),
        ] {
            assert_eq!(license(&format!(r#"{{ "URL": "{url}" }}"#)).is_open(), open, "{url}");
        }
    }

    #[test]
    fn a_licence_covers_its_version_from_its_start_on() {
        use Version::{Am, Unspecified, Vor};
        for (own, covered) in [
            (r#""vor""#, &[Vor, Unspecified][..]),
            (r#""am""#, &[Am]),
            (r#""unspecified""#, &[Vor, Am, Unspecified]),
            ("null", &[Vor, Am, Unspecified]),
            (r#""tdm""#, &[]),
        ] {
            let license =
                license(&format!(r#"{{ "content-version": {own}, "start": {{ "timestamp": 1000 }} }}"#));
            for version in [Vor, Am, Unspecified] {
                assert_eq!(license.covers(version, 1000), covered.contains(&version), "{own} {version:?}");
                assert!(!license.covers(version, 999));
            }
        }
        assert!(license(r#"{ "start": { "timestamp": -1 } }"#).covers(Vor, 0));
        assert!(!license(r#"{ "start": { "timestamp": "soon" } }"#).covers(Vor, 1000));
    }

    #[test]
    fn a_mutated_licence_is_read_and_open_only_where_it_is_known_to_be() {
        let seeds = [
            r#"{ "URL": "http://creativecommons.org/licenses/by/4.0/", "content-version": "vor", "start": { "timestamp": 1000 } }"#,
            r#"{ "URL": "https://www.elsevier.com/open-access/userlicense/1.0/", "start": { "timestamp": -9223372036854775808 } }"#,
        ];
        gleaner_testing::each_mutation(&seeds, |json| {
            let Ok(license) = serde_json::from_str::<License>(json) else { return };
            for now in [0, 1000, u64::MAX] {
                let _ = license.covers(Version::Vor, now);
            }
            let url = license.url.as_deref().unwrap_or_default().to_ascii_lowercase();
            assert!(!license.is_open() || OPEN.iter().any(|open| url.contains(open)), "{url}");
        });
    }
}

//! Every package's license must be one that we may ship. Expressions are those of SPDX: `AND`, `OR`, `WITH`
//! and parentheses; the `/` of old manifests counts as `OR`.

use super::Violation;
use crate::workspace::Workspace;
use anyhow::Result;

/// Fine for any package.
const ALLOWED: [&str; 13] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "Unlicense",
    "0BSD",
    "BSL-1.0",
];

/// Fine for these packages only: package, license, why there is no way around it.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "webpki-root-certs",
    "CDLA-Permissive-2.0",
    "certificates, not code; reqwest names it for Android only",
)];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let packages = workspace.metadata.packages.iter();
    let violations =
        packages.filter_map(|package| judge(&package.name, package.license.as_deref(), &EXCEPTIONS));
    Ok(violations.collect())
}

fn judge(package: &str, license: Option<&str>, exceptions: &[(&str, &str, &str)]) -> Option<Violation> {
    const RULE: &str = "license-allowed";
    let Some(expression) = license else {
        return Some(Violation::new(package, RULE, "names no license; do without this package"));
    };
    let is_allowed = |id: &str| {
        ALLOWED.contains(&id)
            || exceptions.iter().any(|(name, license, _)| *name == package && *license == id)
    };
    match evaluate(expression, &is_allowed) {
        Some(true) => None,
        Some(false) => {
            let advice = format!(
                "{expression} is not allowed; do without it, or add it to the list in xtask with a reason"
            );
            Some(Violation::new(package, RULE, advice))
        }
        None => Some(Violation::new(package, RULE, format!("cannot read the license `{expression}`"))),
    }
}

/// Whether an expression holds with these licenses; none for what is no expression.
fn evaluate(expression: &str, is_allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let value = any_of(&mut words, is_allowed)?;
    words.next().is_none().then_some(value)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, is_allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut value = all_of(words, is_allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        value |= all_of(words, is_allowed)?;
    }
    Some(value)
}

fn all_of(words: &mut Words<'_>, is_allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut value = one(words, is_allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        value &= one(words, is_allowed)?;
    }
    Some(value)
}

fn one(words: &mut Words<'_>, is_allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    match words.next()? {
        "(" => {
            let value = any_of(words, is_allowed)?;
            words.next_if_eq(&")").map(|_| value)
        }
        ")" | "AND" | "OR" | "WITH" => None,
        id => match words.next_if_eq(&"WITH") {
            Some(_) => Some(is_allowed(&format!("{id} WITH {}", words.next()?))),
            None => Some(is_allowed(id)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_hold_as_spdx_says() {
        let holds = |expression| evaluate(expression, &|id| ALLOWED.contains(&id));
        assert_eq!(holds("MIT OR GPL-3.0"), Some(true));
        assert_eq!(holds("MIT AND GPL-3.0"), Some(false));
        assert_eq!(holds("GPL-3.0 OR MIT AND ISC"), Some(true));
        assert_eq!(holds("(GPL-3.0 OR MIT) AND LGPL-3.0"), Some(false));
        assert_eq!(holds("(MIT OR Apache-2.0) AND Unicode-3.0"), Some(true));
        assert_eq!(holds("Apache-2.0 WITH LLVM-exception"), Some(true));
        assert_eq!(holds("GPL-2.0 WITH Classpath-exception-2.0"), Some(false));
        assert_eq!(holds("Unlicense/GPL-3.0"), Some(true));
        for broken in ["", "MIT OR", "(MIT", "MIT ISC", "AND MIT"] {
            assert_eq!(holds(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_license_outside_the_list_is_found_unless_excepted() {
        assert_eq!(judge("good", Some("MIT"), &[]), None);
        assert!(judge("bad", Some("AGPL-3.0-only"), &[]).is_some());
        assert!(judge("silent", None, &[]).is_some());
        let exceptions = [("roots", "CDLA-Permissive-2.0", "data")];
        assert_eq!(judge("roots", Some("CDLA-Permissive-2.0"), &exceptions), None);
        assert!(judge("other", Some("CDLA-Permissive-2.0"), &exceptions).is_some());
    }
}

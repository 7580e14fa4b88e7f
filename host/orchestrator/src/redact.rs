//! Secrets in answers: what an upstream says back of a secret is not passed on to the plugin that it was sent for.
//!
//! Must never change a length: a header may have told it. A secret that its upstream turns into something else is not
//! known any more.

use gleaner_egress::spellings;
use memchr::memmem::find;

/// A shorter secret would be found in any text.
const SHORTEST: usize = 6;

/// What is taken out of answers; mostly nothing.
#[derive(Default)]
pub(crate) struct Redaction(Vec<Vec<u8>>);

impl Redaction {
    /// Takes these out, also as URLs and forms write them.
    pub(crate) fn of<'a>(secrets: impl Iterator<Item = &'a String>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets.filter(|secret| secret.len() >= SHORTEST) {
            needles.extend(spellings(secret).map(String::into_bytes));
        }
        // What is part of another goes after it.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        needles.dedup();
        Self(needles)
    }

    /// The bytes with stars in place of secrets.
    pub(crate) fn bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for needle in &self.0 {
            let mut from = 0;
            while let Some(at) = find(&bytes[from..], needle) {
                let end = from + at + needle.len();
                bytes[from + at..end].fill(b'*');
                from = end;
            }
        }
        bytes
    }

    /// The same of a text.
    pub(crate) fn text(&self, text: String) -> String {
        if self.0.is_empty() {
            return text;
        }
        // A needle is UTF-8, so no character is cut.
        String::from_utf8(self.bytes(text.into_bytes())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_starred_in_every_notation() {
        let redaction =
            Redaction::of(["sé same+1".to_owned(), "short".into(), "sé same+1 longer".into()].iter());
        let text = |text: &str| redaction.text(text.to_owned());
        assert_eq!(text("a sé same+1, a short one"), "a **********, a short one");
        assert_eq!(
            text("?k=s%C3%A9+same%2B1&x=s%C3%A9%20same%2B1"),
            format!("?k={}&x={}", "*".repeat(16), "*".repeat(18))
        );
        assert_eq!(text("sé same+1 longersé same+1"), "*".repeat(27));
    }

    proptest! {
        #[test]
        fn no_secret_is_left_and_no_length_changed(secret in "[a-c]{6,9}", text in "[a-c]{0,60}") {
            let redacted = Redaction::of(std::iter::once(&secret)).text(text.clone());
            prop_assert_eq!(redacted.len(), text.len());
            prop_assert!(!redacted.contains(&secret));
            prop_assert!(text.contains(&secret) || redacted == text);
        }
    }
}

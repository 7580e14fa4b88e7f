//! The `[content]` section: what counts as a file.
//!
//! Must never hold limits that contradict each other: both ways in, serde and `new`, check them.

use std::collections::BTreeMap;
use std::time::Duration;

use gleaner_model::key::HostKey;
use gleaner_model::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};

use crate::ContentError;
use crate::speed::Speed;

/// A kind of file that can count as a full text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Portable Document Format (ISO 32000).
    Pdf,
    /// Journal article markup (ANSI/NISO Z39.96) with a body, not only an abstract.
    Jats,
    /// A web page with the text of an article on it.
    Html,
    /// EPUB (W3C EPUB 3, OCF container) without copy protection.
    Epub,
}

impl FileKind {
    /// Media type of what is stored.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Jats => "application/jats+xml",
            Self::Html => "text/html",
            Self::Epub => "application/epub+zip",
        }
    }

    /// Ending of readable names, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Jats => "xml",
            Self::Html => "html",
            Self::Epub => "epub",
        }
    }
}

/// The `[content]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Section", into = "Section")]
pub struct ContentConfig(Section);

/// As written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Section {
    max_size: ByteSize,
    min_size: ByteSize,
    accept: Vec<FileKind>,
    lowest_speed: Speed,
    speed_window: Span,
    free_space: ByteSize,
    unfinished: ByteSize,
    accept_by_host: BTreeMap<String, Vec<FileKind>>,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            max_size: ByteSize(512 << 20),
            min_size: ByteSize(1 << 10),
            accept: vec![FileKind::Pdf],
            lowest_speed: Speed(1 << 10),
            speed_window: Span(Duration::from_secs(120)),
            free_space: ByteSize(1 << 30),
            unfinished: ByteSize(4 << 30),
            accept_by_host: BTreeMap::new(),
        }
    }
}

impl ContentConfig {
    /// Files of `min_size` to `max_size` bytes, both included, of one of the kinds `accept`; all else as by default.
    ///
    /// # Errors
    /// [`ContentError::Config`] when no file could fit.
    pub fn new(min_size: ByteSize, max_size: ByteSize, accept: Vec<FileKind>) -> Result<Self, ContentError> {
        Section { max_size, min_size, accept, ..Section::default() }.try_into()
    }

    /// Largest file, in bytes.
    pub fn max_size(&self) -> u64 {
        self.0.max_size.0
    }

    /// Smallest file, in bytes.
    pub fn min_size(&self) -> u64 {
        self.0.min_size.0
    }

    /// The kinds of file that count when they come from that host.
    pub fn accepted_from(&self, host: Option<&HostKey>) -> &[FileKind] {
        host.and_then(|host| self.0.accept_by_host.get(host.as_str())).unwrap_or(&self.0.accept)
    }

    /// The speed below which a body is cut.
    pub fn lowest_speed(&self) -> Speed {
        self.0.lowest_speed
    }

    /// Over how long the speed is measured, waiting for bytes only.
    pub fn speed_window(&self) -> Duration {
        self.0.speed_window.0
    }

    /// Free bytes on the library's disk below which no download begins.
    pub fn free_space(&self) -> u64 {
        self.0.free_space.0
    }

    /// Bytes that unfinished downloads may take together.
    pub fn unfinished(&self) -> u64 {
        self.0.unfinished.0
    }
}

impl Default for ContentConfig {
    /// PDFs of 1 KiB to 512 MiB, at 1 KiB/s or faster.
    fn default() -> Self {
        Self(Section::default())
    }
}

impl TryFrom<Section> for ContentConfig {
    type Error = ContentError;

    fn try_from(mut section: Section) -> Result<Self, ContentError> {
        if section.accept.is_empty() {
            return Err(ContentError::Config(
                "accept is empty, so no file would count: write [\"pdf\"]".into(),
            ));
        }
        if section.speed_window.0.is_zero() {
            return Err(ContentError::Config(
                "speed-window is 0, in which nothing can come: write \"2m\"".into(),
            ));
        }
        let by_host = std::mem::take(&mut section.accept_by_host);
        section.accept_by_host = by_host.into_iter().map(by_host_key).collect::<Result<_, _>>()?;
        if section.min_size > section.max_size {
            return Err(ContentError::Config(format!(
                "min-size {} is above max-size {}, so no file would fit",
                section.min_size, section.max_size
            )));
        }
        Ok(Self(section))
    }
}

/// The host as it is spelt in keys, so that it compares with them. No kinds at all: nothing of that host is kept.
fn by_host_key((host, kinds): (String, Vec<FileKind>)) -> Result<(String, Vec<FileKind>), ContentError> {
    let url = url::Url::parse(&format!("https://{host}/")).ok();
    let key = url.as_ref().and_then(HostKey::of).filter(|_| !host.contains(['/', '@', '?', '#', '*', '%']));
    let key = key.ok_or_else(|| {
        ContentError::Config(format!(
            "accept-by-host has {host:?}, which is no host: write \"www.example.org\""
        ))
    })?;
    Ok((key.to_string(), kinds))
}

impl From<ContentConfig> for Section {
    fn from(config: ContentConfig) -> Self {
        config.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_an_empty_section_says() {
        assert_eq!(toml::from_str::<ContentConfig>("").unwrap(), ContentConfig::default());
        let written = toml::to_string(&ContentConfig::default()).unwrap();
        assert_eq!(
            written,
            "max-size = \"512MiB\"\nmin-size = \"1KiB\"\naccept = [\"pdf\"]\nlowest-speed = \"1KiB/s\"\n\
             speed-window = \"2m\"\nfree-space = \"1GiB\"\nunfinished = \"4GiB\"\n\n[accept-by-host]\n"
        );
    }

    #[test]
    fn the_built_in_defaults_are_those_of_the_configuration() {
        #[derive(Deserialize)]
        struct Library {
            #[serde(rename = "name-template")]
            name_template: crate::NameTemplate,
        }
        #[derive(Deserialize)]
        struct File {
            content: ContentConfig,
            library: Library,
        }
        let file: File = toml::from_str(include_str!("../../../config/default.toml")).unwrap();
        assert_eq!(file.content, ContentConfig::default());
        assert_eq!(file.library.name_template, crate::NameTemplate::default());
    }

    #[test]
    fn a_host_may_have_kinds_of_its_own() {
        let config: ContentConfig = toml::from_str(
            "accept = [\"pdf\", \"jats\"]\naccept-by-host = { \"WWW.a.example:443\" = [\"epub\"] }",
        )
        .unwrap();
        let from = |url: &str| config.accepted_from(HostKey::of(&url::Url::parse(url).unwrap()).as_ref());
        assert_eq!(from("https://www.a.example/x"), [FileKind::Epub]);
        assert_eq!(from("https://a.example/x"), [FileKind::Pdf, FileKind::Jats]);
    }

    #[test]
    fn sections_that_fit_no_file_are_refused() {
        for (section, part) in [
            ("accept = []", "accept is empty"),
            ("accept = [\"docx\"]", "unknown variant `docx`"),
            ("max-size = \"1KiB\"\nmin-size = \"2KiB\"", "min-size 2KiB is above max-size 1KiB"),
            ("accept-by-host = { \"a b\" = [\"pdf\"] }", "accept-by-host has \"a b\", which is no host"),
            ("accept-by-host = { \"*.a.example\" = [] }", "is no host"),
            ("speed-window = \"0s\"", "speed-window is 0"),
            ("lowest-speed = \"1KiB\"", "is not a speed"),
            ("max-size = 5", "expected a size in quotes"),
            ("maximum = \"5MiB\"", "unknown field `maximum`, expected one of `max-size`"),
        ] {
            let message = toml::from_str::<ContentConfig>(section).unwrap_err().to_string();
            assert!(message.contains(part), "{section}: {message}");
        }
    }
}

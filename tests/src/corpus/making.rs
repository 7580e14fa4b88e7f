//! One work in the making: its names, where its copies are, what stands in the way.
//!
//! Must never let two works have the same file: a hash tells whose it is.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::KIB;
use super::trap::Trap;
use crate::simweb::{Location, Reply, Work, World, pdf};

/// Publishers and repositories; every work is at one of each.
const PRESSES: usize = 40;
const REPOSITORIES: usize = 20;

/// Every how many-th file stands on the slow host.
const SLOW: usize = 50;

/// The host that takes its time; see [`super::DELAY`].
pub(super) const SLOW_HOST: &str = "slow.example.org";

/// A work that is being made.
#[derive(Debug)]
pub(super) struct Making<'a> {
    pub(super) world: &'a mut World,
    pub(super) number: usize,
    pub(super) doi: String,
    /// How the list names it, if not by its DOI.
    pub(super) name: Option<String>,
    right: BTreeSet<String>,
    traps: Vec<Trap>,
}

impl<'a> Making<'a> {
    /// A work whose DOI leads to a page that names no file.
    pub(super) fn begin(world: &'a mut World, number: usize) -> Self {
        let mut work =
            Self { world, number, doi: String::new(), name: None, right: BTreeSet::new(), traps: Vec::new() };
        let (page, about) = (work.page(), Reply::html(&work.title()));
        work.world.set(&page, about);
        work.is_called(&format!("10.5555/corpus.{number}"));
        work
    }

    /// Its DOI, which leads to its page, is another.
    pub(super) fn is_called(&mut self, doi: &str) {
        self.doi = doi.to_owned();
        let page = self.page();
        self.world.doi(doi, &page);
    }

    pub(super) fn title(&self) -> String {
        format!("Work number {} of the corpus", self.number)
    }

    pub(super) fn press(&self) -> String {
        format!("https://press{}.example.org", self.number % PRESSES)
    }

    /// The publisher's page about the work.
    pub(super) fn page(&self) -> String {
        format!("{}/article/{}", self.press(), self.number)
    }

    /// A good copy at this URL.
    pub(super) fn copy(&mut self, url: &str) -> String {
        let size = 2 * KIB + (self.number * 7919) % (30 * KIB);
        self.world.set(url, Reply::pdf(size));
        self.right.insert(sha256(&pdf::document(url, size)));
        url.to_owned()
    }

    /// The publisher's copy; of some works on a host that takes its time.
    pub(super) fn published(&mut self) -> String {
        let url = match self.number % SLOW {
            0 => format!("https://{SLOW_HOST}/{}.pdf", self.number),
            _ => format!("{}.pdf", self.page()),
        };
        self.copy(&url)
    }

    /// A manuscript in a repository.
    pub(super) fn manuscript(&mut self) -> String {
        self.copy(&format!(
            "https://repo{}.example.org/{}/accepted.pdf",
            self.number % REPOSITORIES,
            self.number
        ))
    }

    /// A file of another work, which must not be kept as one of this.
    pub(super) fn other(&mut self, url: &str) -> String {
        self.world.set(url, Reply::pdf(12 * KIB));
        url.to_owned()
    }

    /// The next trap in turn.
    pub(super) fn trap(&mut self) -> String {
        let turn = self.number * 37 / 100 + self.traps.len();
        let trap = Trap::ALL[turn % Trap::ALL.len()];
        let url = trap.set(self.world, self.number + 10_000 * self.traps.len());
        self.traps.push(trap);
        url
    }

    /// Unpaywall knows it, with these copies.
    pub(super) fn unpaywall(&mut self, locations: impl IntoIterator<Item = Location>) {
        let (title, publisher) = (self.title(), format!("Press {}", self.number % PRESSES));
        let year = u16::try_from(1990 + self.number % 35).ok();
        self.world.work(Work { title, publisher, year, ..Work::new(&self.doi, locations) });
    }

    /// Unpaywall has nothing of it: every other work is unknown there, as those with DOIs of others than Crossref are.
    pub(super) fn unknown_to_unpaywall(&mut self) {
        if self.number.is_multiple_of(2) {
            self.unpaywall([]);
        }
    }

    pub(super) fn end(self) -> (String, BTreeSet<String>, Vec<Trap>) {
        (self.name.unwrap_or(self.doi), self.right, self.traps)
    }
}

/// Lower-case hex.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

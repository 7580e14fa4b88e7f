//! What is harvested while the binary is killed: the reading list, and for each round some works more of every kind of end.
//!
//! Must never make a work whose end depends on when it is asked for: then a killed harvest could not be compared with
//! one that nobody disturbed.

use std::fmt::Write;
use std::time::Duration;

use crate::simweb::{Eprint, Location, Reply, Work, World, pdf, reading_list};

/// The host of most files.
pub(super) const FILES: &str = "files.example.org";

/// A host with a low rate and a burst.
pub(super) const SLOW: &str = "slow.example.org";

/// Works that each round adds.
const PER_ROUND: usize = 16;
/// Bytes of a file.
const SIZE: usize = 8 << 10;

/// The world in which everything up to that round is known.
pub(super) fn world(rounds: usize) -> World {
    // So much that a run can be killed between two requests.
    let mut world = reading_list::world(Duration::from_millis(5));
    works(rounds).for_each(|kind| kind.put_into(&mut world));
    world
}

/// What a run of that round is given: the reading list, and the works of all rounds so far.
pub(super) fn list(round: usize) -> String {
    works(round).fold(reading_list::LIST.to_owned(), |mut list, made| {
        let _ = writeln!(list, "{}", made.line());
        list
    })
}

fn works(rounds: usize) -> impl Iterator<Item = Made> {
    (0..(rounds + 1) * PER_ROUND).map(|number| Made { number })
}

/// A made-up work; its number says of which kind.
struct Made {
    number: usize,
}

impl Made {
    fn line(&self) -> String {
        match self.number % 8 {
            3 | 4 => self.doi(),
            7 => format!("arXiv:{}", self.eprint()),
            1 => self.url(SLOW),
            _ => self.url(FILES),
        }
    }

    fn doi(&self) -> String {
        format!("10.5555/made.{}", self.number)
    }

    fn eprint(&self) -> String {
        format!("2401.{:05}", self.number)
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}/{}.pdf", self.number)
    }

    fn put_into(&self, world: &mut World) {
        let url = self.url(FILES);
        match self.number % 8 {
            1 => world.set(&self.url(SLOW), Reply::pdf(SIZE)),
            // The same bytes under many names: one blob.
            2 => world.set(&url, Reply::bytes("application/pdf", pdf::document("shared", SIZE))),
            // The best copy is gone, the next one is there.
            3 => world.work(self.work(vec![
                Location::publisher(&self.url("gone.example.org")),
                Location::repository(&self.url("repository.example.org")),
            ])),
            // Known, and closed.
            4 => world.work(self.work(Vec::new())),
            // A page in place of the file.
            5 => world.set(&url, Reply::html("Full text")),
            // Cut off at first: it has to be asked for again.
            6 => world.set(&url, Reply::pdf(SIZE).after_first(1, Reply::pdf(SIZE).cut_after(2000))),
            7 => {
                let title = format!("Made-up e-print {}", self.number);
                world.eprint(Eprint { id: self.eprint(), versions: 1, title })
            }
            _ => world.set(&url, Reply::pdf(SIZE)),
        };
    }

    fn work(&self, locations: Vec<Location>) -> Work {
        let title = format!("Made-up work {}", self.number);
        Work { doi: self.doi(), title, locations, ..Work::default() }
    }
}

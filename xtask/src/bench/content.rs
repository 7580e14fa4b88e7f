//! `content.download_256k`: downloads through the whole program, from the simulated web.

use super::figure::Figures;
use super::place::Place;
use super::slow_host::configure;
use crate::simweb::Simweb;
use anyhow::Result;

/// Files of a run, and their size in bytes.
const FILES: usize = 2000;
const FILE_SIZE: &str = "262144";

/// Files a second of `gleaner get` over TLS from loopback, 16 at once: fetched, hashed, checked, stored.
pub(super) fn downloads(place: &Place) -> Result<()> {
    let web = place.fresh("web")?;
    let arguments = ["--corpus", &FILES.to_string(), "--size", FILE_SIZE];
    let simweb = Simweb::start_with(&place.simweb, &web, &arguments)?;
    let limits = "default-host = { concurrency = 16, rate = \"100000/s\", burst = 100000 }\n";
    let configuration = configure(&simweb, &web, limits)?;
    let list = web.join("corpus.txt").to_string_lossy().into_owned();
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let took = place.empty_library(configuration.clone())?.run(&["get", "--input", &list])?;
        figures.add("content.download_256k", "files/s", FILES as f64 / took);
    }
    simweb.stop()?;
    figures.print()
}

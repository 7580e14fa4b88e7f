//! Test guest `noop`: takes a DOI and answers at once that there is no open copy. What a call costs beside the
//! resolver's own work is measured with it, so it must never do any.

use gleaner_sdk::{Failure, Host, Info, Query, Resolution, Resolver};

/// Answers without candidates.
#[derive(Debug)]
pub struct Noop;

gleaner_sdk::export_resolver!(Noop);

impl Resolver for Noop {
    fn describe() -> Info {
        Info::new("noop", env!("CARGO_PKG_VERSION"), "No open copy of anything").takes("doi")
    }

    fn resolve(_query: &Query, _host: &impl Host) -> Result<Resolution, Failure> {
        Ok(Resolution::none())
    }
}

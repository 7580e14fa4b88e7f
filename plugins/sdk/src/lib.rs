//! What a resolver in Rust is written with: the host's functions, JSON over HTTP, URLs with the right
//! percent-encoding, typed failures. It hides the component bindings, and must never know a service.
//!
//! A resolver is a type that implements [`Resolver`], and one line that makes it a component:
//!
//! ```
//! use gleaner_sdk::{Candidate, Failure, Host, Info, Maybe, Query, Resolution, Resolver};
//!
//! /// Asks an imaginary archive.
//! struct Archive;
//!
//! #[derive(serde::Deserialize)]
//! struct Record {
//!     #[serde(default)]
//!     pdf: Maybe<String>,
//! }
//!
//! impl Resolver for Archive {
//!     fn describe() -> Info {
//!         Info::new("archive", "0.1.0", "Preprints of the imaginary archive").takes("doi").host("api.archive.example")
//!     }
//!
//!     fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
//!         let Some(doi) = query.doi() else { return Ok(Resolution::none()) };
//!         let url = host.base_url("https://api.archive.example").path("works").segment(doi);
//!         let record: Option<Record> = host.get_json(&url)?;
//!         let pdf = record.and_then(|record| Candidate::file(record.pdf.as_deref()?));
//!         Ok(Resolution::of(pdf))
//!     }
//! }
//!
//! gleaner_sdk::export_resolver!(Archive);
//!
//! # use gleaner_sdk::testing::{FakeHost, query};
//! let host = FakeHost::new().answer(
//!     "https://api.archive.example/works/10.1234%2Fx",
//!     200,
//!     r#"{ "pdf": "https://archive.example/x.pdf" }"#,
//! );
//! let resolution = Archive::resolve(&query(&[("doi", "10.1234/x")]), &host).unwrap();
//! assert_eq!(resolution.candidates[0].url, "https://archive.example/x.pdf");
//! ```
//!
//! The crate is a library with `crate-type = ["cdylib", "rlib"]`, built for `wasm32-unknown-unknown`. On any other
//! target it compiles too, so that its tests run as ordinary tests, with [`testing::FakeHost`] in the host's place.
//! There std's clock and random numbers do not work: [`Host::now_ms`] tells the time.

mod answers;
#[doc(hidden)]
pub mod bindings;
mod doi;
mod failure;
#[cfg(target_arch = "wasm32")]
mod heap;
mod host;
pub mod html;
mod link;
mod many;
mod maybe;
pub mod select;
pub mod testing;
mod url;

pub use answers::version_of;
pub use bindings::exports::gleaner::resolver::resolver::Info;
pub use bindings::gleaner::resolver::http::{Error as HttpError, Request, Response};
pub use bindings::gleaner::resolver::log::Level;
pub use bindings::gleaner::resolver::types::{
    Candidate, CandidateKind, Disposition, Failure, Field, Identifier, Query, Resolution,
};
pub use doi::bare_doi;
pub use host::Host;
pub use link::{Leads, host_of, leads_through_doi_org, path_says_pdf, quoted};
pub use many::{Name, answer_together};
pub use maybe::{Many, Maybe};
pub use url::{Url, clean_url, join};

/// One source of full texts. A new instance of the component is made for every call: nothing is kept.
pub trait Resolver {
    /// Who this is, and what it asks for. Called without network; must always give the same.
    fn describe() -> Info;

    /// Where can this work be had? No open copy is an answer: [`Resolution::none`].
    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure>;
}

/// A source that answers for many works in one request. Exported with [`export_batch_resolver!`] in place of
/// [`export_resolver!`].
pub trait BatchResolver: Resolver {
    /// How many works one call takes, 1 to 1000.
    const MOST: u32;

    /// What [`Resolver::resolve`] would answer to each query, in the same order, and as many. A failure that concerns all
    /// of them is given for each: [`for_each`].
    fn resolve_many(queries: &[Query], host: &impl Host) -> Vec<Result<Resolution, Failure>>;
}

/// The same answer for every query.
pub fn for_each(queries: &[Query], answer: &Result<Resolution, Failure>) -> Vec<Result<Resolution, Failure>> {
    vec![answer.clone(); queries.len()]
}

/// As [`export_resolver!`], for a [`BatchResolver`].
#[macro_export]
macro_rules! export_batch_resolver {
    ($resolver:ty) => {
        $crate::export_resolver!($resolver);
        const _: () = {
            #[allow(dead_code, reason = "used on wasm only; here it checks that the type is one for batches")]
            type Exported = $crate::bindings::Component<$resolver>;
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::batch::export!(Exported with_types_in $crate::bindings::batch);
            #[cfg(not(target_arch = "wasm32"))]
            let _ =
                <Exported as $crate::bindings::batch::exports::gleaner::resolver_batch::batch::Guest>::most;
        };
    };
}

/// Makes a [`Resolver`] the one that this component exports. Once per crate.
#[macro_export]
macro_rules! export_resolver {
    ($resolver:ty) => {
        const _: () = {
            #[allow(dead_code, reason = "used on wasm only; here it checks that the type is a resolver")]
            type Exported = $crate::bindings::Component<$resolver>;
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export!(Exported with_types_in $crate::bindings);
            #[cfg(not(target_arch = "wasm32"))]
            let _ = <Exported as $crate::bindings::exports::gleaner::resolver::resolver::Guest>::describe;
        };
    };
}

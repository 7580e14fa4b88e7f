//! The generated bindings of `gleaner:resolver@0.1.0` and of `gleaner:resolver-batch@0.1.0`, and the places that touch
//! them: the component that calls a resolver, and the host that it calls. Nothing here is part of this crate's interface.
#![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated; documented in the WIT package")]

use crate::{
    BatchResolver, Failure, Host, HttpError, Info, Level, Query, Request, Resolution, Resolver, Response,
};
use std::marker::PhantomData;

wit_bindgen::generate!({
    path: "../../wit/resolver-0.1.0",
    world: "resolver-plugin",
    additional_derives: [PartialEq],
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "gleaner_sdk::bindings",
});

/// What a resolver exports that can be asked about several works at once.
pub mod batch {
    wit_bindgen::generate!({
        path: ["../../wit/resolver-0.1.0", "../../wit/resolver-batch-0.1.0"],
        world: "gleaner:resolver-batch/batch-resolver",
        with: { "gleaner:resolver/types@0.1.0": crate::bindings::gleaner::resolver::types },
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "gleaner_sdk::bindings::batch",
    });
}

/// What the component model calls.
pub struct Component<R>(PhantomData<R>);

impl<R: Resolver> exports::gleaner::resolver::resolver::Guest for Component<R> {
    fn describe() -> Info {
        log_panics();
        R::describe()
    }

    fn resolve(query: Query) -> Result<Resolution, Failure> {
        log_panics();
        R::resolve(&query, &Imports)
    }
}

impl<R: BatchResolver> batch::exports::gleaner::resolver_batch::batch::Guest for Component<R> {
    fn most() -> u32 {
        R::MOST
    }

    fn resolve_many(queries: Vec<Query>) -> Vec<Result<Resolution, Failure>> {
        log_panics();
        R::resolve_many(&queries, &Imports)
    }
}

/// A panic ends in a trap, which says nothing. The message goes to the operator first.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| Imports.log(Level::Error, &panic.to_string(), &[])));
}

/// The host that this component runs in.
struct Imports;

impl Host for Imports {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        gleaner::resolver::http::send(request)
    }

    fn send_all(&self, requests: &[Request]) -> Vec<Result<Response, HttpError>> {
        gleaner::resolver::http::send_all(requests)
    }

    fn setting(&self, key: &str) -> Option<String> {
        gleaner::resolver::config::get(key)
    }

    fn log(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        let fields: Vec<_> = fields.iter().map(|(key, value)| crate::answers::field(key, value)).collect();
        gleaner::resolver::log::log(level, message, &fields);
    }

    fn now_ms(&self) -> u64 {
        gleaner::resolver::clock::now_ms()
    }
}

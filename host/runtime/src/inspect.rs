//! What a file is, before any of its code runs.
//!
//! Must never deserialise a precompiled file: its native code would run unchecked.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::LoadError;
use crate::track_0_1;

/// The package that every resolver speaks.
const PACKAGE: &str = "gleaner:resolver/";
const RESOLVER: &str = "gleaner:resolver/resolver";
/// What it may export beside that.
const BATCH: &str = "gleaner:resolver-batch/batch";
/// The two, for messages.
const RESOLVER_PACKAGE: &str = "gleaner:resolver";
const BATCH_PACKAGE: &str = "gleaner:resolver-batch";
/// What is linked of WASI 0.2: empty packages, and `wasi:http` as far as requests to the outside go.
const WASI: [&str; 8] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// What a component names at its borders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Borders {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    /// Of the interface that it was built for.
    pub(crate) version: String,
    /// Whether it can be asked about several works at once.
    pub(crate) has_batch: bool,
}

/// Tells a component by its first bytes, and that its end is there.
pub(crate) fn check_bytes(bytes: &[u8]) -> Result<(), LoadError> {
    let not = |what: &str, todo| Err(LoadError::NotAComponent { what: what.to_owned(), todo });
    if Engine::detect_precompiled(bytes).is_some() {
        return not(
            "precompiled native code (.cwasm), which is never loaded because it could do anything",
            "give the .wasm file; compiled code is cached by itself",
        );
    }
    match bytes {
        [] => not("empty", "copy or build it again"),
        [b'\0', b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => match missing(bytes) {
            None => Ok(()),
            Some(missing) => {
                not(&format!("cut short: at least {missing} bytes are missing"), "copy or download it again")
            }
        },
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => not(
            "a core module, not a component",
            "make it one with `wasm-tools component new`, or link with wasm-component-ld",
        ),
        [b'\0', b'a', b's', b'm', ..] => {
            not("WebAssembly of an unknown or damaged format", "build it with current tools")
        }
        _ if bytes.trim_ascii_start().starts_with(b"(") => {
            not("WebAssembly text", "turn it into a component with `wasm-tools parse`")
        }
        _ if bytes.trim_ascii_start().starts_with(b"<") => {
            not("a web page or XML, not WebAssembly", "download the file itself")
        }
        _ => not("not WebAssembly", "put only components into plugin directories, or name it otherwise"),
    }
}

/// How many bytes the last section promises more than there are. Sections are a byte, a length as LEB128,
/// and that many bytes.
fn missing(bytes: &[u8]) -> Option<usize> {
    let mut at = 8;
    while at < bytes.len() {
        at += 1;
        let mut length = 0_usize;
        for shift in (0..35).step_by(7) {
            let Some(&byte) = bytes.get(at) else { return Some(1) };
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        at = at.saturating_add(length);
    }
    (at > bytes.len()).then(|| at - bytes.len())
}

/// Reads imports and exports, and holds them to what this host speaks.
pub(crate) fn check_borders(component: &Component) -> Result<Borders, LoadError> {
    let (engine, ty) = (component.engine(), component.component_type());
    let imports: Vec<String> = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    check_names(imports, exports)
}

fn check_names(imports: Vec<String>, exports: Vec<String>) -> Result<Borders, LoadError> {
    let ours = track_0_1::VERSION;
    let resolver = exports.iter().find_map(|name| match split(name) {
        (RESOLVER, version) => Some(version.to_owned()),
        _ => None,
    });
    let Some(version) = resolver else {
        let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        return Err(LoadError::OtherWorld { exports });
    };
    let has_batch = exports.iter().any(|name| split(name).0 == BATCH);
    for name in imports.iter().chain(&exports) {
        let (package, ours) = match split(name).0 {
            BATCH => (BATCH_PACKAGE, track_0_1::BATCH_VERSION),
            spoken if spoken.starts_with(PACKAGE) => (RESOLVER_PACKAGE, ours),
            _ => continue,
        };
        let theirs = split(name).1;
        if track(theirs) != track(ours) {
            let is_newer = track(theirs) > track(ours);
            let todo = if is_newer { "update gleaner" } else { "get a newer plugin, or rebuild it" };
            return Err(LoadError::OtherVersion { package, theirs: theirs.to_owned(), ours, todo });
        }
    }
    let known = |name: &String| {
        name.starts_with(PACKAGE)
            || WASI.iter().any(|package| name.starts_with(package)) && track(split(name).1) == Some((0, 2))
    };
    let unknown: Vec<String> = imports.iter().filter(|name| !known(name)).cloned().collect();
    if !unknown.is_empty() {
        return Err(LoadError::UnknownImports { imports: unknown, ours });
    }
    Ok(Borders { imports, exports, version, has_batch })
}

/// Why a component whose names are right cannot be linked, from what wasmtime says and the version it was built for.
pub(crate) fn mismatch(said: &str, theirs: &str) -> LoadError {
    let ours = track_0_1::VERSION;
    if patch(theirs) > patch(ours) {
        // Patches of a track add functions; it asks for one of those.
        let (package, theirs) = (RESOLVER_PACKAGE, theirs.to_owned());
        return LoadError::OtherVersion { package, theirs, ours, todo: "update gleaner" };
    }
    // The words about a linker are wasmtime's own affair.
    let cause = said.replace(", but a matching implementation was not found in the linker", "");
    LoadError::Mismatch { ours, cause }
}

/// `a:b/c@1.2.3` as `a:b/c` and `1.2.3`.
fn split(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

/// Versions with the same first two numbers speak alike, as long as the first is 0.
fn track(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '-', '+']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The third number.
fn patch(version: &str) -> Option<u32> {
    version.split(['.', '-', '+']).nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> String {
        check_bytes(bytes).unwrap_err().to_string()
    }

    #[test]
    fn files_are_named_for_what_they_are() {
        assert!(check_bytes(b"\0asm\x0d\0\x01\0").is_ok());
        assert!(check_bytes(b"\0asm\x0d\0\x01\0\0\x03abc").is_ok());
        for (bytes, part) in [
            (&b"\0asm\x01\0\0\0"[..], "core module"),
            (b"\0asm\x0d\0\x01\0\0\x80\x01abc", "cut short: at least 125 bytes"),
            (b"\0asm\x0d\0\x01\0\0", "cut short"),
            (b"\0asm\x0c\0\x01\0", "unknown or damaged"),
            (b"", "empty"),
            (b"(component)", "WebAssembly text"),
            (b"<!doctype html>", "web page"),
            (b"#!/bin/sh", "not WebAssembly"),
        ] {
            assert!(message(bytes).contains(part), "{part}: {}", message(bytes));
        }
    }

    fn names(imports: &[&str], exports: &[&str]) -> Result<Borders, LoadError> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        check_names(owned(imports), owned(exports))
    }

    #[test]
    fn mutated_names_are_judged() {
        let seed = "gleaner:resolver/http@0.1.0\nwasi:io/streams@0.2.9\n|gleaner:resolver/resolver@0.1.4-rc.1+2\ninit";
        gleaner_testing::each_mutation(&[seed], |text| {
            let (imports, exports) = text.split_once('|').unwrap_or((text, ""));
            let list = |text: &str| text.lines().map(str::to_owned).collect();
            match check_names(list(imports), list(exports)) {
                Ok(borders) => assert!(borders.imports.iter().all(|name| name.contains(':'))),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        });
    }

    #[test]
    fn versions_and_worlds_are_told_before_anything_runs() {
        let fine = names(
            &["gleaner:resolver/http@0.1.0", "wasi:io/streams@0.2.9", "wasi:http/outgoing-handler@0.2.4"],
            &["gleaner:resolver/resolver@0.1.4", "init"],
        );
        let fine = fine.unwrap();
        assert_eq!((fine.version.as_str(), fine.has_batch), ("0.1.4", false));
        let batch = names(&[], &["gleaner:resolver/resolver@0.1.0", "gleaner:resolver-batch/batch@0.1.2"]);
        assert!(batch.unwrap().has_batch);
        for (imports, exports, part) in [
            (
                &["gleaner:resolver/http@0.3.0"][..],
                &["gleaner:resolver/resolver@0.3.0"][..],
                "built for gleaner:resolver 0.3.0, this host speaks 0.1.0; update gleaner",
            ),
            (
                &[],
                &["gleaner:resolver/resolver@0.0.9"],
                "built for gleaner:resolver 0.0.9, this host speaks 0.1.0; get",
            ),
            (
                &[],
                &["gleaner:resolver/resolver@0.1.0", "gleaner:resolver-batch/batch@0.2.0"],
                "built for gleaner:resolver-batch 0.2.0, this host speaks 0.1.0; update gleaner",
            ),
            (
                &[],
                &["gleaner:resolver-batch/batch@0.0.3", "gleaner:resolver/resolver@0.1.0"],
                "built for gleaner:resolver-batch 0.0.3, this host speaks 0.1.0; get",
            ),
            (&[], &["wasi:cli/run@0.2.0"], "it exports wasi:cli/run@0.2.0"),
            (&[], &[], "it exports nothing"),
            (
                &["wasi:http/types@0.3.0", "wasi:cli/exit@0.3.0", "evil:corp/api"],
                &["gleaner:resolver/resolver@0.1.0"],
                "wasi:http/types@0.3.0, wasi:cli/exit@0.3.0, evil:corp/api",
            ),
        ] {
            let message = names(imports, exports).unwrap_err().to_string();
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

//! What stands between a language and the component model: C bindings from a WIT package, and a component from the
//! core module that a compiler leaves.
//!
//! Must never invent a world: it is always the one in the project's `wit/`.

use std::fs;
use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_component::ComponentEncoder;

use crate::exit::Failed;

/// The world that every resolver implements.
pub(crate) const WORLD: &str = "resolver-plugin";

/// Writes the C bindings of the project's interface into a directory: a header, a source, and an object file that
/// carries the interface into the module.
pub(crate) fn generate_c(wit: &Path, into: &Path) -> Result<(), Failed> {
    let mut files = Files::default();
    let generated = (|| {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(wit)?;
        let world = resolve.select_world(&[package], Some(WORLD))?;
        let mut generator = wit_bindgen_c::Opts::default().build();
        WorldGenerator::generate(&mut *generator, &mut resolve, world, &mut files)
    })();
    generated.map_err(|error: anyhow::Error| {
        Failed::usage(format!(
            "{} gives no bindings: {error:#}; is it the resolver interface?",
            wit.display()
        ))
    })?;
    fs::create_dir_all(into)?;
    for (name, bytes) in files.iter() {
        fs::write(into.join(name), bytes)?;
    }
    Ok(())
}

/// The component of a core module that carries its interface.
pub(crate) fn component(core: &Path) -> Result<Vec<u8>, Failed> {
    let bytes = fs::read(core)
        .map_err(|error| Failed::usage(format!("the compiler left no {}: {error}", core.display())))?;
    let encoded =
        ComponentEncoder::default().validate(true).module(&bytes).and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| {
        let reason = format!("{error:#}");
        let hint = if reason.contains("wasi_snapshot_preview1") {
            "; it uses files, the terminal, the environment or the clock through its C library, which a resolver has not: \
             avoid <stdio.h> and <time.h>"
        } else {
            ""
        };
        Failed::usage(format!("what was compiled makes no component: {reason}{hint}"))
    })
}

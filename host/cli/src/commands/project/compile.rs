//! One function per language: from a project's sources to the bytes of its component.
//!
//! Must never write outside the project, nor leave anything in it but what its `.gitignore` names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::Project;
use super::bindings::{WORLD, component, generate_c};
use super::tools::{C_PACKAGES, ask, missing, need, run};
use crate::exit::Failed;

const RUST_TARGET: &str = "wasm32-unknown-unknown";
const ADD_RUST_TARGET: &str = "rustup target add wasm32-unknown-unknown";

/// Cargo, for a target without a system below it; the module becomes a component here.
pub(crate) fn rust(project: &Project) -> Result<Vec<u8>, Failed> {
    let why = "Rust is compiled with it";
    let cargo = need(&["cargo"], &[], why, "https://rustup.rs")?;
    let rustc = match crate::environment::RUSTC.os() {
        Some(rustc) => PathBuf::from(rustc),
        None => need(&["rustc"], &[], why, "https://rustup.rs")?,
    };
    let sysroot = ask(Command::new(&rustc).args(["--print", "sysroot"]).current_dir(&project.dir))?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim());
    if !sysroot.join("lib/rustlib").join(RUST_TARGET).is_dir() {
        return Err(missing(
            &format!("the target {RUST_TARGET}"),
            "Rust is compiled for it",
            ADD_RUST_TARGET,
        ));
    }
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--target", RUST_TARGET]);
    build.args(["--message-format", "json-render-diagnostics"]).current_dir(&project.dir).env("RUSTC", rustc);
    let messages = ask(&mut build)?;
    let module = String::from_utf8_lossy(&messages).lines().rev().find_map(module_of_message);
    let module = module.ok_or_else(|| {
        Failed::usage("cargo built no wasm module; Cargo.toml needs [lib] with crate-type = [\"cdylib\"]")
    })?;
    component(&module)
}

/// The module that a line of cargo's messages tells of.
fn module_of_message(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let files = message["filenames"].as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// Types are checked where the compiler is at hand, modules joined to one, and that put into an engine.
pub(crate) fn javascript(project: &Project) -> Result<Vec<u8>, Failed> {
    let dirs = [project.dir.join("node_modules/.bin")];
    let how = "npm ci";
    let esbuild = need(&["esbuild"], &dirs, "it joins the modules to one", how)?;
    let componentize = need(&["componentize-js"], &dirs, "it makes a component of the script", how)?;
    if project.dir.join("tsconfig.json").is_file() {
        let tsc = need(&["tsc"], &dirs, "it checks the types; without tsconfig.json nothing does", how)?;
        run(&tsc, &[&"--project", &"."], &project.dir)?;
    }
    let main = ["src/resolver.ts", "src/resolver.js"];
    let main = main.into_iter().find(|main| project.dir.join(main).is_file());
    let main =
        main.ok_or_else(|| Failed::usage("the project has neither src/resolver.ts nor src/resolver.js"))?;
    let script = "build/resolver.mjs";
    let options = ["--bundle", "--format=esm", "--platform=neutral", "--external:gleaner:*"];
    let [bundle, format, platform, external] = options;
    let outfile = format!("--outfile={script}");
    run(
        &esbuild,
        &[&main, &bundle, &format, &platform, &external, &"--log-level=warning", &outfile],
        &project.dir,
    )?;
    let wasm = project.dir.join("build/resolver.wasm");
    // Its own requests come through the interface's `http`, and it answers none.
    let disabled: [&dyn AsRef<std::ffi::OsStr>; 3] = [&"-d", &"http", &"fetch-event"];
    let args: [&dyn AsRef<std::ffi::OsStr>; 7] = [&script, &"-w", &"wit", &"-n", &WORLD, &"-o", &wasm];
    run(&componentize, &[&args[..], &disabled[..]].concat(), &project.dir)?;
    read(&wasm)
}

/// The interpreter with the project's modules in it.
pub(crate) fn python(project: &Project) -> Result<Vec<u8>, Failed> {
    let dirs = [project.dir.join(".venv/bin")];
    let how = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";
    let componentize = need(&["componentize-py"], &dirs, "it makes a component of the modules", how)?;
    if !project.dir.join("app.py").is_file() {
        return Err(Failed::usage("the project has no app.py, which has the class Resolver"));
    }
    fs::create_dir_all(project.dir.join("build"))?;
    let wasm = project.dir.join("build/resolver.wasm");
    run(&componentize, &[&"-d", &"wit", &"-w", &WORLD, &"componentize", &"app", &"-o", &wasm], &project.dir)?;
    read(&wasm)
}

/// Bindings, clang, and the module made a component here.
pub(crate) fn c(project: &Project) -> Result<Vec<u8>, Failed> {
    let clang = need(&["clang-19", "clang"], &[], "C is compiled with it", C_PACKAGES)?;
    need(&["wasm-ld-19", "wasm-ld"], &[], "clang links with it", C_PACKAGES)?;
    let gen_dir = project.dir.join("gen");
    generate_c(&project.dir.join("wit"), &gen_dir)?;
    fs::create_dir_all(project.dir.join("build"))?;
    let core = project.dir.join("build/resolver.core.wasm");
    let mut sources = sources(&project.dir)?;
    sources.extend(["gen/resolver_plugin.c", "gen/resolver_plugin_component_type.o"].map(PathBuf::from));
    let flags = ["--target=wasm32-wasi", "-mexec-model=reactor", "-Oz", "-Wall", "-Wextra", "-o"];
    let mut args: Vec<&dyn AsRef<std::ffi::OsStr>> = flags.iter().map(|flag| flag as _).collect();
    args.push(&core);
    args.extend(sources.iter().map(|source| source as &dyn AsRef<std::ffi::OsStr>));
    run(&clang, &args, &project.dir)?;
    component(&core)
}

/// The project's own C files, but for its tests (`*_test.c`), which have a `main`.
fn sources(dir: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".c") && !name.ends_with("_test.c") {
            found.push(PathBuf::from(name));
        }
    }
    found.sort();
    Ok(found)
}

fn read(wasm: &Path) -> Result<Vec<u8>, Failed> {
    fs::read(wasm).map_err(|error| Failed::usage(format!("the tool left no {}: {error}", wasm.display())))
}

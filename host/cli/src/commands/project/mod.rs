//! `gleaner plugin new` and `plugin build`: a resolver's project from templates, and its component.
//!
//! Must never install anything: a tool that is missing is named, with how to get it.

mod bindings;
mod compile;
mod template;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use gleaner_model::key::ResolverName;
use serde_json::json;

use crate::args::Language;
use crate::exit::{Exit, Failed};
use crate::output::{Output, bytes};

/// `gleaner plugin new`.
pub(crate) fn create(
    output: Output,
    name: &ResolverName,
    language: Language,
    dir: Option<&Path>,
) -> Result<Exit, Failed> {
    let dir = dir.map_or_else(|| PathBuf::from(name.as_str()), Path::to_owned);
    if fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) || dir.is_file() {
        return Err(Failed::usage(format!(
            "{} is there and not empty; name another with --dir, or take it away",
            dir.display()
        )));
    }
    let files = template::files(language, name);
    for (path, text) in &files {
        let path = dir.join(path);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.map_err(|error| {
            Failed::usage(format!(
                "cannot write {}: {error}; --dir names a place that is yours",
                path.display()
            ))
        })?;
    }
    if output.is_json() {
        let files: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        output.json(&json!({ "dir": dir, "language": language.word(), "files": files }))?;
    } else {
        output.line(&format!("{} has a resolver in {}. Next:", dir.display(), language.title()))?;
        for step in language.tools() {
            output.line(&format!("    {step}"))?;
        }
        output.line(&format!("    gleaner plugin build {}", dir.display()))?;
    }
    Ok(Exit::Well)
}

/// `gleaner plugin build`.
pub(crate) fn build(output: Output, dir: &Path, file: Option<&Path>) -> Result<Exit, Failed> {
    let project = Project::open(dir)?;
    let component = match project.language {
        Language::Rust => compile::rust(&project),
        Language::Javascript => compile::javascript(&project),
        Language::Python => compile::python(&project),
        Language::C => compile::c(&project),
    }?;
    let file = file.map_or_else(|| project.dir.join(format!("{}.wasm", project.name)), Path::to_owned);
    // Renamed into place: a host that watches the directory never sees half of it.
    let part = file.with_extension("wasm.part");
    fs::write(&part, &component).and_then(|()| fs::rename(&part, &file)).map_err(|error| {
        Failed::usage(format!("cannot write {}: {error}; --output names another file", file.display()))
    })?;
    let size = component.len() as u64;
    if output.is_json() {
        output.json(&json!({ "path": file, "language": project.language.word(), "size": size }))?;
    } else {
        output.line(&format!("{}  {}", file.display(), bytes(size)))?;
    }
    Ok(Exit::Well)
}

/// A directory that `plugin build` understands.
struct Project {
    /// Absolute.
    dir: PathBuf,
    /// Of the directory.
    name: String,
    language: Language,
}

impl Project {
    fn open(dir: &Path) -> Result<Self, Failed> {
        let absolute = dir
            .canonicalize()
            .map_err(|error| Failed::usage(format!("{} cannot be read: {error}", dir.display())))?;
        let marks = [
            ("Cargo.toml", Language::Rust),
            ("package.json", Language::Javascript),
            ("requirements.txt", Language::Python),
            ("resolver.c", Language::C),
        ];
        let Some((_, language)) = marks.into_iter().find(|(mark, _)| absolute.join(mark).is_file()) else {
            return Err(Failed::usage(format!(
                "{} is no project of a resolver: it has none of Cargo.toml, package.json, requirements.txt and resolver.c; \
                 `gleaner plugin new NAME --lang LANGUAGE` writes one",
                dir.display()
            )));
        };
        if !absolute.join("wit").is_dir() {
            return Err(Failed::usage(format!(
                "{} has no wit/; copy the resolver interface there, or take it from a project of `gleaner plugin new`",
                dir.display()
            )));
        }
        let name = absolute.file_name().map_or_else(|| "resolver".into(), |name| name.to_string_lossy());
        Ok(Self { name: name.into_owned(), dir: absolute, language })
    }
}

impl Language {
    /// As on the command line.
    fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Javascript => "javascript",
            Self::Python => "python",
            Self::C => "c",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Javascript => "TypeScript",
            Self::Python => "Python",
            Self::C => "C",
        }
    }

    /// Commands that get what it is built with.
    fn tools(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["rustup target add wasm32-unknown-unknown"],
            Self::Javascript => &["npm ci   # in its directory"],
            Self::Python => {
                &["python3 -m venv .venv && .venv/bin/pip install -r requirements.txt   # in its directory"]
            }
            Self::C => &[tools::C_PACKAGES],
        }
    }
}

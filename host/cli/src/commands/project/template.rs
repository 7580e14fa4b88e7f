//! What `plugin new` writes, embedded: the files in `examples/templates`, and what the examples share with them.
//!
//! Must never hold a text of its own: the templates are files, so that each is read, built and tested as one.

use gleaner_model::key::ResolverName;

use crate::args::Language;

/// What stands for the resolver's name in a template.
const NAME: &str = "{{name}}";

macro_rules! template {
    ($($path:literal from $file:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../../examples/", $file)))),+]
    };
}

const RUST: &[(&str, &str)] = template! {
    "Cargo.toml" from "templates/rust/Cargo.toml",
    "src/lib.rs" from "templates/rust/src/lib.rs",
    "README.md" from "templates/rust/README.md",
    ".gitignore" from "templates/rust/gitignore",
};

const JAVASCRIPT: &[(&str, &str)] = template! {
    "src/resolver.ts" from "templates/javascript/src/resolver.ts",
    "src/source.ts" from "templates/javascript/src/source.ts",
    "src/source.test.ts" from "templates/javascript/src/source.test.ts",
    "src/host.ts" from "ia_scholar/src/host.ts",
    "src/gleaner.d.ts" from "ia_scholar/src/gleaner.d.ts",
    "package.json" from "ia_scholar/package.json",
    "package-lock.json" from "ia_scholar/package-lock.json",
    "tsconfig.json" from "ia_scholar/tsconfig.json",
    "README.md" from "templates/javascript/README.md",
    ".gitignore" from "templates/javascript/gitignore",
};

const PYTHON: &[(&str, &str)] = template! {
    "app.py" from "templates/python/app.py",
    "source.py" from "templates/python/source.py",
    "test_source.py" from "templates/python/test_source.py",
    "requirements.txt" from "oai_pmh/requirements.txt",
    "README.md" from "templates/python/README.md",
    ".gitignore" from "templates/python/gitignore",
};

const C: &[(&str, &str)] = template! {
    "resolver.c" from "templates/c/resolver.c",
    "json.h" from "biorxiv/json.h",
    "README.md" from "templates/c/README.md",
    ".gitignore" from "templates/c/gitignore",
};

/// The released interface, which every project carries.
const WIT: (&str, &str) =
    ("wit/resolver.wit", include_str!("../../../../../wit/resolver-0.1.0/resolver.wit"));

/// The files of a new project: path in it, and text.
pub(crate) fn files(language: Language, name: &ResolverName) -> Vec<(String, String)> {
    let templates = match language {
        Language::Rust => RUST,
        Language::Javascript => JAVASCRIPT,
        Language::Python => PYTHON,
        Language::C => C,
    };
    // What is taken from an example is called after it.
    let named = |text: &str| text.replace(NAME, name.as_str()).replace("ia_scholar", name.as_str());
    templates.iter().chain([&WIT]).map(|(path, text)| ((*path).to_owned(), named(text))).collect()
}

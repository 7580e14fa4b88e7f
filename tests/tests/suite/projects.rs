//! Projects of resolvers that are wrong in one way each, with tools that are missing or stand-ins: what the suite
//! `messages` runs `plugin new` and `plugin build` on.
//!
//! Not a suite. Must never use a tool of this machine: each project brings its own search path.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use gleaner_tests::harness::Bench;

/// Commands, in the form of the suite `messages`.
pub(crate) const CASES: &[&str] = &[
    "plugin new my_rust --lang rust",
    "plugin new my_javascript --lang javascript",
    "plugin new my_python --lang python",
    "plugin new my_c --lang c",
    "plugin new my_c --lang c",
    "plugin new My-C --lang c",
    "plugin new other --lang c --dir afile/below",
    "plugin build nowhere",
    "plugin build folder",
    "plugin build no-wit",
    "plugin build rust-without",
    "plugin build rust-target",
    "plugin build rust-fails",
    "plugin build rust-shut",
    "plugin build rust-nothing",
    "plugin build js-without",
    "plugin build js-engine",
    "plugin build js-types",
    "plugin build js-main",
    "plugin build js-shut",
    "plugin build js-nothing",
    "plugin build python-without",
    "plugin build python-app",
    "plugin build python-fails",
    "plugin build python-good",
    "plugin build python-good --output afile/x.wasm",
    "plugin build c-without",
    "plugin build c-linker",
    "plugin build c-wit",
    "plugin build c-nothing",
    "plugin build c-wasi",
];

const WIT: &str = include_str!("../../../wit/resolver-0.1.0/resolver.wit");
const LAST: &str = "for last; do :; done; ";

/// One project: its files, and its search path with these scripts on it.
struct Project<'a>(&'a Bench, &'a str);

impl Project<'_> {
    fn file(&self, name: &str, text: &[u8]) -> &Self {
        let path = self.0.path(self.1).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn tool(&self, name: &str, script: &str) -> &Self {
        self.file(&format!("path/{name}"), format!("#!/bin/sh\n{script}\n").as_bytes());
        fs::set_permissions(search_path(self.0, self.1).join(name), fs::Permissions::from_mode(0o755))
            .unwrap();
        self
    }

    fn shut_tool(&self, name: &str) -> &Self {
        self.file(&format!("path/{name}"), b"#!/bin/sh\n")
    }
}

/// The search path that a project is built with.
pub(crate) fn search_path(bench: &Bench, project: &str) -> PathBuf {
    bench.path(project).join("path")
}

/// Writes them all.
pub(crate) fn write(bench: &Bench) {
    let project = |name| {
        let project = Project(bench, name);
        project.file("wit/resolver.wit", WIT.as_bytes());
        project
    };
    Project(bench, "no-wit").file("resolver.c", b"");

    project("rust-without").file("Cargo.toml", b"");
    let rust = |name, sysroot: &str, cargo| {
        let rust = project(name);
        rust.file("Cargo.toml", b"").tool("cargo", cargo).tool("rustc", &format!("echo {sysroot}"));
        rust
    };
    rust("rust-target", "/nowhere", "");
    let sysroot = bench.path("sysroot");
    fs::create_dir_all(sysroot.join("lib/rustlib/wasm32-unknown-unknown")).unwrap();
    let sysroot = sysroot.display().to_string();
    rust("rust-fails", &sysroot, "echo 'error: no such crate' >&2; exit 101");
    rust("rust-nothing", &sysroot, "echo '{\"filenames\":[\"a.rlib\"]}'");
    project("rust-shut").file("Cargo.toml", b"").tool("cargo", "").shut_tool("rustc");

    let js = |name| {
        let js = project(name);
        js.file("package.json", b"{}");
        js
    };
    js("js-without");
    js("js-engine").tool("esbuild", "");
    js("js-types").tool("esbuild", "").tool("componentize-js", "").file("tsconfig.json", b"{}");
    js("js-main").tool("esbuild", "").tool("componentize-js", "");
    js("js-shut").shut_tool("esbuild").tool("componentize-js", "").file("src/resolver.js", b"");
    js("js-nothing").tool("esbuild", "").tool("componentize-js", "").file("src/resolver.js", b"");

    let python = |name| {
        let python = project(name);
        python.file("requirements.txt", b"");
        python
    };
    python("python-without");
    python("python-app").tool("componentize-py", "");
    python("python-fails").tool("componentize-py", "echo SyntaxError >&2; exit 1").file("app.py", b"");
    python("python-good")
        .tool("componentize-py", &format!("{LAST}printf component > \"$last\""))
        .file("app.py", b"");

    let c = |name| {
        let c = project(name);
        c.file("resolver.c", b"");
        c
    };
    c("c-without");
    c("c-linker").tool("clang-19", "");
    c("c-wit")
        .tool("clang-19", "")
        .tool("wasm-ld-19", "")
        .file("wit/resolver.wit", b"package a:b; world c {}");
    c("c-nothing").tool("clang-19", "").tool("wasm-ld-19", "");
    // What a C library with files leaves: a module that imports `fd_write` of another system's interface.
    let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x23\x01\x16wasi_snapshot_preview1".to_vec();
    module.extend(b"\x08fd_write\0\0");
    let clang = "while [ \"$1\" != -o ]; do shift; done; exec /bin/cp module.wasm \"$2\"";
    c("c-wasi").tool("clang-19", clang).tool("wasm-ld-19", "").file("module.wasm", &module);
}

//! `cargo xtask examples`: the resolvers in `examples/` as components in `TARGET/examples`, each built as its
//! author would, with `gleaner plugin build`, and tested in its own language first. What has not changed is left.

use crate::example_tools::ExampleTools;
use crate::guest_toolchain::GuestToolchain;
use crate::guests::{Guests, minimum_rust};
use crate::stage::{self, Stages};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The examples that are no crates of the workspace, and what runs their tests.
const EXAMPLES: [(&str, &str); 3] = [
    ("ia_scholar", "npm test"),
    ("oai_pmh", "python3 -m unittest"),
    (
        "biorxiv",
        "mkdir -p build && clang-19 -Wall -Wextra -Werror json_test.c -o build/json_test && build/json_test",
    ),
];

/// Left by builds, or brought by [`ExampleTools`]; no part of a project.
const NOT_COPIED: [&str; 6] = ["build", "gen", "node_modules", "__pycache__", ".venv", ".gitignore"];

/// Builds them all and says where they are.
pub(crate) fn command() -> Result<String> {
    let mut stages = Stages::default();
    let workspace = Workspace::load()?;
    let toolchain = GuestToolchain::find(&minimum_rust(&workspace)?, &mut stages)?;
    let tools = ExampleTools::obtain(&workspace, &toolchain, &mut stages)?;
    Guests::build(&workspace, &mut stages)?; // the one in Rust is a crate like the bundled plugins
    stages.loud("build the programs", || workspace.build_programs())?;
    let mut lines = vec![format!("  {}", workspace.target().join("examples/dblp.wasm").display())];
    for (name, test) in EXAMPLES {
        let built = build(&workspace, &tools, name, test, &mut stages)
            .with_context(|| format!("examples/{name} was not built"))?;
        lines.push(built);
    }
    Ok(format!("{}\n{}", lines.join("\n"), stages.summary()))
}

fn build(
    workspace: &Workspace,
    tools: &ExampleTools,
    name: &str,
    test: &str,
    stages: &mut Stages,
) -> Result<String> {
    let source = workspace.root().join("examples").join(name);
    let target = workspace.target().join("examples");
    let (component, key) = (target.join(format!("{name}.wasm")), target.join(format!("{name}.key")));
    let mut files = Vec::new();
    list(&source, Path::new(""), &mut files)?;
    let builder = workspace.root().join("host/cli/src/commands/project");
    let wanted = digest(&[&source, &builder], &files)?;
    let sidecar = format!("{name}.toml");
    if source.join(&sidecar).is_file() {
        fs::create_dir_all(&target)?;
        fs::copy(source.join(&sidecar), target.join(&sidecar))?;
    }
    if component.is_file() && fs::read_to_string(&key).ok().as_deref() == Some(&wanted) {
        return Ok(format!("  {} (unchanged)", component.display()));
    }
    // In a copy, so that the checkout stays as it is.
    let project = target.join("work").join(name);
    if project.exists() {
        fs::remove_dir_all(&project)?;
    }
    for file in &files {
        let to = project.join(file);
        fs::create_dir_all(to.parent().unwrap_or(&project))?;
        fs::copy(source.join(file), to)?;
    }
    if name == "ia_scholar" {
        std::os::unix::fs::symlink(&tools.node_modules, project.join("node_modules"))?;
    }
    let path = std::env::join_paths(
        [tools.bin.clone()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )?;
    stages.loud(&format!("test examples/{name}"), || {
        stage::run(Command::new("sh").args(["-c", test]).current_dir(&project).env("PATH", &path))
    })?;
    stages.loud(&format!("build examples/{name}"), || {
        let mut gleaner = Command::new(workspace.binary("gleaner"));
        gleaner.args(["plugin", "build"]).arg(&project).arg("--output").arg(&component);
        stage::run(gleaner.env("PATH", &path))
    })?;
    fs::write(&key, wanted)?;
    Ok(format!("  {}", component.display()))
}

/// The files of a project, by their paths in it; what a link leads to counts as if it were there.
fn list(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut names =
        fs::read_dir(root.join(folder))?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let is_wasm = path.extension().is_some_and(|extension| extension == "wasm");
        if is_wasm || NOT_COPIED.iter().any(|other| name == *other) {
            continue;
        }
        if root.join(&path).is_dir() { list(root, &path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Of the project's files, and of the code that builds it.
fn digest(folders: &[&Path; 2], files: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    let mut builder = Vec::new();
    list(folders[1], Path::new(""), &mut builder)?;
    for (folder, files) in [(folders[0], files), (folders[1], &builder)] {
        for file in files {
            hasher.write(file.as_os_str().as_encoded_bytes());
            hasher.write(&fs::read(folder.join(file))?);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_leaves_is_no_part_of_a_project_and_links_are_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let (project, shared) = (scratch.path().join("project"), scratch.path().join("shared"));
        for folder in [project.join("build"), project.join("src"), shared.clone()] {
            fs::create_dir_all(folder).unwrap();
        }
        for file in ["build/x", "src/a.ts", "project.wasm"] {
            fs::write(project.join(file), "x").unwrap();
        }
        fs::write(shared.join("resolver.wit"), "x").unwrap();
        std::os::unix::fs::symlink(&shared, project.join("wit")).unwrap();
        let mut files = Vec::new();
        list(&project, Path::new(""), &mut files).unwrap();
        assert_eq!(files, [PathBuf::from("src/a.ts"), PathBuf::from("wit/resolver.wit")]);
        let before = digest(&[&project, &shared], &files).unwrap();
        fs::write(shared.join("resolver.wit"), "y").unwrap();
        assert_ne!(digest(&[&project, &shared], &files).unwrap(), before);
    }
}

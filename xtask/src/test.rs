//! `cargo xtask test`: everything that the tests need, then every test. It has no opinion on a test's result.

use crate::guests::Guests;
use crate::stage::{self, Stages};
use crate::workspace::Workspace;
use anyhow::Result;

/// Builds plugins and programs, then runs `cargo test --workspace` with these arguments.
pub(crate) fn command(arguments: &[String]) -> Result<String> {
    let mut stages = Stages::default();
    let workspace = Workspace::load()?;
    let guests = Guests::build(&workspace, &mut stages)?;
    stages.loud("build the programs", || workspace.build_programs())?;
    stages.loud("run the tests", || {
        let mut cargo = workspace.cargo();
        // Where suites find the programs, the plugins and the test guests.
        cargo.env("GLEANER_TARGET_DIR", workspace.target());
        stage::run(cargo.args(["test", "--workspace", "--locked"]).args(arguments))
    })?;
    Ok(format!("{}\n{}", guests.summary(), stages.summary()))
}

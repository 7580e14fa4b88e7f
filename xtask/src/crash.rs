//! `cargo xtask crash`: builds what a harvest needs, and has the finished binary killed until it is believed. The
//! killing and the judging are done by a program of `tests/`, which the suites use too; this only starts it.

use crate::guests::Guests;
use crate::stage::{self, Stages};
use crate::workspace::Workspace;
use anyhow::Result;
use std::process::Command;

/// Kills so many times, at moments that the seed draws.
pub(crate) fn command(kills: usize, seed: u64) -> Result<String> {
    let mut stages = Stages::default();
    let workspace = Workspace::load()?;
    Guests::build(&workspace, &mut stages)?;
    stages.loud("build the programs", || workspace.build_programs())?;
    stages.loud("kill and restart", || {
        let mut crash = Command::new(workspace.binary("crash"));
        crash.env("GLEANER_TARGET_DIR", workspace.target());
        stage::run(crash.args(["--kills", &kills.to_string(), "--seed", &seed.to_string()]))
    })?;
    Ok(stages.summary())
}

//! What stands against plugins: files that are not used, grants and settings that lack.
//!
//! Must never tell more than `plugin check` knows: it has the whole of one plugin.

use gleaner_desk::problems_of_settings;
use gleaner_orchestrator::{Resolvers, Rights};
use gleaner_runtime::PluginInfo;

use super::{Finding, ok, problem, warning};

pub(super) fn of_plugins(resolvers: &Resolvers) -> Vec<Finding> {
    let mut findings: Vec<Finding> = resolvers
        .refused()
        .iter()
        .map(|refused| {
            let file = refused.path.display();
            let change = format!("`gleaner plugin check {file}` says what of it is wrong");
            problem("plugins", format!("{file} is not used: {}", refused.problem), change)
        })
        .collect();
    let mut names = Vec::new();
    for (plugin, _) in resolvers.list() {
        names.push(plugin.info.name.to_string());
        if let Some(rights) = resolvers.rights(&plugin.info.name) {
            findings.extend(of_rights(&plugin.info, &rights));
        }
    }
    if names.is_empty() {
        findings.push(problem(
            "plugins",
            "no resolver is loaded, so nothing can be found",
            "plugins.dirs = [\"DIR\"] with a directory of resolvers; in a checkout, `cargo xtask plugins`",
        ));
    } else {
        findings.push(ok("plugins", names.join(" ")));
    }
    findings
}

fn of_rights(info: &PluginInfo, rights: &Rights<'_>) -> Vec<Finding> {
    let name = &info.name;
    let mut findings = Vec::new();
    if !rights.lacking.is_empty() {
        let what = format!("{name} asks for more than it is granted: {}", rights.lacking);
        let change = format!("`gleaner plugin grant {name}` shows and allows it");
        let is_shut_in = rights.hosts.is_empty() && !rights.lacking.hosts.is_empty();
        findings.push(if is_shut_in {
            problem("grants", what, change)
        } else {
            warning("grants", what, change)
        });
    }
    let problems = problems_of_settings(info, rights.settings);
    findings.extend(problems.into_iter().map(|what| {
        let setting = what.split('"').nth(1).unwrap_or_default().to_owned();
        let change = match setting.as_str() {
            "contact" => "contact = \"you@example.org\"".to_owned(),
            "base-url" => format!("[resolvers.{name}] base-url = \"https://...\""),
            _ => format!("[resolvers.{name}] settings = {{ {setting} = \"...\" }}"),
        };
        problem("settings", what, change)
    }));
    findings
}

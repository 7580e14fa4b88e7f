//! Pages made from the command line's definition: completions, manual pages, the reference in `docs/`.
//!
//! Must never say what the definition does not: `docs/reference/commands.md` is compared with it in a test.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;

use crate::args::Cli;
use crate::exit::{Exit, Failed};

/// `gleaner completions SHELL`.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<Exit, Failed> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "gleaner", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Well)
}

/// `gleaner man`.
pub(crate) fn manual(output: Option<&Path>) -> Result<Exit, Failed> {
    let Some(dir) = output else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        io::stdout().lock().write_all(&page)?;
        return Ok(Exit::Well);
    };
    let unwritable = |error| {
        Failed::usage(format!(
            "cannot write manual pages to {}: {error}; --output names another directory",
            dir.display()
        ))
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .map_err(unwritable)?;
    Ok(Exit::Well)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference page: the help of every command, as the program prints it.
    fn reference() -> String {
        let mut text = String::from(
            "# Commands\n\nMade from the program's own definition; `GLEANER_UPDATE=1 cargo test -p gleaner-cli` writes it anew.\n",
        );
        let mut root = Cli::command().term_width(100);
        root.build();
        let global = root.clone().mut_subcommands(|command| command.hide(true));
        section(&mut text, &global);
        for command in root.get_subcommands() {
            if command.get_subcommands().next().is_none() {
                section(&mut text, command);
            }
            for inner in command.get_subcommands() {
                section(&mut text, inner);
            }
        }
        text
    }

    fn section(text: &mut String, command: &clap::Command) {
        let name = command.get_bin_name().unwrap_or("gleaner").to_owned();
        // The global options stand once, at the top.
        let command = if name == "gleaner" {
            command.clone()
        } else {
            command.clone().mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg })
        };
        let help = command.term_width(100).clone().render_long_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        text.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    }

    /// Every reason with its meaning.
    fn reasons() -> String {
        let rows: String = gleaner_model::reason::Reason::ALL
            .iter()
            .map(|reason| format!("| `{reason}` | {} |\n", reason.meaning()))
            .collect();
        format!(
            "# Reasons\n\nWhy a job or an attempt ended as it did. Made from the code; `GLEANER_UPDATE=1 cargo test -p gleaner-cli` writes it anew.\n\n| reason | meaning |\n|---|---|\n{rows}"
        )
    }

    #[test]
    fn the_reference_in_docs_is_current() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
        for (name, current) in [("commands.md", reference()), ("reasons.md", reasons())] {
            let path = folder.join(name);
            if std::env::var_os("GLEANER_UPDATE").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &current).unwrap();
            }
            let written = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(written == current, "{name} is not current: GLEANER_UPDATE=1 cargo test -p gleaner-cli");
        }
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }
}

//! `cargo xtask docs`: documents made from the program, so that they can't say anything else.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::step::Step;
use crate::workspace;

const INTRODUCTION: &str = "\
# The command line

What `--help` prints, for every command. Made by `cargo xtask docs`.
";

/// Writes them anew.
pub(crate) fn write() -> Result<()> {
    let path = path();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::write(&path, command_line()?).with_context(|| path.display().to_string())?;
    println!("wrote {}", path.display());
    Ok(())
}

/// Fails when they are not what [`write`] would write.
pub(crate) fn check() -> Result<()> {
    let found = std::fs::read_to_string(path()).unwrap_or_default().replace("\r\n", "\n");
    if found != command_line()? {
        bail!("{} is not what the program says; mend it with: cargo xtask docs", path().display());
    }
    Ok(())
}

fn path() -> PathBuf {
    workspace::root().join("docs").join("cli.md")
}

fn command_line() -> Result<String> {
    Step::cargo("build --quiet --package simdex-cli --bin simdex --locked").run()?;
    let mut text = INTRODUCTION.to_owned();
    describe(&[], &mut text)?;
    Ok(text)
}

/// Adds the help of a command, then that of its subcommands.
fn describe(command: &[String], text: &mut String) -> Result<()> {
    let help = help(command)?;
    let level = "#".repeat(command.len().min(1) + 1);
    let name = [&["simdex".to_owned()], command].concat().join(" ");
    if !command.is_empty() {
        text.push_str(&format!("\n{level} {name}\n"));
    }
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!("\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    subcommands(&help).try_for_each(|name| describe(&[command, &[name]].concat(), text))
}

/// The names in the list of commands that a help text shows.
fn subcommands(help: &str) -> impl Iterator<Item = String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let rows = lines.take_while(|line| !line.is_empty());
    let named = rows.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next().map(str::to_owned))
}

/// The help of a command, as it is where no terminal sets the width.
fn help(command: &[String]) -> Result<String> {
    let program = workspace::built().join("debug").join("simdex");
    let help = Step::new(program).args(command).args(["--help"]);
    Ok(help.env("COLUMNS", "100").read()?.replace("simdex.exe", "simdex"))
}

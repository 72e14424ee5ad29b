//! Settings from a file: lines of `SORTITION_NAME=value`, the form of an environment file, named by
//! `--settings FILE` or `SORTITION_SETTINGS`. A flag wins over the environment, the environment over
//! the file, the file over the built-in default.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, bail};
use clap::Command;

/// Makes the file's values the defaults of the arguments that read the variables it names.
pub(crate) fn apply(
    command: Command,
    arguments: impl Iterator<Item = OsString>,
) -> anyhow::Result<Command> {
    let Some(path) = path_in(arguments).or_else(|| std::env::var_os("SORTITION_SETTINGS")) else {
        return Ok(command);
    };
    let path = Path::new(&path);
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("settings file {}", path.display()))?;
    let mut values = parse(&text).with_context(|| format!("settings file {}", path.display()))?;
    let mut known = Vec::new();
    let command = with_defaults(command, &values, &mut known);
    values.retain(|name, _| !known.contains(name));
    if let Some(name) = values.keys().next() {
        bail!("settings file {}: no command reads {name}", path.display());
    }
    Ok(command)
}

/// The value of `--settings` among the arguments; clap reads it again, for `--help` and for errors.
fn path_in(mut arguments: impl Iterator<Item = OsString>) -> Option<OsString> {
    while let Some(argument) = arguments.next() {
        if argument == "--settings" {
            return arguments.next();
        }
        if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--settings=")) {
            return Some(path.into());
        }
    }
    None
}

fn parse(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            bail!("line {}: expected NAME=value", index + 1);
        };
        let value = value.trim();
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        values.insert(name.trim().to_owned(), quoted.unwrap_or(value).to_owned());
    }
    Ok(values)
}

fn with_defaults(
    command: Command,
    values: &BTreeMap<String, String>,
    known: &mut Vec<String>,
) -> Command {
    let command = command.mut_args(|argument| {
        let name = argument.get_env().and_then(|name| name.to_str()).map(str::to_owned);
        match name.and_then(|name| values.get_key_value(&name)) {
            Some((name, value)) => {
                known.push(name.clone());
                argument.default_value(value.clone()).required(false)
            }
            None => argument,
        }
    });
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |sub| with_defaults(sub, values, known))
    })
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::{parse, with_defaults};

    fn command() -> Command {
        Command::new("x").subcommand(
            Command::new("serve").arg(
                Arg::new("store").long("store").env("SORTITION_TEST_STORE").default_value("a"),
            ),
        )
    }

    #[test]
    fn a_value_of_the_file_replaces_the_default_and_yields_to_a_flag() {
        let values = parse("# comment\n\nSORTITION_TEST_STORE = \"b\"\n").unwrap();
        for (arguments, expected) in
            [(vec!["x", "serve"], "b"), (vec!["x", "serve", "--store", "c"], "c")]
        {
            let mut known = Vec::new();
            let matches = with_defaults(command(), &values, &mut known).get_matches_from(arguments);
            let (_, serve) = matches.subcommand().unwrap();
            assert_eq!(serve.get_one::<String>("store").unwrap(), expected);
            assert_eq!(known, ["SORTITION_TEST_STORE"]);
        }
    }

    #[test]
    fn a_line_without_a_value_is_refused_with_its_number() {
        assert_eq!(parse("A=1\nB").unwrap_err().to_string(), "line 2: expected NAME=value");
    }
}

//! Settings of the service beside its command line: environment variables, and a file.
//!
//! The command line counts before a variable, and a variable before the file.

use super::read;
use anyhow::{Context, ensure};
use clap::{Arg, Command};
use std::{env, ffi::OsString, path::PathBuf};
use toml::{Table, Value};

/// Gives each option of a command its variable: `TRADEWIND_LISTEN` for `--listen`.
pub(super) fn with_variables(command: Command) -> Command {
    command.mut_args(|arg: Arg| match arg.get_long() {
        Some(long) if arg.get_env().is_none() => {
            let name = variable(long);
            arg.env(name).hide_env_values(true)
        }
        _ => arg,
    })
}

fn variable(long: &str) -> String {
    format!("TRADEWIND_{}", long.to_uppercase().replace('-', "_"))
}

/// Arguments of the program, with the settings of the file that `--config` or its variable names: those that neither the
/// command line nor a variable gives.
pub(super) fn configured(arguments: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    let is_service = arguments.get(1).is_some_and(|command| command == "serve")
        && arguments.get(2).is_none_or(|next| next.to_string_lossy().starts_with('-'));
    let given = |name: &str| {
        let (option, with_value) = (format!("--{name}"), format!("--{name}="));
        arguments.iter().any(|argument| {
            let argument = argument.to_string_lossy();
            argument == option || argument.starts_with(&with_value)
        })
    };
    if !is_service {
        return Ok(arguments);
    }
    let Some(path) = value(&arguments, "config").or_else(|| env::var_os(variable("config"))).map(PathBuf::from) else {
        return Ok(arguments);
    };
    let place = || format!("`{}`", path.display());
    let text = String::from_utf8(read(&path)?).with_context(place)?;
    let table: Table = text.parse().with_context(place)?;
    let mut all: Vec<OsString> = arguments.iter().take(2).cloned().collect();
    for (name, value) in table.iter().filter(|(name, _)| !given(name) && env::var_os(variable(name)).is_none()) {
        ensure!(name != "config", "{}: a file cannot name another one with `config`", place());
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            all.extend(option(name, value).with_context(place)?.into_iter().map(OsString::from));
        }
    }
    all.extend(arguments.into_iter().skip(2));
    Ok(all)
}

/// Value of an option among arguments.
fn value(arguments: &[OsString], name: &str) -> Option<OsString> {
    let (option, with_value) = (format!("--{name}"), format!("--{name}="));
    arguments.iter().enumerate().find_map(|(place, argument)| match argument.to_str()? {
        text if text == option => arguments.get(place + 1).cloned(),
        text => text.strip_prefix(&with_value).map(OsString::from),
    })
}

/// Arguments for a setting.
fn option(name: &str, value: &Value) -> anyhow::Result<Vec<String>> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Datetime(moment) => moment.to_string(),
        Value::Boolean(true) => return Ok(vec![format!("--{name}")]),
        Value::Boolean(false) => return Ok(Vec::new()),
        // A table is a document, like the goals of prices.
        Value::Table(_) => serde_json::to_string(value)?,
        Value::Float(_) | Value::Array(_) => anyhow::bail!("`{name}` has an unexpected value: {value}"),
    };
    Ok(vec![format!("--{name}={text}")])
}

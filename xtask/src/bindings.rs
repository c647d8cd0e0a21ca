//! The page's side of the module's messages, generated from the declarations in `core/src`.
//!
//! - [`source`]: modules of the core, and where a name is declared
//! - [`message`]: encoding and JSON names of a declaration
//! - [`typescript`]: types, readers and writers

mod message;
mod source;
#[cfg(test)]
mod tests;
mod typescript;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::steps::Steps;
use crate::workspace::Workspace;
use message::{Direction, Exceptions, Messages};
use source::{Crate, path};

/// The committed file.
const FILE: &str = "browser-sdk/ts/generated.ts";

/// Decisions of which pages write the request and read the answer.
const DECISIONS: [&str; 3] = ["rank", "quote", "insight"];

/// Other messages that pages read.
const READ: [&str; 2] = ["message::Fault", "profile::Profile"];

const EXCEPTIONS: Exceptions = Exceptions {
    declared: &[
        (
            "SkuBits",
            "/// Set of products of a catalogue of `length`, one bit each.\nstruct SkuBits { length: u32, bytes: Vec<u8> }",
        ),
        ("Source", "struct Source(u8);"),
    ],
    encoded: &["Profile"],
    omitted: &[
        ("Constraints", &["hidden"]),
        ("Event", &["channel"]),
        ("InsightRequest", &["events"]),
        ("Interest", &["first", "last_order", "by_order", "by_day"]),
        ("Profile", &["lines", "first", "last"]),
        // What only the merchant should know.
        ("Quote", &["floor", "ceiling", "units", "margin", "elasticity"]),
        ("QuoteRequest", &["pack"]),
    ],
};

/// Writes the file.
pub fn write(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    steps.run("generate the page's types and codecs", || Ok(fs::write(workspace.path(FILE), generated(workspace)?)?))
}

/// Fails if the committed file differs.
pub fn check(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    steps.run("check the page's generated types and codecs", || {
        let committed = fs::read_to_string(workspace.path(FILE)).with_context(|| format!("`{FILE}`"))?;
        if committed != generated(workspace)? {
            bail!("{FILE} differs from the declarations in core/src: run `cargo xtask bindings` and review the diff");
        }
        Ok(())
    })
}

fn generated(workspace: &Workspace) -> Result<String> {
    let core = Crate::read(&workspace.path("core/src"))?;
    let mut text = String::from(
        "/** Messages of the module that pages write or read. Generated from core/src by `cargo xtask bindings`. */\n\n\
         import type { Reader, Writer } from \"./postcard.js\";\n",
    );
    let mut messages = Messages::new(&core, &EXCEPTIONS);
    let mut roots = Vec::new();
    let decisions = core.decisions()?;
    for name in DECISIONS {
        let decision = decisions.iter().find(|decision| decision.name == name);
        let decision = decision.with_context(|| format!("there is no decision `{name}`"))?;
        let (constant, number) = (name.to_uppercase(), decision.number);
        text += &format!("\n/** Number of the decision `{name}`. */\nexport const {constant} = {number};\n");
        roots.push((messages.add(&decision.request, Direction::Written)?, Direction::Written));
        roots.push((messages.add(&decision.answer, Direction::Read)?, Direction::Read));
    }
    for name in READ {
        roots.push((messages.add(&path(name), Direction::Read)?, Direction::Read));
    }
    for message in &messages.found {
        let exported = roots.contains(&(message.name.clone(), message.direction));
        text += &format!("\n{}\n{}", typescript::declaration(message), typescript::function(message, exported));
    }
    Ok(text)
}

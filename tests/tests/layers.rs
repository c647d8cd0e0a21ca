//! Layers of the core: each imports only lower ones; and no crate has circular imports between modules.

use anyhow::{Result, ensure};
use tradewind_tests::{
    root,
    sources::{Source, circle, sources},
};

/// Layers of the core, lowest first. Modules of one layer do not import each other.
const LAYERS: [&[&str]; 9] = [
    &["error", "bounded", "aligned", "columns", "plan", "exec", "tensor"],
    &["domain"],
    &["pack"],
    &["snapshot", "profile"],
    &["model"],
    &["decisions"],
    &["message"],
    &["engine"],
    &["guest"],
];

/// The only file among the decisions that imports others: it lists the tasks of packs.
const OF_ALL: &str = "task";

/// Folders of modules without circular imports.
const FOLDERS: [&str; 7] =
    ["core/src", "core/compiler/src", "core/json/src", "host/src", "host/src/serve", "host/src/snapshot", "xtask/src"];

#[test]
fn nothing_in_the_core_knows_what_is_above_it() -> Result<()> {
    let layer = |module: &str| LAYERS.iter().position(|modules| modules.contains(&module));
    let mut climbs = Vec::new();
    let mut read = 0;
    for Source { path, names } in sources(&root().join("core/src"))? {
        let Some(own) = layer(&path[0]) else { anyhow::bail!("`{}` is in no layer", path[0]) };
        for name in names {
            // Names outside the layers are the crate's own, such as its version.
            let Some(other) = name.first().and_then(|first| layer(first)) else { continue };
            read += 1;
            let sibling = own == other && name[0] != path[0];
            let decision = name[0] == "decisions"
                && path[0] == "decisions"
                && name.len() > 1
                && path.get(1).is_some_and(|part| *part != name[1] && part != OF_ALL);
            if other > own || sibling || decision {
                climbs.push(format!("{} knows {}", path.join("::"), name.join("::")));
            }
        }
    }
    ensure!(read > 200, "only {read} names were read");
    ensure!(climbs.is_empty(), "{}", climbs.join("\n"));
    Ok(())
}

#[test]
fn no_modules_know_each_other_in_a_circle() -> Result<()> {
    for folder in FOLDERS {
        let found = circle(&sources(&root().join(folder))?);
        ensure!(found.is_none(), "{folder}: {found:?}");
    }
    Ok(())
}

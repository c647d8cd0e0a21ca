//! `models/FEATURES.md` and the page's list of sources match the core's table.

use anyhow::{Result, ensure};
use std::{env, fmt::Write, fs};
use tradewind_core::{Part, Source};
use tradewind_tests::root;

const INTRODUCTION: &str = "# Features

Sources that a model may use as columns, by subject. `spec.json` lists their names in the order of the model's columns; the
same code computes them for training (`tradewind features`) and for serving. Unknown values are NaN. Packs contain the
numbers instead of the names.

This page is generated from `core/src/model/source.rs`: `TRADEWIND_RECORD=1 cargo xtask test models features`.
";

fn page() -> Result<String> {
    let mut page = INTRODUCTION.to_owned();
    for part in Part::ALL {
        write!(page, "\n## {part:?}\n\n{}\n\n", part.about().trim())?;
        page.push_str("| number | name | unit | meaning |\n|--:|---|---|---|\n");
        for source in Source::ALL.iter().filter(|source| source.part() == *part) {
            let unit = serde_json::to_value(source.unit())?;
            let unit = unit.as_str().unwrap_or_default();
            writeln!(page, "| {} | `{}` | {unit} | {} |", *source as u8, source.name(), source.meaning().trim())?;
        }
    }
    Ok(page)
}

/// Names by number, for pages.
fn module() -> Result<String> {
    let mut module = "/** The names of sources by their numbers, written from `core/src/model/source.rs`: see `models/FEATURES.md`. */

export const sources = {\n"
        .to_owned();
    for source in Source::ALL {
        writeln!(module, "  {}: \"{}\",", *source as u8, source.name())?;
    }
    module.push_str(
        "} as const satisfies Record<number, string>;

export type SourceName = (typeof sources)[keyof typeof sources];\n",
    );
    Ok(module)
}

#[test]
fn what_is_written_from_the_table_of_sources_is_as_it_says() -> Result<()> {
    for (path, written) in [("models/FEATURES.md", page()?), ("browser-sdk/ts/sources.ts", module()?)] {
        let path = root().join(path);
        if env::var_os("TRADEWIND_RECORD").is_some() {
            fs::write(&path, &written)?;
        }
        ensure!(
            fs::read_to_string(&path)? == written,
            "`{}` is not what the table says; record it again",
            path.display()
        );
    }
    Ok(())
}

//! Sources of the project, and imports between its modules.

use anyhow::{Context, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Source file: path of its module from the root of its folder, and the names it imports from that folder.
#[derive(Debug)]
pub struct Source {
    /// Path of the module.
    pub path: Vec<String>,
    /// Imported modules and items, each by its path from the root.
    pub names: Vec<Vec<String>>,
}

/// Reads the files of a folder of modules, except the one that declares them.
///
/// # Errors
/// If they cannot be read.
pub fn sources(folder: &Path) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    files(folder, &mut paths)?;
    paths.sort();
    let mut sources = Vec::new();
    // Name of the folder inside its crate, unless it is the whole crate.
    let within = folder.file_name().and_then(|name| name.to_str()).filter(|name| *name != "src");
    for path in paths {
        let module = path.strip_prefix(folder)?.with_extension("");
        let module: Vec<String> = module.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if ["lib", "main"].contains(&module[0].as_str()) || module.last().is_some_and(|name| name == "tests") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        // Tests may import any module.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let names = named(code, &module, within);
        sources.push(Source { path: module, names });
    }
    Ok(sources)
}

/// Finds modules of a folder that import each other in a circle, if any.
pub fn circle(sources: &[Source]) -> Option<Vec<String>> {
    let modules: BTreeSet<&str> = sources.iter().map(|source| source.path[0].as_str()).collect();
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Source { path, names } in sources {
        let others = names.iter().filter_map(|name| name.first()).map(String::as_str);
        known.entry(&path[0]).or_default().extend(others.filter(|other| modules.contains(other) && *other != path[0]));
    }
    // A module that imports none of the remaining ones is in no circle.
    while let Some(module) = known.iter().find(|(_, others)| others.iter().all(|other| !known.contains_key(other))) {
        let module = *module.0;
        known.remove(module);
    }
    let (mut at, _) = known.first_key_value()?;
    let mut way = Vec::new();
    while !way.contains(at) {
        way.push(*at);
        at = known.get(at)?.iter().find(|other| known.contains_key(*other))?;
    }
    let start = way.iter().position(|module| module == at)?;
    Some(way[start..].iter().map(ToString::to_string).collect())
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// Modules and items of a folder that a file names, each by its path from there. `own` is the file's path, and `within`
/// the folder's module in its crate.
fn named(text: &str, own: &[String], within: Option<&str>) -> Vec<Vec<String>> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (root, depth) in [("crate::", None), ("super::", Some(1))] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|before| !before.is_alphanumeric() && !"_:$".contains(before)) {
                let base = depth.map_or(&own[..0], |depth| &own[..own.len() - depth]);
                let mut names = Vec::new();
                tree(&code[at + root.len()..], base, &mut names);
                if let (None, Some(within)) = (depth, within) {
                    names.retain(|name| name.first().is_some_and(|first| first == within));
                    names.iter_mut().for_each(|name| drop(name.remove(0)));
                }
                found.extend(names);
            }
        }
    }
    found
}

/// Reads the paths of a `use` tree, and returns the text after it.
fn tree<'a>(text: &'a str, base: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(inside) = text.strip_prefix('{') {
        let mut rest = inside.trim_start();
        while !rest.is_empty() && !rest.starts_with('}') {
            rest = tree(rest, base, found).trim_start();
            rest = rest.trim_start_matches([',']).trim_start();
        }
        return rest.get(1..).unwrap_or_default();
    }
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        // A glob import names the module.
        found.push(base.to_vec());
        return rest.get(1..).unwrap_or_default();
    }
    let path: Vec<String> = base.iter().cloned().chain([name.to_owned()]).collect();
    match rest.strip_prefix("::") {
        Some(rest) if !rest.starts_with('<') => tree(rest, &path, found),
        _ => {
            found.push(path);
            // An alias, or other text before the next path.
            let next = rest.find([',', '}', ';', '\n']).unwrap_or(rest.len());
            &rest[next..]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_rust_reads_them() {
        let text = "use crate::{a::B, c::{self, d::E}, f};\n// crate::g\nlet x = crate::h::i(2); $crate::j; use super::{k, l::*};";
        let parts = ["m", "n", "o"].map(String::from);
        let names: Vec<String> = named(text, &parts, None).iter().map(|name| name.join("::")).collect();
        let inner = named("use crate::{p::{q::R, s}, t};", &parts, Some("p"));
        assert_eq!(inner.iter().map(|name| name.join("::")).collect::<Vec<_>>(), ["q::R", "s"]);
        assert_eq!(names, ["a::B", "c::self", "c::d::E", "f", "h::i", "m::n::k", "m::n::l"]);
    }

    #[test]
    fn a_circle_is_found() {
        let source = |path: &str, names: &[&str]| Source {
            path: vec![path.into()],
            names: names.iter().map(|name| vec![(*name).to_owned()]).collect(),
        };
        let chain = [source("a", &["b", "std"]), source("b", &["c"]), source("c", &[])];
        assert_eq!(circle(&chain), None);
        let round = [source("a", &["b"]), source("b", &["c"]), source("c", &["b"])];
        assert_eq!(circle(&round), Some(vec!["b".to_owned(), "c".to_owned()]));
    }
}

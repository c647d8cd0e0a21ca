//! Each layer of the core knows those below it, and none above.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The layers, the lowest first. Modules of one layer do not know each other.
const LAYERS: [&[&str]; 9] = [
    &["error", "bounded", "apart", "aligned", "plan", "exec", "tensor"],
    &["domain"],
    &["pack"],
    &["snapshot", "profile"],
    &["model"],
    &["decisions"],
    &["message"],
    &["engine"],
    &["guest"],
];

/// The one decision that knows others: it says which of them a pack is for.
const OF_ALL: &str = "task";

#[test]
fn nothing_knows_what_is_above_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let layer = |module: &str| LAYERS.iter().position(|modules| modules.contains(&module));
    let mut climbs = Vec::new();
    let mut read = 0;
    for path in paths.iter().filter(|path| !path.ends_with("lib.rs")) {
        let text = fs::read_to_string(path).expect("a source file");
        let parts: Vec<String> = path
            .strip_prefix(&folder)
            .expect("it lies in src")
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let own = layer(&parts[0]).unwrap_or_else(|| panic!("`{}` is in no layer", parts[0]));
        for name in named(&text, &parts) {
            // What begins with a capital letter is the crate's own, such as its version.
            let Some(other) = name.first().and_then(|first| layer(first)) else { continue };
            read += 1;
            let sibling = own == other && name[0] != parts[0];
            let decision = own == other
                && parts[0] == "decisions"
                && name.len() > 1
                && parts.get(1).is_some_and(|part| *part != name[1] && part != OF_ALL);
            if other > own || sibling || decision {
                climbs.push(format!("{} knows {}", parts.join("::"), name.join("::")));
            }
        }
    }
    assert!(read > 200, "only {read} names were read");
    assert!(climbs.is_empty(), "{}", climbs.join("\n"));
}

#[test]
fn names_are_read_as_rust_reads_them() {
    let text =
        "use crate::{a::B, c::{self, d::E}, f};\n// crate::g\nlet x = crate::h::i(2); $crate::j; use super::{k, l::*};";
    let parts = ["m", "n", "o"].map(String::from);
    let names: Vec<String> = named(text, &parts).iter().map(|name| name.join("::")).collect();
    assert_eq!(names, ["a::B", "c::self", "c::d::E", "f", "h::i", "m::n::k", "m::n::l"]);
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The modules and items that a file names, each by its path from the root; `own` is the file's.
fn named(text: &str, own: &[String]) -> Vec<Vec<String>> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (root, depth) in [("crate::", None), ("super::", Some(1))] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|before| !before.is_alphanumeric() && !"_:$".contains(before)) {
                let base = depth.map_or(&own[..0], |depth| &own[..own.len() - depth]);
                tree(&code[at + root.len()..], base, &mut found);
            }
        }
    }
    found
}

/// Reads the paths of a tree as `use` has them, and returns what follows it.
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
        // All that is in a module: what is named is the module.
        found.push(base.to_vec());
        return rest.get(1..).unwrap_or_default();
    }
    let path: Vec<String> = base.iter().cloned().chain([name.to_owned()]).collect();
    match rest.strip_prefix("::") {
        Some(rest) if !rest.starts_with('<') => tree(rest, &path, found),
        _ => {
            found.push(path);
            // An alias, or whatever else stands before the next path.
            let next = rest.find([',', '}', ';', '\n']).unwrap_or(rest.len());
            &rest[next..]
        }
    }
}

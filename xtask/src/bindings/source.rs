//! Rust source of a crate: its modules, and where a name is declared.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::slice;

use anyhow::{Context, Result, anyhow, bail};
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, Item, LitInt, Path, Token, UseTree};

/// Path of a module from the crate's root, or of an item from a module.
pub type Names = Vec<String>;

/// All modules of a crate. Each is a file; modules inside a file, such as tests, are ignored.
#[derive(Default)]
pub struct Crate(BTreeMap<Names, Module>);

/// File of a crate.
pub struct Module {
    /// Path of the module.
    pub names: Names,
    file: PathBuf,
    items: Vec<Item>,
}

/// Row of the table of decisions.
#[derive(Debug)]
pub struct Decision {
    pub number: u32,
    pub name: String,
    pub request: Names,
    /// The answer; of a list, only that it is a `Vec`.
    pub answer: Names,
}

impl Crate {
    /// Reads all files in a folder with a `lib.rs`.
    pub fn read(folder: &std::path::Path) -> Result<Self> {
        let mut modules = Self::default();
        modules.read_folder(folder, &[])?;
        Ok(modules)
    }

    fn read_folder(&mut self, folder: &std::path::Path, parent: &[String]) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let names = [parent, &[name]].concat();
            if path.is_dir() {
                self.read_folder(&path, &names)?;
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
                let names = if names == ["lib"] { Names::new() } else { names };
                self.add(names, path, &text)?;
            }
        }
        Ok(())
    }

    /// Adds the file of a module.
    pub fn add(&mut self, names: Names, file: PathBuf, text: &str) -> Result<()> {
        let mut module = Module { names, file, items: Vec::new() };
        module.items = syn::parse_file(text).map_err(|error| module.error(error.span(), error))?.items;
        self.0.insert(module.names.clone(), module);
        Ok(())
    }

    /// Finds the declaration of a path as written in a module; follows `use` items.
    pub fn find(&self, module: &[String], path: &[String]) -> Option<(&Module, &Item)> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => return self.find(&[], rest),
            "self" => return self.find(module, rest),
            "super" => return self.find(module.split_last()?.1, rest),
            _ => {}
        }
        let here = self.0.get(module)?;
        if rest.is_empty()
            && let Some(item) = here.items.iter().find(|item| name(item).is_some_and(|name| name == first))
        {
            return Some((here, item));
        }
        let child = [module, slice::from_ref(first)].concat();
        if !rest.is_empty() && self.0.contains_key(&child) {
            return self.find(&child, rest);
        }
        self.find(module, &[here.import(first)?, rest.to_vec()].concat())
    }

    /// Reads the table of decisions, in the macro `decisions` of the module `engine`.
    pub fn decisions(&self) -> Result<Vec<Decision>> {
        let found = self.find(&[], &path("engine::decisions"));
        let Some((module, Item::Macro(table))) = found else { bail!("`engine.rs` has no macro `decisions`") };
        let rows = syn::parse2(innermost(table.mac.tokens.clone()));
        rows.map(|Rows(rows)| rows).map_err(|error| module.error(error.span(), error))
    }
}

impl Module {
    /// Returns an error with file and line.
    pub fn error(&self, at: Span, message: impl Display) -> anyhow::Error {
        anyhow!("{}:{}: {message}", self.file.display(), at.start().line)
    }

    /// Returns the path that a `use` item of the module gives a name.
    fn import(&self, name: &str) -> Option<Names> {
        let mut trees = self.items.iter().filter_map(|item| match item {
            Item::Use(item) => Some(&item.tree),
            _ => None,
        });
        trees.find_map(|tree| imported(tree, name, &[]))
    }
}

/// Returns the segments of a path.
pub fn names(path: &Path) -> Names {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// Splits a path.
pub fn path(text: &str) -> Names {
    text.split("::").map(str::to_owned).collect()
}

/// Returns the name of a declaration that can describe a message.
fn name(item: &Item) -> Option<&Ident> {
    match item {
        Item::Struct(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Macro(item) => item.ident.as_ref(),
        _ => None,
    }
}

fn imported(tree: &UseTree, wanted: &str, before: &[String]) -> Option<Names> {
    let with = |ident: &Ident| [before, &[ident.to_string()]].concat();
    match tree {
        UseTree::Path(path) => imported(&path.tree, wanted, &with(&path.ident)),
        UseTree::Group(group) => group.items.iter().find_map(|tree| imported(tree, wanted, before)),
        UseTree::Name(name) if name.ident == "self" => (before.last()? == wanted).then(|| before.to_vec()),
        // A name alone is a crate.
        UseTree::Name(name) => (name.ident == wanted && !before.is_empty()).then(|| with(&name.ident)),
        UseTree::Rename(renamed) => (renamed.rename == wanted).then(|| with(&renamed.ident)),
        UseTree::Glob(_) => None,
    }
}

/// Returns the content of the last braces, and of the last ones inside.
fn innermost(tokens: TokenStream) -> TokenStream {
    let braces = tokens.clone().into_iter().filter_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    });
    braces.last().map_or(tokens, innermost)
}

struct Rows(Vec<Decision>);

impl Parse for Rows {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut rows = Vec::new();
        while !input.is_empty() {
            input.call(Attribute::parse_outer)?;
            let number = input.parse::<LitInt>()?.base10_parse()?;
            let name = input.parse::<Ident>()?.to_string();
            input.parse::<Token![:]>()?;
            let request = names(&input.parse()?);
            input.parse::<Token![=>]>()?;
            let answer = names(&input.parse()?);
            input.parse::<Token![=]>()?;
            input.parse::<Path>()?;
            input.parse::<Token![,]>()?;
            rows.push(Decision { number, name, request, answer });
        }
        Ok(Self(rows))
    }
}

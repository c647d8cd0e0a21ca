//! Messages: how the module encodes a declaration, and what JSON calls its parts.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{
    Attribute, Error, Expr, Fields, GenericArgument, Generics, Ident, Item, Lit, LitStr, Meta, PathArguments, Token,
    Type,
};

use super::source::{Crate, Module, Names, names};

/// Declaration of a message, or of a part of one.
#[derive(Debug)]
pub struct Message {
    pub name: String,
    /// First paragraph of the documentation, also below.
    pub docs: String,
    pub form: Form,
    pub direction: Direction,
}

/// Whether the page writes or reads a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Written,
    Read,
}

#[derive(Debug)]
pub enum Form {
    Struct(Vec<Field>),
    Enum(Vec<Variant>),
}

#[derive(Debug)]
pub struct Field {
    pub name: String,
    pub docs: String,
    pub shape: Shape,
    /// Whether pages neither set nor use it.
    pub omitted: bool,
}

/// Variant of an enum. Its number is its position.
#[derive(Debug)]
pub struct Variant {
    pub name: String,
    pub docs: String,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    Nothing,
    One(Shape),
    Several(Vec<Shape>),
    Fields(Vec<Field>),
}

/// Encoding of a type. A newtype has that of its content.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Scalar(&'static Scalar),
    /// Fixed number of bytes.
    Bytes(usize),
    /// Bytes after their number.
    CountedBytes,
    /// Message that stays encoded.
    Encoded,
    /// Default of an omitted field: no value, no items, or the first variant.
    Zero,
    Array(Box<Self>, usize),
    List(Box<Self>),
    Optional(Box<Self>),
    Message(String),
}

/// Type without parts.
#[derive(Debug, PartialEq)]
pub struct Scalar {
    rust: &'static [&'static str],
    pub typescript: &'static str,
    /// Method of `Reader` and `Writer`.
    pub method: &'static str,
}

const SCALARS: [Scalar; 6] = [
    Scalar { rust: &["bool"], typescript: "boolean", method: "flag" },
    Scalar { rust: &["u8"], typescript: "number", method: "byte" },
    Scalar { rust: &["u16", "u32", "u64"], typescript: "number", method: "unsigned" },
    Scalar { rust: &["i16", "i32", "i64"], typescript: "number", method: "signed" },
    Scalar { rust: &["f32"], typescript: "number", method: "float" },
    Scalar { rust: &["String"], typescript: "string", method: "text" },
];

/// Differences between the messages of pages and the declarations.
#[derive(Debug)]
pub struct Exceptions {
    /// Types that implement `Serialize` by hand, with declarations that have the same encoding.
    pub declared: &'static [(&'static str, &'static str)],
    /// Messages that stay encoded inside others.
    pub encoded: &'static [&'static str],
    /// Fields that pages neither set nor use: message and fields.
    pub omitted: &'static [(&'static str, &'static [&'static str])],
}

/// Collects messages, and all that they consist of.
pub struct Messages<'a> {
    modules: &'a Crate,
    exceptions: &'a Exceptions,
    /// Direction of the message that is being added.
    direction: Direction,
    /// Modules of the names.
    known: BTreeMap<String, Names>,
    /// Messages whose parts are being added.
    open: Vec<String>,
    /// Messages, each after its parts.
    pub found: Vec<Message>,
}

impl<'a> Messages<'a> {
    pub fn new(modules: &'a Crate, exceptions: &'a Exceptions) -> Self {
        Self {
            modules,
            exceptions,
            direction: Direction::Read,
            known: BTreeMap::new(),
            open: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Adds a message, by its path from the crate's root; returns its name.
    pub fn add(&mut self, path: &[String], direction: Direction) -> Result<String> {
        self.direction = direction;
        let name = path.join("::");
        let (module, item) = self.modules.find(&[], path).with_context(|| format!("`{name}` is not declared"))?;
        match self.declared(module, item, Span::call_site())? {
            Shape::Message(name) => Ok(name),
            _ => bail!("`{name}` is not a message: it needs to be a struct with fields, or an enum"),
        }
    }

    fn shape(&mut self, module: &Module, ty: &Type, at: Span) -> Result<Shape> {
        let unknown = || module.error(at, "unsupported type in a message for pages");
        if let Type::Array(array) = ty {
            let Some(Lit::Int(len)) = literal(&array.len) else { return Err(unknown()) };
            let len = len.base10_parse().map_err(|error| module.error(error.span(), error))?;
            return Ok(match self.shape(module, &array.elem, at)? {
                Shape::Scalar(Scalar { method: "byte", .. }) => Shape::Bytes(len),
                item => Shape::Array(Box::new(item), len),
            });
        }
        let Type::Path(path) = ty else { return Err(unknown()) };
        let Some(last) = path.path.segments.last() else { return Err(unknown()) };
        let name = last.ident.to_string();
        if let PathArguments::AngleBracketed(arguments) = &last.arguments {
            let Some(GenericArgument::Type(item)) = arguments.args.first() else { return Err(unknown()) };
            let item = Box::new(self.shape(module, item, at)?);
            return match name.as_str() {
                "Option" => Ok(Shape::Optional(item)),
                "Vec" if matches!(*item, Shape::Scalar(Scalar { method: "byte", .. })) => Ok(Shape::CountedBytes),
                "Vec" => Ok(Shape::List(item)),
                _ => Err(unknown()),
            };
        }
        if let Some(scalar) = SCALARS.iter().find(|scalar| scalar.rust.contains(&name.as_str())) {
            return Ok(Shape::Scalar(scalar));
        }
        if self.exceptions.encoded.contains(&name.as_str()) {
            return Ok(Shape::Encoded);
        }
        if let Some((_, declaration)) = self.exceptions.declared.iter().find(|(declared, _)| *declared == name) {
            let item = syn::parse_str(declaration).map_err(|error| module.error(at, error))?;
            return self.declared(module, &item, at);
        }
        let names = names(&path.path);
        match self.modules.find(&module.names, &names) {
            Some((module, item)) => self.declared(module, item, at),
            None => Err(module.error(at, format!("cannot find the declaration of `{}`", names.join("::")))),
        }
    }

    /// Returns the shape of a declared type; adds the message that it is.
    fn declared(&mut self, module: &Module, item: &Item, used: Span) -> Result<Shape> {
        match item {
            Item::Type(item) => self.shape(module, &item.ty, item.ident.span()),
            Item::Struct(item) => match &item.fields {
                Fields::Unnamed(content) if content.unnamed.len() == 1 => {
                    self.content(module, &content.unnamed[0], item.ident.span())
                }
                fields => self.message(module, &item.ident, &item.generics, &item.attrs, |messages, _| {
                    let omitted = messages.exceptions.omitted.iter().find(|(name, _)| item.ident == name);
                    let omitted = omitted.map_or(&[][..], |(_, fields)| fields);
                    Ok(Form::Struct(messages.fields(module, &item.ident, fields, omitted)?))
                }),
            },
            Item::Enum(item) => self.message(module, &item.ident, &item.generics, &item.attrs, |messages, serde| {
                let variants = item.variants.iter().map(|variant| messages.variant(module, serde, variant));
                Ok(Form::Enum(variants.collect::<Result<_>>()?))
            }),
            _ => Err(module.error(used, "a message for pages needs to be a struct or an enum")),
        }
    }

    /// Adds a message, unless it is known.
    fn message(
        &mut self,
        module: &Module,
        ident: &Ident,
        generics: &Generics,
        attributes: &[Attribute],
        form: impl FnOnce(&mut Self, &Serde) -> Result<Form>,
    ) -> Result<Shape> {
        if !generics.params.is_empty() {
            return Err(module.error(ident.span(), "generic types are unsupported in messages for pages"));
        }
        let name = ident.to_string();
        let known = self.known.entry(name.clone()).or_insert_with(|| module.names.clone());
        if *known != module.names {
            let message = format!("`{}` also has a message `{name}`; rename one of them", known.join("::"));
            return Err(module.error(ident.span(), message));
        }
        if !self.found.iter().any(|message| message.name == name && message.direction == self.direction) {
            if self.open.contains(&name) {
                return Err(module.error(ident.span(), "recursive types are unsupported in messages for pages"));
            }
            self.open.push(name.clone());
            let form = form(self, &Serde::read(module, attributes)?)?;
            self.open.pop();
            let (name, docs) = (name.clone(), docs(attributes));
            self.found.push(Message { name, docs, form, direction: self.direction });
        }
        Ok(Shape::Message(name))
    }

    fn fields(&mut self, module: &Module, parent: &Ident, fields: &Fields, omitted: &[&str]) -> Result<Vec<Field>> {
        let error = |text: String| Err(module.error(parent.span(), text));
        let Fields::Named(fields) = fields else { return error("a message for pages needs named fields".to_owned()) };
        let mut read: Vec<Field> = Vec::new();
        for field in &fields.named {
            let Some(ident) = &field.ident else { continue };
            let name = Serde::read(module, &field.attrs)?.name(ident, false);
            let omitted = omitted.contains(&name.as_str());
            let shape = match self.direction {
                Direction::Written if omitted => self.default(module, &field.ty, ident.span())?,
                _ => self.shape(module, &field.ty, ident.span())?,
            };
            read.push(Field { name, docs: docs(&field.attrs), shape, omitted });
        }
        if let Some(missing) = omitted.iter().find(|omitted| read.iter().all(|field| field.name != **omitted)) {
            return error(format!("pages omit `{missing}`, which is not a field"));
        }
        if self.direction == Direction::Read && read.last().is_some_and(|field| field.omitted) {
            return error("pages cannot omit the last field of a message".to_owned());
        }
        Ok(read)
    }

    /// Returns the shape of a field without a name.
    fn content(&mut self, module: &Module, field: &syn::Field, at: Span) -> Result<Shape> {
        Serde::read(module, &field.attrs)?;
        self.shape(module, &field.ty, at)
    }

    /// Checks that the default of a type is encoded as zero.
    fn default(&self, module: &Module, ty: &Type, at: Span) -> Result<Shape> {
        let names = if let Type::Path(path) = ty { names(&path.path) } else { Names::new() };
        let first = match self.modules.find(&module.names, &names) {
            Some((_, Item::Enum(item))) => item.variants.first(),
            _ => None,
        };
        let is_default = |attribute: &Attribute| attribute.path().is_ident("default");
        if names == ["Option"] || names == ["Vec"] || first.is_some_and(|first| first.attrs.iter().any(is_default)) {
            return Ok(Shape::Zero);
        }
        Err(module.error(at, "pages cannot omit this field, because its default is not encoded as zero"))
    }

    fn variant(&mut self, module: &Module, parent: &Serde, variant: &syn::Variant) -> Result<Variant> {
        let name = Serde::read(module, &variant.attrs)?.name(&variant.ident, parent.snake_case);
        let at = variant.ident.span();
        let content = match &variant.fields {
            Fields::Unit => Content::Nothing,
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                Content::One(self.content(module, &fields.unnamed[0], at)?)
            }
            Fields::Unnamed(fields) => {
                let shapes = fields.unnamed.iter().map(|field| self.content(module, field, at));
                Content::Several(shapes.collect::<Result<_>>()?)
            }
            fields => Content::Fields(self.fields(module, &variant.ident, fields, &[])?),
        };
        Ok(Variant { name, docs: docs(&variant.attrs), content })
    }
}

/// Attributes of serde that change names. Those that only change what is accepted are ignored, and all others are errors.
#[derive(Debug, Default)]
struct Serde {
    rename: Option<String>,
    snake_case: bool,
}

impl Serde {
    fn read(module: &Module, attributes: &[Attribute]) -> Result<Self> {
        let mut serde = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            let read = attribute.parse_nested_meta(|meta| {
                let is = |name| meta.path.is_ident(name);
                if is("rename") {
                    serde.rename = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if is("rename_all") {
                    let case = meta.value()?.parse::<LitStr>()?;
                    if case.value() != "snake_case" {
                        return Err(Error::new(case.span(), "unsupported case (expected snake_case)"));
                    }
                    serde.snake_case = true;
                } else if is("default") || is("deserialize_with") {
                    if meta.input.peek(Token![=]) {
                        meta.value()?.parse::<LitStr>()?;
                    }
                } else if !is("deny_unknown_fields") && !is("transparent") {
                    return Err(meta.error("unsupported attribute of serde in a message for pages"));
                }
                Ok(())
            });
            read.map_err(|error| module.error(error.span(), error))?;
        }
        Ok(serde)
    }

    /// Returns the name in JSON.
    fn name(self, ident: &Ident, snake_case: bool) -> String {
        let name = ident.unraw().to_string();
        self.rename.unwrap_or_else(|| if snake_case { snake(&name) } else { name })
    }
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// Returns the first paragraph of a documentation, in one line and without links.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => match literal(&doc.value) {
            Some(Lit::Str(text)) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    without_links(&lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" "))
}

fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(value) => Some(&value.lit),
        _ => None,
    }
}

/// Replaces ``[`text`](target)`` and ``[`text`]`` by `text` in backticks.
fn without_links(text: &str) -> String {
    let Some((before, rest)) = text.split_once("[`") else { return text.to_owned() };
    let Some((code, after)) = rest.split_once("`]") else { return text.to_owned() };
    let after = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
        Some((_, after)) => after,
        None => after,
    };
    format!("{before}`{code}`{}", without_links(after))
}

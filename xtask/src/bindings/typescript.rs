//! TypeScript of messages: types, readers and writers.
//!
//! Types are what serde makes of a message in JSON. Readers and writers are plain functions over `Reader` and `Writer`
//! of `postcard.ts`, which have only the methods that pages use; one that is missing there is a type error.

use super::message::{Content, Direction, Field, Form, Message, Shape, Variant};

/// Longest line.
const WIDTH: usize = 120;

/// Returns the type of a message.
pub fn declaration(message: &Message) -> String {
    let Message { name, form, direction, .. } = message;
    let mut text = comment("", &message.docs);
    match form {
        Form::Struct(fields) => {
            text += &format!("export interface {name} {{\n");
            for field in fields.iter().filter(|field| !field.omitted) {
                text += &format!("{}  {};\n", comment("  ", &field.docs), property(field, *direction));
            }
            text += "}\n";
        }
        Form::Enum(variants) => {
            text += &format!("export type {name} =\n");
            let variants = variants
                .iter()
                .map(|variant| format!("{}  | {}", comment("  ", &variant.docs), alternative(variant, *direction)));
            text += &format!("{};\n", variants.collect::<Vec<_>>().join("\n"));
        }
    }
    text
}

/// Returns the function that reads or writes a message.
pub fn function(message: &Message, exported: bool) -> String {
    let name = &message.name;
    let body = match (message.direction, &message.form) {
        (Direction::Read, Form::Struct(fields)) => {
            let fields = read_fields(fields).into_iter().map(|field| format!("  {field},\n"));
            format!(" ({{\n{}}})", fields.collect::<String>())
        }
        (Direction::Read, Form::Enum(variants)) => {
            let variants = variants.iter().map(|variant| format!("\n    {},", read_variant(variant)));
            format!("\n  from.variant<{name}>({}\n  )", variants.collect::<String>())
        }
        (Direction::Written, Form::Struct(fields)) => {
            let calls = fields.iter().map(|field| format!("\n    {}", write_field(field, "it")));
            format!("\n  to{}", calls.collect::<String>())
        }
        (Direction::Written, Form::Enum(variants)) => format!("\n  {}", write_variants(variants)),
    };
    let (kind, parameters) = match message.direction {
        Direction::Read => ("read", format!("(from: Reader): {name}")),
        Direction::Written => ("write", format!("(to: Writer, it: {name}): Writer")),
    };
    format!("{}const {kind}{name} = {parameters} =>{body};\n", if exported { "export " } else { "" })
}

fn property(field: &Field, direction: Direction) -> String {
    match (&field.shape, direction) {
        (Shape::Optional(shape), Direction::Written) => format!("{}?: {} | undefined", field.name, ty(shape)),
        (shape, _) => format!("{}: {}", field.name, ty(shape)),
    }
}

fn alternative(variant: &Variant, direction: Direction) -> String {
    let content = match &variant.content {
        Content::Nothing => return format!("\"{}\"", variant.name),
        Content::One(shape) => ty(shape),
        Content::Several(shapes) => format!("[{}]", shapes.iter().map(ty).collect::<Vec<_>>().join(", ")),
        Content::Fields(fields) => {
            let fields = fields.iter().filter(|field| !field.omitted).map(|field| property(field, direction));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join("; "))
        }
    };
    format!("{{ {}: {content} }}", variant.name)
}

fn ty(shape: &Shape) -> String {
    match shape {
        Shape::Scalar(scalar) => scalar.typescript.to_owned(),
        Shape::Bytes(_) | Shape::CountedBytes | Shape::Encoded => "Uint8Array".to_owned(),
        Shape::Zero => "0".to_owned(),
        Shape::Array(item, _) | Shape::List(item) => match **item {
            Shape::Optional(_) => format!("({})[]", ty(item)),
            _ => format!("{}[]", ty(item)),
        },
        Shape::Optional(item) => format!("{} | null", ty(item)),
        Shape::Message(name) => name.clone(),
    }
}

/// Returns the expression that reads a value.
fn read(shape: &Shape) -> String {
    match shape {
        Shape::Scalar(scalar) => format!("from.{}()", scalar.method),
        Shape::Bytes(len) => format!("from.raw({len})"),
        Shape::CountedBytes => "from.raw(from.unsigned())".to_owned(),
        Shape::Encoded => "from.rest()".to_owned(),
        Shape::Zero => "from.unsigned()".to_owned(),
        Shape::Array(item, len) => format!("from.list({}, {len})", reader(item)),
        Shape::List(item) => format!("from.list({})", reader(item)),
        Shape::Optional(item) => format!("from.optional({})", reader(item)),
        Shape::Message(name) => format!("read{name}(from)"),
    }
}

/// Returns the properties of an object literal, which are evaluated in order. A skipped field is read with the next one.
fn read_fields(fields: &[Field]) -> Vec<String> {
    let (mut properties, mut skipped) = (Vec::new(), Vec::new());
    for field in fields {
        if field.omitted {
            skipped.push(format!("{}, // {}", read(&field.shape), field.name));
            continue;
        }
        let value = match skipped.as_slice() {
            [] => read(&field.shape),
            lines => format!("(\n    {}\n    {}\n  )", lines.join("\n    "), read(&field.shape)),
        };
        properties.push(format!("{}: {value}", field.name));
        skipped.clear();
    }
    properties
}

fn reader(shape: &Shape) -> String {
    match shape {
        Shape::Message(name) => format!("read{name}"),
        _ => format!("() => {}", read(shape)),
    }
}

fn read_variant(variant: &Variant) -> String {
    let content = match &variant.content {
        Content::Nothing => return format!("\"{}\"", variant.name),
        Content::One(shape) => read(shape),
        Content::Several(shapes) => format!("[{}]", shapes.iter().map(read).collect::<Vec<_>>().join(", ")),
        Content::Fields(fields) => format!("{{ {} }}", read_fields(fields).join(", ")),
    };
    format!("() => ({{ {}: {content} }})", variant.name)
}

/// Returns the calls that write a value, to follow a `Writer`.
fn write(shape: &Shape, value: &str) -> String {
    match shape {
        Shape::Scalar(scalar) => format!(".{}({value})", scalar.method),
        Shape::Bytes(_) | Shape::Encoded => format!(".raw({value})"),
        Shape::CountedBytes => format!(".unsigned({value}.length).raw({value})"),
        Shape::Zero => ".unsigned(0)".to_owned(),
        Shape::Array(item, _) => format!(".array({value}, {})", writer(item)),
        Shape::List(item) => format!(".list({value}, {})", writer(item)),
        Shape::Optional(item) => format!(".optional({value}, {})", writer(item)),
        Shape::Message(name) => format!(".message({value}, write{name})"),
    }
}

fn writer(shape: &Shape) -> String {
    match shape {
        Shape::Message(name) => format!("write{name}"),
        _ => format!("(to, it) => to{}", write(shape, "it")),
    }
}

fn write_field(field: &Field, of: &str) -> String {
    write(&field.shape, &format!("{of}.{}", field.name))
}

/// Returns the expression that writes a variant. Those that are only a name come first, because `in` is for objects.
fn write_variants(variants: &[Variant]) -> String {
    let mut cases = variants.iter().enumerate().collect::<Vec<_>>();
    cases.sort_by_key(|(_, variant)| !matches!(variant.content, Content::Nothing));
    let cases = cases.iter().map(|(number, Variant { name, content, .. })| {
        let value = format!("it.{name}");
        let (condition, calls) = match content {
            Content::Nothing => (format!("it === \"{name}\""), String::new()),
            Content::One(shape) => (format!("\"{name}\" in it"), write(shape, &value)),
            Content::Several(shapes) => {
                let calls = shapes.iter().enumerate().map(|(n, shape)| write(shape, &format!("{value}[{n}]")));
                (format!("\"{name}\" in it"), calls.collect())
            }
            Content::Fields(fields) => {
                (format!("\"{name}\" in it"), fields.iter().map(|field| write_field(field, &value)).collect())
            }
        };
        (condition, format!("to.unsigned({number}){calls}"))
    });
    let mut cases = cases.collect::<Vec<_>>();
    // The last one needs no condition.
    let last = cases.pop().map(|(_, write)| write).unwrap_or_default();
    let cases = cases.into_iter().map(|(condition, write)| format!("{condition} ? {write}\n  : "));
    format!("{}{last}", cases.collect::<String>())
}

/// Returns a documentation comment, in several lines if it is long.
fn comment(indent: &str, docs: &str) -> String {
    if docs.is_empty() {
        return String::new();
    }
    if indent.len() + docs.chars().count() + "/**  */".len() <= WIDTH {
        return format!("{indent}/** {docs} */\n");
    }
    let mut text = format!("{indent}/**");
    let mut width = WIDTH;
    for word in docs.split(' ') {
        if width + 1 + word.chars().count() > WIDTH {
            text += &format!("\n{indent} *");
            width = indent.len() + 2;
        }
        text += &format!(" {word}");
        width += 1 + word.chars().count();
    }
    format!("{text}\n{indent} */\n")
}

use super::*;

const EXCEPTIONS: Exceptions = Exceptions {
    declared: &[("Bits", "struct Bits { length: u32, bytes: Vec<u8> }")],
    encoded: &["Profile"],
    omitted: &[("Omits", &["first", "second"])],
};

/// Generates the TypeScript of the message `Root`.
fn generated(source: &str, direction: Direction) -> Result<String> {
    let mut modules = Crate::default();
    modules.add(Vec::new(), "lib.rs".into(), source)?;
    of_crate(&modules, direction)
}

fn of_crate(modules: &Crate, direction: Direction) -> Result<String> {
    let mut messages = Messages::new(modules, &EXCEPTIONS);
    let root = messages.add(&path("Root"), direction)?;
    let texts = messages.found.iter().map(|message| {
        format!("{}{}", typescript::declaration(message), typescript::function(message, message.name == root))
    });
    Ok(texts.collect())
}

fn error(source: &str, direction: Direction) -> String {
    generated(source, direction).map_or_else(|error| error.to_string(), |text| format!("no error:\n{text}"))
}

#[test]
fn structs_are_interfaces_and_newtypes_are_their_content() -> Result<()> {
    let source = "
        /// Root of [`Sku`](crate::Sku)s,
        /// in two lines.
        ///
        /// More.
        #[serde(deny_unknown_fields)]
        struct Root {
            /// Name.
            sku: Sku,
            price: Option<Money>,
            #[serde(deserialize_with = \"checked\")]
            root: Digest,
            shares: [f32; 3],
            skus: Vec<Sku>,
            #[serde(rename = \"kind\")]
            r#type: u8,
            on: bool,
            profile: Profile,
        }
        struct Sku(String);
        struct Money(pub i64);
        type Digest = [u8; 32];";
    assert_eq!(
        generated(source, Direction::Read)?,
        "/** Root of `Sku`s, in two lines. */
export interface Root {
  /** Name. */
  sku: string;
  price: number | null;
  root: Uint8Array;
  shares: number[];
  skus: string[];
  kind: number;
  on: boolean;
  profile: Uint8Array;
}
export const readRoot = (from: Reader): Root => ({
  sku: from.text(),
  price: from.optional(() => from.signed()),
  root: from.raw(32),
  shares: from.list(() => from.float(), 3),
  skus: from.list(() => from.text()),
  kind: from.byte(),
  on: from.flag(),
  profile: from.rest(),
});
"
    );
    Ok(())
}

#[test]
fn written_messages_have_optional_properties() -> Result<()> {
    let source = "
        struct Root { limit: Option<u16>, skus: Option<Vec<String>>, bits: Bits, profile: Profile, parts: Vec<Part> }
        struct Part { at: i64 }";
    assert_eq!(
        generated(source, Direction::Written)?,
        "export interface Bits {
  length: number;
  bytes: Uint8Array;
}
const writeBits = (to: Writer, it: Bits): Writer =>
  to
    .unsigned(it.length)
    .unsigned(it.bytes.length).raw(it.bytes);
export interface Part {
  at: number;
}
const writePart = (to: Writer, it: Part): Writer =>
  to
    .signed(it.at);
export interface Root {
  limit?: number | undefined;
  skus?: string[] | undefined;
  bits: Bits;
  profile: Uint8Array;
  parts: Part[];
}
export const writeRoot = (to: Writer, it: Root): Writer =>
  to
    .optional(it.limit, (to, it) => to.unsigned(it))
    .optional(it.skus, (to, it) => to.list(it, (to, it) => to.text(it)))
    .message(it.bits, writeBits)
    .raw(it.profile)
    .list(it.parts, writePart);
"
    );
    Ok(())
}

const ENUM: &str = "
    #[serde(rename_all = \"snake_case\")]
    enum Root {
        /// Content.
        GoesWith { sku: String, orders_in_10000: u32 },
        /// Only a name.
        LookedAt,
        Stock(String, u8),
        #[serde(rename = \"chance\")]
        Probability(f32),
    }";

#[test]
fn enums_are_read_by_number() -> Result<()> {
    assert_eq!(
        generated(ENUM, Direction::Read)?,
        "export type Root =
  /** Content. */
  | { goes_with: { sku: string; orders_in_10000: number } }
  /** Only a name. */
  | \"looked_at\"
  | { stock: [string, number] }
  | { chance: number };
export const readRoot = (from: Reader): Root =>
  from.variant<Root>(
    () => ({ goes_with: { sku: from.text(), orders_in_10000: from.unsigned() } }),
    \"looked_at\",
    () => ({ stock: [from.text(), from.byte()] }),
    () => ({ chance: from.float() }),
  );
"
    );
    Ok(())
}

#[test]
fn enums_are_written_with_their_number() -> Result<()> {
    let text = generated(ENUM, Direction::Written)?;
    let (_, function) = text.split_once("export const").context("no function")?;
    assert_eq!(
        function,
        " writeRoot = (to: Writer, it: Root): Writer =>
  it === \"looked_at\" ? to.unsigned(1)
  : \"goes_with\" in it ? to.unsigned(0).text(it.goes_with.sku).unsigned(it.goes_with.orders_in_10000)
  : \"stock\" in it ? to.unsigned(2).text(it.stock[0]).byte(it.stock[1])
  : to.unsigned(3).float(it.chance);
"
    );
    Ok(())
}

#[test]
fn omitted_fields_are_written_as_zero_and_read_without_a_name() -> Result<()> {
    let source = "
        struct Root { omits: Omits }
        struct Omits { first: Option<u8>, second: Channel, third: u8 }
        enum Channel { #[default] Web, App }";
    let written = generated(source, Direction::Written)?;
    assert!(written.starts_with("export interface Omits {\n  third: number;\n}\n"), "{written}");
    assert!(written.contains("to\n    .unsigned(0)\n    .unsigned(0)\n    .byte(it.third)"), "{written}");

    let source = "
        struct Root { omits: Omits }
        struct Omits { first: Option<u8>, second: u32, third: u8 }";
    let read = generated(source, Direction::Read)?;
    assert!(read.starts_with("export interface Omits {\n  third: number;\n}\n"), "{read}");
    let third = "third: (\n    from.optional(() => from.byte()), // first\n    from.unsigned(), // second\n    from.byte()\n  )";
    assert!(read.contains(third), "{read}");
    Ok(())
}

#[test]
fn names_are_found_in_other_modules() -> Result<()> {
    let mut modules = Crate::default();
    for (module, source) in [
        ("", "pub use decisions::rank::{Ranking as Root};"),
        ("decisions", "pub mod rank;"),
        (
            "decisions::rank",
            "use crate::domain::{self, sku::{Sku}}; use super::Reason; pub struct Ranking { a: Sku, b: domain::Money, c: Reason }",
        ),
        ("domain", "pub struct Money(i64);"),
        ("domain::sku", "pub struct Sku(String);"),
    ] {
        let names = if module.is_empty() { Vec::new() } else { path(module) };
        modules.add(names, format!("{module}.rs").into(), source)?;
    }
    let missing = of_crate(&modules, Direction::Read).err().context("`Reason` is not declared")?;
    assert_eq!(missing.to_string(), "decisions::rank.rs:1: cannot find the declaration of `Reason`");

    modules.add(path("decisions"), "decisions.rs".into(), "pub mod rank; pub enum Reason { Popular }")?;
    let text = of_crate(&modules, Direction::Read)?;
    assert!(text.contains("export interface Ranking {\n  a: string;\n  b: number;\n  c: Reason;\n}"), "{text}");
    Ok(())
}

#[test]
fn decisions_are_read_from_their_table() -> Result<()> {
    let mut modules = Crate::default();
    let table = "macro_rules! decisions { ($then:ident) => { $then! {
        /// Ranks.
        3 rank: crate::rank::RankRequest => crate::rank::Ranking = crate::Engine::rank,
        /// Forecasts.
        5 forecast: crate::Request => alloc::vec::Vec<crate::Weeks> = crate::Engine::forecast,
    } }; }";
    modules.add(Vec::new(), "lib.rs".into(), "mod engine;")?;
    modules.add(path("engine"), "engine.rs".into(), table)?;
    let decisions = modules.decisions()?;
    let [rank, forecast] = decisions.as_slice() else { bail!("{decisions:?}") };
    assert_eq!((rank.number, rank.name.as_str(), rank.answer.join("::").as_str()), (3, "rank", "crate::rank::Ranking"));
    assert_eq!((forecast.number, forecast.name.as_str()), (5, "forecast"));
    Ok(())
}

#[test]
fn what_is_unsupported_is_an_error_with_file_and_line() {
    for (direction, source, expected) in [
        (Direction::Read, "struct Root {\n a: &'static str\n}", "lib.rs:2: unsupported type in a message for pages"),
        (Direction::Read, "struct Root {\n a: Box<u8>\n}", "lib.rs:2: unsupported type in a message for pages"),
        (Direction::Read, "struct Root {\n a: Sku\n}", "lib.rs:2: cannot find the declaration of `Sku`"),
        (Direction::Read, "use bits;\nstruct Root { a: bits }", "lib.rs:2: cannot find the declaration of `bits`"),
        (Direction::Read, "\nstruct Root(u8, u8);", "lib.rs:2: a message for pages needs named fields"),
        (Direction::Read, "\nstruct Root<T> { a: T }", "lib.rs:2: generic types are unsupported in messages for pages"),
        (
            Direction::Read,
            "\nstruct Root { a: Vec<Root> }",
            "lib.rs:2: recursive types are unsupported in messages for pages",
        ),
        (
            Direction::Read,
            "struct Root {\n #[serde(default, flatten)]\n a: u8\n}",
            "lib.rs:2: unsupported attribute of serde in a message for pages",
        ),
        (
            Direction::Read,
            "\n#[serde(rename_all = \"camelCase\")]\nenum Root { A }",
            "lib.rs:2: unsupported case (expected snake_case)",
        ),
        (
            Direction::Written,
            "struct Root { a: Omits }\nstruct Omits {\n first: u8 }",
            "lib.rs:3: pages cannot omit this field, because its default is not encoded as zero",
        ),
        (
            Direction::Read,
            "struct Root { a: Omits }\nstruct Omits { second: u8, first: u8 }",
            "lib.rs:2: pages cannot omit the last field of a message",
        ),
        (
            Direction::Read,
            "struct Root { a: Omits }\nstruct Omits { first: u8, third: u8 }",
            "lib.rs:2: pages omit `second`, which is not a field",
        ),
        (
            Direction::Read,
            "struct Root { a: Bytes }\nstruct Bytes(\n#[serde(with = \"serde_bytes\")] Vec<u8>);",
            "lib.rs:3: unsupported attribute of serde in a message for pages",
        ),
        (
            Direction::Read,
            "struct Root(u8);",
            "`Root` is not a message: it needs to be a struct with fields, or an enum",
        ),
        (Direction::Read, "struct Roo {}", "`Root` is not declared"),
        (Direction::Read, "struct Root {\n", "lib.rs:1: cannot parse string into token stream"),
    ] {
        assert_eq!(error(source, direction), expected, "{source}");
    }
}

#[test]
fn messages_of_the_same_name_are_an_error() -> Result<()> {
    let mut modules = Crate::default();
    modules.add(Vec::new(), "lib.rs".into(), "struct Root { a: a::Reason, b: b::Reason }")?;
    modules.add(path("a"), "a.rs".into(), "struct Reason { a: u8 }")?;
    modules.add(path("b"), "b.rs".into(), "\nstruct Reason { b: u8 }")?;
    let error = of_crate(&modules, Direction::Read).err().context("no error")?;
    assert_eq!(error.to_string(), "b.rs:2: `a` also has a message `Reason`; rename one of them");
    Ok(())
}

#[test]
fn long_documentation_is_wrapped() -> Result<()> {
    let docs = format!("{}end.", "word ".repeat(30));
    let text = generated(&format!("/// {docs}\nstruct Root {{ a: u8 }}"), Direction::Read)?;
    let comment: Vec<&str> = text.lines().take_while(|line| !line.starts_with("export")).collect();
    assert_eq!((comment.first(), comment.last()), (Some(&"/**"), Some(&" */")));
    assert!(comment.len() == 4 && comment.iter().all(|line| line.len() <= 120), "{comment:?}");
    Ok(())
}

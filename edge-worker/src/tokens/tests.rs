use super::*;
use proptest::prelude::*;

/// Tags of a document that streams in pieces of some length, with raw text by HTML's names only.
fn tags(document: &[u8], piece: usize) -> Vec<Tag> {
    let mut tokenizer = Tokenizer::new(|_| true);
    let mut tags = Vec::new();
    for mut bytes in document.chunks(piece) {
        while !bytes.is_empty() {
            let (read, tag) = tokenizer.next(bytes);
            bytes = &bytes[read..];
            if let Some(tag) = tag {
                if !tag.is_end {
                    tokenizer.follow(crate::tree::content(&tag.name), false);
                }
                tags.push(tag);
            }
        }
    }
    tags
}

fn shown(document: &str) -> String {
    let tag = |tag: &Tag| {
        let name = String::from_utf8(tag.name.clone()).unwrap();
        let attributes: String = tag
            .attributes
            .iter()
            .map(|it| format!(" {}={}", str::from_utf8(&it.name).unwrap(), str::from_utf8(&it.value).unwrap()))
            .collect();
        format!("{}{name}{attributes}", if tag.is_end { "/" } else { "" })
    };
    tags(document.as_bytes(), 1_000).iter().map(tag).collect::<Vec<_>>().join(", ")
}

#[test]
fn tags_are_found_by_the_standards_states() {
    for (document, expected) in [
        ("<p>1 < 2</P >", "p, /p"),
        ("<!-- <a> --><b>", "b"),
        ("<!--><b><!---><c><!--a--!><d><!-- <!-- --><e>", "b, c, d, e"),
        ("<!a <b> <c><?d><e></ f><g></><h>", "c, e, g, h"),
        ("<![CDATA[<a>]]><b>", "b"),
        ("<a b='<c>' d=\"<e>\" f=<g h>", "a b=<c> d=<e> f=<g h="),
        ("<a b=1 b=2 / c/d=/ =e>", "a b=1 b=2 c= d=/ =e="),
        ("<a b= ><a b = 'c'd>", "a b=, a b=c d="),
        ("<script>a <b> </scrip></script x><b>", "script, /script, b"),
        ("<script><!-- <script> </script> <b> --></script><c>", "script, /script, c"),
        ("<script><!-- </script><c>", "script, /script, c"),
        ("<script><!-- <script></script></script><c>", "script, /script, c"),
        ("<style><!-- </style> --><b>", "style, /style, b"),
        ("<title><b></title ><textarea><b></textarea/><i>", "title, /title, textarea, /textarea, i"),
        ("<plaintext><b></plaintext><c>", "plaintext"),
        ("<a\0b><c\n/>", "a\0b, c"),
    ] {
        assert_eq!(shown(document), expected, "{document}");
    }
}

#[test]
fn another_attribute_is_written_where_it_changes_none() {
    for (tag, with) in [
        ("<a>", "<a NEW>"),
        ("<a b>", "<a b NEW>"),
        ("<a b />", "<a b NEW />"),
        ("<a b=1/>", "<a b=1/ NEW>"),
        ("<a b=\"1\"/>", "<a b=\"1\" NEW/>"),
        ("<a b= >", "<a NEW b= >"),
        ("<a b='1' c=>", "<a NEW b='1' c=>"),
    ] {
        let found = tags(tag.as_bytes(), 1_000).remove(0);
        let (before, behind) = tag.split_at(found.room() as usize);
        assert_eq!(format!("{before} NEW{behind}"), with);
    }
}

proptest! {
    #[test]
    fn pieces_change_nothing(
        document in r#"(<|/|>|!|-|--|"|'|=| |a|b|<a |</a>|<!--|-->|<script>|</script>|<title>|</title>|<style>|\]\]>){0,60}"#,
        piece in 1..20usize,
    ) {
        let whole = tags(document.as_bytes(), 10_000);
        prop_assert_eq!(tags(document.as_bytes(), piece), whole);
    }
}

//! Sees to it that a slot is filled only once its end has come.
//!
//! Filling an element removes what is in it, up to its end. Where the end tag is missing, that is the rest of
//! the page. So a page's bytes pass through a [`Lookahead`], which keeps those of an open slot or price back until
//! its end tag is there; where it does not come, the page is no longer filled.

const TAGS: [&[u8]; 2] = [b"tradewind-slot", b"tradewind-price"];

/// What is kept back of a page.
#[derive(Debug, Default)]
pub struct Lookahead {
    held: Vec<u8>,
    /// How much of `held` was looked at.
    seen: usize,
    /// The element that is open, by its place in [`TAGS`], and where in `held` it begins.
    open: Option<usize>,
    broken: bool,
}

impl Lookahead {
    /// The most bytes of one element that are kept back.
    pub const MAX_HELD: usize = 64 << 10;

    /// Takes in bytes of a page, and returns those that may go on.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.broken {
            return bytes.to_vec();
        }
        self.held.extend_from_slice(bytes);
        let mut free = 0;
        while let Some(place) = self.held.get(self.seen..).and_then(|rest| rest.iter().position(|byte| *byte == b'<')) {
            self.seen += place;
            let tag = match Tag::at(&self.held[self.seen..]) {
                None => break, // the rest of it has not come yet
                Some(tag) => tag,
            };
            match (tag, self.open) {
                (Tag::Start(started), None) => {
                    free = self.seen;
                    self.open = Some(started);
                }
                (Tag::End(ended), Some(open)) if ended == open => self.open = None,
                // A price in a slot goes with it.
                (Tag::Start(1) | Tag::End(1), Some(0)) | (Tag::Other | Tag::End(_), _) => {}
                (Tag::Start(_), Some(_)) => return self.give_up(),
            }
            self.seen += 1;
        }
        if self.open.is_none() {
            free = if self.pending() { self.seen } else { self.held.len() };
        }
        if self.held.len() - free > Self::MAX_HELD {
            return self.give_up();
        }
        self.seen = if self.pending() { self.seen } else { self.held.len() } - free;
        self.held.drain(..free).collect()
    }

    /// Whether a tag has begun that may be one of ours.
    fn pending(&self) -> bool {
        self.held.get(self.seen) == Some(&b'<')
    }

    /// What is left when the page has ended.
    pub fn finish(&mut self) -> Vec<u8> {
        self.broken |= self.open.is_some();
        std::mem::take(&mut self.held)
    }

    /// Whether an element did not end; from then on nothing may be filled.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    fn give_up(&mut self) -> Vec<u8> {
        self.broken = true;
        std::mem::take(&mut self.held)
    }
}

/// What begins at a `<`.
enum Tag {
    Start(usize),
    End(usize),
    Other,
}

impl Tag {
    /// `None` where more bytes are needed to tell.
    fn at(bytes: &[u8]) -> Option<Self> {
        let (name, tag): (_, fn(usize) -> Self) = match bytes {
            [b'<', b'/', name @ ..] => (name, Self::End),
            [b'<', name @ ..] => (name, Self::Start),
            _ => return Some(Self::Other),
        };
        for (n, known) in TAGS.iter().enumerate() {
            let len = known.len().min(name.len());
            if !name[..len].eq_ignore_ascii_case(&known[..len]) {
                continue;
            }
            return match name.get(known.len()) {
                None => None,
                Some(b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'/' | b'>') => Some(tag(n)),
                Some(_) => Some(Self::Other),
            };
        }
        Some(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The page after it went through in pieces of some length, and whether it is to be left alone.
    fn through(page: &str, piece: usize) -> (String, bool) {
        let mut lookahead = Lookahead::default();
        let mut out = Vec::new();
        for bytes in page.as_bytes().chunks(piece) {
            out.extend(lookahead.push(bytes));
        }
        out.extend(lookahead.finish());
        (String::from_utf8(out).unwrap(), lookahead.is_broken())
    }

    #[test]
    fn only_elements_that_end_are_filled() {
        let cases = [
            ("<p>1 < 2</p>", false),
            ("<tradewind-slot name=a><a>x</a></tradewind-slot><p>", false),
            ("<Tradewind-Slot\nname=a><tradewind-price sku=1>2</tradewind-price></TRADEWIND-SLOT >", false),
            ("<tradewind-slots><tradewind-slot-like>", false),
            ("<tradewind-price sku=1>2</tradewind-price><tradewind-price sku=2>3</tradewind-price>", false),
            ("<main><tradewind-slot name=a><a>x</a></main><footer>", true),
            ("<tradewind-slot name=a><tradewind-slot name=b></tradewind-slot>", true),
            ("<tradewind-price sku=1>2<footer></footer>", true),
            ("</tradewind-slot>", false),
        ];
        for (page, broken) in cases {
            for piece in 1..page.len() + 1 {
                assert_eq!(through(page, piece), (page.to_owned(), broken), "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_is_kept_back_is_bounded() {
        let mut lookahead = Lookahead::default();
        lookahead.push(b"<tradewind-slot>");
        let passed = (0..100).map(|_| lookahead.push(&[b'x'; 1_000]).len()).sum::<usize>();
        assert!(lookahead.is_broken() && passed == 100_000 + 16);
    }

    #[test]
    fn what_is_not_in_a_slot_goes_on_at_once() {
        let mut lookahead = Lookahead::default();
        assert_eq!(lookahead.push(b"<p>hello"), b"<p>hello");
        assert_eq!(lookahead.push(b" <trade"), b" ");
        assert_eq!(lookahead.push(b"rs>"), b"<traders>");
        assert_eq!(lookahead.push(b"<i><tradewind-slot>x"), b"<i>");
        assert_eq!(lookahead.push(b"</tradewind-slot><b>"), b"<tradewind-slot>x</tradewind-slot><b>");
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_changed(
            page in "(<|/|>| |tradewind-|slot|price|<tradewind-slot>|</tradewind-slot>|<tradewind-price>|</tradewind-price>|x){0,40}",
            piece in 1..50usize,
        ) {
            prop_assert_eq!(through(&page, piece).0, page);
        }
    }
}

//! Texts as numbers: counts of n-grams, as ONNX's `StringNormalizer`, `Tokenizer` and `TfIdfVectorizer` define them.
//!
//! ```text
//! text ─ folds ─▶ characters ─ tokens ─▶ tokens ─ n-grams ─▶ columns: count or presence × weight
//! ```
//!
//! The compiler resolves everything that depends on Unicode: a plan contains the ranges of characters that tokens
//! consist of, and the lower-case forms that can matter.

use crate::{
    bounded,
    plan::{BufferId, Dim},
};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Between the tokens of an n-gram in [`Vectorizer::grams`]. Tokens never contain it.
pub const JOINER: char = '\0';

/// Features of texts: a buffer that is filled before the steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextFeatures {
    /// Buffer of f32, `[rows, columns]`.
    pub buffer: BufferId,
    /// Number of texts.
    pub rows: Dim,
    /// Number of columns.
    pub columns: u32,
    /// Parts of a row's text, which are joined.
    #[serde(deserialize_with = "bounded::list::<64, _, _>")]
    pub parts: Vec<TextPart>,
    /// Computation of the features.
    pub vectorizer: Vectorizer,
}

/// Part of a row's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextPart {
    /// Text input of the plan, by its index, with one text for each row.
    Input(u16),
    /// The same text for every row.
    Text(String),
}

/// Counts of n-grams in a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vectorizer {
    /// Characters of tokens, as ascending ranges of three numbers: the first character, the last, and that by which the
    /// first is replaced (the others likewise). Other characters separate tokens.
    #[serde(deserialize_with = "bounded::list::<{ Vectorizer::MAX_GRAMS }, _, _>")]
    pub letters: Vec<u32>,
    /// Minimum characters of a token, which is a longest run of them; 0 if each character is a token.
    pub least: u32,
    /// Minimum tokens of an n-gram.
    pub shortest: u32,
    /// Maximum tokens of an n-gram.
    pub longest: u32,
    /// Maximum number of tokens left out between two tokens of an n-gram.
    pub skips: u32,
    /// Known n-grams, ascending: tokens with [`JOINER`] between them, or characters without.
    #[serde(deserialize_with = "bounded::list::<{ Vectorizer::MAX_GRAMS }, _, _>")]
    pub grams: Vec<String>,
    /// Column of each n-gram.
    #[serde(deserialize_with = "bounded::list::<{ Vectorizer::MAX_GRAMS }, _, _>")]
    pub columns: Vec<u32>,
    /// Weight of each n-gram; empty for 1.
    #[serde(deserialize_with = "bounded::list::<{ Vectorizer::MAX_GRAMS }, _, _>")]
    pub weights: Vec<f32>,
    /// Whether a column is the weight of an n-gram that occurs, instead of the sum over its occurrences.
    pub presence: bool,
}

impl TextFeatures {
    /// Whether the n-grams, columns and ranges match.
    pub(crate) fn is_sound(&self) -> bool {
        let Vectorizer { letters, shortest, longest, skips, grams, columns, weights, .. } = &self.vectorizer;
        // Each range begins after the one before it.
        let (ranges, rest) = letters.as_chunks::<3>();
        let mut after = 0;
        let ascend = ranges.iter().all(|[first, last, _]| {
            let fits = after <= *first && first <= last && *last < u32::MAX;
            after = last.wrapping_add(1);
            fits
        });
        ascend
            && rest.is_empty()
            && (1..=*longest).contains(shortest)
            && longest.max(skips) <= &Vectorizer::MAX_SIZE
            && grams.is_sorted_by(|a, b| a < b)
            && columns.len() == grams.len()
            && columns.iter().all(|&column| column < self.columns)
            && (weights.is_empty() || weights.len() == grams.len())
    }
}

impl Vectorizer {
    /// Maximum number of n-grams.
    pub const MAX_GRAMS: usize = 1_000_000;
    /// Maximum tokens of an n-gram, and maximum tokens left out between two of them.
    pub const MAX_SIZE: u32 = 16;

    /// Writes the features of a text.
    #[inline(never)]
    pub(crate) fn write(&self, text: &str, row: &mut [f32]) {
        row.fill(0.0);
        let (folded, tokens) = self.tokens(text);
        let mut gram = String::new();
        for skip in 1..=self.skips as usize + 1 {
            for first in 0..tokens.len() {
                gram.clear();
                let spread = tokens.iter().skip(first).step_by(skip);
                for (&(start, end), size) in spread.zip(1..=self.longest) {
                    if size > 1 && self.least > 0 {
                        gram.push(JOINER);
                    }
                    gram.push_str(folded.get(start..end).unwrap_or_default());
                    // Single tokens have nothing between them.
                    if size >= self.shortest && (size > 1 || skip == 1) {
                        self.count(&gram, row);
                    }
                }
            }
        }
    }

    fn count(&self, gram: &str, row: &mut [f32]) {
        let Ok(place) = self.grams.binary_search_by(|known| known.as_bytes().cmp(gram.as_bytes())) else { return };
        let weight = self.weights.get(place).copied().unwrap_or(1.0);
        let column = self.columns.get(place);
        if let Some(value) = column.and_then(|&column| row.get_mut(column as usize)) {
            *value = if self.presence { weight } else { *value + weight };
        }
    }

    /// Replacement of a character of tokens; `None` for another.
    fn letter(&self, letter: u32) -> Option<char> {
        let (ranges, _) = self.letters.as_chunks::<3>();
        let after = ranges.partition_point(|[first, ..]| *first <= letter);
        let [first, last, to] = ranges.get(after.checked_sub(1)?)?;
        (letter <= *last).then(|| char::from_u32(to.wrapping_add(letter - first)))?
    }

    /// Characters of all tokens, and the range of each.
    fn tokens(&self, text: &str) -> (String, Vec<(usize, usize)>) {
        let (mut folded, mut tokens) = (String::with_capacity(text.len()), Vec::new());
        let (mut start, mut letters) = (0, 0);
        // A separator after the last token.
        for letter in text.chars().map(u32::from).chain([u32::MAX]) {
            let found = self.letter(letter);
            if let Some(letter) = found {
                folded.push(letter);
                letters += 1;
            }
            if letters > 0 && (found.is_none() || self.least == 0) {
                if letters >= self.least {
                    tokens.push((start, folded.len()));
                }
                (start, letters) = (folded.len(), 0);
            }
        }
        (folded, tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};

    fn words(grams: &[&str], sizes: (u32, u32), skips: u32) -> Vectorizer {
        let mut grams: Vec<String> = grams.iter().map(|gram| gram.replace(' ', "\0")).collect();
        grams.sort();
        let columns = (0..grams.len() as u32).collect();
        let range = |first: char, last: char, to: char| [first, last, to].map(u32::from);
        let letters = [range('A', 'Z', 'a'), range('a', 'z', 'a'), range('É', 'É', 'é'), range('é', 'é', 'é')].concat();
        let (shortest, longest) = sizes;
        Vectorizer { letters, least: 1, shortest, longest, skips, grams, columns, weights: vec![], presence: false }
    }

    fn counts(vectorizer: &Vectorizer, text: &str) -> Vec<(String, f32)> {
        let mut row = vec![7.0; vectorizer.grams.len()];
        vectorizer.write(text, &mut row);
        let named = vectorizer.grams.iter().map(|gram| gram.replace('\0', " ")).zip(row);
        named.filter(|(_, count)| *count != 0.0).collect()
    }

    fn owned(expected: &[(&str, f32)]) -> Vec<(String, f32)> {
        expected.iter().map(|(gram, count)| (gram.to_string(), *count)).collect()
    }

    #[test]
    fn n_grams_are_counted() {
        let vectorizer = words(&["a", "b", "a b", "b b", "café"], (1, 2), 0);
        assert_eq!(counts(&vectorizer, "A, b! b; x"), owned(&[("a", 1.0), ("a b", 1.0), ("b", 2.0), ("b b", 1.0)]));
        assert_eq!(counts(&vectorizer, "cafÉ"), owned(&[("café", 1.0)]));
        assert!(counts(&vectorizer, "").is_empty() && counts(&vectorizer, "??").is_empty());
        let longer = Vectorizer { least: 2, ..vectorizer.clone() };
        assert_eq!(counts(&longer, "a b café"), owned(&[("café", 1.0)]));
        let once = Vectorizer { presence: true, weights: vec![0.5, 0.25, 2.0, 1.0, 3.0], ..vectorizer };
        assert_eq!(counts(&once, "a b b"), owned(&[("a", 0.5), ("a b", 0.25), ("b", 2.0), ("b b", 1.0)]));
    }

    #[test]
    fn tokens_may_be_skipped() {
        let vectorizer = words(&["a", "a b", "a c", "a b c"], (2, 3), 1);
        // `a` alone is shorter than the least n-gram.
        assert_eq!(counts(&vectorizer, "a b c"), owned(&[("a b", 1.0), ("a b c", 1.0), ("a c", 1.0)]));
        let pairs = Vectorizer { shortest: 1, longest: 2, ..vectorizer };
        assert_eq!(counts(&pairs, "a b"), owned(&[("a", 1.0), ("a b", 1.0)]), "single tokens count once");
    }

    #[test]
    fn characters_are_tokens() {
        let grams = ["a", "ab", "b "].map(String::from).to_vec();
        let letters = [vec![0, 64, 0, 65, 90, 97], vec![91, 0x10_ffff, 91]].concat();
        let characters = Vectorizer { letters, grams, columns: vec![0, 1, 2], least: 0, ..words(&[], (1, 2), 0) };
        let mut row = [0.0; 3];
        characters.write("AB ab", &mut row);
        assert_eq!(row, [2.0, 2.0, 1.0]);
    }
}

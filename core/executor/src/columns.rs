//! Columns: arrays that lie in a section of a file as they lie in memory, and are read where they lie.
//!
//! ```text
//! 0    u32          number of columns
//! 4    u32 × number bytes of each column
//!      columns, each at a multiple of 16 from the start of the section, zeros between
//! ```
//!
//! All numbers are little-endian. Which columns a section has, in which order and of which type, its reader knows: see
//! [`Columns`]. Small and irregular parts are one column of bytes that are decoded.

use crate::{
    aligned::{ALIGNMENT, AlignedBytes, align_up},
    error::{Error, ErrorKind, Result},
};
use alloc::{format, sync::Arc, vec, vec::Vec};
use bytemuck::Pod;
use core::{
    cmp::Ordering,
    fmt,
    marker::PhantomData,
    mem::replace,
    ops::{Deref, Range},
};

/// What is stored as columns.
pub trait Columns: Sized {
    /// Writes the columns, in the order in which [`read`](Self::read) reads them.
    ///
    /// # Errors
    /// [`Malformed`](ErrorKind::Malformed) when a part cannot be encoded.
    fn write(&self, to: &mut ColumnWriter) -> Result<()>;

    /// Reads the columns and checks all that can be wrong with them.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) or [`BadRequest`](ErrorKind::BadRequest) says what is wrong.
    fn read(from: &mut ColumnReader<'_>) -> Result<Self>;
}

/// An array in a file that stays in memory; derefs to a slice.
pub struct Column<T> {
    bytes: Arc<AlignedBytes>,
    range: Range<usize>,
    of: PhantomData<T>,
}

/// A list for each of a number of things: the values of all of them in one column, and where each list starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Lists<T: Pod> {
    starts: Starts,
    values: Column<T>,
}

/// The start of each list, and the end of the last; stored as the lengths of the lists.
#[derive(Debug, Clone, PartialEq)]
struct Starts(Vec<u32>);

/// A text for each of a number of things.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Texts(Lists<u8>);

/// Reads the columns of a section one after another.
#[derive(Debug)]
pub struct ColumnReader<'a> {
    bytes: &'a Arc<AlignedBytes>,
    /// The lengths of the columns that follow.
    lengths: &'a [u32],
    /// The end of the last column read, and of the section.
    rest: Range<usize>,
    /// Whether a column was missing, or not as it must be.
    is_damaged: bool,
}

/// Collects columns, and writes them as a section.
#[derive(Debug, Default)]
pub struct ColumnWriter {
    columns: Vec<Vec<u8>>,
}

impl<T: Pod> Column<T> {
    /// A column with these values.
    ///
    /// # Errors
    /// [`OutOfMemory`](ErrorKind::OutOfMemory).
    pub fn new(values: &[T]) -> Result<Self> {
        let bytes = AlignedBytes::copy_of(bytemuck::cast_slice(values))?;
        let range = 0..bytes.len();
        Ok(Self { bytes: Arc::new(bytes), range, of: PhantomData })
    }

    /// A part of the column, by places of its values; empty where it lies outside.
    #[must_use]
    pub fn part(&self, places: Range<usize>) -> Self {
        let range = if places.start <= places.end && places.end <= self.len() {
            let at = |place: usize| self.range.start + place * size_of::<T>();
            at(places.start)..at(places.end)
        } else {
            0..0
        };
        Self { bytes: self.bytes.clone(), range, of: PhantomData }
    }
}

impl<T: Pod> Deref for Column<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        bytemuck::try_cast_slice(part(&self.bytes, &self.range)).unwrap_or_default()
    }
}

impl<T> Clone for Column<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), range: self.range.clone(), of: PhantomData }
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { bytes: Arc::default(), range: 0..0, of: PhantomData }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Pod + PartialEq> PartialEq for Column<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Pod> Default for Lists<T> {
    fn default() -> Self {
        Self { starts: Starts(vec![0]), values: Column::default() }
    }
}

impl<T: Pod> Lists<T> {
    /// These lists.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) for a list of more than 65,535 values, or [`OutOfMemory`](ErrorKind::OutOfMemory).
    pub fn new<L: AsRef<[T]>>(lists: impl IntoIterator<Item = L>) -> Result<Self> {
        let (mut starts, mut values) = (vec![0], Vec::new());
        for list in lists {
            let list = list.as_ref();
            if list.len() > usize::from(u16::MAX) {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    format!("a list of {} values (at most 65,535)", list.len()),
                ));
            }
            values.extend_from_slice(list);
            starts.push(values.len() as u32);
        }
        Ok(Self { starts: Starts(starts), values: Column::new(&values)? })
    }

    /// The number of lists.
    pub const fn len(&self) -> usize {
        self.starts.0.len().saturating_sub(1)
    }

    /// Whether there are no lists.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A list; empty past the last.
    pub fn get(&self, n: usize) -> &[T] {
        self.values.get(self.starts.places(n)).unwrap_or_default()
    }

    /// The values of all lists, in order.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The lists, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[T]> {
        let values = self.values();
        self.starts.0.windows(2).map(|ends| values.get(ends[0] as usize..ends[1] as usize).unwrap_or_default())
    }
}

impl Starts {
    /// Where the values of a list lie; nowhere past the last.
    fn places(&self, n: usize) -> Range<usize> {
        match (self.0.get(n), self.0.get(n + 1)) {
            (Some(&start), Some(&end)) => start as usize..end as usize,
            _ => 0..0,
        }
    }
}

impl Texts {
    /// These texts.
    ///
    /// # Errors
    /// As [`Lists::new`].
    pub fn new<L: AsRef<str>>(texts: impl IntoIterator<Item = L>) -> Result<Self> {
        struct Bytes<L>(L);
        impl<L: AsRef<str>> AsRef<[u8]> for Bytes<L> {
            fn as_ref(&self) -> &[u8] {
                self.0.as_ref().as_bytes()
            }
        }
        Ok(Self(Lists::new(texts.into_iter().map(Bytes))?))
    }

    /// The number of texts.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no texts.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A text; empty past the last.
    pub fn get(&self, n: usize) -> &str {
        core::str::from_utf8(self.0.get(n)).unwrap_or_default()
    }

    /// The bytes of each text, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter()
    }

    /// The length of the longest text, in bytes.
    pub fn longest(&self) -> usize {
        self.0.starts.0.windows(2).fold(0, |longest, ends| (ends[1] - ends[0]).max(longest)) as usize
    }

    /// The first text that is not after the one before it; `None` where all are in ascending order (of bytes).
    pub fn out_of_order(&self) -> Option<usize> {
        let mut before: (u64, &[u8]) = (0, &[]);
        self.iter().position(|text| {
            // Most differ by their first eight bytes, and those are compared as one number.
            let start = match text.first_chunk() {
                Some(&start) => u64::from_be_bytes(start),
                None => {
                    text.iter().fold(0, |start, &byte| start << 8 | u64::from(byte)) << (8 * (8 - text.len())).min(63)
                }
            };
            let (start_before, text_before) = replace(&mut before, (start, text));
            start < start_before || start == start_before && text <= text_before
        })
    }

    /// Position of a text, of texts in ascending order.
    ///
    /// # Errors
    /// Where it would be.
    pub fn search(&self, text: &str) -> core::result::Result<usize, usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.0.get(middle).cmp(text.as_bytes()) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => to = middle,
            }
        }
        Err(from)
    }
}

impl<'a> ColumnReader<'a> {
    /// Reads what is stored as columns in a section of a file.
    ///
    /// # Errors
    /// As [`Columns::read`], and [`PackCorrupt`](ErrorKind::PackCorrupt) for columns that are missing, or that nobody
    /// reads.
    pub fn read<T: Columns>(bytes: &'a Arc<AlignedBytes>, section: Range<usize>) -> Result<T> {
        let mut reader = Self::new(bytes, section);
        let read = T::read(&mut reader);
        reader.end()?;
        read
    }

    fn new(bytes: &'a Arc<AlignedBytes>, section: Range<usize>) -> Self {
        let lengths = || {
            let file = bytes.as_slice().get(..section.end)?;
            let number = u32::from_le_bytes(*file.get(section.start..)?.first_chunk()?) as usize;
            let start = section.start + 4;
            bytemuck::try_cast_slice(file.get(start..start.saturating_add(number.saturating_mul(4)))?).ok()
        };
        let (lengths, is_damaged) = lengths().map_or((&[][..], true), |lengths| (lengths, false));
        Self { bytes, lengths, rest: section.start + 4 + 4 * lengths.len()..section.end, is_damaged }
    }

    fn end(&self) -> Result<()> {
        if !self.is_damaged && self.lengths.is_empty() && self.rest.is_empty() {
            return Ok(());
        }
        let message = "the pack is damaged: a column is missing, or is not as it must be; fetch it again";
        Err(Error::new(ErrorKind::PackCorrupt, message))
    }

    /// The next column; empty where it is missing or its length is not that of whole values, which
    /// [`read`](Self::read) makes an error.
    pub fn column<T: Pod>(&mut self) -> Column<T> {
        let range = self.next(size_of::<T>());
        Column { bytes: self.bytes.clone(), range, of: PhantomData }
    }

    /// The next lists, which are two columns: their lengths, and the values of all; as [`column`](Self::column).
    pub fn lists<T: Pod>(&mut self) -> Lists<T> {
        let starts = self.starts();
        let values = self.column();
        self.is_damaged |= starts.0.last().copied().unwrap_or_default() as usize != values.len();
        Lists { starts, values }
    }

    /// The next texts; as [`column`](Self::column).
    pub fn texts(&mut self) -> Texts {
        let texts: Lists<u8> = self.lists();
        // All of them are UTF-8, and each begins with a character: so each is UTF-8.
        let all = core::str::from_utf8(texts.values());
        self.is_damaged |=
            !all.is_ok_and(|all| texts.starts.0.iter().all(|&start| all.is_char_boundary(start as usize)));
        Texts(texts)
    }

    fn starts(&mut self) -> Starts {
        let lengths = self.column::<u16>();
        let mut starts = Vec::new();
        if starts.try_reserve_exact(lengths.len() + 1).is_err() {
            self.is_damaged = true;
            return Starts(starts);
        }
        let mut end = 0_u32;
        starts.push(end);
        for &length in &*lengths {
            end = end.saturating_add(length.into());
            starts.push(end);
        }
        Starts(starts)
    }

    /// Where the next column lies, with values of `size` bytes.
    fn next(&mut self, size: usize) -> Range<usize> {
        let start = align_up(self.rest.start);
        let (length, lengths) = match self.lengths.split_first() {
            Some((&length, lengths)) => (length as usize, lengths),
            None => (usize::MAX, self.lengths),
        };
        let end = start.saturating_add(length);
        if end > self.rest.end || !length.is_multiple_of(size) {
            self.is_damaged = true;
            return 0..0;
        }
        self.lengths = lengths;
        self.rest.start = end;
        start..end
    }
}

impl ColumnWriter {
    /// The section of what is stored as columns.
    ///
    /// # Errors
    /// As [`Columns::write`].
    pub fn section(value: &impl Columns) -> Result<Vec<u8>> {
        let mut writer = Self::default();
        value.write(&mut writer)?;
        let Self { columns } = writer;
        let mut section = Vec::new();
        section.extend_from_slice(&(columns.len() as u32).to_le_bytes());
        columns.iter().for_each(|column| section.extend_from_slice(&(column.len() as u32).to_le_bytes()));
        for column in columns {
            section.resize(section.len().next_multiple_of(ALIGNMENT), 0);
            section.extend_from_slice(&column);
        }
        Ok(section)
    }

    /// Adds lists, as [`lists`](ColumnReader::lists) reads them.
    pub fn lists<T: Pod>(&mut self, lists: &Lists<T>) {
        let lengths: Vec<u16> = lists.starts.0.windows(2).map(|ends| (ends[1] - ends[0]) as u16).collect();
        self.column(&lengths);
        self.column(&lists.values);
    }

    /// Adds texts.
    pub fn texts(&mut self, texts: &Texts) {
        self.lists(&texts.0);
    }

    /// Adds a column.
    pub fn column<T: Pod>(&mut self, values: &[T]) {
        self.columns.push(bytemuck::cast_slice(values).to_vec());
    }
}

/// The greatest of numbers; 0 of none.
pub fn greatest(numbers: &[u32]) -> u32 {
    let of = |numbers: &[u32]| numbers.iter().fold(0, |most, &number| number.max(most));
    // By vectors: engines run what they have just compiled as it is written.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    {
        use core::arch::wasm32::{u32x4_max, u32x4_splat, v128};
        let (before, vectors, after) = bytemuck::pod_align_to::<u32, v128>(numbers);
        let most = vectors.iter().fold(u32x4_splat(0), |most, &four| u32x4_max(most, four));
        of(before).max(of(bytemuck::cast_ref::<v128, [u32; 4]>(&most))).max(of(after))
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    of(numbers)
}

/// Apart from its callers, so that they are small.
#[inline(never)]
fn part<'a>(bytes: &'a AlignedBytes, range: &Range<usize>) -> &'a [u8] {
    bytes.as_slice().get(range.clone()).unwrap_or_default()
}

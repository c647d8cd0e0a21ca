//! Iteration over strided tensors: runs along the last axis, with an odometer over the others.

use crate::{
    error::Result,
    exec::arena::outside,
    plan::{Dim, MAX_AXES, View},
};

/// Iteration over `shape`, with `V` views of it.
pub(crate) struct Walk<const V: usize> {
    extents: [usize; MAX_AXES],
    strides: [[usize; V]; MAX_AXES],
    axes: usize,
    offsets: [usize; V],
}

impl<const V: usize> Walk<V> {
    /// Creates an iteration over `shape`, the first of the views' axes, for a batch of `rows`.
    pub fn new(shape: &[Dim], views: [&View; V], rows: usize) -> Result<Self> {
        let mut walk = Self::inner(shape, views, 0, rows)?;
        walk.offsets = views.map(|view| view.offset.at(rows));
        Ok(walk)
    }

    /// Creates the inner iteration for a step of an outer one over the first `skip` axes.
    pub fn inner(shape: &[Dim], views: [&View; V], skip: usize, rows: usize) -> Result<Self> {
        let mut walk = Self { extents: [1; MAX_AXES], strides: [[0; V]; MAX_AXES], axes: 0, offsets: [0; V] };
        for (axis, extent) in shape.iter().enumerate() {
            let mut strides = [0; V];
            for (stride, view) in strides.iter_mut().zip(views) {
                *stride = view.strides.get(axis + skip).ok_or_else(outside)?.at(rows);
            }
            walk.push(extent.at(rows), strides)?;
        }
        Ok(walk)
    }

    /// Appends an axis, merged with the previous one if both can be walked as one.
    fn push(&mut self, extent: usize, strides: [usize; V]) -> Result<()> {
        if extent == 1 {
            return Ok(());
        }
        if let Some(last) = self.axes.checked_sub(1) {
            let mergeable =
                self.strides[last].iter().zip(&strides).all(|(&outer, &inner)| outer == inner.saturating_mul(extent));
            if mergeable {
                self.extents[last] = self.extents[last].saturating_mul(extent);
                self.strides[last] = strides;
                return Ok(());
            }
        }
        *self.extents.get_mut(self.axes).ok_or_else(outside)? = extent;
        self.strides[self.axes] = strides;
        self.axes += 1;
        Ok(())
    }

    /// Extent of an axis, and the step of each view along it; the last axis is the run.
    pub fn axis(&self, axis: usize) -> (usize, [usize; V]) {
        (self.extents[axis], self.strides[axis])
    }

    /// Number of axes after merging.
    pub const fn axes(&self) -> usize {
        self.axes
    }

    /// Removes an axis.
    pub fn remove(&mut self, axis: usize) {
        self.extents.copy_within(axis + 1..self.axes, axis);
        self.strides.copy_within(axis + 1..self.axes, axis);
        self.axes -= 1;
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.extents[..self.axes].iter().fold(1, |len: usize, extent| len.saturating_mul(*extent))
    }

    /// Length of a run, and the step of each view along it.
    pub fn run(&self) -> (usize, [usize; V]) {
        match self.axes.checked_sub(1) {
            Some(last) => (self.extents[last], self.strides[last]),
            None => (1, [0; V]),
        }
    }

    /// Positions of each view at the start of every run, in order, starting from `base`.
    pub fn runs(&self, base: [usize; V]) -> Runs<'_, V> {
        let mut at = base;
        for (at, offset) in at.iter_mut().zip(self.offsets) {
            *at = at.saturating_add(offset);
        }
        let outer = self.axes.saturating_sub(2);
        let (count, step) = if self.axes < 2 { (1, [0; V]) } else { self.axis(outer) };
        let lines = if self.len() == 0 { 0 } else { self.extents[..outer].iter().product() };
        Runs { walk: self, index: [0; MAX_AXES], start: at, lines, at, left: 0, count, step }
    }
}

impl Walk<2> {
    /// Adds a third view of a dense row-major tensor.
    pub fn onto_dense(&self) -> Walk<3> {
        let mut walk = Walk { extents: self.extents, strides: [[0; 3]; MAX_AXES], axes: self.axes, offsets: [0; 3] };
        let mut dense = 1;
        for axis in (0..self.axes).rev() {
            let [left, right] = self.strides[axis];
            walk.strides[axis] = [left, right, dense];
            dense *= self.extents[axis];
        }
        walk.offsets[..2].copy_from_slice(&self.offsets);
        walk
    }
}

/// Runs of a [`Walk`], grouped in lines of equally spaced runs.
pub(crate) struct Runs<'a, const V: usize> {
    walk: &'a Walk<V>,
    index: [usize; MAX_AXES],
    /// Where the next line starts.
    start: [usize; V],
    /// Remaining lines.
    lines: usize,
    at: [usize; V],
    /// Remaining runs of this line.
    left: usize,
    /// Runs per line, and the step between them.
    count: usize,
    step: [usize; V],
}

impl<const V: usize> Runs<'_, V> {
    /// Starts the next line. Not generic over kernels, to keep the module small.
    #[inline(never)]
    fn turn(&mut self) -> bool {
        let Some(lines) = self.lines.checked_sub(1) else { return false };
        (self.lines, self.left, self.at) = (lines, self.count, self.start);
        // Advances the odometer; the last axis changes fastest.
        let Walk { extents, strides, axes, .. } = self.walk;
        for axis in (0..axes.saturating_sub(2)).rev() {
            self.index[axis] += 1;
            if self.index[axis] < extents[axis] {
                for (start, stride) in self.start.iter_mut().zip(strides[axis]) {
                    *start += stride;
                }
                break;
            }
            for (start, stride) in self.start.iter_mut().zip(strides[axis]) {
                *start -= stride * (extents[axis] - 1);
            }
            self.index[axis] = 0;
        }
        true
    }
}

impl<const V: usize> Iterator for Runs<'_, V> {
    type Item = [usize; V];

    #[inline(always)]
    fn next(&mut self) -> Option<[usize; V]> {
        if self.left == 0 && !self.turn() {
            return None;
        }
        self.left -= 1;
        let current = self.at;
        for (at, step) in self.at.iter_mut().zip(self.step) {
            // After the last run of a line the position is unused.
            *at = at.wrapping_add(step);
        }
        Some(current)
    }
}

//! Extents, strides and offsets during compilation.

use crate::refusal::{Reason, Reasoned};
use std::fmt;
use tract_onnx::prelude::{Symbol, TDim};
use tradewind_core::plan::Dim;

/// `fixed + per_row × rows`, signed during compilation; a [`Dim`] in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Extent {
    pub fixed: i64,
    pub per_row: i64,
}

impl Extent {
    pub const ZERO: Self = Self::fixed(0);
    pub const ONE: Self = Self::fixed(1);

    pub const fn fixed(fixed: i64) -> Self {
        Self { fixed, per_row: 0 }
    }

    /// Converts tract's extent, in terms of the batch symbol.
    pub fn of(dim: &TDim, batch: &Symbol) -> Reasoned<Self> {
        affine(&dim.clone().simplify(), batch).ok_or_else(|| {
            Reason(format!(
                "extent `{dim}` is not a number plus a multiple of the rows, so it cannot be known when packing; \
                 export the model with that dimension fixed"
            ))
        })
    }

    pub const fn is_one(self) -> bool {
        self.fixed == 1 && self.per_row == 0
    }

    pub const fn is_zero(self) -> bool {
        self.fixed == 0 && self.per_row == 0
    }

    /// Whether it changes with the batch.
    pub const fn varies(self) -> bool {
        self.per_row != 0
    }

    /// The extent, if it does not change with the batch.
    pub fn constant(self) -> Option<usize> {
        if self.varies() { None } else { usize::try_from(self.fixed).ok() }
    }

    pub fn plus(self, other: Self) -> Reasoned<Self> {
        let sum = || {
            Some(Self {
                fixed: self.fixed.checked_add(other.fixed)?,
                per_row: self.per_row.checked_add(other.per_row)?,
            })
        };
        sum().ok_or_else(overflow)
    }

    pub fn minus(self, other: Self) -> Reasoned<Self> {
        self.plus(other.scaled(-1)?)
    }

    pub fn scaled(self, by: i64) -> Reasoned<Self> {
        let product = || Some(Self { fixed: self.fixed.checked_mul(by)?, per_row: self.per_row.checked_mul(by)? });
        product().ok_or_else(overflow)
    }

    pub fn times(self, other: Self) -> Reasoned<Self> {
        match (self.varies(), other.varies()) {
            (_, false) => self.scaled(other.fixed),
            (false, true) => other.scaled(self.fixed),
            (true, true) => Reason::err(format!(
                "a tensor of {self} × {other} elements grows with the square of the batch; \
                 export the model so that one of the two is fixed"
            )),
        }
    }

    pub fn product(extents: &[Self]) -> Reasoned<Self> {
        extents.iter().try_fold(Self::ONE, |product, &extent| product.times(extent))
    }

    /// Converts to the plan's form.
    pub fn dim(self) -> Reasoned<Dim> {
        match (u32::try_from(self.fixed), u32::try_from(self.per_row)) {
            (Ok(fixed), Ok(per_row)) => Ok(Dim { fixed, per_row }),
            _ if self.fixed < 0 || self.per_row < 0 => Reason::err(format!(
                "an extent or offset of {self} could be negative; export the model with that dimension fixed"
            )),
            _ => Err(overflow()),
        }
    }

    pub fn dims(extents: &[Self]) -> Reasoned<Vec<Dim>> {
        extents.iter().map(|extent| extent.dim()).collect()
    }
}

impl From<Dim> for Extent {
    fn from(dim: Dim) -> Self {
        Self { fixed: dim.fixed.into(), per_row: dim.per_row.into() }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.fixed, self.per_row) {
            (fixed, 0) => write!(f, "{fixed}"),
            (0, 1) => f.write_str("N"),
            (0, per_row) => write!(f, "{per_row}N"),
            (fixed, per_row) => write!(f, "({per_row}N{fixed:+})"),
        }
    }
}

fn overflow() -> Reason {
    Reason("a tensor has more elements than a plan can address".into())
}

/// Converts `dim` to an affine expression of the batch, if it is one.
fn affine(dim: &TDim, batch: &Symbol) -> Option<Extent> {
    match dim {
        TDim::Val(value) => Some(Extent::fixed(*value)),
        TDim::Sym(symbol) => (symbol == batch).then_some(Extent { fixed: 0, per_row: 1 }),
        TDim::Add(terms) => terms.iter().try_fold(Extent::ZERO, |sum, term| sum.plus(affine(term, batch)?).ok()),
        TDim::Mul(factors) => {
            factors.iter().try_fold(Extent::ONE, |product, factor| product.times(affine(factor, batch)?).ok())
        }
        TDim::MulInt(by, inner) => affine(inner, batch)?.scaled(*by).ok(),
        TDim::Div(inner, by) => {
            let (inner, by) = (affine(inner, batch)?, i64::try_from(*by).ok()?);
            let exact = by != 0 && inner.per_row % by == 0 && (inner.fixed % by == 0 || !inner.varies());
            exact.then(|| Extent { fixed: inner.fixed / by, per_row: inner.per_row / by })
        }
        TDim::Broadcast(terms) | TDim::Min(terms) | TDim::Max(terms) => {
            let mut terms = terms.iter().map(|term| affine(term, batch));
            let first = terms.next()??;
            terms.all(|term| term == Some(first)).then_some(first)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::prelude::SymbolScope;

    #[test]
    fn affine_dimensions_are_recognised() {
        let scope = SymbolScope::default();
        let n = scope.sym("N");
        let of = |dim: TDim| Extent::of(&dim, &n).ok();
        let rows = TDim::from(n.clone());
        assert_eq!(of(rows.clone() * 6 + 4), Some(Extent { fixed: 4, per_row: 6 }));
        assert_eq!(of((rows.clone() * 6) / 3), Some(Extent { fixed: 0, per_row: 2 }));
        assert_eq!(of((rows.clone() + 1) / 2), None);
        assert_eq!(of(rows.clone() * rows.clone()), None);
        assert_eq!(of(TDim::from(scope.sym("M"))), None);
        assert_eq!(of(rows - 1).and_then(|extent| extent.dim().ok()), None, "negative for an empty batch");
    }
}

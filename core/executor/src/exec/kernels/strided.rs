//! Kernels that walk two or three tensors by strides: broadcasts, transposes, slices.

use super::{DType, Inputs, by_number, by_width, cast_mut, outside};
use crate::{
    error::{Error, ErrorKind, Result},
    exec::{
        math::{self, Number},
        walk::Walk,
    },
    plan::{BinaryOp, CompareOp, Dim, View},
};
use bytemuck::Pod;

/// A shape walked by two views.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    pub shape: &'a [Dim],
    pub left: &'a View,
    pub right: &'a View,
    pub rows: usize,
}

impl Pair<'_> {
    fn walk(&self) -> Result<Walk<2>> {
        Walk::new(self.shape, [self.left, self.right], self.rows)
    }
}

/// `out[right(i)] = T0[left(i)]`.
#[inline(never)]
pub fn copy(pair: Pair<'_>, dtype: DType, inputs: &Inputs<'_>, out: &mut [u8]) -> Result<()> {
    let walk = pair.walk()?;
    let (len, [step, stride]) = walk.run();
    by_width!(dtype, T => {
        let (from, to) = (inputs.elements::<T>(0)?, cast_mut::<T>(out)?);
        for [source, target] in walk.runs([0, 0]) {
            if (step, stride) == (1, 1) {
                to[target..target + len].copy_from_slice(&from[source..source + len]);
            } else {
                for i in 0..len {
                    to[target + i * stride] = from[source + i * step];
                }
            }
        }
        Ok(())
    })
}

/// `out[i] = op(T0[left(i)], T1[right(i)])`.
#[inline(never)]
pub fn binary(op: BinaryOp, pair: Pair<'_>, dtype: DType, inputs: &Inputs<'_>, out: &mut [u8]) -> Result<()> {
    match (dtype, op) {
        // The commonest have loops of their own, which vectorise.
        (DType::F32, BinaryOp::Add) => zip::<f32, f32>(pair, inputs, out, |a, b| a + b),
        (DType::F32, BinaryOp::Sub) => zip::<f32, f32>(pair, inputs, out, |a, b| a - b),
        (DType::F32, BinaryOp::Mul) => zip::<f32, f32>(pair, inputs, out, |a, b| a * b),
        (DType::F32, BinaryOp::Div) => zip::<f32, f32>(pair, inputs, out, |a, b| a / b),
        (DType::F32, BinaryOp::Prelu) => zip::<f32, f32>(pair, inputs, out, |a, b| if a < 0.0 { a * b } else { a }),
        (DType::Bool | DType::U8, BinaryOp::And) => zip::<u8, u8>(pair, inputs, out, |a, b| a & b),
        (DType::Bool | DType::U8, BinaryOp::Or) => zip::<u8, u8>(pair, inputs, out, |a, b| a | b),
        (DType::Bool | DType::U8, BinaryOp::Xor) => zip::<u8, u8>(pair, inputs, out, |a, b| a ^ b),
        _ => by_number!(dtype, T => {
            let mut undefined = false;
            zip::<T, T>(pair, inputs, out, |a, b| T::binary(op, a, b).unwrap_or_else(|| {
                undefined = true;
                a
            }))?;
            if undefined {
                return Err(Error::new(ErrorKind::DivisionByZero, "an integer was divided by zero; check the input"));
            }
            Ok(())
        }),
    }
}

/// `out[i] = op(T0[left(i)], T1[right(i)])` as 0 or 1.
#[inline(never)]
pub fn compare(op: CompareOp, pair: Pair<'_>, dtype: DType, inputs: &Inputs<'_>, out: &mut [u8]) -> Result<()> {
    match dtype {
        DType::U8 | DType::Bool => zip::<u8, u8>(pair, inputs, out, |a, b| u8::from(math::compare(op, a, b))),
        _ => by_number!(dtype, T => zip::<T, u8>(pair, inputs, out, |a, b| u8::from(math::compare(op, a, b)))),
    }
}

/// `out[i] = if T0[condition(i)] { T1[on_true(i)] } else { T2[on_false(i)] }`.
#[inline(never)]
pub fn select(
    shape: &[Dim],
    views: [&View; 3],
    rows: usize,
    dtype: DType,
    inputs: &Inputs<'_>,
    out: &mut [u8],
) -> Result<()> {
    let condition = inputs.elements::<u8>(0)?;
    let walk = Walk::new(shape, views, rows)?;
    let (len, steps) = walk.run();
    by_width!(dtype, T => {
        let (on_true, on_false, to) = (inputs.elements::<T>(1)?, inputs.elements::<T>(2)?, cast_mut::<T>(out)?);
        for (run, [c, t, f]) in to[..walk.len()].chunks_exact_mut(len.max(1)).zip(walk.runs([0; 3])) {
            for (i, to) in run.iter_mut().enumerate() {
                *to = if condition[c + i * steps[0]] != 0 {
                    on_true[t + i * steps[1]]
                } else {
                    on_false[f + i * steps[2]]
                };
            }
        }
        Ok(())
    })
}

/// `out[i] = f(T0[left(i)], T1[right(i)])`.
fn zip<T: Pod, U: Pod>(
    pair: Pair<'_>,
    inputs: &Inputs<'_>,
    out: &mut [u8],
    mut f: impl FnMut(T, T) -> U,
) -> Result<()> {
    let (left, right, to) = (inputs.elements::<T>(0)?, inputs.elements::<T>(1)?, cast_mut::<U>(out)?);
    let walk = pair.walk()?;
    let (len, steps) = walk.run();
    for (run, [l, r]) in to[..walk.len()].chunks_exact_mut(len.max(1)).zip(walk.runs([0, 0])) {
        match steps {
            [1, 1] => {
                for ((to, a), b) in run.iter_mut().zip(&left[l..l + len]).zip(&right[r..r + len]) {
                    *to = f(*a, *b);
                }
            }
            [1, 0] => {
                let b = right[r];
                for (to, a) in run.iter_mut().zip(&left[l..l + len]) {
                    *to = f(*a, b);
                }
            }
            [0, 1] => {
                let a = left[l];
                for (to, b) in run.iter_mut().zip(&right[r..r + len]) {
                    *to = f(a, *b);
                }
            }
            _ => {
                for (i, to) in run.iter_mut().enumerate() {
                    *to = f(left[l + i * steps[0]], right[r + i * steps[1]]);
                }
            }
        }
    }
    Ok(())
}

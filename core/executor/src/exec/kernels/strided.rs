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
        (DType::F32, BinaryOp::Add) => zip::<f32, f32>(pair, inputs, out, &mut each(|a, b| a + b)),
        (DType::F32, BinaryOp::Sub) => zip::<f32, f32>(pair, inputs, out, &mut each(|a, b| a - b)),
        (DType::F32, BinaryOp::Mul) => zip::<f32, f32>(pair, inputs, out, &mut each(|a, b| a * b)),
        (DType::F32, BinaryOp::Div) => zip::<f32, f32>(pair, inputs, out, &mut each(|a, b| a / b)),
        (DType::F32, BinaryOp::Prelu) => {
            zip::<f32, f32>(pair, inputs, out, &mut each(|a, b| if a < 0.0 { a * b } else { a }))
        }
        (DType::Bool | DType::U8, BinaryOp::And) => zip::<u8, u8>(pair, inputs, out, &mut each(|a, b| a & b)),
        (DType::Bool | DType::U8, BinaryOp::Or) => zip::<u8, u8>(pair, inputs, out, &mut each(|a, b| a | b)),
        (DType::Bool | DType::U8, BinaryOp::Xor) => zip::<u8, u8>(pair, inputs, out, &mut each(|a, b| a ^ b)),
        // Doubles are taken for the integers of their bits, which have the loop already.
        (DType::F64, _) => zip::<i64, i64>(
            pair,
            inputs,
            out,
            &mut each(|a, b| {
                let (a, b) = (double(a), double(b));
                let result = match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    _ => a / b,
                };
                result.to_bits().cast_signed()
            }),
        ),
        _ => by_number!(dtype, T => {
            let mut undefined = false;
            zip::<T, T>(pair, inputs, out, &mut each(|a, b| T::binary(op, a, b).unwrap_or_else(|| {
                undefined = true;
                a
            })))?;
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
        DType::U8 | DType::Bool => {
            zip::<u8, u8>(pair, inputs, out, &mut each(|a, b| u8::from(math::compare(op, a, b))))
        }
        DType::F64 => {
            zip::<i64, u8>(pair, inputs, out, &mut each(|a, b| u8::from(math::compare(op, double(a), double(b)))))
        }
        _ => by_number!(dtype, T => {
            zip::<T, u8>(pair, inputs, out, &mut each(|a, b| u8::from(math::compare(op, a, b))))
        }),
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

const fn double(bits: i64) -> f64 {
    f64::from_bits(bits.cast_unsigned())
}

/// Elements that are laid side by side at once, where they are not.
const BLOCK: usize = 128;

/// An operation on elements that lie side by side: where results go, and both operands.
type Operation<'a, T, U> = &'a mut dyn FnMut(&mut [U], &[T], &[T]);

/// Calls `f` for all elements, block by block. Operands are laid side by side first where they are not, so that an
/// operation is one loop whatever the strides: the module is to be small.
#[inline(never)]
fn zip<T: Pod, U: Pod>(pair: Pair<'_>, inputs: &Inputs<'_>, out: &mut [u8], f: Operation<'_, T, U>) -> Result<()> {
    let (left, right, to) = (inputs.elements::<T>(0)?, inputs.elements::<T>(1)?, cast_mut::<U>(out)?);
    let walk = pair.walk()?;
    let (len, steps) = walk.run();
    let mut to = &mut to[..walk.len()];
    if steps == [1, 1] && len >= BLOCK {
        for (run, [l, r]) in to.chunks_exact_mut(len).zip(walk.runs([0, 0])) {
            f(run, &left[l..l + len], &right[r..r + len]);
        }
        return Ok(());
    }
    let [mut a, mut b] = [[T::zeroed(); BLOCK]; 2];
    let mut filled = 0;
    for [mut l, mut r] in walk.runs([0, 0]) {
        let mut rest = len;
        while rest > 0 {
            let block = filled..BLOCK.min(filled + rest);
            lay(left, l, steps[0], &mut a[block.clone()]);
            lay(right, r, steps[1], &mut b[block.clone()]);
            (l, r) = (l + block.len() * steps[0], r + block.len() * steps[1]);
            rest -= block.len();
            filled = block.end;
            if filled == BLOCK {
                f(to.split_off_mut(..BLOCK).unwrap_or_default(), &a, &b);
                filled = 0;
            }
        }
    }
    f(to, &a[..filled], &b[..filled]);
    Ok(())
}

/// Lays elements that are `step` apart side by side.
#[inline(never)]
fn lay<T: Pod>(from: &[T], at: usize, step: usize, to: &mut [T]) {
    match step {
        0 => to.fill(from[at]),
        1 => to.iter_mut().zip(&from[at..]).for_each(|(to, from)| *to = *from),
        _ => to.iter_mut().zip(from[at..].iter().step_by(step)).for_each(|(to, from)| *to = *from),
    }
}

/// `to[i] = f(a[i], b[i])`.
fn each<T: Pod, U: Pod>(mut f: impl FnMut(T, T) -> U) -> impl FnMut(&mut [U], &[T], &[T]) {
    move |to, a, b| {
        for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
            *to = f(*a, *b);
        }
    }
}

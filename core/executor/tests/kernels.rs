//! Comparison of kernels with plain loops, over random shapes and strides.

use proptest::prelude::*;
use tradewind_executor::{
    Executor,
    aligned::AlignedBytes,
    exec::{Data, DataMut},
    plan::{
        Activation, AxisShape, Batch, Buffer, BufferId, Contract, DENSE_PANEL, DType, Dense, Dim, Encoding, Kernel,
        Operand, Plan, Port, Reduce, ReduceOp, Softmax, Step, TopK, View, Weight, WeightId,
    },
};

/// Runs one step over F32 tensors without a batch; `weights` are inputs after the tensors.
#[expect(clippy::expect_used, reason = "what fails here fails the test")]
fn run<T: Clone + Default>(
    kernel: impl Into<Kernel>,
    tensors: &[&[f32]],
    weights: &[&[f32]],
    output: DType,
    len: usize,
    data: impl FnOnce(&mut [T]) -> DataMut<'_>,
) -> Vec<T> {
    let mut offset = 0u32;
    let mut place = |dtype: DType, len: usize| {
        let buffer = Buffer { dtype, len: Dim::fixed(len as u32), offset };
        offset += (len * dtype.bytes()).next_multiple_of(16) as u32;
        buffer
    };
    let mut buffers: Vec<Buffer> = tensors.iter().map(|tensor| place(DType::F32, tensor.len())).collect();
    buffers.push(place(output, len));
    let (mut bytes, mut placed) = (Vec::<u8>::new(), Vec::new());
    for weight in weights {
        placed.push(Weight {
            dtype: DType::F32,
            len: weight.len() as u32,
            offset: bytes.len() as u32,
            encoding: Encoding::Plain,
        });
        bytes.extend(weight.iter().flat_map(|value| value.to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(16), 0);
    }
    let port = |n: usize| Port {
        name: n.to_string(),
        shape: vec![buffers[n].len],
        buffer: BufferId(n as u16),
        categories: vec![],
    };
    let buffer_inputs = (0..tensors.len()).map(|n| Operand::Buffer(BufferId(n as u16)));
    let weight_inputs = (0..weights.len()).map(|n| Operand::Weight(WeightId(n as u16)));
    let plan = Plan {
        batch: Batch::Joint,
        tile: 1,
        arena_bytes: offset,
        inputs: (0..tensors.len()).map(port).collect(),
        outputs: vec![port(tensors.len())],
        steps: vec![Step {
            kernel: kernel.into(),
            inputs: buffer_inputs.chain(weight_inputs).collect(),
            output: BufferId(tensors.len() as u16),
            node: "n".into(),
        }],
        buffers,
        weights: placed,
        texts: vec![],
    };
    let weights = AlignedBytes::copy_of(&bytes).expect("small");
    let inputs: Vec<Data<'_>> = tensors.iter().map(|tensor| Data::F32(tensor)).collect();
    let mut out = vec![T::default(); len];
    let mut executor = Executor::new(plan, weights.as_slice()).expect("the plan is sound");
    executor.run(weights.as_slice(), 1, &inputs, &mut [data(&mut out)]).expect("it runs");
    out
}

fn floats(kernel: impl Into<Kernel>, tensors: &[&[f32]], weights: &[&[f32]], len: usize) -> Vec<f32> {
    run(kernel, tensors, weights, DType::F32, len, |out| DataMut::F32(out))
}

/// Numbers whose sums depend on the order of addition.
fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as f32 / (1u64 << 30) as f32 - 1.0) * if state & 0x700 == 0 { 100.0 } else { 1.0 }
    });
    next.take(len).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn fixed(extents: &[usize]) -> Vec<Dim> {
    extents.iter().map(|&extent| Dim::fixed(extent as u32)).collect()
}

fn view(strides: &[usize]) -> View {
    View { offset: Dim::fixed(0), strides: fixed(strides) }
}

/// Number of elements that a view reaches.
fn reach(extents: &[usize], strides: &[usize]) -> usize {
    1 + extents.iter().zip(strides).map(|(extent, stride)| extent.saturating_sub(1) * stride).sum::<usize>()
}

proptest! {
    #[test]
    fn a_layer_adds_up_in_order(rows in 0usize..11, inner in 1usize..20, columns in 1usize..40, relu: bool, seed: u64) {
        let (x, matrix) = (numbers(rows * inner, seed), numbers(inner * columns, seed ^ 1));
        let panels = columns.div_ceil(DENSE_PANEL);
        let (mut packed, mut bias) = (vec![0.0; panels * inner * DENSE_PANEL], numbers(columns, seed ^ 2));
        for (n, value) in matrix.iter().enumerate() {
            let (k, column) = (n / columns, n % columns);
            packed[(column / DENSE_PANEL * inner + k) * DENSE_PANEL + column % DENSE_PANEL] = *value;
        }
        bias.resize(panels * DENSE_PANEL, 0.0);
        let wanted: Vec<f32> = (0..rows * columns).map(|n| {
            let (row, column) = (n / columns, n % columns);
            let sum = (0..inner).fold(bias[column], |sum, k| sum + x[row * inner + k] * matrix[k * columns + column]);
            if relu && sum < 0.0 { 0.0 } else { sum }
        }).collect();
        let activation = if relu { Activation::Relu } else { Activation::None };
        let kernel = Dense {
            rows: Dim::fixed(rows as u32), inner: inner as u32, columns: columns as u32, activation,
        };
        prop_assert_eq!(bits(&floats(kernel, &[&x], &[&packed, &bias], rows * columns)), bits(&wanted));
    }

    /// Products of every form: batches, rows and columns in any order, transposed, broadcast,
    /// overlapping, and sums over nothing, one axis or two.
    #[test]
    fn a_contraction_adds_up_in_order(
        extents in prop::collection::vec(0usize..11, 0..4),
        over in prop::collection::vec(prop_oneof![0usize..6, 120usize..140], 0..3),
        steps in prop::collection::vec((0usize..4, 0usize..4), 7),
        seed: u64,
    ) {
        prop_assume!(over.iter().product::<usize>() < 1000);
        let all = [&extents[..], &over].concat();
        // A stride is 0, 1, or a multiple of the next axis's range.
        let strides = |pick: fn(&(usize, usize)) -> usize| {
            let mut strides = vec![0; all.len()];
            let mut walked = 1;
            for axis in (0..all.len()).rev() {
                strides[axis] = [0, 1, walked, walked + 3][pick(&steps[axis])];
                walked = walked.max(strides[axis] * all[axis].max(1));
            }
            strides
        };
        let (left, right) = (strides(|step| step.0), strides(|step| step.1));
        prop_assume!(reach(&all, &left).max(reach(&all, &right)) < 1 << 20);
        let (a, b) = (numbers(reach(&all, &left), seed), numbers(reach(&all, &right), seed ^ 1));
        let len: usize = extents.iter().product();
        let terms: usize = over.iter().product();
        let at = |mut n: usize, extents: &[usize], strides: &[usize]| {
            let mut at = 0;
            for (extent, stride) in extents.iter().zip(strides).rev() {
                at += n % extent * stride;
                n /= extent;
            }
            at
        };
        let split = extents.len();
        let wanted: Vec<f32> = (0..len).map(|i| (0..terms).fold(0.0, |sum, j| {
            let l = at(i, &extents, &left[..split]) + at(j, &over, &left[split..]);
            let r = at(i, &extents, &right[..split]) + at(j, &over, &right[split..]);
            sum + a[l] * b[r]
        })).collect();
        let kernel = Contract {
            shape: fixed(&extents), over: fixed(&over), left: view(&left), right: view(&right),
        };
        prop_assert_eq!(bits(&floats(kernel, &[&a, &b], &[], len)), bits(&wanted));
    }

    #[test]
    fn softmax_adds_up_to_one(outer in 1usize..4, axis in 1usize..20, inner in 1usize..6, log: bool, seed: u64) {
        let x = numbers(outer * axis * inner, seed);
        let shape = AxisShape {
            outer: Dim::fixed(outer as u32), axis: Dim::fixed(axis as u32), inner: Dim::fixed(inner as u32),
        };
        let found = floats(Softmax { shape, log, zero_stays: false }, &[&x], &[], x.len());
        for o in 0..outer {
            for i in 0..inner {
                let at = |n: usize| (o * axis + n) * inner + i;
                let greatest = (0..axis).map(|n| f64::from(x[at(n)])).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..axis).map(|n| (f64::from(x[at(n)]) - greatest).exp()).sum();
                for n in 0..axis {
                    let shifted = f64::from(x[at(n)]) - greatest;
                    let wanted = if log { shifted - sum.ln() } else { shifted.exp() / sum };
                    let near = (f64::from(found[at(n)]) - wanted).abs() <= 1e-6 * wanted.abs().max(1.0);
                    prop_assert!(near, "{} is not {wanted}", found[at(n)]);
                }
            }
        }
    }

    #[test]
    fn sums_are_those_of_every_fourth_element(rows in 1usize..4, count in 1usize..30, apart in 1usize..3, seed: u64) {
        let x = numbers(rows * count * apart, seed);
        let kernel = Reduce {
            op: ReduceOp::SumOfSquares, shape: fixed(&[rows]), over: fixed(&[count]), source: view(&[count * apart, apart]),
        };
        let found = floats(kernel, &[&x], &[], rows);
        let wanted: Vec<f32> = x.chunks(count * apart).map(|row| {
            let squares = row.iter().step_by(apart).map(|x| x * x);
            if apart > 1 {
                return squares.fold(0.0, |sum, square| sum + square);
            }
            let mut sums = [0.0; 4];
            squares.enumerate().for_each(|(n, square)| sums[n % 4] += square);
            (sums[0] + sums[1]) + (sums[2] + sums[3])
        }).collect();
        prop_assert_eq!(bits(&found), bits(&wanted));
    }

    #[test]
    fn a_middle_axis_is_reduced_as_by_a_loop(
        outer in 1usize..3, count in 1usize..6, len in 1usize..40, nan in 0usize..200, seed: u64,
    ) {
        // Few values, so that many are equal, and zeros of both signs.
        let mut x: Vec<f32> = numbers(outer * count * len, seed).iter().map(|x| (x * 4.0).round() / 4.0).collect();
        if let Some(x) = x.get_mut(nan) {
            *x = f32::NAN;
        }
        let most = |better: fn(f32, f32) -> bool| move |best, x: f32| if better(x, best) || x.is_nan() { x } else { best };
        type Combine = Box<dyn Fn(f32, f32) -> f32>;
        let all: [(ReduceOp, f32, Combine); 8] = [
            (ReduceOp::Sum, 0.0, Box::new(|sum, x| sum + x)),
            (ReduceOp::Mean, 0.0, Box::new(|sum, x| sum + x)),
            (ReduceOp::SumOfSquares, 0.0, Box::new(|sum, x| sum + x * x)),
            (ReduceOp::SumOfMagnitudes, 0.0, Box::new(|sum, x| sum + x.abs())),
            (ReduceOp::Product, 1.0, Box::new(|product, x| product * x)),
            (ReduceOp::Max, f32::NEG_INFINITY, Box::new(most(|x, best| x > best))),
            (ReduceOp::Min, f32::INFINITY, Box::new(most(|x, best| x < best))),
            (ReduceOp::MaxMagnitude, 0.0, Box::new(move |best, x| most(|x, best| x > best)(best, x.abs()))),
        ];
        for (op, start, combine) in all {
            let source = view(&[count * len, 1, len]);
            let kernel = Reduce { op, shape: fixed(&[outer, len]), over: fixed(&[count]), source };
            let wanted: Vec<f32> = (0..outer * len).map(|n| {
                let first = n / len * count * len + n % len;
                let all = (0..count).fold(start, |state, j| combine(state, x[first + j * len]));
                let result = if op == ReduceOp::Mean { all / count as f32 } else { all };
                if result.is_nan() { f32::NAN } else { result }
            }).collect();
            prop_assert_eq!(bits(&floats(kernel, &[&x], &[], outer * len)), bits(&wanted), "{:?}", op);
        }
    }

    #[test]
    fn all_of_a_part_is_reduced_to_a_scalar(before in 0usize..20, count in 1usize..30, apart in 1usize..3, seed: u64) {
        let x = numbers(before + count * apart, seed);
        let from = |offset: usize| View { offset: Dim::fixed(offset as u32), ..view(&[apart]) };
        let reduce = Reduce { op: ReduceOp::Max, shape: vec![], over: fixed(&[count]), source: from(before) };
        let part = x[before..].iter().step_by(apart).take(count);
        prop_assert_eq!(floats(reduce, &[&x], &[], 1), [part.clone().copied().fold(f32::MIN, f32::max)]);
        let contract =
            Contract { shape: vec![], over: fixed(&[count]), left: from(before), right: from(before) };
        let found = floats(contract, &[&x, &x], &[], 1);
        prop_assert_eq!(found, [part.fold(0.0, |sum, x| sum + x * x)]);
    }

    #[test]
    fn the_first_k_are_those_of_a_stable_sort(
        axis in 1usize..40, inner in 1usize..4, part in 0.0f64..=1.0, largest: bool, seed: u64,
    ) {
        let k = (part * axis as f64) as usize;
        // Few values, so that many are equal; some are NaN, and zeros of both signs.
        let x: Vec<f32> = numbers(axis * inner, seed).iter().map(|x| match (x * 4.0).round() {
            3.0 => f32::NAN,
            rounded => rounded,
        }).collect();
        let data = AxisShape { outer: Dim::fixed(1), axis: Dim::fixed(axis as u32), inner: Dim::fixed(inner as u32) };
        let kernel = TopK { data, k: k as u32, largest };
        let found: Vec<i64> = run(kernel, &[&x], &[], DType::I64, k * inner, |out| DataMut::I64(out));
        for i in 0..inner {
            let mut order: Vec<usize> = (0..axis).collect();
            let value = |n: usize| x[n * inner + i];
            order.sort_by(|&a, &b| {
                let order = value(a).partial_cmp(&value(b)).unwrap_or_else(|| value(a).is_nan().cmp(&value(b).is_nan()));
                if largest { order.reverse() } else { order }
            });
            let found: Vec<usize> = (0..k).map(|p| found[p * inner + i] as usize).collect();
            prop_assert_eq!(&found[..], &order[..k]);
        }
    }
}

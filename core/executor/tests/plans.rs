//! Hand-made plans: valid ones run, invalid ones are refused.

use proptest::prelude::*;
use tradewind_executor::{
    ErrorKind, Executor,
    aligned::AlignedBytes,
    exec::{Data, DataMut, Matrix},
    plan::{
        Aggregate, AxisShape, Batch, Binary, BinaryOp, Buffer, BufferId, Cast, Cell, Copy, Couple, Cumulate, DType,
        Dim, Distances, Encoding, Fill, GateFunction, Kernel, Lookup, Operand, Plan, Port, Recurrent, Scatter, Step,
        TopK, TreeBlock, Trees, View, Weight, WeightId,
    },
    text::{TextFeatures, TextPart, Vectorizer},
};

/// A plan of one step from buffer 0 to buffer 1, over rows of `width`.
fn one_step(kernel: impl Into<Kernel>, width: u32, output: DType, out_width: u32, tile: u32, batch: Batch) -> Plan {
    let buffer = |dtype, width, offset| Buffer { dtype, len: Dim::per_row(width), offset };
    let port = |name: &str, width, buffer| Port {
        name: name.into(),
        shape: vec![Dim::per_row(1), Dim::fixed(width)],
        buffer: BufferId(buffer),
        categories: vec![],
    };
    let second = (4 * width * tile).next_multiple_of(16);
    Plan {
        batch,
        tile,
        arena_bytes: second + (8 * out_width * tile).next_multiple_of(16),
        inputs: vec![port("x", width, 0)],
        outputs: vec![port("y", out_width, 1)],
        buffers: vec![buffer(DType::F32, width, 0), buffer(output, out_width, second)],
        weights: vec![],
        steps: vec![Step {
            kernel: kernel.into(),
            inputs: vec![Operand::Buffer(BufferId(0))],
            output: BufferId(1),
            node: "n".into(),
        }],
        texts: vec![],
    }
}

fn top_k(width: u32, k: u32, largest: bool) -> Plan {
    let data = AxisShape { outer: Dim::per_row(1), axis: Dim::fixed(width), inner: Dim::fixed(1) };
    one_step(TopK { data, k, largest }, width, DType::I64, k, 4, Batch::Independent)
}

fn doubled(tile: u32, batch: Batch) -> Plan {
    let view = View { offset: Dim::fixed(0), strides: vec![Dim::fixed(1)] };
    let shape = vec![Dim::per_row(3)];
    let kernel = Binary { op: BinaryOp::Add, shape, left: view.clone(), right: view };
    let mut plan = one_step(kernel, 3, DType::F32, 3, tile, batch);
    plan.steps[0].inputs.push(Operand::Buffer(BufferId(0)));
    plan
}

#[test]
fn a_batch_of_any_size_runs_in_tiles() {
    let mut executor = Executor::new(doubled(4, Batch::Independent), &[]).expect("the plan is sound");
    for rows in [0, 1, 3, 4, 5, 100] {
        let x: Vec<f32> = (0..rows * 3).map(|n| n as f32).collect();
        let mut y = vec![f32::NAN; rows * 3];
        executor.run(&[], rows, &[Data::F32(&x)], &mut [DataMut::F32(&mut y)]).expect("it runs");
        assert!(x.iter().zip(&y).all(|(x, y)| 2.0 * x == *y), "{rows} rows");
    }
}

#[test]
fn rows_that_look_at_each_other_are_limited_to_a_tile() {
    let mut executor = Executor::new(doubled(4, Batch::Joint), &[]).expect("the plan is sound");
    let (x, mut y) = ([0.0; 15], [0.0; 15]);
    let error = executor.run(&[], 5, &[Data::F32(&x)], &mut [DataMut::F32(&mut y)]).expect_err("five rows");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn an_input_without_a_batch_is_the_same_for_every_tile() {
    let mut plan = doubled(4, Batch::Independent);
    let view = |stride| View { offset: Dim::fixed(0), strides: vec![Dim::fixed(stride), Dim::fixed(1)] };
    let shape = vec![Dim::per_row(1), Dim::fixed(3)];
    plan.buffers.push(Buffer { dtype: DType::F32, len: Dim::fixed(3), offset: plan.arena_bytes });
    plan.arena_bytes += 16;
    plan.inputs.push(Port { name: "b".into(), shape: vec![Dim::fixed(3)], buffer: BufferId(2), categories: vec![] });
    plan.steps[0].kernel = Binary { op: BinaryOp::Add, shape, left: view(3), right: view(0) }.into();
    plan.steps[0].inputs[1] = Operand::Buffer(BufferId(2));
    let mut executor = Executor::new(plan, &[]).expect("the plan is sound");
    let (x, b, mut y) = (vec![1.0; 30], [10.0, 20.0, 30.0], vec![0.0; 30]);
    executor.run(&[], 10, &[Data::F32(&x), Data::F32(&b)], &mut [DataMut::F32(&mut y)]).expect("it runs");
    assert!(y.chunks(3).all(|row| row == [11.0, 21.0, 31.0]), "{y:?}");
}

#[test]
fn no_rows_have_no_scores() {
    for batch in [Batch::Independent, Batch::Joint] {
        let mut executor = Executor::new(doubled(4, batch), &[]).expect("the plan is sound");
        for features in [Matrix::Rows(&[]), Matrix::Columns(&[])] {
            executor.score(&[], 0, features, &mut []).expect("there is nothing to do");
        }
    }
}

#[test]
fn a_tensor_that_does_not_fit_is_named() {
    let mut executor = Executor::new(doubled(4, Batch::Independent), &[]).expect("the plan is sound");
    let mut y = [0.0; 3];
    for (x, words) in [(Data::F32(&[0.0; 2]), "2 elements of F32"), (Data::I64(&[0; 3]), "3 elements of I64")] {
        let error = executor.run(&[], 1, &[x], &mut [DataMut::F32(&mut y)]).expect_err("it does not fit");
        assert_eq!(error.kind(), ErrorKind::BadTensor);
        assert!(error.message().contains("`x`") && error.message().contains(words), "{error}");
    }
}

#[test]
fn plans_that_reach_outside_their_buffers_are_refused() {
    let sound = || doubled(4, Batch::Independent);
    type Break = fn(&mut Plan);
    let broken: [(&str, Break); 10] = [
        ("an output in the input", |plan| plan.buffers[1].offset = 16),
        ("a buffer past the arena", |plan| plan.arena_bytes = plan.buffers[1].offset + 16),
        ("an unaligned buffer", |plan| plan.buffers[1].offset += 4),
        ("a buffer that is not there", |plan| plan.steps[0].output = BufferId(7)),
        ("a weight that is not there", |plan| plan.steps[0].inputs[0] = Operand::Weight(WeightId(0))),
        ("too few inputs", |plan| plan.steps[0].inputs.truncate(1)),
        ("another type", |plan| plan.buffers[0].dtype = DType::I32),
        ("a view past its buffer", |plan| {
            if let Kernel::Binary(Binary { left, .. }) = &mut plan.steps[0].kernel {
                left.offset = Dim::fixed(1);
            }
        }),
        ("no rows", |plan| plan.tile = 0),
        ("what nothing has written", |plan| plan.inputs.clear()),
    ];
    assert!(Executor::new(sound(), &[]).is_ok());
    for (what, breaks) in broken {
        let mut plan = sound();
        breaks(&mut plan);
        let error = Executor::new(plan, &[]).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidPlan, "{what}: {error}");
    }
}

proptest! {
    #[test]
    fn the_first_k_are_those_of_a_stable_sort(
        x in proptest::collection::vec(prop_oneof![(-3i8..3).prop_map(f32::from), Just(f32::NAN), Just(f32::INFINITY)], 12),
        k in 0u32..=12,
        largest in any::<bool>(),
    ) {
        let mut executor = Executor::new(top_k(12, k, largest), &[]).expect("the plan is sound");
        let mut found = vec![-1; k as usize];
        executor.run(&[], 1, &[Data::F32(&x)], &mut [DataMut::I64(&mut found)]).expect("it runs");
        // NaN is larger than every number.
        let key = |n: &i64| if x[*n as usize].is_nan() { f64::INFINITY } else { f64::from(x[*n as usize]).min(1e9) };
        let mut expected: Vec<i64> = (0..12).collect();
        expected.sort_by(|a, b| if largest { key(b).total_cmp(&key(a)) } else { key(a).total_cmp(&key(b)) });
        prop_assert_eq!(found, &expected[..k as usize]);
    }
}

/// A GRU over three steps of rows whose gates' inputs are the model's input.
fn gru(tile: u32) -> (Plan, Vec<u8>) {
    let (steps, hidden, padded) = (3u32, 5u32, 8u32);
    let view = |strides: [u32; 3]| View { offset: Dim::fixed(0), strides: strides.map(Dim::fixed).to_vec() };
    let layer = Recurrent {
        cell: Cell::Gru,
        functions: [GateFunction::Sigmoid, GateFunction::Tanh, GateFunction::Tanh],
        clip: f32::INFINITY,
        rows: Dim::per_row(1),
        steps,
        hidden,
        reverse: false,
        keep: true,
        lengths: false,
        peepholes: false,
        source: view([steps * 3 * padded, 3 * padded, 1]),
        initial: view([0, 0, 1]),
    };
    let stretch = layer.stretch() as u32;
    let mut plan =
        one_step(Kernel::Recurrent(layer), steps * 3 * padded, DType::F32, stretch, tile, Batch::Independent);
    let mut bytes = Vec::new();
    for len in [3 * padded * hidden, 3 * padded, hidden] {
        let offset = bytes.len() as u32;
        let values = (0..len).map(|n| ((n * 7 % 13) as f32 - 6.0) / 9.0);
        bytes.extend(values.flat_map(f32::to_le_bytes));
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        plan.steps[0].inputs.push(Operand::Weight(WeightId(plan.weights.len() as u16)));
        plan.weights.push(Weight { dtype: DType::F32, len, offset, encoding: Encoding::Plain });
    }
    (plan, bytes)
}

#[test]
fn a_sequence_has_the_same_states_alone_and_among_others() {
    let (plan, bytes) = gru(8);
    let weights = AlignedBytes::copy_of(&bytes).expect("few bytes");
    let (width, stretch) = (72, plan.outputs[0].shape[1].at(0));
    let mut executor = Executor::new(plan, weights.as_slice()).expect("the plan is sound");
    let x: Vec<f32> = (0..7 * width).map(|n| ((n * 31 % 97) as f32 - 48.0) / 16.0).collect();
    let mut together = vec![0.0; 7 * stretch];
    executor.run(weights.as_slice(), 7, &[Data::F32(&x)], &mut [DataMut::F32(&mut together)]).expect("it runs");
    for (row, together) in x.chunks(width).zip(together.chunks(stretch)) {
        let mut alone = vec![0.0; stretch];
        executor.run(weights.as_slice(), 1, &[Data::F32(row)], &mut [DataMut::F32(&mut alone)]).expect("it runs");
        assert!(alone.iter().zip(together).all(|(a, b)| a.to_bits() == b.to_bits()));
        // The last state is the last kept one.
        assert_eq!(together[..5], together[stretch - 8..stretch - 3]);
    }
}

#[test]
fn recurrent_layers_that_reach_outside_their_buffers_are_refused() {
    type Break = fn(&mut Recurrent);
    let broken: [(&str, Break); 8] = [
        ("more steps than there are", |layer| layer.steps = 4),
        ("more steps than can be counted", |layer| layer.steps = u32::MAX),
        ("more units than weights", |layer| layer.hidden = 6),
        ("more units than can be counted", |layer| layer.hidden = u32::MAX),
        ("a cell of more gates", |layer| layer.cell = Cell::Lstm),
        ("lengths that are not there", |layer| layer.lengths = true),
        ("peepholes of a GRU", |layer| layer.peepholes = true),
        ("gates that lie apart", |layer| layer.source.strides[2] = Dim::fixed(2)),
    ];
    for (what, breaks) in broken {
        let (mut plan, bytes) = gru(8);
        let weights = AlignedBytes::copy_of(&bytes).expect("few bytes");
        if let Kernel::Recurrent(layer) = &mut plan.steps[0].kernel {
            breaks(layer);
        }
        let error = Executor::new(plan, weights.as_slice()).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidPlan, "{what}: {error}");
    }
}

/// Two trees over two features, one with bit vectors and one without: `1 + 2` where the first is at most
/// 0.5, else `4 + 8`.
fn forest() -> (Plan, [Vec<u32>; 7]) {
    let blocks = [1, 0].map(|bytes| TreeBlock { trees: 1, columns: 1, slots: 4, steps: 1, bytes }).to_vec();
    let kernel = Trees { rows: Dim::per_row(1), features: 2, targets: 1, aggregate: Aggregate::Sum, blocks };
    let leaf = |n: u32, at: u32| [TreeBlock::LEAF | n, at - 1];
    let slots = [[0, 0], [0.5f32.to_bits(), 2], leaf(0, 2), leaf(1, 3)];
    let mut votes = vec![0; 10];
    for (at, vote) in [(0, 1.0f32), (1, 4.0), (8, 2.0), (9, 8.0)] {
        votes[at] = vote.to_bits();
    }
    // The number of the threshold is 0, so the limit is -127.
    let test = |kept: u32| 0x81 << 8 | kept;
    let tables = [
        vec![1, 1, 1, 0, 0, 1, 1, 1, 0, 8, 0, 1],
        vec![0, 1, 1, 0, 0, 0],
        vec![0.5f32.to_bits()],
        vec![test(0xfe), test(0xff), test(0xff), test(0xff)],
        [slots, slots].as_flattened().as_flattened().to_vec(),
        votes,
        vec![0],
    ];
    (one_step(kernel, 2, DType::F32, 1, 40, Batch::Independent), tables)
}

fn with_forest(
    (mut plan, tables): (Plan, [Vec<u32>; 7]),
) -> Result<(Executor, AlignedBytes), tradewind_executor::Error> {
    let mut bytes = Vec::new();
    for (n, table) in tables.iter().enumerate() {
        let dtype = if matches!(n, 2 | 5 | 6) { DType::F32 } else { DType::I32 };
        plan.steps[0].inputs.push(Operand::Weight(WeightId(n as u16)));
        let (len, offset) = (table.len() as u32, bytes.len() as u32);
        plan.weights.push(Weight { dtype, len, offset, encoding: Encoding::Plain });
        bytes.extend(table.iter().flat_map(|number| number.to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(16), 0);
    }
    let weights = AlignedBytes::copy_of(&bytes)?;
    Ok((Executor::new(plan, weights.as_slice())?, weights))
}

#[test]
fn trees_score_few_rows_and_many_alike() {
    let (mut executor, weights) = with_forest(forest()).expect("sound tables");
    let sides = [(0.5, 3.0), (0.6, 12.0), (f32::NAN, 12.0), (f32::NEG_INFINITY, 3.0), (-0.0, 3.0)];
    for rows in 0..40 {
        let x: Vec<f32> = (0..rows).flat_map(|row| [sides[row % sides.len()].0, 9.0]).collect();
        let expected: Vec<f32> = (0..rows).map(|row| sides[row % sides.len()].1).collect();
        let mut y = vec![0.0; rows];
        executor.score(weights.as_slice(), rows, Matrix::Rows(&x), &mut y).expect("it runs");
        assert_eq!(y, expected);
    }
}

#[test]
fn tree_tables_that_reach_outside_each_other_are_refused() {
    type Break = fn(&mut [Vec<u32>; 7]);
    let broken: [(&str, Break); 24] = [
        ("a tree that is not whole", |tables| tables[0].truncate(11)),
        ("a tree of no block", |tables| tables[0].extend([1, 1, 0, 8, 0, 1])),
        ("a root that is no slot", |tables| tables[0][0] = 4),
        ("a way without end", |tables| tables[0][1] = u32::MAX),
        ("a tree of no bytes", |tables| tables[0][2] = 0),
        ("a tree of nine bytes", |tables| tables[0][2] = 9),
        ("a tree of bytes without end", |tables| tables[0][2] = u32::MAX),
        ("a tree of bytes that its block has not", |tables| tables[0][8] = 1),
        ("a tree of more leaves than votes", |tables| tables[0][3] = 3),
        ("votes from where nothing is", |tables| tables[0][3] = u32::MAX),
        ("a vote for a second target", |tables| tables[0][4] = 1),
        ("votes for more targets than can be counted", |tables| tables[0][5] = u32::MAX),
        ("no votes", |tables| tables[0][11] = 0),
        ("a column that is not there", |tables| tables[1].truncate(3)),
        ("a column of a third feature", |tables| tables[1][0] = 4),
        ("a column of more thresholds than there are", |tables| tables[1][1] = 2),
        ("a column of fewer thresholds than there are", |tables| tables[1][1] = 0),
        ("a column of more tests than there are", |tables| tables[1][2] = 2),
        ("a column of fewer tests than there are", |tables| tables[1][2] = 0),
        ("tests that are too few", |tables| tables[3].truncate(3)),
        ("a test in the byte of another block", |tables| tables[3][1] |= 1 << 16),
        ("a child that is no slot", |tables| tables[4][3] = 3),
        ("a slot with a second column", |tables| tables[4][3] |= 1 << TreeBlock::CHILD_BITS),
        ("base values for two targets", |tables| tables[6].push(0)),
    ];
    for (what, breaks) in broken {
        let (plan, mut tables) = forest();
        breaks(&mut tables);
        let error = with_forest((plan, tables)).map(|_| ()).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidPlan, "{what}: {error}");
    }
    let (plan, mut tables) = forest();
    tables[1][1] = 256;
    tables[2].resize(256, 0);
    assert!(with_forest((plan, tables)).is_err(), "more thresholds than a byte counts");

    type BreakBlock = fn(&mut TreeBlock);
    let broken: [(&str, BreakBlock); 8] = [
        ("more trees than there are", |block| block.trees = 3),
        ("more columns than there are", |block| block.columns = 3),
        ("fewer columns than there are", |block| block.columns = 0),
        ("more slots than there are", |block| block.slots = 9),
        ("fewer slots than there are", |block| block.slots = 3),
        ("more bytes than those of the trees", |block| block.bytes = 2),
        ("bytes without end", |block| block.bytes = u32::MAX),
        ("no bytes where a tree has some", |block| block.bytes = 0),
    ];
    for (what, breaks) in broken {
        let (mut plan, tables) = forest();
        if let Kernel::Trees(Trees { blocks, .. }) = &mut plan.steps[0].kernel {
            breaks(&mut blocks[0]);
        }
        let error = with_forest((plan, tables)).map(|_| ()).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidPlan, "{what}: {error}");
    }
}

/// A plan of `[rows, 6]` F32 in, `[rows, 6]` F32 out.
fn cumulate(op: BinaryOp, exclusive: bool, reverse: bool) -> Plan {
    let data = AxisShape { outer: Dim::per_row(1), axis: Dim::fixed(3), inner: Dim::fixed(2) };
    one_step(Cumulate { op, data, exclusive, reverse }, 6, DType::F32, 6, 4, Batch::Independent)
}

#[test]
fn a_running_sum_or_product_counts_from_either_end_with_or_without_itself() {
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    for (op, exclusive, reverse, expected) in [
        (BinaryOp::Add, false, false, [1.0, 2.0, 4.0, 6.0, 9.0, 12.0]),
        (BinaryOp::Add, true, false, [0.0, 0.0, 1.0, 2.0, 4.0, 6.0]),
        (BinaryOp::Mul, false, true, [15.0, 48.0, 15.0, 24.0, 5.0, 6.0]),
        (BinaryOp::Mul, true, true, [15.0, 24.0, 5.0, 6.0, 1.0, 1.0]),
    ] {
        let mut executor = Executor::new(cumulate(op, exclusive, reverse), &[]).expect("the plan is sound");
        let mut y = [f32::NAN; 6];
        executor.run(&[], 1, &[Data::F32(&x)], &mut [DataMut::F32(&mut y)]).expect("it runs");
        assert_eq!(y, expected, "{op:?}");
    }
}

/// A plan that fills `[rows, 4]` with tens and scatters `[rows, 2]` into each row by an input of positions.
fn scatter(op: Option<BinaryOp>) -> Plan {
    let mut plan = one_step(Fill { value: 10.0 }, 2, DType::F32, 4, 4, Batch::Independent);
    plan.steps[0].inputs.clear();
    plan.buffers.push(Buffer { dtype: DType::I64, len: Dim::per_row(2), offset: plan.arena_bytes });
    plan.arena_bytes += 64;
    let port = Port { name: "at".into(), buffer: BufferId(2), ..plan.inputs[0].clone() };
    plan.inputs.push(port);
    let view = |strides: &[u32]| View {
        offset: Dim::fixed(0),
        strides: strides.iter().map(|&stride| Dim::fixed(stride)).collect(),
    };
    plan.steps.push(Step {
        kernel: Scatter {
            op,
            shape: vec![Dim::per_row(1), Dim::fixed(2)],
            axis: Dim::fixed(4),
            index: view(&[2, 1]),
            source: view(&[2, 1]),
            target: view(&[4, 0, 1]),
        }
        .into(),
        inputs: vec![Operand::Buffer(BufferId(2)), Operand::Buffer(BufferId(0))],
        output: BufferId(1),
        node: "scatter".into(),
    });
    plan
}

#[test]
fn a_scatter_replaces_or_combines_in_order_and_faults_outside_its_axis() {
    for (op, expected) in [
        (None, [10.0, 3.0, 10.0, 10.0]),
        (Some(BinaryOp::Add), [10.0, 15.0, 10.0, 10.0]),
        (Some(BinaryOp::Mul), [10.0, 60.0, 10.0, 10.0]),
        (Some(BinaryOp::Min), [10.0, 2.0, 10.0, 10.0]),
        (Some(BinaryOp::Max), [10.0, 10.0, 10.0, 10.0]),
    ] {
        let mut executor = Executor::new(scatter(op), &[]).expect("the plan is sound");
        let mut y = [f32::NAN; 4];
        let updates = Data::F32(&[2.0, 3.0]);
        executor.run(&[], 1, &[updates, Data::I64(&[1, -3])], &mut [DataMut::F32(&mut y)]).expect("it runs");
        assert_eq!(y, expected, "{op:?}");
        let outside = executor.run(&[], 1, &[updates, Data::I64(&[4, 0])], &mut [DataMut::F32(&mut y)]);
        assert_eq!(outside.expect_err("the axis has four").kind(), ErrorKind::IndexOutOfRange);
    }
    let mut short = scatter(None);
    if let Kernel::Scatter(Scatter { axis, .. }) = &mut short.steps[1].kernel {
        *axis = Dim::fixed(5);
    }
    assert_eq!(Executor::new(short, &[]).expect_err("a row has four").kind(), ErrorKind::InvalidPlan);
}

#[test]
fn what_a_call_has_not_written_is_zero_whatever_came_before() {
    // Half of each row is copied; a scatter writes one element in four.
    let half = |strides: [u32; 2]| View { offset: Dim::fixed(0), strides: strides.map(Dim::fixed).to_vec() };
    let copy = Copy { shape: vec![Dim::per_row(1), Dim::fixed(2)], source: half([2, 1]), target: half([4, 1]) };
    let copied = one_step(copy, 2, DType::F32, 4, 4, Batch::Independent);
    let mut scattered = scatter(None);
    scattered.steps.remove(0);
    for (plan, expected) in [(copied, [1.0, 2.0, 0.0, 0.0]), (scattered, [0.0, 2.0, 0.0, 0.0])] {
        let mut executor = Executor::new(plan.clone(), &[]).expect("the plan is sound");
        let run = |executor: &mut Executor, x: &[f32], at: &[i64], y: &mut [f32]| {
            let inputs = [Data::F32(x), Data::I64(at)];
            executor.run(&[], x.len() / 2, &inputs[..plan.inputs.len()], &mut [DataMut::F32(y)]).expect("it runs");
        };
        run(&mut executor, &[9.0; 8], &[0, 1, 2, 3, 0, 1, 2, 3], &mut [0.0; 16]);
        let mut y = [f32::NAN; 4];
        run(&mut executor, &[1.0, 2.0], &[1, 1], &mut y);
        assert_eq!(y, expected);
    }
}

#[test]
fn rows_past_a_small_batch_are_not_read() {
    // The third row of a batch, which exists only in batches of at least three.
    let third = View { offset: Dim::fixed(4), strides: vec![Dim::fixed(1)] };
    let target = View { offset: Dim::fixed(0), strides: vec![Dim::fixed(1)] };
    let copy = |source| Copy { shape: vec![Dim::fixed(2)], source, target: target.clone() };
    let plan = |source, batch| {
        let mut plan = one_step(copy(source), 2, DType::F32, 2, 8, batch);
        plan.buffers[1].len = Dim::fixed(2);
        plan.outputs[0].shape = vec![Dim::fixed(2)];
        plan
    };
    let mut executor = Executor::new(plan(third, Batch::Joint), &[]).expect("the plan is sound");
    let mut run = |x: &[f32]| {
        let mut y = [f32::NAN; 2];
        executor.run(&[], x.len() / 2, &[Data::F32(x)], &mut [DataMut::F32(&mut y)]).map(|()| y)
    };
    assert_eq!(run(&[9.0; 16]), Ok([9.0, 9.0]));
    assert_eq!(run(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), Ok([5.0, 6.0]));
    for rows in [0, 1, 2] {
        let refused = run(&[1.0, 2.0, 3.0, 4.0][..2 * rows]).expect_err("there is no third row");
        assert_eq!(refused.kind(), ErrorKind::BadTensor);
        assert!(refused.message().contains("3; send as many or more"), "{refused}");
    }
}

/// Positions of 2.5, −0, NaN and 9 among the keys, in a plan whose step has `inputs` inputs.
fn lookup(keys: &[f32], inputs: usize) -> Result<Vec<i64>, tradewind_executor::Error> {
    let mut plan = one_step(Lookup, 1, DType::I64, 1, 8, Batch::Independent);
    plan.weights.push(Weight { dtype: DType::F32, len: keys.len() as u32, offset: 0, encoding: Encoding::Plain });
    plan.steps[0].inputs.extend(vec![Operand::Weight(WeightId(0)); inputs - 1]);
    let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
    let weights = AlignedBytes::copy_of(&bytes)?;
    let mut executor = Executor::new(plan, weights.as_slice())?;
    let (x, mut y) = ([2.5, -0.0, f32::NAN, 9.0], [0; 4]);
    executor.run(weights.as_slice(), 4, &[Data::F32(&x)], &mut [DataMut::I64(&mut y)])?;
    Ok(y.to_vec())
}

#[test]
fn a_lookup_finds_zeros_of_both_signs_and_nan() {
    assert_eq!(lookup(&[0.0, 2.5, f32::NAN], 2), Ok(vec![1, 0, 2, 3]));
    for keys in [&[2.5, 0.0][..], &[1.0, 1.0], &[f32::NAN, 1.0]] {
        assert!(lookup(keys, 2).is_err_and(|error| error.kind() == ErrorKind::InvalidPlan), "{keys:?}");
    }
    assert!(lookup(&[1.0], 1).is_err() && lookup(&[1.0], 3).is_err());
}

#[test]
fn a_table_is_not_looked_through_for_thousands_of_steps() {
    let keys: Vec<u8> = (0..1 << 20).flat_map(|key: i32| (key as f32).to_le_bytes()).collect();
    let weights = AlignedBytes::copy_of(&keys).expect("there is memory");
    let mut plan = one_step(Lookup, 1, DType::I64, 1, 8, Batch::Independent);
    plan.weights.push(Weight { dtype: DType::F32, len: 1 << 20, offset: 0, encoding: Encoding::Plain });
    plan.steps[0].inputs.push(Operand::Weight(WeightId(0)));
    let with_steps = |count| {
        let mut plan = plan.clone();
        plan.steps = vec![plan.steps[0].clone(); count];
        Executor::new(plan, weights.as_slice()).map(drop)
    };
    assert_eq!(with_steps(64), Ok(()));
    assert!(with_steps(65).is_err_and(|error| error.message().contains("bytes of tables")));
}

/// Counts of two words of a text input, as outputs.
fn counted() -> Plan {
    let view = View { offset: Dim::fixed(0), strides: vec![Dim::fixed(1)] };
    let copy = Copy { shape: vec![Dim::per_row(2)], source: view.clone(), target: view };
    let mut plan = one_step(copy, 2, DType::F32, 2, 4, Batch::Independent);
    let indices = plan.arena_bytes;
    plan.arena_bytes += 64;
    plan.buffers.push(Buffer { dtype: DType::I64, len: Dim::per_row(1), offset: indices });
    let shape = vec![Dim::per_row(1), Dim::fixed(1)];
    plan.inputs = vec![Port { name: "x".into(), shape, buffer: BufferId(2), categories: vec![String::new()] }];
    plan.texts = vec![TextFeatures {
        buffer: BufferId(0),
        rows: Dim::per_row(1),
        columns: 2,
        parts: vec![TextPart::Text("tea ".into()), TextPart::Input(0)],
        vectorizer: Vectorizer {
            letters: ['T', 'T', 't', 'a', 'z', 'a'].map(u32::from).to_vec(),
            least: 1,
            shortest: 1,
            longest: 2,
            skips: 0,
            grams: vec!["tea".into(), "tea\0tea".into()],
            columns: vec![1, 0],
            weights: vec![1.0, 0.5],
            presence: false,
        },
    }];
    plan
}

#[test]
fn texts_become_counts_in_every_tile() {
    use tradewind_executor::tensor::{Tensor, TensorData};
    let mut executor = Executor::new(counted(), &[]).expect("the plan is sound");
    let texts = ["", "Tea, tea", "coffee", "", "tea", "Tea"].map(String::from).to_vec();
    let tensor = Tensor::new("x", [6, 1], TensorData::Text(texts)).expect("six texts");
    let outputs = executor.infer(&[], &[tensor]).expect("it runs");
    let expected = [[0.0, 1.0], [1.0, 3.0], [0.0, 1.0], [0.0, 1.0], [0.5, 2.0], [0.5, 2.0]];
    assert_eq!(outputs[0].data, TensorData::F32(expected.as_flattened().to_vec()));
    let indices = executor.run(&[], 1, &[Data::I64(&[0])], &mut [DataMut::F32(&mut [0.0; 2])]);
    assert!(indices.is_err_and(|error| error.message().contains("takes text, not indices")));
}

#[test]
fn text_features_that_do_not_match_are_refused() {
    let refused = |change: &dyn Fn(&mut TextFeatures)| {
        let mut plan = counted();
        change(&mut plan.texts[0]);
        Executor::new(plan, &[]).is_err()
    };
    assert!(!refused(&|_| ()));
    assert!(refused(&|text| text.buffer = BufferId(9)));
    assert!(refused(&|text| text.buffer = BufferId(2)));
    assert!(refused(&|text| text.columns = 3));
    assert!(refused(&|text| text.rows = Dim::fixed(1)));
    assert!(refused(&|text| text.parts[1] = TextPart::Input(1)));
    assert!(refused(&|text| text.vectorizer.columns[0] = 2));
    assert!(refused(&|text| text.vectorizer.grams.reverse()));
    assert!(refused(&|text| text.vectorizer.weights = vec![1.0]));
    assert!(refused(&|text| text.vectorizer.shortest = 3));
    assert!(refused(&|text| text.vectorizer.longest = 200));
    assert!(refused(&|text| text.vectorizer.skips = u32::MAX));
    assert!(refused(&|text| text.vectorizer.letters = vec![7, 6, 7]));
    assert!(refused(&|text| text.vectorizer.letters = vec![7, 9, 7, 9, 9, 9]));
    assert!(refused(&|text| text.vectorizer.letters = vec![7]));
}

#[test]
fn text_becomes_indices_and_what_is_not_known_minus_one() {
    use tradewind_executor::tensor::{Tensor, TensorData};
    let view = View { offset: Dim::fixed(0), strides: vec![Dim::fixed(1)] };
    let copy = Copy { shape: vec![Dim::per_row(1)], source: view.clone(), target: view };
    let mut plan = one_step(copy, 1, DType::I64, 1, 4, Batch::Independent);
    plan.buffers[0].dtype = DType::I64;
    plan.buffers[1].offset = 32;
    plan.arena_bytes = 64;
    plan.inputs[0].categories = vec!["Bonn".into(), "Köln".into()];
    let mut executor = Executor::new(plan.clone(), &[]).expect("the plan is sound");
    let text = TensorData::Text(["Köln", "Ulm", "Bonn"].map(String::from).to_vec());
    let outputs = executor.infer(&[], &[Tensor::new("x", [3, 1], text).expect("three strings")]).expect("it runs");
    assert_eq!(outputs[0].data, TensorData::I64(vec![1, -1, 0]));
    let numbers = Tensor::new("x", [1, 1], TensorData::I64(vec![0])).expect("a number");
    assert!(executor.infer(&[], &[numbers]).is_err_and(|error| error.message().contains("text")));
    plan.inputs[0].categories.reverse();
    assert!(Executor::new(plan, &[]).is_err(), "categories that do not ascend");
}

#[test]
fn doubles_are_taken_and_calculated_with_and_are_no_output() {
    use tradewind_executor::tensor::{Tensor, TensorData};
    // Two timestamps per row, in milliseconds: their difference in f64 and in f32.
    let view = |offset| View { offset: Dim::fixed(offset), strides: vec![Dim::fixed(2)] };
    let difference = Binary { op: BinaryOp::Sub, shape: vec![Dim::per_row(1)], left: view(0), right: view(1) };
    let mut plan = one_step(difference, 2, DType::F64, 1, 4, Batch::Independent);
    plan.steps[0].inputs.push(Operand::Buffer(BufferId(0)));
    plan.buffers[0].dtype = DType::F64;
    plan.buffers[1].offset = 64;
    plan.arena_bytes = 128;
    let input = |data| [Tensor::new("x", [5, 2], data).expect("five rows")];
    let moments = TensorData::F64((0..10).map(|n| 1_700_000_000_000.25 - f64::from(n * n)).collect());
    let mut executor = Executor::new(plan.clone(), &[]).expect("the plan is sound");
    assert!(executor.infer(&[], &input(moments.clone())).is_err(), "an output of doubles");

    plan.buffers.push(Buffer { dtype: DType::F32, len: Dim::per_row(1), offset: 96 });
    plan.outputs[0].buffer = BufferId(2);
    let inputs = vec![Operand::Buffer(BufferId(1))];
    plan.steps.push(Step { kernel: Cast.into(), inputs, output: BufferId(2), node: "f32".into() });
    let mut executor = Executor::new(plan, &[]).expect("the plan is sound");
    let outputs = executor.infer(&[], &input(moments)).expect("it runs");
    assert_eq!(outputs[0].data, TensorData::F32(vec![1.0, 5.0, 9.0, 13.0, 17.0]));
    let refused = executor.infer(&[], &input(TensorData::F32(vec![0.0; 10])));
    assert!(refused.is_err_and(|error| error.message().contains("F64")));
}

#[test]
fn distances_and_coupled_probabilities_stay_inside_their_buffers() {
    let rows = Dim::per_row(1);
    let distances = |points, inner| Distances { rows, inner, points, squared: true };
    let couple = |classes| Couple { rows, classes };
    for (kernel, width, out) in [(couple(0), 4, 4), (couple(3), 4, 6), (couple(2), 4, 3), (couple(u32::MAX), 4, 4)] {
        assert!(Executor::new(one_step(kernel, width, DType::F32, out, 4, Batch::Independent), &[]).is_err());
    }
    for kernel in [distances(0, 4), distances(4, 0), distances(u32::MAX, u32::MAX)] {
        let mut plan = one_step(kernel, 4, DType::F32, 4, 4, Batch::Independent);
        plan.steps[0].inputs.push(Operand::Buffer(BufferId(0)));
        assert!(Executor::new(plan, &[]).is_err());
    }
    let mut executor =
        Executor::new(one_step(couple(2), 4, DType::F32, 4, 4, Batch::Independent), &[]).expect("the plan is sound");
    let (x, mut y) = ([0.0, 0.8, 0.2, 0.0], [0.0; 4]);
    executor.run(&[], 1, &[Data::F32(&x)], &mut [DataMut::F32(&mut y)]).expect("it runs");
    assert!((y[0] - 0.8).abs() < 0.01 && (y[1] - 0.2).abs() < 0.01, "{y:?}");
}

//! Scaled dot-product attention: ONNX's `Attention`.

use super::{Node, Operator, Shapes, input, known, optional, shape};
use crate::{
    builder::Builder,
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Constant, Value},
};
use tract_onnx::prelude::{TDim, TVec, ToDim as _, tvec};
use tradewind_core::plan::{BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

/// Attention, from its attributes.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    /// Number of heads of queries, and of keys and values, if they share an axis with the depth.
    heads: [Option<usize>; 2],
    /// Number of visible keys before and after a query, if limited.
    reach: [Option<i64>; 2],
    scale: Option<f32>,
    softcap: Option<f32>,
    /// Kind of the fourth output, if used.
    product: Option<i64>,
}

/// Input numbers.
const MASK: usize = 3;
const PAST: [usize; 2] = [4, 5];
const LENGTHS: usize = 6;

/// Bias of hidden keys.
const CLOSED: f32 = f32::NEG_INFINITY;

impl Attention {
    pub fn read(node: &Node<'_>) -> Reasoned<Self> {
        let attributes = &node.attributes;
        if attributes.0.domain == "com.microsoft" {
            return Reason::err("it was made by onnxruntime's optimiser; export the model without that optimisation");
        }
        let window = |name| attributes.int(name).filter(|reach| *reach >= 0);
        let [left, right] = ["left_window_size", "right_window_size"].map(window);
        let causal = attributes.int("is_causal") == Some(1);
        let heads = ["q_num_heads", "kv_num_heads"]
            .map(|name| attributes.int(name).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0));
        Ok(Self {
            heads,
            reach: [left, if causal { Some(0) } else { right }],
            scale: attributes.float("scale"),
            softcap: attributes.float("softcap").filter(|cap| *cap != 0.0),
            product: (node.used.get(3) == Some(&true)).then(|| attributes.int("qk_matmul_output_mode").unwrap_or(0)),
        })
    }

    /// `[batch, heads, steps, depth]` of a shape that may have heads and depth in one axis.
    fn split<D: Clone>(
        &self,
        shape: &[D],
        side: usize,
        depth: impl Fn(&D, usize) -> Reasoned<[D; 2]>,
    ) -> Reasoned<[D; 4]> {
        match (shape, self.heads[side]) {
            ([batch, heads, steps, depth], _) => Ok([batch.clone(), heads.clone(), steps.clone(), depth.clone()]),
            ([batch, steps, whole], Some(count)) => {
                let [heads, depth] = depth(whole, count)?;
                Ok([batch.clone(), heads, steps.clone(), depth])
            }
            _ => Reason::err("its inputs need four axes, or three and a number of heads"),
        }
    }

    fn heads(&self, builder: &mut Builder, value: &Value, side: usize) -> Reasoned<Value> {
        if value.rank() == 4 {
            return Ok(value.clone());
        }
        let [_, heads, _, depth] = self.split(&value.shape, side, |whole, count| {
            let count = count as i64;
            if whole.fixed % count != 0 {
                return Reason::err(format!("{whole} elements cannot be split into {count} heads"));
            }
            Ok([Extent::fixed(count), Extent { fixed: whole.fixed / count, per_row: whole.per_row / count }])
        })?;
        Ok(builder.reshape(value, 2, 1, &[heads, depth])?.move_axis(2, 1))
    }

    /// Biases of the products, each broadcast to `[batch, heads, queries, keys]`: mask, reach of a query, and lengths
    /// of the keys.
    fn biases(
        &self,
        builder: &mut Builder,
        inputs: &[Option<Value>],
        queries: usize,
        keys: usize,
    ) -> Reasoned<Vec<Value>> {
        let mut biases = Vec::new();
        let [left, right] = self.reach.map(|reach| reach.map(|reach| reach.min(i64::from(u32::MAX))));
        let (open, closed) = (Value::scalar(0.0), Value::scalar(CLOSED));
        if let Some(mask) = optional(inputs, MASK) {
            let mut mask = mask.clone();
            while mask.rank() < 4 {
                mask = mask.insert_axis(0);
            }
            if mask.dtype == DType::Bool {
                mask = builder.select(&mask, &open, &closed)?;
            }
            if mask.shape[3] != Extent::fixed(keys as i64) && !mask.shape[3].is_one() {
                // The mask omits the last keys, which are hidden then.
                let mut shape = mask.shape.clone();
                shape[3] = Extent::fixed(keys as i64);
                let whole = builder.tensor(DType::F32, &shape)?;
                builder.fill(&whole, CLOSED.into())?;
                builder.copy(&mask, &whole.clone().slice(3, Extent::ZERO, mask.shape[3], 1)?)?;
                mask = whole;
            }
            biases.push(mask);
        }
        let positions = |from: i64, count: usize, shape: [usize; 4]| {
            Value::constant(Constant::i64(&(from..from + count as i64).collect::<Vec<_>>()), &shape)
        };
        if let Some(lengths) = optional(inputs, LENGTHS) {
            let mut lengths = builder.cast(lengths, DType::I64)?;
            while lengths.rank() < 4 {
                lengths = lengths.insert_axis(1);
            }
            let keys = positions(0, keys, [1, 1, 1, keys])?;
            let seen = builder.compare(CompareOp::Less, &keys, &lengths)?;
            biases.push(builder.select(&seen, &open, &closed)?);
            let ends = [(CompareOp::GreaterOrEqual, left.map(|reach| -reach)), (CompareOp::LessOrEqual, right)];
            for (op, reach) in ends {
                let Some(reach) = reach else { continue };
                let end = positions(reach - queries as i64, queries, [1, 1, queries, 1])?;
                let end = builder.binary(BinaryOp::Add, &end, &lengths)?;
                let seen = builder.compare(op, &keys, &end)?;
                biases.push(builder.select(&seen, &open, &closed)?);
            }
        } else if left.or(right).is_some() {
            let past = optional(inputs, PAST[0]).and_then(|past| past.shape[2].constant()).unwrap_or(0);
            let seen = |cell: usize| {
                let before = (cell / keys + past) as i64 - (cell % keys) as i64;
                left.is_none_or(|reach| before <= reach) && right.is_none_or(|reach| -before <= reach)
            };
            let cells: Vec<f32> = (0..queries * keys).map(|cell| if seen(cell) { 0.0 } else { CLOSED }).collect();
            biases.push(Builder::f32s(&cells, &[1, 1, queries, keys])?);
        }
        Ok(biases)
    }
}

impl Operator for Attention {
    fn shapes(&self, inputs: Shapes<'_>) -> Reasoned<Vec<TVec<TDim>>> {
        let divided = |whole: &TDim, count: usize| {
            let whole = known(whole, "the depth")?;
            Ok([count.to_dim(), (whole / count).to_dim()])
        };
        let (query, key, value) = (shape(inputs, 0)?, shape(inputs, 1)?, shape(inputs, 2)?);
        let [batch, heads, steps, _] = self.split(query, 0, divided)?;
        let [_, key_heads, mut keys, key_depth] = self.split(key, 1, divided)?;
        let [_, _, _, depth] = self.split(value, 1, divided)?;
        if let Some([_, _, past, _]) = inputs.get(PAST[0]).copied().flatten() {
            keys += past;
        }
        let output = if query.len() == 4 {
            tvec![batch.clone(), heads.clone(), steps.clone(), depth.clone()]
        } else {
            tvec![batch.clone(), steps.clone(), (known(&heads, "the heads")? * known(&depth, "the depth")?).to_dim()]
        };
        Ok(vec![
            output,
            tvec![batch.clone(), key_heads.clone(), keys.clone(), key_depth],
            tvec![batch.clone(), key_heads, keys.clone(), depth],
            tvec![batch, heads, steps, keys],
        ])
    }

    fn lower(&self, builder: &mut Builder, inputs: &[Option<Value>]) -> Reasoned<Vec<Option<Value>>> {
        let (query, joined) = (input(inputs, 0)?, input(inputs, 0)?.rank() == 3);
        let query = self.heads(builder, query, 0)?;
        let [mut key, mut value] =
            [self.heads(builder, input(inputs, 1)?, 1)?, self.heads(builder, input(inputs, 2)?, 1)?];
        for (n, now) in [&mut key, &mut value].into_iter().enumerate() {
            if let Some(past) = optional(inputs, PAST[n]) {
                *now = builder.concat(&[past.clone(), now.clone()], 2)?;
            }
        }
        let (Some(queries), Some(keys), Some(depth)) =
            (query.shape[2].constant(), key.shape[2].constant(), query.shape[3].constant())
        else {
            return Reason::err("attention over an axis that grows with the batch");
        };
        let (key_heads, heads) = (key.shape[1], query.shape[1]);
        let groups = match (heads.constant(), key_heads.constant()) {
            (Some(heads), Some(key_heads @ 1..)) if heads % key_heads == 0 => Extent::fixed((heads / key_heads) as i64),
            _ => {
                return Reason::err(format!(
                    "{heads} heads of queries are not a multiple of {key_heads} heads of keys"
                ));
            }
        };

        // [batch, key heads, groups, queries, keys | depth]
        let scale = self.scale.unwrap_or(1.0 / (depth as f32).sqrt());
        let query = builder.binary(BinaryOp::Mul, &query, &Value::scalar(scale))?;
        let left = builder.reshape(&query, 1, 1, &[key_heads, groups])?.insert_axis(4);
        let mut shape = left.shape.clone();
        shape[4] = key.shape[2];
        let right = key.clone().insert_axis(2).insert_axis(2).broadcast(&shape)?;
        let product = builder.contract(&left.broadcast(&shape)?, &right, 1)?;
        let mut scores = builder.reshape(&product, 1, 2, &[heads])?;
        if let Some(cap) = self.softcap {
            let ratio = builder.binary(BinaryOp::Mul, &scores, &Value::scalar(1.0 / cap))?;
            let tanh = builder.unary(UnaryOp::Tanh, &ratio)?;
            scores = builder.binary(BinaryOp::Mul, &tanh, &Value::scalar(cap))?;
        }
        let plain = scores.clone();
        let biases = self.biases(builder, inputs, queries, keys)?;
        let mut bias: Option<Value> = None;
        for part in biases {
            bias = Some(match bias {
                None => part,
                Some(bias) => builder.binary(BinaryOp::Add, &bias, &part)?,
            });
        }
        if let Some(bias) = &bias {
            scores = builder.binary(BinaryOp::Add, &scores, bias)?;
        }
        let mut weights = builder.softmax(&scores, 3, false, false)?;
        if let Some(bias) = bias.filter(|bias| may_close_all(bias, keys)) {
            // A query that sees no key gives zeros.
            let most = builder.reduce(ReduceOp::Max, &bias, &[3])?;
            let blind = builder.compare(CompareOp::Equal, &most, &Value::scalar(CLOSED))?;
            weights = builder.select(&blind, &Value::scalar(0.0), &weights)?;
        }

        // [batch, key heads, groups, queries, depth | keys]; the join needs queries before.
        let left = builder.reshape(&weights, 1, 1, &[key_heads, groups])?.insert_axis(4);
        let right = value.clone().move_axis(2, 3).insert_axis(2).insert_axis(2);
        let mut shape = left.shape.clone();
        shape[4] = value.shape[3];
        let order: &[usize] = if joined { &[0, 3, 1, 2, 4, 5] } else { &[0, 1, 2, 3, 4, 5] };
        let [left, right] = [left.broadcast(&shape)?, right.broadcast(&shape)?].map(|value| value.permuted(order));
        let mixed = builder.contract(&left, &right, 1)?;
        let output = if joined {
            builder.reshape(&mixed, 2, 3, &[heads.times(value.shape[3])?])?
        } else {
            builder.reshape(&mixed, 1, 2, &[heads])?
        };
        let product = match (self.product, self.softcap) {
            (None, _) => None,
            (Some(0), None) | (Some(1), _) => Some(plain),
            (Some(2), _) => Some(scores),
            (Some(3), _) => Some(weights),
            _ => return Reason::err("the product before a soft cap is not supported as an output"),
        };
        Ok(vec![Some(output), Some(key), Some(value), product])
    }
}

/// Whether a bias may hide every key from some query.
fn may_close_all(bias: &Value, keys: usize) -> bool {
    let known = bias.known().and_then(|known| known.as_f32());
    known.is_none_or(|cells| cells.chunks(keys.max(1)).any(|row| row.iter().all(|cell| *cell == CLOSED)))
}

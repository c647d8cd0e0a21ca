//! Lookups: `LabelEncoder`, `CategoryMapper` and `OneHotEncoder`.

use super::{Attributes, Operator, Output};
use crate::{
    attributes::List,
    builder::Builder,
    refusal::{Reason, Reasoned},
    value::{Constant, Value, categories},
};
use std::{cmp::Ordering, collections::HashMap};
use tract_onnx::prelude::{Datum as _, DatumType};
use tradewind_core::plan::{CompareOp, DType};

impl List {
    /// Reads the attribute `{side}_strings`, `{side}_int64s`, `{side}_floats` or `{side}_tensor`.
    fn read(attributes: &Attributes<'_>, side: &str) -> Reasoned<Self> {
        let name = |kind: &str| format!("{side}_{kind}");
        if let Some(list) = attributes.list(&name("tensor"))? {
            return Ok(list);
        }
        let (strings, integers) = (attributes.strings(&name("strings"))?, attributes.ints(&name("int64s")));
        match (strings.is_empty(), integers, attributes.floats(&name("floats"))) {
            (false, ..) => Ok(Self::Strings(strings)),
            (true, [], []) => Reason::err(format!("it has no {side}")),
            (true, [], floats) => Ok(Self::Floats(floats.to_vec())),
            (true, integers, _) => Ok(Self::Integers(integers.to_vec())),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Integers(list) => list.len(),
            Self::Floats(list) => list.len(),
            Self::Strings(list) => list.len(),
        }
    }

    fn datum_type(&self) -> DatumType {
        match self {
            Self::Integers(_) => i64::datum_type(),
            Self::Floats(_) => f32::datum_type(),
            Self::Strings(_) => String::datum_type(),
        }
    }

    /// Elements at `picks`, then those of `last`; the default of `last` is one element.
    fn table(&self, picks: &[Option<usize>], default: &Self) -> Reasoned<Value> {
        fn pick<T: Clone>(list: &[T], picks: &[Option<usize>], default: &[T]) -> Reasoned<Vec<T>> {
            let [default] = default else { return Reason::err("its default is not a single value") };
            let at = |pick: &Option<usize>| pick.and_then(|n| list.get(n)).unwrap_or(default).clone();
            Ok(picks.iter().chain([&None]).map(at).collect())
        }
        let len = picks.len() + 1;
        match (self, default) {
            (Self::Integers(list), Self::Integers(default)) => {
                Value::constant(Constant::i64(&pick(list, picks, default)?), &[len])
            }
            (Self::Floats(list), Self::Floats(default)) => {
                Value::constant(Constant::f32(&pick(list, picks, default)?), &[len])
            }
            (Self::Strings(list), Self::Strings(default)) => {
                let (known, positions) = categories(&pick(list, picks, default)?);
                Ok(Value::constant(Constant::i64(&positions), &[len])?.with_categories(Some(known)))
            }
            _ => Reason::err("its default is of another type than its values"),
        }
    }
}

/// Positions of a tensor's elements among keys.
struct Found {
    /// I64, with the tensor's shape: a position in `keys`, or the number of keys (or −1) if not found.
    positions: Value,
    /// Key of each position.
    keys: Vec<Option<usize>>,
}

/// Which of several equal keys is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Winner {
    First,
    Last,
}

fn find(builder: &mut Builder, input: &Value, keys: &List, winner: Winner) -> Reasoned<Found> {
    let integer = matches!(input.dtype, DType::I64 | DType::I32 | DType::U8 | DType::Bool);
    match (keys, &input.categories) {
        // A string already has a position.
        (List::Strings(keys), Some(known)) => {
            let mut at: HashMap<&str, usize> = HashMap::with_capacity(keys.len());
            for (n, key) in keys.iter().enumerate() {
                if winner == Winner::Last || !at.contains_key(key.as_str()) {
                    at.insert(key, n);
                }
            }
            let keys = known.iter().map(|string| at.get(string.as_str()).copied()).collect();
            Ok(Found { positions: input.clone(), keys })
        }
        (List::Integers(keys), None) if integer => {
            let (sorted, order) = sorted(keys, winner, i64::cmp);
            let x = builder.cast(input, DType::I64)?;
            let positions = builder.lookup(&x, &Constant::i64(&sorted))?;
            Ok(Found { positions, keys: order })
        }
        (List::Floats(keys), None) if input.dtype == DType::F32 => {
            let compare = |a: &f32, b: &f32| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
            let (sorted, order) = sorted(keys, winner, compare);
            let positions = builder.lookup(input, &Constant::f32(&sorted))?;
            Ok(Found { positions, keys: order })
        }
        _ => Reason::err("its keys are of another type than its input"),
    }
}

/// Distinct keys in ascending order, with their original positions.
fn sorted<K: Copy>(keys: &[K], winner: Winner, compare: impl Fn(&K, &K) -> Ordering) -> (Vec<K>, Vec<Option<usize>>) {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    if winner == Winner::Last {
        order.reverse();
    }
    order.sort_by(|&a, &b| compare(&keys[a], &keys[b]));
    order.dedup_by(|later, first| compare(&keys[*later], &keys[*first]).is_eq());
    (order.iter().map(|&n| keys[n]).collect(), order.into_iter().map(Some).collect())
}

/// `LabelEncoder` of operator set 2 or newer: a map from integers, floats or strings to any of these.
#[derive(Debug)]
pub(super) struct LabelEncoder {
    keys: List,
    values: List,
    default: List,
}

impl LabelEncoder {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let (keys, values) = (List::read(attributes, "keys")?, List::read(attributes, "values")?);
        if keys.len() != values.len() {
            return Reason::err(format!("{} keys for {} values", keys.len(), values.len()));
        }
        let default = match (attributes.list("default_tensor")?, &values) {
            (Some(default), _) => default,
            (None, List::Integers(_)) => List::Integers(vec![attributes.int("default_int64").unwrap_or(-1)]),
            (None, List::Floats(_)) => List::Floats(vec![attributes.float("default_float").unwrap_or(-0.0)]),
            (None, List::Strings(_)) => List::Strings(vec![attributes.string("default_string", "_Unused")?]),
        };
        Ok(Self { keys, values, default })
    }
}

impl Operator for LabelEncoder {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Like(self.values.datum_type())]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let found = find(builder, input, &self.keys, Winner::First)?;
        let table = self.values.table(&found.keys, &self.default)?;
        Ok(vec![builder.gather(&table, 0, &found.positions)?])
    }
}

/// `CategoryMapper`, or a `LabelEncoder` of operator set 1: from strings to integers, or back.
#[derive(Debug)]
pub(super) struct CategoryMapper {
    strings: List,
    integers: List,
    default_string: List,
    default_integer: List,
}

impl CategoryMapper {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let mut integers = attributes.ints("cats_int64s").to_vec();
        let mut strings = attributes.strings("cats_strings")?;
        if strings.is_empty() {
            strings = attributes.strings("classes_strings")?;
            integers = (0..strings.len() as i64).collect();
        }
        if strings.is_empty() || strings.len() != integers.len() {
            return Reason::err(format!("{} strings for {} integers", strings.len(), integers.len()));
        }
        Ok(Self {
            strings: List::Strings(strings),
            integers: List::Integers(integers),
            default_string: List::Strings(vec![attributes.string("default_string", "_Unused")?]),
            default_integer: List::Integers(vec![attributes.int("default_int64").unwrap_or(-1)]),
        })
    }
}

impl Operator for CategoryMapper {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Mapped]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let (keys, values, default) = if input.categories.is_some() {
            (&self.strings, &self.integers, &self.default_integer)
        } else {
            (&self.integers, &self.strings, &self.default_string)
        };
        let found = find(builder, input, keys, Winner::Last)?;
        let table = values.table(&found.keys, default)?;
        Ok(vec![builder.gather(&table, 0, &found.positions)?])
    }
}

/// `OneHotEncoder`: a new last axis, with 1 at the category's position and 0 elsewhere.
#[derive(Debug)]
pub(super) struct OneHotEncoder {
    categories: List,
    /// Whether an unknown category gives zeros instead of a fault.
    zeros: bool,
}

impl OneHotEncoder {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let zeros = attributes.int("zeros").unwrap_or(1) != 0;
        Ok(Self { categories: List::read(attributes, "cats")?, zeros })
    }
}

impl Operator for OneHotEncoder {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Expanded(self.categories.len())]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let mut x = input.clone();
        if x.dtype == DType::F32 {
            // Numbers are truncated; NaN is not a category.
            let number = builder.compare(CompareOp::Equal, &x, &x)?;
            x = builder.select(&number, &x, &Value::scalar(f32::NEG_INFINITY))?;
            x = builder.cast(&x, DType::I64)?;
        }
        let found = find(builder, &x, &self.categories, Winner::Last)?;
        let count = self.categories.len();
        let places: Vec<i64> = (0..count as i64).collect();
        let place = List::Integers(places.clone()).table(&found.keys, &List::Integers(vec![count as i64]))?;
        let mut place = builder.gather(&place, 0, &found.positions)?;
        let places = Value::constant(Constant::i64(&places), &[count])?;
        if !self.zeros {
            // The position after the last is outside the list, which is a fault.
            place = builder.gather(&places, 0, &place)?;
        }
        let place = place.clone().insert_axis(place.rank());
        let hot = builder.compare(CompareOp::Equal, &place, &places)?;
        Ok(vec![builder.cast(&hot, DType::F32)?])
    }
}

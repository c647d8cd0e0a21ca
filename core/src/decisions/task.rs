//! What a pack's model is for.

use super::{insight::InsightSpec, rank::RankSpec};
use crate::{
    model::{
        demand::{DemandSpec, PriceSpec},
        late::LateSpec,
    },
    pack::{PackView, SectionKind},
};
use serde::{Deserialize, Serialize};

/// What the model in a pack is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Task {
    /// Tensors in, tensors out.
    Infer,
    /// Ranking products for a shopper.
    Rank(RankSpec),
    /// How many units are sold in a coming week.
    Demand(DemandSpec),
    /// How many units are sold at a price.
    Price(PriceSpec),
    /// How likely a leg is to arrive late.
    Late(LateSpec),
    /// What the pack alone describes.
    Insight(InsightSpec),
}

impl Task {
    /// Name in `pack.json`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::Rank(_) => "rank",
            Self::Demand(_) => "demand",
            Self::Price(_) => "price",
            Self::Late(_) => "late",
            Self::Insight(_) => "insight",
        }
    }

    /// The number of the variant [`Rank`](Self::Rank), as postcard writes it.
    const RANK: u8 = 1;

    /// Whether a pack ranks. Decodes no more than that.
    pub fn ranks(pack: &PackView<'_>) -> bool {
        pack.bytes(SectionKind::Task).is_some_and(|task| task.first() == Some(&Self::RANK))
    }
}

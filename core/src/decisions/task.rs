//! Purpose of a pack's model.

use super::{insight::InsightSpec, rank::RankSpec};
use crate::{
    model::{
        demand::{DemandSpec, PriceSpec},
        late::LateSpec,
    },
    pack::{PackView, SectionKind},
};
use serde::{Deserialize, Serialize};

/// Purpose of a pack's model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Task {
    /// Inference on tensors.
    Infer,
    /// Ranking of products for a shopper.
    Rank(RankSpec),
    /// Demand: units sold in a coming week.
    Demand(DemandSpec),
    /// Price: units sold at a price.
    Price(PriceSpec),
    /// Lateness: probability that a leg arrives late.
    Late(LateSpec),
    /// Insight: described by the pack alone.
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

    /// Number of the variant [`Rank`](Self::Rank) in postcard.
    const RANK: u8 = 1;

    /// Whether the task of a pack is rank; decodes nothing else.
    pub fn ranks(pack: &PackView<'_>) -> bool {
        pack.bytes(SectionKind::Task).is_some_and(|task| task.first() == Some(&Self::RANK))
    }
}

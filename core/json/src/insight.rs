//! Insights in JSON.

use crate::StorefrontEvent;
use serde::{Deserialize, Serialize};
use tradewind_core::{
    Code, Error, Millis, Profile, Quantiles, Sku,
    insight::{self, Fact, Insights, Subject, Value},
};

/// Asks for an insight.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InsightRequest {
    /// Identifier that the reply repeats.
    #[serde(default)]
    pub id: Option<String>,
    /// Name of the pack; absent for the only insight loaded.
    #[serde(default)]
    pub pack: Option<String>,
    /// Moment of the decision.
    pub at: Millis,
    /// Profile of the shopper, as returned by a ranking.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// Events since then.
    #[serde(default)]
    pub events: Vec<StorefrontEvent>,
    /// Limits the rows to these products.
    #[serde(default)]
    pub skus: Option<Vec<Sku>>,
    /// Texts, one for each row.
    #[serde(default)]
    pub texts: Vec<String>,
}

/// Answer of an insight.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InsightReply {
    /// Identifier from the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the pack.
    pub pack: String,
    /// Rows that the pack keeps, greatest value first.
    pub items: Vec<InsightItem>,
    /// Number of rows evaluated.
    pub considered: u32,
}

/// Answer of a model for a row; about the shopper if no product, hour or text is named.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InsightItem {
    /// Product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// Node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Code>,
    /// Hour of the week, from Monday 00:00.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<u8>,
    /// Index of the text in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<u32>,
    /// Probability (0 to 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
    /// Quantiles of the amount, in the pack's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Quantiles>,
    /// Amount, in the pack's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<f32>,
    /// Label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Score: comparable within one reply only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// Facts that are reasons; `models/FEATURES.md` explains each.
    pub evidence: Vec<Fact>,
}

impl InsightRequest {
    /// Converts the request to the module's type.
    ///
    /// # Errors
    /// [`BadRequest`](tradewind_core::ErrorKind::BadRequest) names the invalid event.
    pub fn message(self) -> Result<insight::InsightRequest, Error> {
        Ok(insight::InsightRequest {
            pack: self.pack,
            at: self.at,
            profile: self.profile.unwrap_or_default(),
            events: self.events.into_iter().map(StorefrontEvent::message).collect::<Result<_, _>>()?,
            skus: self.skus,
            texts: self.texts,
        })
    }
}

impl InsightReply {
    /// Creates the reply to a request with this `id`.
    pub fn new(id: Option<String>, insights: Insights) -> Self {
        let items = insights.items.into_iter().map(InsightItem::from).collect();
        Self { id, pack: insights.pack, items, considered: insights.considered }
    }
}

impl From<insight::Insight> for InsightItem {
    fn from(insight: insight::Insight) -> Self {
        let mut item = Self { evidence: insight.evidence, ..Self::default() };
        match insight.of {
            Subject::Shopper => {}
            Subject::Sku(sku) => item.sku = Some(sku),
            Subject::Hour(hour) => item.hour = Some(hour),
            Subject::Stock(sku, node) => (item.sku, item.node) = (Some(sku), Some(node)),
            Subject::Text(text) => item.text = Some(text),
        }
        match insight.value {
            Value::Probability(probability) => item.probability = Some(probability),
            Value::Quantiles(quantiles) => item.quantiles = Some(quantiles),
            Value::Amount(amount) => item.amount = Some(amount),
            Value::Label(label) => item.label = Some(label),
            Value::Score(score) => item.score = Some(score),
        }
        item
    }
}

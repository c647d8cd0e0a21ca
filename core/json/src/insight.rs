//! Insights.

use crate::StorefrontEvent;
use serde::{Deserialize, Serialize};
use tradewind_core::{
    Code, Error, Millis, Profile, Quantiles, Sku,
    insight::{self, Fact, Insights, Subject, Value},
};

/// What does an insight say?
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InsightRequest {
    /// Comes back in the reply.
    #[serde(default)]
    pub id: Option<String>,
    /// The pack; may be absent where one insight is loaded, and no other.
    #[serde(default)]
    pub pack: Option<String>,
    /// The moment of the decision.
    pub at: Millis,
    /// The shopper, as a ranking returned it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub profile: Option<Profile>,
    /// What the shopper did since.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub events: Vec<StorefrontEvent>,
    /// These products only.
    #[serde(default)]
    pub skus: Option<Vec<Sku>>,
    /// The texts.
    #[serde(default)]
    pub texts: Vec<String>,
}

/// What an insight says.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InsightReply {
    /// The request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The pack.
    pub pack: String,
    /// The rows that are kept, greatest first.
    pub items: Vec<InsightItem>,
    /// How many rows there were.
    pub considered: u32,
}

/// What a model says of a row: of the shopper, where neither a product, an hour nor a text is named.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InsightItem {
    /// The product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// The node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Code>,
    /// The hour of the week, from Monday 00:00.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<u8>,
    /// The text's place in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<u32>,
    /// The probability, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
    /// The quantiles of the amount, in the pack's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub quantiles: Option<Quantiles>,
    /// The amount, in the pack's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<f32>,
    /// The label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The score: comparable within one reply only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// The facts that are reasons; `models/FEATURES.md` says what each means.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub evidence: Vec<Fact>,
}

impl InsightRequest {
    /// The message for the module.
    ///
    /// # Errors
    /// [`BadRequest`](tradewind_core::ErrorKind::BadRequest) names what does not hold.
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
    /// The reply to the request of an `id`.
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

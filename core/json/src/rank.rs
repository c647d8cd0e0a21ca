//! Ranking.

use serde::{Deserialize, Serialize};
use tradewind_core::{
    Catalog, Channel, Code, Error, ErrorKind, Event, EventKind, Line, Millis, Profile, Sku, SkuBits,
    rank::{self, Constraints, RankedItem, Ranking},
};

/// A request for ranked products.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankRequest {
    /// Comes back in the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The moment of the decision.
    pub at: Millis,
    /// How many products are wanted.
    pub limit: u16,
    /// The shopper, as a reply returned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// What the shopper did since.
    #[serde(default)]
    pub events: Vec<StorefrontEvent>,
    /// Rank these only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<Sku>>,
    /// Not these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Sku>,
    /// Products that the shop hides from everyone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<Sku>,
    /// Products that cannot be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<Sku>,
    /// At most so many products of one category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_category: Option<u16>,
    /// Only what the snapshot promises to deliver to this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Code>,
}

/// Something a shopper did: exactly one of the fields after `channel` is there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is the event of its name")]
pub struct StorefrontEvent {
    /// When.
    pub at: Millis,
    /// Where; `web` when absent.
    #[serde(default)]
    pub channel: Channel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Product>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_to_cart: Option<Line>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Purchase>,
    #[serde(default, rename = "return", skip_serializing_if = "Option::is_none")]
    pub returned: Option<Line>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impression: Option<Products>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click: Option<Product>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dismiss: Option<Product>,
}

/// A product.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Its SKU.
    pub sku: Sku,
}

/// Products.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Products {
    /// Their SKUs.
    pub skus: Vec<Sku>,
}

/// A search.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The words.
    pub query: String,
}

/// An order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    /// Its lines.
    pub lines: Vec<Line>,
}

/// Ranked products.
#[derive(Debug, Clone, Serialize)]
pub struct RankReply {
    /// The request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The products, best first.
    pub items: Vec<RankedItem>,
    /// How many candidates were scored.
    pub considered: u32,
    /// The shopper, with the request's events taken in; where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

impl RankRequest {
    /// A request for `limit` products for someone of whom nothing is known.
    pub const fn new(at: Millis, limit: u16) -> Self {
        Self {
            id: None,
            at,
            limit,
            profile: None,
            events: Vec::new(),
            candidates: None,
            exclude: Vec::new(),
            hidden: Vec::new(),
            unavailable: Vec::new(),
            max_per_category: None,
            region: None,
        }
    }

    /// The message for the module. Products that `catalog` does not have cannot be hidden or
    /// unavailable, and are passed over.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) names what does not hold.
    pub fn message(self, pack: &str, catalog: &Catalog) -> Result<rank::RankRequest, Error> {
        let set = |skus: &[Sku]| {
            let mut bits = SkuBits::none(catalog.len());
            skus.iter().filter_map(|sku| catalog.id(sku)).for_each(|id| bits.insert(id));
            (!skus.is_empty()).then_some(bits)
        };
        Ok(rank::RankRequest {
            pack: pack.to_owned(),
            at: self.at,
            profile: self.profile.unwrap_or_default(),
            events: self.events.into_iter().map(StorefrontEvent::message).collect::<Result<_, _>>()?,
            candidates: self.candidates,
            constraints: Constraints {
                exclude: self.exclude,
                hidden: set(&self.hidden),
                available: set(&self.unavailable).map(|unavailable| unavailable.complement()),
                max_per_category: self.max_per_category,
                deliverable_to: self.region,
            },
            limit: self.limit,
        })
    }
}

impl StorefrontEvent {
    pub(super) fn message(self) -> Result<Event, Error> {
        let Self { at, channel, .. } = self;
        let kinds = [
            self.view.map(|product| EventKind::View { sku: product.sku }),
            self.search.map(|search| EventKind::Search { query: search.query }),
            self.add_to_cart.map(EventKind::AddToCart),
            self.purchase.map(|purchase| EventKind::Purchase { lines: purchase.lines }),
            self.returned.map(EventKind::Return),
            self.impression.map(|products| EventKind::Impression { skus: products.skus }),
            self.click.map(|product| EventKind::Click { sku: product.sku }),
            self.dismiss.map(|product| EventKind::Dismiss { sku: product.sku }),
        ];
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => Ok(Event { at, channel, kind }),
            (found, _) => Err(Error::new(
                ErrorKind::BadRequest,
                format!(
                    "the event at {at} says {} things that happened; it needs one of view, search, add_to_cart, \
                     purchase, return, impression, click, dismiss",
                    if found.is_some() { "several" } else { "no" },
                ),
            )),
        }
    }
}

impl RankReply {
    /// The reply to the request of an `id`, with the profile or without.
    pub fn new(id: Option<String>, ranking: Ranking, with_profile: bool) -> Self {
        Self {
            id,
            items: ranking.items,
            considered: ranking.considered,
            profile: with_profile.then_some(ranking.profile),
        }
    }
}

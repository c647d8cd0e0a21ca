//! Ranking in JSON.

use serde::{Deserialize, Serialize};
use tradewind_core::{
    Catalog, Channel, Code, Error, ErrorKind, Event, EventKind, Line, Millis, Profile, Sku, SkuBits,
    rank::{self, Constraints, ProductRow, RankedItem, Ranking},
};

/// Request for ranked products.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankRequest {
    /// Identifier that the reply repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Moment of the decision.
    pub at: Millis,
    /// Maximum number of products in the reply.
    pub limit: u16,
    /// Profile of the shopper, as returned by a reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Events since then.
    #[serde(default)]
    pub events: Vec<StorefrontEvent>,
    /// Limits the ranking to these products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<Sku>>,
    /// Products outside the pack's tables, if it is a slice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<ProductRow>,
    /// Excluded products.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Sku>,
    /// Products that the shop hides from everyone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<Sku>,
    /// Unavailable products.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<Sku>,
    /// Maximum number of products of one category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_category: Option<u16>,
    /// Region to which the snapshot must promise delivery of each product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Code>,
}

/// Event of a shopper, with exactly one of the fields after `channel`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is the event of its name")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StorefrontEvent {
    /// Moment of the event.
    pub at: Millis,
    /// Channel of the event (default `web`).
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

/// Product of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EventProduct))]
pub struct Product {
    /// SKU of the product.
    pub sku: Sku,
}

/// Products of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EventProducts))]
pub struct Products {
    /// SKUs of the products.
    pub skus: Vec<Sku>,
}

/// Search of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EventSearch))]
pub struct Search {
    /// Words of the search.
    pub query: String,
}

/// Order of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EventPurchase))]
pub struct Purchase {
    /// Lines of the order.
    pub lines: Vec<Line>,
}

/// Reply with ranked products.
#[derive(Debug, Clone, Serialize)]
pub struct RankReply {
    /// Identifier from the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Products, best first.
    pub items: Vec<RankedItem>,
    /// Number of candidates scored.
    pub considered: u32,
    /// Profile of the shopper, updated with the request's events; present if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

impl RankRequest {
    /// Creates a request for `limit` products for an unknown shopper.
    pub const fn new(at: Millis, limit: u16) -> Self {
        Self {
            id: None,
            at,
            limit,
            profile: None,
            events: Vec::new(),
            candidates: None,
            rows: Vec::new(),
            exclude: Vec::new(),
            hidden: Vec::new(),
            unavailable: Vec::new(),
            max_per_category: None,
            region: None,
        }
    }

    /// Converts the request to the module's type. Hidden or unavailable products that are not in `catalog` are ignored.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) names the invalid event.
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
            rows: self.rows,
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
                    "the event at {at} has {} kinds; it needs one of view, search, add_to_cart, \
                     purchase, return, impression, click, dismiss",
                    if found.is_some() { "several" } else { "no" },
                ),
            )),
        }
    }
}

impl RankReply {
    /// Creates the reply to a request with this `id`, with or without the profile.
    pub fn new(id: Option<String>, ranking: Ranking, with_profile: bool) -> Self {
        Self {
            id,
            items: ranking.items,
            considered: ranking.considered,
            profile: with_profile.then_some(ranking.profile),
        }
    }
}

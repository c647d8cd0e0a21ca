//! Ranking: products to show a shopper, in order, with reasons.
//!
//! ```text
//! profile + new events → candidates → features → plan → constraints → top k → reasons
//! ```
//!
//! - candidates: products that the shopper bought or viewed, products similar to these, and popular products;
//! - features: one row for each candidate; the same code writes the training data;
//! - the model's plan gives each row a score;
//! - [`Constraints`] are hard: a product that they exclude is not in the reply, whatever its score;
//! - ties are in descending order of popularity, then ascending by SKU, so a reply is a function of its request.

mod candidates;
mod reason;
mod select;

pub use crate::model::{
    moment::{Affinity, Candidate, Moment},
    products::{ProductRow, SimilarProduct},
    tables::{Neighbour, ProductStats, RankTables},
};
pub use candidates::CandidateSpec;
pub use reason::Reason;

use crate::{
    aligned::headroom,
    bounded,
    domain::{
        check::at_most,
        name::Code,
        sku::{Sku, SkuId},
        sku_set::SkuBits,
        time::Millis,
    },
    error::{Error, ErrorKind, Result},
    exec::Executor,
    model::{
        bound::Model,
        products::Products,
        source::{Source, of_rows},
    },
    profile::{Profile, event::Event},
    snapshot::Snapshot,
};
use alloc::{format, string::String, vec::Vec};
use select::{Blocked, Deliverable, Scored};
use serde::{Deserialize, Serialize};

/// Spec of a ranking: columns of the model, and the selection of candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankSpec {
    /// Columns of the model's input, in order.
    #[serde(deserialize_with = "bounded::list::<1000, _, _>")]
    pub features: Vec<Source>,
    /// Selection of candidates.
    pub candidates: CandidateSpec,
}

/// Asks for products for a shopper.
///
/// ```
/// use tradewind_core::{Channel, Event, EventKind, Millis, Sku, rank::{Constraints, RankRequest}};
///
/// let (now, tea) = (Millis(1_512_345_600_000), Sku::new("tea")?);
/// let view = Event { at: now, channel: Channel::Web, kind: EventKind::View { sku: tea.clone() } };
/// let request = RankRequest {
///     events: vec![view],
///     constraints: Constraints { exclude: vec![tea], max_per_category: Some(2), ..Constraints::default() },
///     ..RankRequest::new("recommend", now, 10)
/// };
/// assert!(request.profile.items().is_empty(), "an unknown shopper");
/// # Ok::<(), tradewind_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankRequest {
    /// Name of the ranking pack.
    pub pack: String,
    /// Moment of the decision.
    pub at: Millis,
    /// Profile of the shopper from the last reply; the default for a new shopper.
    pub profile: Profile,
    /// Events since then, in any order.
    #[serde(deserialize_with = "bounded::list::<{ RankRequest::MAX_EVENTS }, _, _>")]
    pub events: Vec<Event>,
    /// Limits the ranking to these products; products outside the catalogue are ignored.
    #[serde(deserialize_with = "bounded::optional_list::<{ RankRequest::MAX_PRODUCTS }, _, _>")]
    pub candidates: Option<Vec<Sku>>,
    /// Products outside the pack's tables, which thereby become known.
    #[serde(deserialize_with = "bounded::list::<{ RankRequest::MAX_PRODUCTS }, _, _>")]
    pub rows: Vec<ProductRow>,
    /// Constraints on the reply.
    pub constraints: Constraints,
    /// Maximum number of products in the reply.
    pub limit: u16,
}

/// Constraints on a ranking.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Constraints {
    /// Excluded products, for example those in the cart.
    #[serde(deserialize_with = "bounded::list::<{ RankRequest::MAX_PRODUCTS }, _, _>")]
    pub exclude: Vec<Sku>,
    /// Products of the pack's tables that the shop hides from everyone.
    pub hidden: Option<SkuBits>,
    /// Available products of the pack's tables; all products if absent.
    pub available: Option<SkuBits>,
    /// Maximum number of products of one category.
    pub max_per_category: Option<u16>,
    /// Region to which the loaded snapshot must promise delivery of each product; a row names its regions itself.
    pub deliverable_to: Option<Code>,
}

/// Answer to a [`RankRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Products, best first.
    pub items: Vec<RankedItem>,
    /// Number of candidates scored.
    pub considered: u32,
    /// Profile of the shopper, updated with the request's events.
    pub profile: Profile,
}

/// Ranked product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedItem {
    /// Product.
    pub sku: Sku,
    /// Score of the model: comparable within one reply only.
    pub score: f32,
    /// Reasons: actions of the shopper first, then of others.
    pub reasons: Vec<Reason>,
}

impl RankRequest {
    /// Maximum number of events in one request.
    pub const MAX_EVENTS: usize = 10_000;
    /// Maximum number of candidates, exclusions or results in one request.
    pub const MAX_PRODUCTS: usize = 10_000;

    /// Creates a request for `limit` products for an unknown shopper.
    pub fn new(pack: impl Into<String>, at: Millis, limit: u16) -> Self {
        Self {
            pack: pack.into(),
            at,
            profile: Profile::default(),
            events: Vec::new(),
            candidates: None,
            rows: Vec::new(),
            constraints: Constraints::default(),
            limit,
        }
    }

    fn check(&self, catalog_len: usize) -> Result<()> {
        self.at.check()?;
        self.profile.check()?;
        at_most("products in `limit`", usize::from(self.limit), Self::MAX_PRODUCTS)?;
        for (name, bits) in [("hidden", &self.constraints.hidden), ("available", &self.constraints.available)] {
            bits.as_ref().map_or(Ok(()), |bits| bits.check(catalog_len, name))?;
        }
        self.rows.iter().try_for_each(ProductRow::check)?;
        self.events.iter().try_for_each(|event| event.check_before(self.at))
    }
}

/// Loaded ranking pack.
#[derive(Debug)]
pub(crate) struct Ranker {
    spec: RankSpec,
    tables: RankTables,
    model: Model,
    /// Ids in the loaded snapshot of the tables' products; empty if none is loaded.
    known: Vec<SkuId>,
}

impl Ranker {
    /// Creates the ranker, if spec, tables and plan match.
    pub fn new(spec: RankSpec, tables: RankTables, executor: &Executor) -> Result<Self> {
        of_rows(&spec.features, Moment::PARTS, "candidates")?;
        let model = Model::bind(executor, &[], spec.features.len(), None)?;
        spec.candidates.check()?;
        Ok(Self { spec, tables, model, known: Vec::new() })
    }

    /// Maps the products to the catalogue of a snapshot.
    pub fn know(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.known = self.tables.catalog.ids_in(&snapshot.storefront.catalog)?;
        Ok(())
    }

    /// Products that can be delivered to the request's region; `None` if the request has no region.
    fn deliverable<'a>(
        &'a self,
        request: &RankRequest,
        snapshot: Option<&'a Snapshot>,
    ) -> Result<Option<Deliverable<'a>>> {
        let Some(code) = &request.constraints.deliverable_to else { return Ok(None) };
        let Some(snapshot) = snapshot else {
            return Err(Error::new(ErrorKind::NoSnapshot, format!("delivery to `{code}` needs a snapshot; load one")));
        };
        snapshot.holds(request.at)?;
        let region = snapshot.storefront.regions.get(snapshot.region(code)?);
        Ok(region.map(|region| Deliverable { region, known: &self.known }))
    }

    /// Answers a request.
    pub fn rank(
        &self,
        request: RankRequest,
        snapshot: Option<&Snapshot>,
        executor: &mut Executor,
        weights: &[u8],
    ) -> Result<Ranking> {
        request.check(self.tables.catalog.len())?;
        let deliverable = self.deliverable(&request, snapshot)?;
        let RankRequest { at, mut profile, events, candidates, rows, constraints, limit, .. } = request;
        profile.apply_in_time(&events);
        let products = Products::new(&self.tables, &rows);
        let blocked = Blocked::new(&constraints, deliverable, &products, &profile);
        let moment = Moment::among(products.clone(), &profile, at);
        let mut allowed = match &candidates {
            Some(skus) => moment.given(skus),
            None => moment.candidates(&self.spec.candidates, &|id| blocked.has(id)),
        };
        allowed.retain(|candidate| !blocked.has(candidate.id));
        let scores = self.score(&moment, &allowed, executor, weights)?;
        let scored =
            allowed.into_iter().zip(scores).map(|(candidate, score)| Scored { candidate, score }).collect::<Vec<_>>();
        let considered = scored.len() as u32;
        let items = select::top(&scored, usize::from(limit), constraints.max_per_category, &products)
            .into_iter()
            .filter_map(|Scored { candidate, score }| {
                let sku = products.sku(candidate.id)?;
                Some(RankedItem { sku, score, reasons: reason::reasons(&moment, &candidate) })
            })
            .collect();
        Ok(Ranking { items, considered, profile })
    }

    /// Computes the score of each candidate.
    fn score(
        &self,
        moment: &Moment<'_>,
        candidates: &[Candidate],
        executor: &mut Executor,
        weights: &[u8],
    ) -> Result<Vec<f32>> {
        // Features, and two copies of the scores.
        headroom(candidates.len().saturating_mul(4 * (self.spec.features.len() + self.model.width)))?;
        let mut matrix = Vec::with_capacity(candidates.len() * self.spec.features.len());
        for candidate in candidates {
            moment.row(&self.spec.features, candidate, &mut matrix);
        }
        let scores = self.model.run(executor, weights, candidates.len(), &matrix, &[])?;
        // A classifier has a column for each class; the last one counts.
        let scores: Vec<f32> = scores.chunks_exact(self.model.width).filter_map(|row| row.last().copied()).collect();
        match scores.iter().position(|score| !score.is_finite()) {
            None => Ok(scores),
            Some(at) => Err(Error::new(
                ErrorKind::NotFinite,
                format!("the score of candidate {at} is not finite; check the pack with `tradewind inspect`"),
            )),
        }
    }
}

//! Insights: answers of a model, described by its pack alone, about a shopper, products or texts.
//!
//! ```text
//! InsightSpec: rows → inputs → plan → output → keep → evidence
//! ```
//!
//! A pack defines its rows and the [`Source`]s of the model's columns; this code does not depend on the subject. So the
//! probability of churn, the days until a product is bought again, or the sentiment of a review each need only a folder
//! with a model.

mod spec;

pub use spec::{InsightSpec, Keep, Output, Range, Rows, Rule};

use crate::{
    aligned::headroom,
    bounded,
    domain::{
        check::at_most,
        name::Code,
        quantiles::Quantiles,
        sku::{Sku, SkuId},
        sort,
        time::Millis,
    },
    error::{Error, ErrorKind, Result},
    exec::Executor,
    model::{
        bound::{Model, Text},
        clock::Clock,
        moment::{Candidate, Moment},
        shopper::Shopper,
        source::{Part, Row, Source},
        tables::RankTables,
        week::{Outlook, WeekFacts},
    },
    profile::{Profile, event::Event},
    snapshot::{FulfilmentNode, Snapshot},
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Asks for an insight.
///
/// Events, products and texts that the pack's rows do not use must be absent; an unused profile is ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InsightRequest {
    /// Name of the pack; `None` for the only insight loaded.
    pub pack: Option<String>,
    /// Moment of the decision.
    pub at: Millis,
    /// Profile of the shopper; the default for a new shopper, and for rows that are not about shoppers.
    pub profile: Profile,
    /// Events since the profile was updated, in any order.
    #[serde(deserialize_with = "bounded::list::<{ InsightRequest::MAX_EVENTS }, _, _>")]
    pub events: Vec<Event>,
    /// Limits the rows to these products; unknown products are skipped.
    #[serde(deserialize_with = "bounded::optional_list::<{ InsightRequest::MAX_ROWS }, _, _>")]
    pub skus: Option<Vec<Sku>>,
    /// Texts, one for each row.
    #[serde(deserialize_with = "bounded::list::<{ InsightRequest::MAX_ROWS }, _, _>")]
    pub texts: Vec<String>,
}

/// Answer to an [`InsightRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Insights {
    /// Name of the pack that answered.
    pub pack: String,
    /// Rows that the pack keeps, greatest value first.
    pub items: Vec<Insight>,
    /// Number of rows evaluated.
    pub considered: u32,
}

/// Answer of a model for a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Insight {
    /// Subject of the row.
    pub of: Subject,
    /// Value for the row.
    pub value: Value,
    /// Facts shown as reasons, in the order of the pack's rules.
    pub evidence: Vec<Fact>,
}

/// Subject of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Shopper of the request.
    Shopper,
    /// Product.
    Sku(Sku),
    /// Hour of the week, from Monday 00:00.
    Hour(u8),
    /// Product at a node.
    Stock(Sku, Code),
    /// Text, by its index in the request.
    Text(u32),
}

/// Value that a model computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Probability (0 to 1).
    Probability(f32),
    /// Quantiles of an amount, in the pack's unit.
    Quantiles(Quantiles),
    /// Amount, in the pack's unit.
    Amount(f32),
    /// Label.
    Label(String),
    /// Score: comparable within one reply only.
    Score(f32),
}

/// Fact about a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = InsightFact))]
pub struct Fact {
    /// Source of the fact, one of those in `models/FEATURES.md`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub source: Source,
    /// Value, in the source's unit.
    pub value: f32,
}

impl InsightRequest {
    /// Maximum number of events in one request.
    pub const MAX_EVENTS: usize = 10_000;
    /// Maximum number of rows of one request.
    pub const MAX_ROWS: usize = 1 << 20;

    /// Creates a request for an unknown shopper.
    pub fn new(pack: Option<String>, at: Millis) -> Self {
        Self { pack, at, profile: Profile::default(), events: Vec::new(), skus: None, texts: Vec::new() }
    }

    fn check(&self, rows: Rows) -> Result<()> {
        self.at.check()?;
        self.profile.check()?;
        self.events.iter().try_for_each(|event| event.check_before(self.at))?;
        let parts = rows.parts();
        let unused = if !parts.contains(&Part::Shopper) && !self.events.is_empty() {
            "`events`"
        } else if !parts.contains(&Part::Product) && self.skus.is_some() {
            "`skus`"
        } else if rows != Rows::Text && !self.texts.is_empty() {
            "`texts`"
        } else {
            return Ok(());
        };
        let message = format!("the insight's rows are {}: leave out {unused}", rows.name());
        Err(Error::new(ErrorKind::BadRequest, message))
    }
}

impl InsightSpec {
    /// Appends a training row for each subject at a moment, one value for each of the inputs. Rows of products come from
    /// the tables.
    ///
    /// # Errors
    /// [`NoSnapshot`](ErrorKind::NoSnapshot) for rows and inputs that need a snapshot or a request.
    pub fn features(
        &self,
        tables: &RankTables,
        profile: &Profile,
        at: Millis,
        matrix: &mut Vec<f32>,
    ) -> Result<Vec<Subject>> {
        let of_snapshot = |source: &&Source| [Part::Week, Part::Stock].contains(&source.part());
        if let Some(source) = self.inputs.iter().find(of_snapshot) {
            return Err(Error::new(ErrorKind::NoSnapshot, format!("only a snapshot knows `{}`", source.name())));
        }
        if self.rows == Rows::Text {
            return Err(Error::new(ErrorKind::NoSnapshot, "only a request has texts"));
        }
        let request = InsightRequest::new(None, at);
        let known = Known::new(self.rows, Moment::new(tables, profile, at), &request, None)?;
        for n in 0..known.len() {
            known.with(n, &mut |row| row.append(&self.inputs, matrix))?;
        }
        Ok((0..known.len()).map(|n| known.subject(n)).collect())
    }
}

/// Loaded insight pack.
#[derive(Debug)]
pub(crate) struct InsightModel {
    spec: InsightSpec,
    tables: RankTables,
    model: Model,
    /// Text columns that the model reads.
    text: Vec<&'static str>,
}

impl InsightModel {
    /// Creates the model, if spec, tables and plan match.
    pub fn new(spec: InsightSpec, tables: RankTables, executor: &Executor) -> Result<Self> {
        spec.check()?;
        let text = spec.rows.text().iter().copied();
        let text: Vec<_> = text.filter(|name| executor.plan().inputs.iter().any(|port| port.name == **name)).collect();
        let model = Model::bind(executor, &text, spec.inputs.len(), None)?;
        if !spec.output.widths().contains(&model.width) {
            let message = format!("the model has {} output columns, unlike its spec", model.width);
            return Err(Error::new(ErrorKind::PackCorrupt, message));
        }
        Ok(Self { spec, tables, model, text })
    }

    /// Answers a request.
    pub fn insight(
        &self,
        pack: &str,
        request: &InsightRequest,
        snapshot: Option<&Snapshot>,
        executor: &mut Executor,
        weights: &[u8],
    ) -> Result<Insights> {
        request.check(self.spec.rows)?;
        let mut profile = request.profile.clone();
        profile.apply_in_time(&request.events);
        let moment = Moment::new(&self.tables, &profile, request.at);
        let known = Known::new(self.spec.rows, moment, request, snapshot)?;
        let (inputs, width) = (&self.spec.inputs, self.model.width);
        headroom(known.len().saturating_mul(4 * (inputs.len() + 2 * width)))?;
        let mut matrix = Vec::with_capacity(known.len() * inputs.len());
        for n in 0..known.len() {
            known.with(n, &mut |row| row.append(inputs, &mut matrix))?;
        }
        let given = self.run(&known, &matrix, executor, weights)?;
        let mut keys = Vec::with_capacity(known.len());
        for row in given.chunks_exact(width) {
            keys.push(self.spec.output.key(row)?);
        }
        let Keep { at_least, limit } = self.spec.keep;
        let mut items = Vec::new();
        for n in sort::greatest(keys.iter().copied().zip(0..)).take(limit.unwrap_or(u32::MAX) as usize) {
            let n = n as usize;
            if at_least.is_some_and(|least| keys[n] < least) {
                break;
            }
            let mut evidence = Vec::new();
            known.with(n, &mut |row| {
                for rule in &self.spec.evidence {
                    let value = row.value(rule.source);
                    if rule.holds(value) {
                        evidence.push(Fact { source: rule.source, value });
                    }
                }
            })?;
            let row = given.get(n * width..(n + 1) * width).unwrap_or_default();
            items.push(Insight { of: known.subject(n), value: self.spec.output.value(row), evidence });
        }
        Ok(Insights { pack: pack.into(), items, considered: known.len() as u32 })
    }

    /// Runs the model on all rows.
    fn run(&self, known: &Known<'_>, matrix: &[f32], executor: &mut Executor, weights: &[u8]) -> Result<Vec<f32>> {
        let sku = |n| known.sku(n).map_or("", Sku::as_str);
        let node = |n| known.node(n).map_or("", |node| node.code.as_str());
        let text = |n: usize| known.texts.get(n).map_or("", String::as_str);
        let columns = self.text.iter().map(|name| match *name {
            "sku" => &sku as &Text<'_>,
            "node" => &node,
            _ => &text,
        });
        self.model.run(executor, weights, known.len(), matrix, &columns.collect::<Vec<_>>())
    }
}

/// Rows of a request, and the facts about them.
struct Known<'a> {
    rows: Rows,
    moment: Moment<'a>,
    snapshot: Option<&'a Snapshot>,
    /// Products with facts about the shopper and the product.
    candidates: Vec<Candidate>,
    /// Products of the rows, including those of `candidates`.
    products: Vec<Sku>,
    /// Nodes; there is a row for each product and node.
    nodes: &'a [FulfilmentNode],
    texts: &'a [String],
}

impl<'a> Known<'a> {
    fn new(
        rows: Rows,
        moment: Moment<'a>,
        request: &'a InsightRequest,
        snapshot: Option<&'a Snapshot>,
    ) -> Result<Self> {
        let mut known = Self {
            rows,
            moment,
            snapshot,
            candidates: Vec::new(),
            products: Vec::new(),
            nodes: &[],
            texts: &request.texts,
        };
        match (rows, &request.skus) {
            (Rows::ShopperProduct, Some(skus)) => known.candidates = known.moment.given(skus),
            (Rows::ShopperProduct, None) => known.candidates = known.moment.bought(),
            (Rows::Product | Rows::ProductNode, asked) => known.products = known.products(asked.as_deref())?,
            _ => {}
        }
        let skus = known.candidates.iter().filter_map(|candidate| known.moment.products.sku(candidate.id));
        known.products.extend(skus.collect::<Vec<_>>());
        if rows == Rows::ProductNode {
            let Some(fulfilment) = snapshot.and_then(|snapshot| snapshot.fulfilment.as_ref()) else {
                return Err(Error::new(ErrorKind::NoSnapshot, "the insight needs a snapshot with stock"));
            };
            known.nodes = &fulfilment.nodes;
        }
        at_most("rows", known.len(), InsightRequest::MAX_ROWS)?;
        Ok(known)
    }

    /// Requested products that are known; all known products if the request names none.
    fn products(&self, asked: Option<&[Sku]>) -> Result<Vec<Sku>> {
        let tables = &self.moment.products.tables.catalog;
        let catalog = match self.snapshot {
            Some(snapshot) if tables.is_empty() => &snapshot.storefront.catalog,
            _ => tables,
        };
        if let Some(asked) = asked {
            return Ok(asked.iter().filter(|sku| catalog.id(sku).is_some()).cloned().collect());
        }
        at_most("rows", catalog.len(), InsightRequest::MAX_ROWS)?;
        Ok(catalog.skus().collect())
    }

    /// Number of rows.
    fn len(&self) -> usize {
        match self.rows {
            Rows::Shopper => 1,
            Rows::ShopperProduct => self.candidates.len(),
            Rows::ShopperHour => Clock::WEEK.into(),
            Rows::Product => self.products.len(),
            Rows::ProductNode => self.products.len() * self.nodes.len(),
            Rows::Text => self.texts.len(),
        }
    }

    /// Product of a row.
    fn sku(&self, n: usize) -> Option<&Sku> {
        match self.rows {
            Rows::ShopperProduct | Rows::Product | Rows::ProductNode => self.products.get(n / self.nodes.len().max(1)),
            _ => None,
        }
    }

    /// Node of a row.
    fn node(&self, n: usize) -> Option<&FulfilmentNode> {
        self.nodes.get(n.checked_rem(self.nodes.len())?)
    }

    /// Subject of a row.
    fn subject(&self, n: usize) -> Subject {
        match (self.rows, self.sku(n), self.node(n)) {
            (_, Some(sku), Some(node)) => Subject::Stock(sku.clone(), node.code.clone()),
            (_, Some(sku), None) => Subject::Sku(sku.clone()),
            (Rows::ShopperHour, ..) => Subject::Hour(n as u8),
            (Rows::Text, ..) => Subject::Text(n as u32),
            _ => Subject::Shopper,
        }
    }

    /// Calls a function with the facts about a row.
    fn with(&self, n: usize, then: &mut dyn FnMut(&Row<'_>)) -> Result<()> {
        let Moment { products, profile, at, .. } = &self.moment;
        let at = *at;
        let shopper = Shopper::new(profile, at);
        let habit = self.candidates.get(n).map(|candidate| self.moment.habit(candidate));
        let mut row = Row { shopper: Some(&shopper), habit: habit.as_ref(), ..Row::default() };
        if self.rows == Rows::ShopperHour {
            row.clock = Some(Clock::hour_of_week(n as u8));
        }
        if let Some(sku) = self.sku(n) {
            row.product = products.id(sku).map(|id| products.stats(id));
            if let Some(snapshot) = self.snapshot
                && let Some(id) = snapshot.storefront.catalog.id(sku)
            {
                row.week = week(snapshot, id, at)?;
                row.stock = self.node(n).map(|node| node.stock.of(id));
            }
        }
        then(&row);
        Ok(())
    }
}

/// Facts about a product and the week of a moment, from the sales of a snapshot; `None` if it has no sales.
fn week(snapshot: &Snapshot, id: SkuId, at: Millis) -> Result<Option<WeekFacts<'_>>> {
    let storefront = &snapshot.storefront;
    let pricing = snapshot.pricing.as_ref().or(storefront.published.as_ref());
    let inputs = pricing.and_then(|pricing| pricing.of(id));
    let (Some(inputs), Some(listed)) = (inputs, storefront.price(id)) else { return Ok(None) };
    let offer = inputs.offer(storefront.issued, at, &listed);
    Ok(Some(Outlook::new(inputs.history, offer, 1)?.facts()))
}

#[cfg(test)]
mod tests;

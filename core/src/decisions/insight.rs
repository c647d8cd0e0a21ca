//! Insights: what a model that is described by its pack alone says of a shopper, of products, of texts.
//!
//! ```text
//! InsightSpec: rows → inputs → plan → output → keep → evidence
//! ```
//!
//! A pack says what its rows are and which [`Source`]s are the model's columns; nothing here knows what it is about. So
//! likely churn, the days until a product is bought again, or the sentiment of a review are each a folder with a model.

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
        week::Outlook,
    },
    profile::{Profile, event::Event},
    snapshot::{FulfilmentNode, Snapshot},
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// What does an insight say?
///
/// Events, products and texts that the rows of its pack have no use for must be left out; a profile is passed over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InsightRequest {
    /// The name of the pack; `None` where one insight is loaded, and no other.
    pub pack: Option<String>,
    /// The moment of the decision.
    pub at: Millis,
    /// The shopper; the default for someone new, and for rows that are not about shoppers.
    pub profile: Profile,
    /// What the shopper did since, in any order.
    #[serde(deserialize_with = "bounded::list::<{ InsightRequest::MAX_EVENTS }, _, _>")]
    pub events: Vec<Event>,
    /// These products only. Those that are not known are passed over.
    #[serde(deserialize_with = "bounded::optional_list::<{ InsightRequest::MAX_ROWS }, _, _>")]
    pub products: Option<Vec<Sku>>,
    /// The texts.
    #[serde(deserialize_with = "bounded::list::<{ InsightRequest::MAX_ROWS }, _, _>")]
    pub texts: Vec<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Insights {
    /// The name of the pack that answers.
    pub pack: String,
    /// The rows that are kept, greatest first.
    pub items: Vec<Insight>,
    /// How many rows there were.
    pub considered: u32,
}

/// What a model says of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Insight {
    /// The row.
    pub of: Subject,
    /// What is said of it.
    pub value: Value,
    /// The facts that are reasons, in the order of the pack's rules.
    pub evidence: Vec<Fact>,
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The shopper of the request.
    Shopper,
    /// A product.
    Sku(Sku),
    /// An hour of the week, from Monday 00:00.
    Hour(u8),
    /// A product at a node.
    Stock(Sku, Code),
    /// A text, by its place in the request.
    Text(u32),
}

/// What a model says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A probability, 0 to 1.
    Probability(f32),
    /// The quantiles of an amount, in the pack's unit.
    Quantiles(Quantiles),
    /// An amount, in the pack's unit.
    Amount(f32),
    /// A label.
    Label(String),
    /// A score: comparable within one reply only.
    Score(f32),
}

/// A fact about a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Which.
    pub source: Source,
    /// Its value, in the source's unit.
    pub value: f32,
}

impl InsightRequest {
    /// The most events in one request.
    pub const MAX_EVENTS: usize = 10_000;
    /// The most rows that one request may have.
    pub const MAX_ROWS: usize = 1 << 20;

    /// A request for someone of whom nothing is known.
    pub fn new(pack: Option<String>, at: Millis) -> Self {
        Self { pack, at, profile: Profile::default(), events: Vec::new(), products: None, texts: Vec::new() }
    }

    fn check(&self, rows: Rows) -> Result<()> {
        self.at.check()?;
        self.profile.check()?;
        self.events.iter().try_for_each(|event| event.check_before(self.at))?;
        let parts = rows.parts();
        let unused = if !parts.contains(&Part::Shopper) && !self.events.is_empty() {
            "`events`"
        } else if !parts.contains(&Part::Product) && self.products.is_some() {
            "`products`"
        } else if rows != Rows::Text && !self.texts.is_empty() {
            "`texts`"
        } else {
            return Ok(());
        };
        let message = format!("the insight's rows are {}: it has no use for {unused}", rows.name());
        Err(Error::new(ErrorKind::BadRequest, message))
    }
}

impl InsightSpec {
    /// Appends a row for each subject at a moment, one value for each of the inputs: what a model is trained on. Without
    /// a snapshot and a request, so rows of products are those of the tables, and there are none of texts.
    ///
    /// # Errors
    /// [`NoSnapshot`](ErrorKind::NoSnapshot) for rows that only a snapshot has.
    pub fn features(
        &self,
        tables: &RankTables,
        profile: &Profile,
        at: Millis,
        matrix: &mut Vec<f32>,
    ) -> Result<Vec<Subject>> {
        let known = Known { moment: Moment::new(tables, profile, at), snapshot: None };
        let request = InsightRequest::new(None, at);
        let rows = known.rows(self.rows, &request)?;
        for row in &rows {
            known.with(row, &mut |row| row.append(&self.inputs, matrix))?;
        }
        Ok(rows.iter().map(|row| known.subject(row)).collect())
    }
}

/// An insight pack that is loaded.
#[derive(Debug)]
pub(crate) struct InsightModel {
    spec: InsightSpec,
    tables: RankTables,
    model: Model,
    /// The columns of text that the model takes.
    text: Vec<&'static str>,
}

impl InsightModel {
    /// Checks that spec, tables and plan fit each other.
    pub fn new(spec: InsightSpec, tables: RankTables, executor: &Executor) -> Result<Self> {
        spec.check()?;
        let tables = tables.prepared()?;
        let text = spec.rows.text().iter().copied();
        let text: Vec<_> = text.filter(|name| executor.plan().inputs.iter().any(|port| port.name == **name)).collect();
        let model = Model::bind(executor, &text, spec.inputs.len(), None)?;
        if !spec.output.widths().contains(&model.width) {
            let message = format!("the model gives {} columns, which its spec's output has not", model.width);
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
        let events = &request.events;
        let in_time = sort::ascending(events.len(), &|a, b| events[a].at.cmp(&events[b].at));
        in_time.into_iter().for_each(|n| profile.apply(&events[n]));
        let known = Known { moment: Moment::new(&self.tables, &profile, request.at), snapshot };
        let rows = known.rows(self.spec.rows, request)?;
        at_most("rows", rows.len(), InsightRequest::MAX_ROWS)?;
        headroom(rows.len().saturating_mul(4 * (self.spec.inputs.len() + 2 * self.model.width)))?;
        let mut matrix = Vec::with_capacity(rows.len() * self.spec.inputs.len());
        for row in &rows {
            known.with(row, &mut |row| row.append(&self.spec.inputs, &mut matrix))?;
        }
        let given = self.run(&rows, request, &matrix, executor, weights)?;
        let values = given.chunks_exact(self.model.width).map(|row| self.value(row)).collect::<Result<Vec<_>>>()?;
        let Keep { at_least, limit } = self.spec.keep;
        let greatest = sort::greatest(values.iter().map(|(_, key)| *key).zip(0..)).map(|n| n as usize);
        let mut items = Vec::new();
        for n in greatest.take(limit.map_or(usize::MAX, |limit| limit as usize)) {
            let (Some(row), Some((value, key))) = (rows.get(n), values.get(n)) else { continue };
            if at_least.is_some_and(|least| *key < least) {
                break;
            }
            let mut evidence = Vec::new();
            known.with(row, &mut |row| {
                let facts = self.spec.evidence.iter().map(|rule| (rule, row.value(rule.source)));
                let reasons = facts.filter(|(rule, value)| rule.holds(*value));
                evidence.extend(reasons.map(|(rule, value)| Fact { source: rule.source, value }));
            })?;
            items.push(Insight { of: known.subject(row), value: value.clone(), evidence });
        }
        Ok(Insights { pack: pack.into(), items, considered: rows.len() as u32 })
    }

    /// What the model gives for the rows.
    fn run(
        &self,
        rows: &[RowOf<'_>],
        request: &InsightRequest,
        matrix: &[f32],
        executor: &mut Executor,
        weights: &[u8],
    ) -> Result<Vec<f32>> {
        let sku = |row: usize| match rows.get(row) {
            Some(RowOf::Habit(candidate)) => self.tables.catalog.sku(candidate.id).map_or("", Sku::as_str),
            Some(RowOf::Product(sku) | RowOf::Stock(sku, _)) => sku.as_str(),
            _ => "",
        };
        let node = |row: usize| match rows.get(row) {
            Some(RowOf::Stock(_, node)) => node.code.as_str(),
            _ => "",
        };
        let text = |row: usize| request.texts.get(row).map_or("", String::as_str);
        let columns = self.text.iter().map(|name| match *name {
            "sku" => &sku as &Text<'_>,
            "node" => &node,
            _ => &text,
        });
        self.model.run(executor, weights, rows.len(), matrix, &columns.collect::<Vec<_>>())
    }

    /// What a row of the model's output says, and by which number it is compared.
    fn value(&self, row: &[f32]) -> Result<(Value, f32)> {
        let within = |range: &Range, value: f32| (range.least..=range.most).contains(&value);
        let found = match (&self.spec.output, row) {
            (Output::Probability, &[.., value]) if (0.0..=1.0).contains(&value) => (Value::Probability(value), value),
            (Output::Amount(range), &[value]) if within(range, value) => (Value::Amount(value), value),
            (Output::Score, &[value]) if value.is_finite() => (Value::Score(value), value),
            (Output::Quantiles(range), &[p10, p50, p90])
                if p10 <= p50 && p50 <= p90 && within(range, p10) && within(range, p90) =>
            {
                (Value::Quantiles(Quantiles { p10, p50, p90 }), p50)
            }
            (Output::Label(labels), row) if row.iter().all(|value| value.is_finite()) => {
                let best = sort::greatest(row.iter().copied().zip(0..)).next().unwrap_or_default() as usize;
                (
                    Value::Label(labels.get(best).cloned().unwrap_or_default()),
                    row.get(best).copied().unwrap_or_default(),
                )
            }
            // Which number it is, no message says: to write numbers with fractions takes 15 kB of the module.
            _ => {
                return Err(Error::new(
                    ErrorKind::NotFinite,
                    "the model gave a value that its spec does not allow; check the pack with `tradewind inspect`",
                ));
            }
        };
        Ok(found)
    }
}

/// All that rows are known by.
struct Known<'a> {
    moment: Moment<'a>,
    snapshot: Option<&'a Snapshot>,
}

/// A row.
enum RowOf<'a> {
    Shopper,
    Habit(Candidate),
    Hour(u8),
    Product(&'a Sku),
    Stock(&'a Sku, &'a FulfilmentNode),
    Text(u32),
}

impl<'a> Known<'a> {
    /// The rows of a request.
    fn rows(&self, rows: Rows, request: &'a InsightRequest) -> Result<Vec<RowOf<'a>>> {
        let products = request.products.as_deref();
        Ok(match rows {
            Rows::Shopper => [RowOf::Shopper].into(),
            Rows::ShopperProduct => {
                let candidates = match products {
                    Some(skus) => self.moment.given(skus),
                    None => self.moment.bought(),
                };
                candidates.into_iter().map(RowOf::Habit).collect()
            }
            Rows::ShopperHour => (0..Clock::WEEK).map(RowOf::Hour).collect(),
            Rows::Product => self.products(products).into_iter().map(RowOf::Product).collect(),
            Rows::ProductNode => {
                let Some(fulfilment) = self.snapshot.and_then(|snapshot| snapshot.fulfilment.as_ref()) else {
                    return Err(Error::new(
                        ErrorKind::NoSnapshot,
                        "the insight is about stock, and no snapshot has it",
                    ));
                };
                let products = self.products(products);
                at_most("rows", products.len().saturating_mul(fulfilment.nodes.len()), InsightRequest::MAX_ROWS)?;
                let at_nodes = |sku| fulfilment.nodes.iter().map(move |node| RowOf::Stock(sku, node));
                products.into_iter().flat_map(at_nodes).collect()
            }
            Rows::Text => (0..request.texts.len() as u32).map(RowOf::Text).collect(),
        })
    }

    /// The products that were asked for and are known; all that are known where none were.
    fn products(&self, asked: Option<&'a [Sku]>) -> Vec<&'a Sku> {
        let tables = &self.moment.tables.catalog;
        let catalog = match self.snapshot {
            Some(snapshot) if tables.is_empty() => &snapshot.storefront.catalog,
            _ => tables,
        };
        match asked {
            Some(skus) => skus.iter().filter(|sku| catalog.id(sku).is_some()).collect(),
            None => catalog.skus().iter().collect(),
        }
    }

    /// Does something with what is known of a row.
    fn with(&self, row: &RowOf<'_>, then: &mut dyn FnMut(&Row<'_>)) -> Result<()> {
        let shopper = Shopper::new(self.moment.profile, self.moment.at);
        match row {
            RowOf::Shopper => then(&Row { shopper: Some(&shopper), ..Row::default() }),
            RowOf::Hour(hour) => {
                let clock = Some(Clock::hour_of_week(*hour));
                then(&Row { clock, shopper: Some(&shopper), ..Row::default() });
            }
            RowOf::Habit(candidate) => {
                let habit = self.moment.habit(candidate);
                let product = Some(self.moment.tables.stats(candidate.id));
                then(&Row { shopper: Some(&shopper), product, habit: Some(&habit), ..Row::default() });
            }
            RowOf::Product(sku) => then(&self.product(sku)?),
            RowOf::Stock(sku, node) => {
                let id = self.snapshot.and_then(|snapshot| snapshot.storefront.catalog.id(sku));
                then(&Row { stock: id.map(|id| node.stock.of(id)), ..self.product(sku)? });
            }
            RowOf::Text(_) => then(&Row::default()),
        }
        Ok(())
    }

    /// What is known of a product: by the tables, and by the snapshot's sales before the week of the moment.
    fn product(&self, sku: &Sku) -> Result<Row<'_>> {
        let tables = self.moment.tables;
        let product = tables.catalog.id(sku).map(|id| tables.stats(id));
        let week = match self.snapshot {
            Some(snapshot) => self.week(snapshot, sku)?,
            None => None,
        };
        Ok(Row { product, week: week.map(Outlook::facts), ..Row::default() })
    }

    fn week<'s>(&self, snapshot: &'s Snapshot, sku: &Sku) -> Result<Option<Outlook<'s>>> {
        let storefront = &snapshot.storefront;
        let pricing = snapshot.pricing.as_ref().or(storefront.published.as_ref());
        let inputs = |id: SkuId| Some((pricing?.of(id)?, storefront.prices.get(id.0 as usize)?));
        let Some((inputs, listed)) = storefront.catalog.id(sku).and_then(inputs) else { return Ok(None) };
        let offer = inputs.offer(storefront.issued, self.moment.at, listed);
        Outlook::new(&inputs.history, offer, 1).map(Some)
    }

    fn subject(&self, row: &RowOf<'_>) -> Subject {
        match row {
            RowOf::Shopper => Subject::Shopper,
            RowOf::Hour(hour) => Subject::Hour(*hour),
            RowOf::Habit(candidate) => match self.moment.tables.catalog.sku(candidate.id) {
                Some(sku) => Subject::Sku(sku.clone()),
                None => Subject::Shopper,
            },
            RowOf::Product(sku) => Subject::Sku((*sku).clone()),
            RowOf::Stock(sku, node) => Subject::Stock((*sku).clone(), node.code.clone()),
            RowOf::Text(n) => Subject::Text(*n),
        }
    }
}

#[cfg(test)]
mod tests;

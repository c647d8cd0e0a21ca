//! Snapshots: what a merchant has, where, and at what price, at one moment.
//!
//! One snapshot feeds ranking, pricing, allocation and exceptions, so that all of them speak of the
//! same stock and demand. It is a file like a [pack](crate::pack), digested and signed in the same
//! way, with sections of its own:
//!
//! | section | holds | who may have it |
//! |---|---|---|
//! | [`Storefront`] | products, prices that were shown, regions and what is promised there | everyone |
//! | [`Pricing`] | guards with costs, sales of the last weeks, promotions of the next | edge and warehouse |
//! | [`Fulfilment`] | nodes, lanes, stock | edge and warehouse |
//! | [`Forecast`] | demand of the next weeks | edge and warehouse |
//!
//! The public file is the same one cut off behind its first section, and has the same root.

mod fulfilment;
mod live;
mod pricing;
mod storefront;

pub use fulfilment::{Forecast, Fulfilment, FulfilmentNode, Lane, NodeStock, Stock};
pub(crate) use live::LiveNode;
pub use live::{Booked, Live, LiveStock};
pub use pricing::{PriceInputs, Pricing, Promotion};
pub(crate) use storefront::start_of_day;
pub use storefront::{ListedPrice, PricePoint, Promise, Region, Storefront};

use crate::{
    bounded,
    domain::{digest::Digest, name::Code, time::Millis},
    error::{Error, ErrorKind, Result},
    pack::{PackView, SectionKind},
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// A loaded snapshot, with the sections that were in its file.
#[derive(Debug)]
pub struct Snapshot {
    /// The digest that names it; the same for the whole file and for its public part.
    pub root: Digest,
    /// The merchant's name for it.
    pub name: String,
    /// Its version, as the merchant counts.
    pub version: String,
    /// Products, prices, regions, promises.
    pub storefront: Storefront,
    /// Guards, costs, sales: where they are loaded, before those that the storefront publishes.
    pub pricing: Option<Pricing>,
    /// Nodes, lanes, stock.
    pub fulfilment: Option<Fulfilment>,
    /// Demand.
    pub forecast: Option<Forecast>,
    /// The part of all demand that each node would serve if every region were served by its cheapest lane from
    /// an open node, and all regions asked for as much. Empty where nodes are not loaded.
    pub(crate) node_shares: Vec<f32>,
}

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// The digest that names it.
    pub root: Digest,
    /// The merchant's name for it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// From when it holds.
    pub issued: Millis,
    /// Until when it holds.
    pub expires: Millis,
    /// Products.
    pub products: u32,
    /// Regions.
    pub regions: u32,
    /// The sections that are loaded.
    #[serde(deserialize_with = "bounded::list::<16, _, _>")]
    pub sections: Vec<SectionKind>,
}

/// A question that what everyone may know does not answer.
#[cold]
pub(crate) fn only_public() -> Error {
    Error::new(ErrorKind::NoSnapshot, "only the public part of the snapshot is loaded; load the whole of it")
}

impl Snapshot {
    /// Reads a snapshot's sections, those that its file has, and checks that they fit each other.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt), or [`BadRequest`](ErrorKind::BadRequest) naming what
    /// contradicts what.
    pub fn read(view: &PackView<'_>) -> Result<Self> {
        let mut storefront: Storefront = view.read(SectionKind::Storefront)?;
        storefront.prepare()?;
        let pricing: Option<Pricing> = view.read_optional(SectionKind::Pricing)?;
        let fulfilment: Option<Fulfilment> = view.read_optional(SectionKind::Fulfilment)?;
        let forecast: Option<Forecast> = view.read_optional(SectionKind::Forecast)?;
        let products = storefront.catalog.len();
        pricing.as_ref().map_or(Ok(()), |pricing| pricing.check(products))?;
        fulfilment.as_ref().map_or(Ok(()), |fulfilment| fulfilment.check(products, storefront.regions.len()))?;
        forecast.as_ref().map_or(Ok(()), |forecast| forecast.check(products))?;
        let manifest = view.manifest();
        let (name, version) = (manifest.name.clone(), manifest.version.clone());
        let node_shares = fulfilment.as_ref().map_or_else(Vec::new, |all| all.node_shares(storefront.regions.len()));
        Ok(Self { root: view.root(), name, version, storefront, pricing, fulfilment, forecast, node_shares })
    }

    /// What it says of itself.
    pub fn info(&self) -> SnapshotInfo {
        let present = [
            (SectionKind::Storefront, true),
            (SectionKind::Pricing, self.pricing.is_some()),
            (SectionKind::Fulfilment, self.fulfilment.is_some()),
            (SectionKind::Forecast, self.forecast.is_some()),
        ];
        SnapshotInfo {
            root: self.root,
            name: self.name.clone(),
            version: self.version.clone(),
            issued: self.storefront.issued,
            expires: self.storefront.expires,
            products: self.storefront.catalog.len() as u32,
            regions: self.storefront.regions.len() as u32,
            sections: present.into_iter().filter(|(_, present)| *present).map(|(kind, _)| kind).collect(),
        }
    }

    /// Checks that this is the snapshot of a root.
    ///
    /// # Errors
    /// [`NoSnapshot`](ErrorKind::NoSnapshot).
    pub fn is(&self, root: Digest) -> Result<()> {
        if root == self.root {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NoSnapshot, "the request is for another snapshot; load it, or ask again"))
    }

    /// Checks that the snapshot holds at a moment.
    ///
    /// # Errors
    /// [`SnapshotExpired`](ErrorKind::SnapshotExpired).
    pub fn holds(&self, at: Millis) -> Result<()> {
        at.check()?;
        let Storefront { issued, expires, .. } = self.storefront;
        if (issued..expires).contains(&at) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::SnapshotExpired,
            format!(
                "the snapshot holds from {} until {}, not at {}; load the one that does",
                issued.0, expires.0, at.0
            ),
        ))
    }

    /// The place of a region in the storefront's list.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) for a region that the snapshot does not have.
    pub fn region(&self, code: &Code) -> Result<usize> {
        code.check()?;
        self.storefront
            .regions
            .iter()
            .position(|region| region.code == *code)
            .ok_or_else(|| Error::new(ErrorKind::BadRequest, format!("the snapshot has no region `{code}`")))
    }

    /// Units of a product that can be promised from the nodes that ship to a region; `None` where stock is
    /// not loaded.
    pub fn available(&self, id: crate::SkuId, region: usize) -> Option<u64> {
        let fulfilment = self.fulfilment.as_ref()?;
        let serving = fulfilment.lanes.iter().filter(|lane| usize::from(lane.region) == region);
        let nodes = serving.filter_map(|lane| fulfilment.nodes.get(usize::from(lane.node)));
        Some(nodes.filter(|node| !node.closed).map(|node| u64::from(node.stock.available(id))).sum())
    }
}

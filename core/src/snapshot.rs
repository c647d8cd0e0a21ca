//! Snapshots: a merchant's products, prices, stock, nodes and lanes at one moment.
//!
//! Ranking, pricing, allocation and exceptions read the same snapshot, so all of them use the same stock and demand.
//! The file has the format of a [pack](crate::pack), is digested and signed in the same way, and has its own sections:
//!
//! | section | contents | audience |
//! |---|---|---|
//! | [`Storefront`] | products, displayed prices, regions and delivery promises | everyone |
//! | [`Pricing`] | guards with costs, sales of the last weeks, promotions of the next | edge and warehouse |
//! | [`Fulfilment`] | nodes, lanes, stock | edge and warehouse |
//! | [`Forecast`] | demand of the next weeks | edge and warehouse |
//!
//! The public file is the same file cut after its first section; it has the same root. A slice is a file with some of the
//! public section's products and regions, for a page; it names the root of the snapshot from which it was cut.

mod fulfilment;
mod live;
mod pricing;
mod storefront;

pub use fulfilment::{Forecast, Fulfilment, FulfilmentNode, Lane, NodeStock, Stock};
pub(crate) use live::LiveNode;
pub use live::{Booked, Live, LiveStock};
pub use pricing::{PriceInputs, Pricing, Promotion};
pub(crate) use storefront::start_of_day;
pub use storefront::{ListedPrice, PricePoint, Prices, Promise, Region, Storefront};

use crate::{
    aligned::AlignedBytes,
    bounded,
    domain::{digest::Digest, name::Code, time::Millis},
    error::{Error, ErrorKind, Result},
    pack::{PackView, SectionKind},
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use serde::{Deserialize, Serialize};

/// Loaded snapshot, with the sections of its file.
#[derive(Debug)]
pub struct Snapshot {
    /// Digest that identifies it; the same for the whole file, its public part, and slices.
    pub root: Digest,
    /// Name, given by the merchant.
    pub name: String,
    /// Version, in the merchant's scheme.
    pub version: String,
    /// Products, prices, regions, promises.
    pub storefront: Storefront,
    /// Guards, costs, sales; if loaded, they replace those that the storefront publishes.
    pub pricing: Option<Pricing>,
    /// Nodes, lanes, stock.
    pub fulfilment: Option<Fulfilment>,
    /// Demand.
    pub forecast: Option<Forecast>,
    /// Share of total demand that each node would serve if every region were served by its cheapest lane from an open
    /// node, and all regions had equal demand. Empty if nodes are not loaded.
    pub(crate) node_shares: Vec<f32>,
}

/// Description of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// Digest that identifies it.
    pub root: Digest,
    /// Name, given by the merchant.
    pub name: String,
    /// Version, in the merchant's scheme.
    pub version: String,
    /// First moment at which it is valid.
    pub issued: Millis,
    /// Moment at which it expires.
    pub expires: Millis,
    /// Number of products.
    pub products: u32,
    /// Number of regions.
    pub regions: u32,
    /// Loaded sections.
    #[serde(deserialize_with = "bounded::list::<16, _, _>")]
    pub sections: Vec<SectionKind>,
}

/// Error for a request that needs more than the public part.
#[cold]
pub(crate) fn only_public() -> Error {
    Error::new(ErrorKind::NoSnapshot, "only the public part of the snapshot is loaded; load all of it")
}

impl Snapshot {
    /// Reads the sections of a snapshot's file in place, and checks that they are consistent; `bytes` must be the bytes
    /// that were parsed.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt), or [`BadRequest`](ErrorKind::BadRequest), which names the
    /// inconsistency.
    pub fn in_place(view: &PackView<'_>, bytes: &Arc<AlignedBytes>) -> Result<Self> {
        let storefront: Storefront = view.columns(SectionKind::Storefront, bytes)?;
        let pricing: Option<Pricing> = view.optional_columns(SectionKind::Pricing, bytes)?;
        let fulfilment: Option<Fulfilment> = view.optional_columns(SectionKind::Fulfilment, bytes)?;
        let forecast: Option<Forecast> = view.optional_columns(SectionKind::Forecast, bytes)?;
        let products = storefront.catalog.len();
        pricing.as_ref().map_or(Ok(()), |pricing| pricing.check(products))?;
        fulfilment.as_ref().map_or(Ok(()), |fulfilment| fulfilment.check(products, storefront.regions.len()))?;
        forecast.as_ref().map_or(Ok(()), |forecast| forecast.check(products))?;
        let manifest = view.manifest();
        let (name, version) = (manifest.name.clone(), manifest.version.clone());
        let node_shares = fulfilment.as_ref().map_or_else(Vec::new, |all| all.node_shares(storefront.regions.len()));
        let root = storefront.slice_of.unwrap_or_else(|| view.root());
        Ok(Self { root, name, version, storefront, pricing, fulfilment, forecast, node_shares })
    }

    /// Reads a copy of a snapshot: see [`in_place`](Self::in_place).
    ///
    /// # Errors
    /// Errors of [`PackView::parse`] and [`in_place`](Self::in_place), and [`OutOfMemory`](ErrorKind::OutOfMemory).
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let bytes = Arc::new(AlignedBytes::copy_of(bytes)?);
        Self::in_place(&PackView::parse(bytes.as_slice())?, &bytes)
    }

    /// Description of the snapshot.
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

    /// Checks that the snapshot has a root.
    ///
    /// # Errors
    /// [`NoSnapshot`](ErrorKind::NoSnapshot).
    pub fn is(&self, root: Digest) -> Result<()> {
        if root == self.root {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NoSnapshot, "the request is for another snapshot; load it, or ask again"))
    }

    /// Checks that the snapshot is valid at a moment.
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
            format!("the snapshot is valid from {} until {}, not at {}; load a valid one", issued.0, expires.0, at.0),
        ))
    }

    /// Index of a region in the storefront's list.
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

    /// Units of a product available to promise at the nodes that ship to a region; `None` if stock is not loaded.
    pub fn available(&self, id: crate::SkuId, region: usize) -> Option<u64> {
        let fulfilment = self.fulfilment.as_ref()?;
        let serving = fulfilment.lanes.iter().filter(|lane| usize::from(lane.region) == region);
        let nodes = serving.filter_map(|lane| fulfilment.nodes.get(usize::from(lane.node)));
        Some(nodes.filter(|node| !node.closed).map(|node| u64::from(node.stock.available(id))).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Catalog, Currency, Money, Sku, SkuBits, SkuId,
        pack::{PackWriter, cut},
    };
    use alloc::vec;

    const DAY: i64 = 17_500 * Millis::DAY;

    fn code(code: &str) -> Code {
        Code::new(code).expect("a code")
    }

    fn storefront() -> Storefront {
        let sku = |code: &str| Sku::new(code).expect("a SKU");
        let price = ListedPrice { list: Money(999), points: &[] };
        let promise = Promise::new(2, 4, &SkuBits::all(2)).expect("memory");
        let region = |name: &str| Region { code: code(name), utc_offset: 0, promises: vec![promise.clone()] };
        Storefront {
            currency: Currency::new("USD").expect("a currency"),
            issued: Millis(DAY),
            expires: Millis(DAY + Millis::DAY),
            catalog: Catalog::new([(sku("jam"), "spreads"), (sku("tea"), "drinks")]).expect("a catalogue"),
            prices: Prices::new([price; 2]).expect("memory"),
            regions: vec![region("EAST"), region("WEST")],
            published: None,
            slice_of: None,
        }
    }

    fn stock(product: u32, on_hand: u32) -> NodeStock {
        NodeStock::new(&[Stock { product: SkuId(product), on_hand, reserved: 2, safety: 1 }]).expect("memory")
    }

    fn node(name: &str, on_hand: u32, closed: bool) -> FulfilmentNode {
        FulfilmentNode {
            code: code(name),
            utc_offset: 60,
            shipments_per_day: 10,
            cut_off: 15 * 60,
            handling: Money(10),
            unit_handling: Money(1),
            closed,
            stock: stock(0, on_hand),
        }
    }

    /// Three nodes: A ships to both regions, B at a lower cost to the first, C is closed.
    fn fulfilment() -> Fulfilment {
        let lane = |node, region, cost| Lane {
            node,
            region,
            distance: 100,
            cost: Money(cost),
            unit_cost: Money(0),
            min_days: 1,
            max_days: 3,
            states: Vec::new(),
        };
        Fulfilment {
            nodes: vec![node("A", 9, false), node("B", 5, false), node("C", 90, true)],
            lanes: vec![lane(0, 0, 500), lane(0, 1, 500), lane(1, 0, 400), lane(2, 0, 100), lane(2, 1, 100)],
        }
    }

    fn file(storefront: &Storefront, fulfilment: &Fulfilment) -> Result<Vec<u8>> {
        let writer = PackWriter::new("shop", "7").columns(SectionKind::Storefront, storefront)?;
        writer.columns(SectionKind::Fulfilment, fulfilment)?.finish(|bytes| [bytes.len() as u8; 32])
    }

    fn read(storefront: &Storefront, fulfilment: &Fulfilment) -> Result<Snapshot> {
        Snapshot::read(&file(storefront, fulfilment)?)
    }

    #[test]
    fn the_public_part_has_the_same_root_and_no_nodes() -> Result<()> {
        let whole = file(&storefront(), &fulfilment())?;
        let public = cut(&whole, SectionKind::Storefront)?;
        let whole = Snapshot::read(&whole)?;
        let public = Snapshot::read(&public)?;
        assert_eq!(public.root, whole.root);
        assert!(public.is(whole.root).is_ok() && public.is([9; 32]).is_err());
        assert_eq!(whole.info().sections, [SectionKind::Storefront, SectionKind::Fulfilment]);
        assert_eq!(public.info().sections, [SectionKind::Storefront]);
        assert_eq!((public.available(SkuId(0), 0), public.node_shares.len()), (None, 0));
        Ok(())
    }

    #[test]
    fn it_holds_from_its_issue_until_it_expires() -> Result<()> {
        let snapshot = read(&storefront(), &fulfilment())?;
        assert!(snapshot.holds(Millis(DAY)).is_ok() && snapshot.holds(Millis(DAY + Millis::DAY - 1)).is_ok());
        for at in [DAY - 1, DAY + Millis::DAY] {
            assert_eq!(snapshot.holds(Millis(at)).map_err(|error| error.kind()), Err(ErrorKind::SnapshotExpired));
        }
        Ok(())
    }

    #[test]
    fn open_nodes_that_ship_to_the_region_have_the_available_units() -> Result<()> {
        let snapshot = read(&storefront(), &fulfilment())?;
        let (east, west) = (snapshot.region(&code("EAST"))?, snapshot.region(&code("WEST"))?);
        assert!(snapshot.region(&code("NORTH")).is_err());
        assert_eq!(snapshot.available(SkuId(0), east), Some(6 + 2), "on hand minus reserved minus safety");
        assert_eq!(snapshot.available(SkuId(0), west), Some(6));
        assert_eq!(snapshot.available(SkuId(1), east), Some(0));
        assert_eq!(snapshot.node_shares, [0.5, 0.5, 0.0], "each region is served by its cheapest open node");
        Ok(())
    }

    #[test]
    fn sections_that_contradict_each_other_are_refused() {
        let refused = |change: &dyn Fn(&mut Storefront, &mut Fulfilment)| {
            let (mut storefront, mut fulfilment) = (storefront(), fulfilment());
            change(&mut storefront, &mut fulfilment);
            read(&storefront, &fulfilment).map(drop).map_err(|error| error.kind()) == Err(ErrorKind::BadRequest)
        };
        assert!(!refused(&|_, _| ()));
        assert!(refused(&|storefront, _| storefront.prices = Prices::default()));
        assert!(refused(&|storefront, _| storefront.regions[1].code = code("EAST")));
        assert!(refused(&|_, fulfilment| fulfilment.nodes[1].code = code("A")));
        assert!(refused(&|_, fulfilment| fulfilment.nodes[0].stock = stock(2, 9)));
        assert!(refused(&|_, fulfilment| fulfilment.lanes.swap(0, 1)));
        assert!(refused(&|_, fulfilment| fulfilment.lanes[4].node = 3));
        assert!(refused(&|_, fulfilment| fulfilment.lanes[4].region = 2));
        assert!(refused(&|_, fulfilment| fulfilment.lanes[0].min_days = 4));
    }

    #[test]
    fn orders_allocated_after_the_cut_off_leave_on_the_next_day() {
        let node = node("A", 1, false); // an hour ahead of UTC, so 15:00 there is 14:00 UTC
        let at = |hours: i64| Millis(DAY + hours * 3_600_000);
        assert_eq!(node.departure(at(14)), at(14));
        assert_eq!(node.departure(Millis(at(14).0 + 1)), at(38));
        assert_eq!([at(14), at(15), at(23)].map(|at| node.dispatch(at).0), [17_500, 17_501, 17_501]);
    }

    #[test]
    fn live_stock_and_closures_replace_those_of_the_snapshot() -> Result<()> {
        let (fulfilment, sku) = (fulfilment(), Sku::new("jam")?);
        let of = |node: &str, available| LiveStock { node: code(node), sku: sku.clone(), available };
        let live = Live {
            stock: vec![of("A", 40), of("A", 4)],
            closed: vec![code("B")],
            booked: vec![Booked { node: code("A"), shipments: 12 }],
        };
        let nodes = live.nodes(&fulfilment)?;
        assert_eq!(nodes[0].available(&sku, Some(SkuId(0))), 4, "the last entry counts");
        assert_eq!(nodes[1].available(&sku, Some(SkuId(0))), 2);
        assert_eq!((nodes[0].room, nodes[1].room), (0, 10));
        assert_eq!([0, 1, 2].map(|node| nodes[node].closed), [false, true, true]);
        assert!(Live { closed: vec![code("Z")], ..Live::default() }.nodes(&fulfilment).is_err());
        Ok(())
    }
}

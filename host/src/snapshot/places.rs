//! Nodes, regions, and the lanes and stock that name them.

use super::{
    SnapshotError, bad, column, id_of, once,
    tables::{LaneRow, NodeRow, RegionRow, StockRow},
};
use crate::rows::Table;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use tradewind_core::{
    Catalog, Code, Error, Money,
    snapshot::{FulfilmentNode, Lane, NodeStock, Region, Stock},
};

/// A node and a region, by their places.
pub(super) type Ends = (u16, u16);

/// What other tables name.
pub(super) struct Places {
    /// The regions, without promises.
    pub regions: Vec<Region>,
    nodes: Vec<FulfilmentNode>,
    region_of: BTreeMap<String, u16>,
    node_of: BTreeMap<String, u16>,
}

impl Places {
    pub fn read(folder: &Path) -> Result<Self, SnapshotError> {
        let (regions, nodes) = (Vec::new(), Vec::new());
        let mut places = Self { regions, nodes, region_of: BTreeMap::new(), node_of: BTreeMap::new() };
        Table::<RegionRow>::read(folder, "regions")?.each(|row| {
            let code = Code::new(row.code.as_str())?;
            number(&mut places.region_of, &row.code, "region")?;
            zone(row.utc_offset)?;
            places.regions.push(Region { code, utc_offset: row.utc_offset, promises: Vec::new() });
            Ok::<_, Error>(())
        })?;
        Table::<NodeRow>::read(folder, "nodes")?.each(|row| {
            let code = Code::new(row.code.as_str())?;
            number(&mut places.node_of, &row.code, "node")?;
            zone(row.utc_offset)?;
            places.nodes.push(FulfilmentNode {
                code,
                utc_offset: row.utc_offset,
                shipments_per_day: row.shipments_per_day,
                cut_off: row.cut_off,
                handling: Money(row.handling),
                unit_handling: Money(row.unit_handling),
                closed: row.closed.unwrap_or_default(),
                stock: NodeStock::default(),
            });
            Ok::<_, Error>(())
        })?;
        Ok(places)
    }

    /// The places of a node and a region.
    pub fn lane(&self, node: &str, region: &str) -> Result<(u16, u16), Error> {
        let region = self.region_of.get(region).ok_or_else(|| bad(&format!("there is no region `{region}`")))?;
        Ok((self.node(node)?, *region))
    }

    fn node(&self, node: &str) -> Result<u16, Error> {
        self.node_of.get(node).copied().ok_or_else(|| bad(&format!("there is no node `{node}`")))
    }

    /// Nodes with their stock, and lanes by their ends.
    pub fn nodes_and_lanes(
        &self,
        folder: &Path,
        catalog: &Catalog,
    ) -> Result<(Vec<FulfilmentNode>, BTreeMap<Ends, Lane>), SnapshotError> {
        let mut nodes = self.nodes.clone();
        let mut stocks = vec![Vec::new(); nodes.len()];
        let mut seen = BTreeSet::new();
        Table::<StockRow>::read(folder, "stock")?.each(|row| {
            let StockRow { on_hand, reserved, safety, .. } = *row;
            let (node, product) = (self.node(&row.node)?, id_of(catalog, &row.sku)?);
            once(&mut seen, (node, product), || format!("the stock of `{}` at `{}`", row.sku, row.node))?;
            column("reserved", reserved <= on_hand, || {
                format!("{reserved} units are more than the {on_hand} on hand")
            })?;
            stocks[usize::from(node)].push(Stock { product, on_hand, reserved, safety });
            Ok::<_, Error>(())
        })?;
        for (node, mut stock) in nodes.iter_mut().zip(stocks) {
            stock.sort_by_key(|stock: &Stock| stock.product);
            node.stock = NodeStock::new(&stock)?;
        }

        let mut lanes = BTreeMap::new();
        Table::<LaneRow>::read(folder, "lanes")?.each(|row| {
            let (node, region) = self.lane(&row.node, &row.region)?;
            let lane = Lane {
                node,
                region,
                distance: row.distance,
                cost: Money(row.cost),
                unit_cost: Money(row.unit_cost),
                min_days: row.min_days,
                max_days: row.max_days,
                states: Vec::new(),
            };
            match lanes.insert((node, region), lane) {
                None => Ok(()),
                Some(_) => Err(bad(&format!("the lane from `{}` to `{}` comes twice", row.node, row.region))),
            }
        })?;
        Ok((nodes, lanes))
    }
}

/// Refuses an offset that no time zone has.
fn zone(utc_offset: i16) -> Result<(), Error> {
    column("utc_offset", (-720..=840).contains(&utc_offset), || format!("{utc_offset} is not from -720 to 840 minutes"))
}

/// Numbers a code by its place in the table.
fn number(numbers: &mut BTreeMap<String, u16>, code: &str, what: &str) -> Result<(), Error> {
    let next = u16::try_from(numbers.len()).map_err(|_| bad(&format!("more than 65,536 {what}s")))?;
    match numbers.insert(code.to_owned(), next) {
        None => Ok(()),
        Some(_) => Err(bad(&format!("the {what} `{code}` comes twice"))),
    }
}

//! Slices: the part of a shop's ranking pack, public snapshot and texts that a page needs in one region.
//!
//! A slice has the most popular products that are delivered to the region, with their neighbours' statistics. Facts about
//! other products come with their own pages, as [`ProductRow`]s. A slice's snapshot has the root of the snapshot from
//! which it was cut, so that prices of the page are valid at the checkout.

use crate::trust::sha256;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use tradewind_core::{
    Catalog, Code, Error, ErrorKind, Millis, Sku, SkuBits, SkuId,
    pack::{PackView, PackWriter, SectionKind},
    rank::{Neighbour, ProductRow, RankRequest, RankTables},
    snapshot::{Prices, Pricing, Promise, Region, Snapshot, Storefront},
};
use tradewind_json::PageProduct;

/// Sections of a pack that pages do not read.
const UNREAD: [SectionKind; 2] = [SectionKind::Card, SectionKind::Samples];

/// Shop of which slices are cut.
#[derive(Debug)]
pub struct Shop {
    /// Ranking pack.
    pack: Vec<u8>,
    tables: RankTables,
    snapshot: Snapshot,
    /// Texts of products, by SKU.
    texts: Map<String, Value>,
}

/// Products of a slice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Region of the slice; `None` for all regions.
    pub region: Option<Code>,
    /// Products with neighbours.
    pub products: BTreeSet<Sku>,
    /// Other products: neighbours of these.
    pub neighbours: BTreeSet<Sku>,
}

/// Files of a slice, unsigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Ranking pack.
    pub pack: Vec<u8>,
    /// Public snapshot.
    pub snapshot: Vec<u8>,
    /// Texts of products, JSON.
    pub texts: Vec<u8>,
}

impl Shop {
    /// Reads a shop's files: a ranking pack, a snapshot, and the texts of products by SKU.
    ///
    /// # Errors
    /// Errors of [`PackView::parse`] and [`Snapshot::read`], and [`BadRequest`](ErrorKind::BadRequest) if the pack does
    /// not rank.
    pub fn new(pack: Vec<u8>, snapshot: &[u8], texts: Map<String, Value>) -> Result<Self, Error> {
        let view = PackView::parse(&pack)?;
        let tables: RankTables = view.copied_columns(SectionKind::Tables)?;
        Ok(Self { tables, snapshot: Snapshot::read(snapshot)?, texts, pack })
    }

    /// First moment of the snapshot.
    pub const fn issued(&self) -> Millis {
        self.snapshot.storefront.issued
    }

    /// Regions of the snapshot.
    pub fn regions(&self) -> &[Region] {
        &self.snapshot.storefront.regions
    }

    /// Catalogue of the pack.
    pub const fn catalog(&self) -> &Catalog {
        &self.tables.catalog
    }

    /// Selects the `most` most popular products that have texts, are delivered to a region, and are of a category; and
    /// their neighbours, of any category.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) for an unknown region, or if no product is left.
    pub fn select(&self, region: Option<&Code>, category: Option<&str>, most: usize) -> Result<Selection, Error> {
        let place = region.map(|code| self.snapshot.region(code)).transpose()?;
        let region = place.and_then(|place| self.regions().get(place));
        let catalog = &self.tables.catalog;
        let shown = |id: &SkuId| {
            let sku = catalog.sku(*id)?;
            let known = self.snapshot.storefront.catalog.id(&sku)?;
            let regions = region.map_or(self.regions(), std::slice::from_ref);
            let delivered = regions.iter().any(|region| region.promise(known).is_some());
            (delivered && self.texts.contains_key(sku.as_str())).then_some(sku)
        };
        let of_category = |id: &&SkuId| category.is_none_or(|category| catalog.category(**id) == category);
        let popular = self.tables.by_popularity().iter().filter(of_category);
        let chosen: Vec<(SkuId, Sku)> = popular.filter_map(|id| Some((*id, shown(id)?))).take(most).collect();
        if chosen.is_empty() {
            let of = category.map(|category| format!(" of category `{category}`")).unwrap_or_default();
            let to = region.map(|region| format!(" to `{}`", region.code)).unwrap_or_default();
            return Err(bad(format!("no product{of} has a text and is delivered{to}")));
        }
        let neighbours = chosen.iter().flat_map(|(id, _)| self.tables.neighbours(*id));
        let neighbours: BTreeSet<Sku> = neighbours.filter_map(|other| shown(&other.id)).collect();
        let products: BTreeSet<Sku> = chosen.into_iter().map(|(_, sku)| sku).collect();
        let neighbours = neighbours.difference(&products).cloned().collect();
        Ok(Selection { region: region.map(|region| region.code.clone()), products, neighbours })
    }

    /// Cuts the files of a slice.
    ///
    /// # Errors
    /// Errors of [`PackWriter`].
    pub fn cut(&self, selection: &Selection) -> Result<Slice, Error> {
        let skus: Vec<&Sku> = selection.products.union(&selection.neighbours).collect();
        let texts =
            skus.iter().filter_map(|sku| Some((sku.as_str().to_owned(), self.texts.get(sku.as_str())?.clone())));
        let texts = serde_json::to_vec(&texts.collect::<Map<_, _>>());
        Ok(Slice {
            pack: self.cut_pack(selection, &skus)?,
            snapshot: self.cut_snapshot(selection, &skus)?,
            texts: texts.map_err(|error| bad(error.to_string()))?,
        })
    }

    fn cut_pack(&self, selection: &Selection, skus: &[&Sku]) -> Result<Vec<u8>, Error> {
        let own = &self.tables.catalog;
        let ids: Vec<SkuId> = skus.iter().filter_map(|sku| own.id(sku)).collect();
        let catalog = part(own, skus)?;
        let stats: Vec<_> = ids.iter().map(|id| self.tables.stats(*id)).collect();
        let neighbours = skus.iter().zip(&ids).map(|(sku, id)| {
            let there = |Neighbour { id, similarity }| Some(Neighbour { id: catalog.id(&own.sku(id)?)?, similarity });
            let all = self.tables.neighbours(*id).filter_map(there);
            if selection.products.contains(sku) { all.collect() } else { Vec::new() }
        });
        let neighbours: Vec<Vec<Neighbour>> = neighbours.collect();
        let tables = RankTables::new(catalog, &stats, &neighbours)?;
        let view = PackView::parse(&self.pack)?;
        let manifest = view.manifest();
        let mut writer = PackWriter::new(manifest.name.as_str(), manifest.version.as_str());
        for kind in manifest.sections.iter().map(|section| section.kind).filter(|kind| !UNREAD.contains(kind)) {
            writer = match (kind, view.bytes(kind)) {
                (SectionKind::Tables, _) => writer.columns(kind, &tables)?,
                (kind, Some(bytes)) => writer.bytes(kind, bytes.to_vec()),
                (_, None) => writer,
            };
        }
        writer.finish(sha256)
    }

    fn cut_snapshot(&self, selection: &Selection, skus: &[&Sku]) -> Result<Vec<u8>, Error> {
        let Snapshot { root, name, version, storefront, .. } = &self.snapshot;
        let ids: Vec<SkuId> = skus.iter().filter_map(|sku| storefront.catalog.id(sku)).collect();
        let regions = storefront
            .regions
            .iter()
            .filter(|region| selection.region.as_ref().is_none_or(|code| region.code == *code));
        let published = storefront.published.as_ref().map(|pricing| {
            let priced = ids.iter().zip(0..).filter_map(|(id, n)| {
                let mut inputs = pricing.of(*id)?;
                inputs.product = SkuId(n);
                Some(inputs)
            });
            Pricing::new(pricing.rounding.clone(), pricing.cover, &priced.collect::<Vec<_>>())
        });
        let part = Storefront {
            currency: storefront.currency,
            issued: storefront.issued,
            expires: storefront.expires,
            catalog: part(&storefront.catalog, skus)?,
            prices: Prices::new(ids.iter().filter_map(|id| storefront.price(*id)))?,
            regions: regions.map(|region| cut_region(region, &ids)).collect::<Result<_, _>>()?,
            published: published.transpose()?,
            slice_of: Some(*root),
        };
        PackWriter::new(name.as_str(), version.as_str()).columns(SectionKind::Storefront, &part)?.finish(sha256)
    }

    /// Products outside a slice of a region, for their own pages: of each, itself and its neighbours.
    pub fn pages<'a>(
        &'a self,
        selection: &'a Selection,
        at: Millis,
    ) -> impl Iterator<Item = (Sku, Vec<PageProduct<&'a Value>>)> {
        let region = self.regions().iter().find(|region| selection.region.as_ref() == Some(&region.code));
        let others = self.tables.catalog.skus().filter(|sku| !selection.products.contains(sku));
        others.zip(std::iter::repeat(region)).filter_map(move |(sku, region)| {
            let text = |sku: &Sku| self.texts.get(sku.as_str());
            let (own, storefront) = (std::slice::from_ref(&sku), &self.snapshot.storefront);
            let products = PageProduct::of_page(own, &self.tables, storefront, region?, at, text);
            products.iter().any(|product| product.row.sku == sku).then_some((sku, products))
        })
    }

    /// Rows with which a slice answers a request as the whole pack does, if it can: of each product that the shopper
    /// knows and whose neighbours the slice lacks.
    pub fn rows(&self, selection: &Selection, request: &RankRequest) -> Vec<ProductRow> {
        let mut profile = request.profile.clone();
        request.events.iter().for_each(|event| profile.apply(event));
        let known = profile.items().iter().map(|item| &item.sku).filter(|sku| !selection.products.contains(*sku));
        let mut rows: Vec<ProductRow> = known.flat_map(|sku| ProductRow::with_neighbours(&self.tables, sku)).collect();
        for row in &mut rows {
            let id = self.snapshot.storefront.catalog.id(&row.sku);
            let regions = self.regions().iter().filter(|region| id.is_some_and(|id| region.promise(id).is_some()));
            row.regions = regions.map(|region| region.code.clone()).collect();
        }
        rows
    }
}

/// Part of a catalogue.
fn part(catalog: &Catalog, skus: &[&Sku]) -> Result<Catalog, Error> {
    let known = skus.iter().filter_map(|sku| Some(((*sku).clone(), catalog.category(catalog.id(sku)?))));
    Catalog::new(known)
}

fn cut_region(region: &Region, ids: &[SkuId]) -> Result<Region, Error> {
    let promises = region.promises.iter().map(|promise| {
        let mut products = SkuBits::none(ids.len());
        ids.iter().zip(0..).filter(|(id, _)| promise.holds(**id)).for_each(|(_, n)| products.insert(SkuId(n)));
        Promise::new(promise.min_days, promise.max_days, &products)
    });
    Ok(Region {
        code: region.code.clone(),
        utc_offset: region.utc_offset,
        promises: promises.collect::<Result<_, _>>()?,
    })
}

fn bad(message: String) -> Error {
    Error::new(ErrorKind::BadRequest, message)
}

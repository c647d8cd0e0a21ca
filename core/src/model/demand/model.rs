//! Models that are loaded, and what they answer.

use super::{DemandSpec, Outlook, PriceSpec, of_weeks};
use crate::{
    domain::{
        money::Money,
        offer::{Offer, Week},
        quantiles::Quantiles,
        sku::Sku,
    },
    error::{Error, ErrorKind, Result},
    exec::Executor,
    model::bound::Model,
};
use alloc::{format, vec::Vec};

/// A demand pack that is loaded.
#[derive(Debug)]
pub struct DemandModel {
    spec: DemandSpec,
    model: Model,
}

/// A price pack that is loaded.
#[derive(Debug)]
pub struct PriceModel {
    spec: PriceSpec,
    model: Model,
}

impl DemandModel {
    /// Checks that spec and plan fit each other.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) when they do not.
    pub fn new(spec: DemandSpec, executor: &Executor) -> Result<Self> {
        of_weeks(&spec.features)?;
        let model = Model::bind(executor, &[], spec.features.len(), Some(3))?;
        Ok(Self { spec, model })
    }

    /// The quantiles of the units of each outlook; `name` says of which product one is.
    ///
    /// # Errors
    /// [`NotFinite`](ErrorKind::NotFinite) when the model gives none; else as [`Executor::score`].
    pub fn quantiles<'a>(
        &self,
        outlooks: &[Outlook<'_>],
        name: impl Fn(usize) -> &'a Sku,
        executor: &mut Executor,
        weights: &[u8],
    ) -> Result<Vec<Quantiles>> {
        let mut matrix = Vec::with_capacity(outlooks.len() * self.spec.features.len());
        outlooks.iter().for_each(|outlook| outlook.row(&self.spec.features, &mut matrix));
        let units = self.model.run(executor, weights, outlooks.len(), &matrix, &[])?;
        let quantiles = units.as_chunks().0.iter().enumerate().map(|(n, &[p10, p50, p90])| {
            let quantiles = Quantiles { p10, p50, p90 };
            quantiles.check().map_err(|_| no_units(name(n)))?;
            Ok(quantiles)
        });
        quantiles.collect()
    }
}

impl PriceModel {
    /// Checks that spec and plan fit each other.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) when they do not, and as [`PriceSpec::check`].
    pub fn new(spec: PriceSpec, executor: &Executor) -> Result<Self> {
        spec.check()?;
        of_weeks(&spec.features)?;
        let model = Model::bind(executor, &["sku"], spec.features.len(), Some(1))?;
        Ok(Self { spec, model })
    }

    /// The units of a product that are expected in the week after its history, at each of some prices in
    /// place of the offer's.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) for an offer or a price that cannot be,
    /// [`NotFinite`](ErrorKind::NotFinite) when the model gives no units; else as [`Executor::run`].
    pub fn units(
        &self,
        sku: &Sku,
        history: &[Week],
        offer: Offer,
        prices: &[Money],
        executor: &mut Executor,
        weights: &[u8],
    ) -> Result<Vec<f32>> {
        let mut matrix = Vec::with_capacity(prices.len() * self.spec.features.len());
        for &price in prices {
            Outlook::new(history, Offer { price, ..offer }, 1)?.row(&self.spec.features, &mut matrix);
        }
        let units = self.model.run(executor, weights, prices.len(), &matrix, &[&|_| sku.as_str()])?;
        if units.iter().all(|units| (0.0..f32::INFINITY).contains(units)) { Ok(units) } else { Err(no_units(sku)) }
    }
}

#[cold]
fn no_units(sku: &Sku) -> Error {
    Error::new(
        ErrorKind::NotFinite,
        format!(
            "the model gives no number of units for `{sku}` that can be; look at its sales and prices in the snapshot, \
             which may be like no product's"
        ),
    )
}

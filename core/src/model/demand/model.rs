//! Loaded models of demand and price.

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

/// Loaded demand pack.
#[derive(Debug)]
pub struct DemandModel {
    spec: DemandSpec,
    model: Model,
}

/// Loaded price pack.
#[derive(Debug)]
pub struct PriceModel {
    spec: PriceSpec,
    model: Model,
}

impl DemandModel {
    /// Creates the model, if spec and plan match.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) if they do not.
    pub fn new(spec: DemandSpec, executor: &Executor) -> Result<Self> {
        of_weeks(&spec.features)?;
        let model = Model::bind(executor, &[], spec.features.len(), Some(3))?;
        Ok(Self { spec, model })
    }

    /// Quantiles of the units of each outlook; `name` is the SKU of an outlook, for errors.
    ///
    /// # Errors
    /// [`NotFinite`](ErrorKind::NotFinite) if an output is not a valid quantile; else errors of [`Executor::score`].
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
    /// Creates the model, if spec and plan match.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) if they do not, and errors of [`PriceSpec::check`].
    pub fn new(spec: PriceSpec, executor: &Executor) -> Result<Self> {
        spec.check()?;
        of_weeks(&spec.features)?;
        let model = Model::bind(executor, &["sku"], spec.features.len(), Some(1))?;
        Ok(Self { spec, model })
    }

    /// Expected units of a product in the week after its history, at each of `prices`, which replace the offer's price.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) for an invalid offer or price, [`NotFinite`](ErrorKind::NotFinite) if an
    /// output is not a number of units; else errors of [`Executor::run`].
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
            "the model's output for `{sku}` is not a number of units; check the product's sales and prices in the \
             snapshot"
        ),
    )
}

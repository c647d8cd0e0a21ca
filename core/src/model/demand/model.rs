//! Models that are loaded, and what they answer.

use super::{DemandSpec, Outlook, PriceSpec};
use crate::{
    domain::{
        money::Money,
        offer::{Offer, Week},
        quantiles::Quantiles,
        sku::Sku,
    },
    error::{Error, ErrorKind, Result},
    exec::{Data, DataMut, Executor, Matrix, is_matrix, is_text_column},
    plan::{DType, Port},
};
use alloc::{format, vec, vec::Vec};

/// A demand pack that is loaded.
#[derive(Debug)]
pub struct DemandModel {
    spec: DemandSpec,
}

/// A price pack that is loaded.
#[derive(Debug)]
pub struct PriceModel {
    spec: PriceSpec,
    /// Whether the model's first input is the SKU.
    sku_first: bool,
}

impl DemandModel {
    /// Checks that spec and plan fit each other.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) when they do not.
    pub fn new(spec: DemandSpec, executor: &Executor) -> Result<Self> {
        let width = |port: &Port| port.shape.get(1).map_or(0, |dim| dim.at(0));
        match executor.score_ports() {
            Some((input, output)) if width(input) == spec.features.len() && width(output) == 3 => Ok(Self { spec }),
            _ => Err(Error::new(
                ErrorKind::PackCorrupt,
                format!(
                    "the model does not take f32 [rows, {}] and give f32 [rows, 3]; it and the spec were not made for \
                     each other",
                    spec.features.len()
                ),
            )),
        }
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
        let mut units = vec![0.0; 3 * outlooks.len()];
        executor.score(weights, outlooks.len(), Matrix::Rows(&matrix), &mut units)?;
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
        let plan = executor.plan();
        let width = spec.features.len();
        let is_sku = |port: &Port| port.name == "sku" && is_text_column(plan, port);
        let is_features = |port: &Port| port.name == "features" && is_matrix(plan, port, width, DType::F32);
        let gives = matches!(plan.outputs.as_slice(), [port] if is_matrix(plan, port, 1, DType::F32));
        match plan.inputs.as_slice() {
            [sku, features] if gives && is_sku(sku) && is_features(features) => Ok(Self { spec, sku_first: true }),
            [features, sku] if gives && is_sku(sku) && is_features(features) => Ok(Self { spec, sku_first: false }),
            _ => Err(Error::new(
                ErrorKind::PackCorrupt,
                format!(
                    "the model does not take `sku` (text, [rows, 1]) and `features` (f32, [rows, {}]), or does not \
                     give one column of f32; it and the spec were not made for each other",
                    spec.features.len()
                ),
            )),
        }
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
        let port = executor.plan().inputs.get(usize::from(!self.sku_first));
        let index = vec![port.map_or(-1, |port| port.index(sku.as_str())); prices.len()];
        let (text, features) = (Data::I64(&index), Data::F32(&matrix));
        let inputs = if self.sku_first { [text, features] } else { [features, text] };
        let mut units = vec![0.0; prices.len()];
        executor.run(weights, prices.len(), &inputs, &mut [DataMut::F32(&mut units)])?;
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

//! The rows of the tables, as they are written.

use serde::Deserialize;
use tradewind_core::{
    Day, Millis,
    price_guard::{CoverPolicy, Rounding},
    tracking::State,
};

/// `snapshot.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub name: String,
    pub version: String,
    pub currency: String,
    pub issued: Millis,
    pub expires: Millis,
    pub rounding: Rounding,
    pub cover: CoverPolicy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProductRow {
    pub sku: String,
    pub category: String,
    #[serde(rename = "name")]
    _name: Option<String>,
    pub list: i64,
    pub cost: Option<i64>,
    pub margin: Option<i32>,
    pub floor: Option<i64>,
    pub ceiling: Option<i64>,
    pub minimum_advertised: Option<i64>,
    pub day_step: Option<i32>,
    pub week_step: Option<i32>,
    pub locked_until: Option<Millis>,
    pub publish: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceRow {
    pub sku: String,
    pub since: Millis,
    pub price: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionRow {
    pub code: String,
    pub utc_offset: i16,
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "state")]
    _state: Option<String>,
    #[serde(rename = "latitude")]
    _latitude: Option<f64>,
    #[serde(rename = "longitude")]
    _longitude: Option<f64>,
    #[serde(rename = "weight")]
    _weight: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeRow {
    pub code: String,
    pub utc_offset: i16,
    pub shipments_per_day: u32,
    pub cut_off: u16,
    pub handling: i64,
    pub unit_handling: i64,
    pub closed: Option<bool>,
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "state")]
    _state: Option<String>,
    #[serde(rename = "latitude")]
    _latitude: Option<f64>,
    #[serde(rename = "longitude")]
    _longitude: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LaneRow {
    pub node: String,
    pub region: String,
    pub distance: u16,
    pub cost: i64,
    pub unit_cost: i64,
    pub min_days: u8,
    pub max_days: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StockRow {
    pub node: String,
    pub sku: String,
    pub on_hand: u32,
    pub reserved: u32,
    pub safety: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SalesRow {
    pub sku: String,
    pub week: Day,
    pub units: u32,
    pub price: i64,
    pub list: i64,
    pub display: i32,
    pub mailer: i32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanRow {
    pub sku: String,
    pub week: Day,
    pub display: i32,
    pub mailer: i32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemandRow {
    pub sku: String,
    pub week: Day,
    pub p10: f32,
    pub p50: f32,
    pub p90: f32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScanRow {
    pub shipment: String,
    pub node: String,
    pub region: String,
    pub state: State,
    pub at: Millis,
}

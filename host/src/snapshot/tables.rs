//! Rows of a snapshot's tables, declared once: for reading, for the page `models/SNAPSHOT.md`, and for JSON Schemas.

use serde::Deserialize;
use serde_json::{Value, json};
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

/// Table of a snapshot's folder.
#[derive(Debug)]
#[non_exhaustive]
pub struct TableSchema {
    /// Name of its file, without the extension.
    pub name: &'static str,
    /// Whether a folder must contain it.
    pub required: bool,
    /// Purpose.
    pub about: &'static str,
    /// Columns, in order.
    pub columns: &'static [ColumnSchema],
}

/// Column of a table.
#[derive(Debug)]
#[non_exhaustive]
pub struct ColumnSchema {
    /// Name.
    pub name: &'static str,
    /// Unit, or kind of text.
    pub unit: &'static str,
    /// Whether each row must have a value.
    pub required: bool,
    /// Meaning.
    pub about: &'static str,
    /// Value as in CSV.
    pub example: &'static str,
    schema: fn() -> Value,
}

impl TableSchema {
    /// JSON Schema (2020-12) of a row, as in JSON and JSON Lines.
    pub fn json_schema(&self) -> Value {
        let properties = self.columns.iter().map(|column| {
            let mut schema = (column.schema)();
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("description".into(), format!("{} ({})", column.about.trim(), column.unit).into());
            }
            (column.name.to_owned(), schema)
        });
        let required = self.columns.iter().filter(|column| column.required).map(|column| column.name);
        json!({
            "title": self.name,
            "description": self.about.trim(),
            "type": "object",
            "properties": properties.collect::<serde_json::Map<_, _>>(),
            "required": required.collect::<Vec<_>>(),
            "additionalProperties": false,
        })
    }
}

/// Type of a column's cells.
trait Cell {
    const REQUIRED: bool = true;

    fn schema() -> Value;
}

macro_rules! cells {
    ($($Type:ty => $schema:tt),+ $(,)?) => {
        $(impl Cell for $Type {
            fn schema() -> Value {
                json!($schema)
            }
        })+
    };
}

cells! {
    String => {"type": "string"},
    bool => {"type": "boolean"},
    u8 => {"type": "integer", "minimum": 0, "maximum": 255},
    u16 => {"type": "integer", "minimum": 0, "maximum": 65_535},
    u32 => {"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32},
    i16 => {"type": "integer", "minimum": -32_768, "maximum": 32_767},
    i32 => {"type": "integer", "minimum": -2_147_483_648, "maximum": 2_147_483_647},
    i64 => {"type": "integer"},
    f32 => {"type": "number"},
    f64 => {"type": "number"},
    Millis => {"type": "string", "format": "date-time"},
    Day => {"type": "string", "format": "date"},
    State => {"type": "string", "enum": [
        "created", "packed", "picked_up", "arrived", "departed", "out_for_delivery", "attempted", "address_rejected", "delivered",
    ]},
}

impl<T: Cell> Cell for Option<T> {
    const REQUIRED: bool = false;

    fn schema() -> Value {
        T::schema()
    }
}

/// Declares row types: for each column its meaning, its type, its unit, and an example. A column whose name begins with
/// `_` is not read.
macro_rules! tables {
    ($($(#[doc = $about:literal])+ $required:ident $Row:ident = $name:literal {
        $($(#[doc = $meaning:literal])+ $(#[serde(rename = $rename:literal)])? $column:ident: $Type:ty = $unit:literal, $example:literal;)+
    })+) => {
        $(
            #[derive(Debug, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $Row {
                $($(#[serde(rename = $rename)])? pub $column: $Type,)+
            }
        )+

        /// Tables of a snapshot's folder, beside `snapshot.json`.
        pub const TABLES: &[TableSchema] = &[$(TableSchema {
            name: $name,
            required: matches!(stringify!($required).as_bytes(), b"required"),
            about: concat!($($about),+),
            columns: &[$(ColumnSchema {
                name: tables!(@name $column $($rename)?),
                unit: $unit,
                required: <$Type as Cell>::REQUIRED,
                about: concat!($($meaning),+),
                example: $example,
                schema: <$Type as Cell>::schema,
            }),+],
        }),+];

        /// Reads a row of each table from its examples, by the name of the table.
        #[cfg(test)]
        fn read_example(name: &str, row: csv::StringRecord, header: &csv::StringRecord) -> Result<(), csv::Error> {
            match name {
                $($name => row.deserialize::<$Row>(Some(header)).map(drop),)+
                _ => Ok(()),
            }
        }
    };
    (@name $column:ident) => { stringify!($column) };
    (@name $column:ident $rename:literal) => { $rename };
}

tables! {
    /// Products, with their list prices, and the limits of their prices.
    required ProductRow = "products" {
        /// Product.
        sku: String = "text", "1082185";
        /// Category, by which rankings are limited.
        category: String = "text", "TROPICAL FRUIT";
        /// Name for people; not read.
        #[serde(rename = "name")]
        _name: Option<String> = "text", "Bananas";
        /// List price, above 0.
        list: i64 = "minor units", "100";
        /// Cost of a unit. Without cost and floor no price can be computed.
        cost: Option<i64> = "minor units", "65";
        /// Least margin on top of the cost.
        margin: Option<i32> = "basis points of the cost", "500";
        /// Lowest price, instead of cost and margin.
        floor: Option<i64> = "minor units", "";
        /// Highest price.
        ceiling: Option<i64> = "minor units", "100";
        /// Lowest price that may be advertised.
        minimum_advertised: Option<i64> = "minor units", "80";
        /// Largest change of the price in a day.
        day_step: Option<i32> = "basis points", "2000";
        /// Largest change of the price in a week.
        week_step: Option<i32> = "basis points", "3500";
        /// Moment until which the price must stay as it is.
        locked_until: Option<Millis> = "moment", "2017-12-05T00:00:00Z";
        /// Whether its floor and sales are public, and its price computed from these alone: the same in a page, without
        /// stock and cost.
        publish: Option<bool> = "true or false", "true";
    }

    /// Prices, each from the moment from which it applies: at least one of each product, and those of the 30 days before
    /// the current price began, with which a reduction is compared.
    required PriceRow = "prices" {
        /// Product.
        sku: String = "text", "1082185";
        /// Moment from which the price applies.
        since: Millis = "moment", "2017-10-23T00:00:00Z";
        /// Price, above 0, at most ten times the list price.
        price: i64 = "minor units", "99";
    }

    /// Regions to which the shop delivers.
    required RegionRow = "regions" {
        /// Name of the region.
        code: String = "text", "ORD";
        /// Offset of its local time from UTC, from -720 to 840.
        utc_offset: i16 = "minutes", "-360";
        /// Name for people; not read.
        #[serde(rename = "name")]
        _name: Option<String> = "text", "Chicago";
        /// State; not read.
        #[serde(rename = "state")]
        _state: Option<String> = "text", "IL";
        /// Latitude; not read.
        #[serde(rename = "latitude")]
        _latitude: Option<f64> = "degrees", "41.9796";
        /// Longitude; not read.
        #[serde(rename = "longitude")]
        _longitude: Option<f64> = "degrees", "-87.9045";
        /// Share of the orders; not read.
        #[serde(rename = "weight")]
        _weight: Option<f64> = "share", "0.07325";
    }

    /// Nodes from which orders are shipped.
    required NodeRow = "nodes" {
        /// Name of the node.
        code: String = "text", "STL";
        /// Offset of its local time from UTC, from -720 to 840.
        utc_offset: i16 = "minutes", "-360";
        /// Capacity.
        shipments_per_day: u32 = "shipments", "1740";
        /// Latest local time at which an order leaves on the same day.
        cut_off: u16 = "minutes after midnight", "1080";
        /// Cost of handling a shipment, whatever is in it.
        handling: i64 = "minor units", "101";
        /// Additional cost of handling a unit.
        unit_handling: i64 = "minor units", "16";
        /// Whether it ships nothing.
        closed: Option<bool> = "true or false", "false";
        /// Name for people; not read.
        #[serde(rename = "name")]
        _name: Option<String> = "text", "St Louis";
        /// State; not read.
        #[serde(rename = "state")]
        _state: Option<String> = "text", "MO";
        /// Latitude; not read.
        #[serde(rename = "latitude")]
        _latitude: Option<f64> = "degrees", "38.7477";
        /// Longitude; not read.
        #[serde(rename = "longitude")]
        _longitude: Option<f64> = "degrees", "-90.3600";
    }

    /// Lanes from nodes to regions. A node without a lane to a region does not ship to it.
    required LaneRow = "lanes" {
        /// Node.
        node: String = "text", "STL";
        /// Region.
        region: String = "text", "ORD";
        /// Distance.
        distance: u16 = "kilometres", "415";
        /// Freight of a shipment, whatever is in it.
        cost: i64 = "minor units", "559";
        /// Additional freight of a unit.
        unit_cost: i64 = "minor units", "55";
        /// Shortest time from dispatch to delivery.
        min_days: u8 = "days", "2";
        /// Longest time from dispatch to delivery, not below the shortest.
        max_days: u8 = "days", "3";
    }

    /// Stock at nodes. A product without a row at a node is not there.
    required StockRow = "stock" {
        /// Node.
        node: String = "text", "BWI";
        /// Product.
        sku: String = "text", "1082185";
        /// Units at the node.
        on_hand: u32 = "units", "300";
        /// Units of these that are promised already, at most all of them.
        reserved: u32 = "units", "31";
        /// Units that are not promised.
        safety: u32 = "units", "30";
    }

    /// Sales of up to 13 weeks before the snapshot's moment, without a gap. Prices and demand are computed from them.
    optional SalesRow = "sales" {
        /// Product.
        sku: String = "text", "1082185";
        /// First day of the week, whole weeks before the snapshot's moment.
        week: Day = "date", "2017-09-04";
        /// Units sold.
        units: u32 = "units", "396";
        /// Mean price paid.
        price: i64 = "minor units", "78";
        /// List price in that week.
        list: i64 = "minor units", "108";
        /// Share of the shops that displayed it.
        display: i32 = "basis points", "0";
        /// Share of the shops that advertised it.
        mailer: i32 = "basis points", "10000";
    }

    /// Promotions planned for the weeks from the snapshot's moment on, without a gap.
    optional PlanRow = "plan" {
        /// Product.
        sku: String = "text", "1082185";
        /// First day of the week.
        week: Day = "date", "2017-12-04";
        /// Share of the shops that will display it.
        display: i32 = "basis points", "0";
        /// Share of the shops that will advertise it.
        mailer: i32 = "basis points", "92";
    }

    /// Demand in the four weeks from the snapshot's moment on, if no pack forecasts it.
    optional DemandRow = "demand" {
        /// Product.
        sku: String = "text", "1082185";
        /// First day of the week.
        week: Day = "date", "2017-12-04";
        /// Demand that is exceeded nine times in ten.
        p10: f32 = "units", "310";
        /// Demand that is exceeded every other time.
        p50: f32 = "units", "370.5";
        /// Demand that is exceeded once in ten times.
        p90: f32 = "units", "452";
    }

    /// Scans of delivered shipments, in any order. From those of a lane is learnt how long a shipment stays in each state
    /// that twenty of them left; without them, exceptions are found by the days of the lane.
    optional ScanRow = "scans" {
        /// Shipment.
        shipment: String = "text", "s-1";
        /// Node from which it left.
        node: String = "text", "STL";
        /// Region of its destination.
        region: String = "text", "ORD";
        /// State that it entered.
        state: State = "state", "picked_up";
        /// Moment of the scan.
        at: Millis = "moment", "2017-11-20T16:30:00Z";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_read() {
        for table in TABLES {
            let record =
                |cell: fn(&ColumnSchema) -> &str| table.columns.iter().map(cell).collect::<csv::StringRecord>();
            let (header, row) = (record(|column| column.name), record(|column| column.example));
            let read = read_example(table.name, row, &header);
            assert!(read.is_ok(), "{}: {read:?}", table.name);
        }
    }
}

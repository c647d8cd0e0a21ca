//! Sources: the facts that models read, each named, numbered and computed in one place.
//!
//! A pack lists the sources that its model reads, in the order of the model's columns. The same code computes them for
//! training and for serving. A source belongs to a [`Part`] of a row: a model over shoppers can read facts about
//! shoppers, and one over shoppers and products facts about either and about both. `models/FEATURES.md` is generated
//! from this table.

use super::{clock::Clock, habit::Habit, leg::Leg, shopper::Shopper, tables::ProductStats, week::WeekFacts};
use crate::{
    domain::offer::Week,
    error::{Error, ErrorKind, Result},
    snapshot::Stock,
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Unit of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Share (0 to 1).
    Share,
    /// Ratio of two values.
    Ratio,
    /// Orders.
    Orders,
    /// Products.
    Products,
    /// Units of a product.
    Units,
    /// Days.
    Days,
    /// Weeks.
    Weeks,
    /// Hour of the day (0 to 23).
    Hour,
    /// Day of the week (0 for Monday to 6 for Sunday).
    Weekday,
    /// Kilometres.
    Kilometres,
    /// Minor units of the snapshot's currency.
    Money,
    /// Number without a unit.
    Number,
}

/// Declares the sources: for each part of a row, the type that contains its facts, and its sources with number, name,
/// unit and expression. Unknown values are NaN, which trees treat as missing.
macro_rules! sources {
    ($(
        $(#[doc = $about:literal])+
        $part:ident, $value:ident($field:ident: $known:ty) {
            $($(#[doc = $doc:literal])+ $number:literal $name:ident = $text:literal, $unit:ident: $expression:expr;)+
        }
    )+) => {
        /// Part of a row: the subject of its sources.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Part { $($(#[doc = $about])+ $part,)+ }

        impl Part {
            /// All parts.
            pub const ALL: &'static [Self] = &[$(Self::$part,)+];

            /// Description of the part, as a sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$part => concat!($($about,)+),)+ }
            }
        }

        /// Fact that can be a column of a model. Numbers are part of the format of packs, and are never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Source { $($($(#[doc = $doc])+ $name = $number,)+)+ }

        impl Source {
            /// All sources, by part.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)+)+];

            /// Name in specs, column lists and evidence.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$name => $text,)+)+ }
            }

            /// Meaning, as a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $($(Self::$name => concat!($($doc,)+),)+)+ }
            }

            /// Unit of the values.
            pub const fn unit(self) -> Unit {
                match self { $($(Self::$name => Unit::$unit,)+)+ }
            }

            /// Part of a row to which the source belongs.
            pub const fn part(self) -> Part {
                match self { $($(Self::$name)|+ => Part::$part,)+ }
            }

            /// Source with a number; `None` for an unknown number.
            pub const fn of_number(number: u8) -> Option<Self> {
                match number { $($($number => Some(Self::$name),)+)+ _ => None }
            }
        }

        $(
            #[inline(never)]
            fn $value(source: Source, row: &Row<'_>) -> f32 {
                let Some($field) = row.$field else { return f32::NAN };
                match source { $(Source::$name => $expression,)+ _ => f32::NAN }
            }
        )+

        /// Facts about a row, by part.
        #[derive(Debug, Clone, Copy, Default)]
        pub(crate) struct Row<'a> { $(pub(crate) $field: Option<$known>,)+ }

        impl Row<'_> {
            /// Value of a source; NaN if it is unknown.
            pub(crate) fn value(&self, source: Source) -> f32 {
                match source.part() {
                    $(Part::$part => $value(source, self),)+
                }
            }
        }
    };
}

sources! {
    /// Local time: at the origin of a leg when it departs, or of an hour of the week.
    Clock, clock_value(clock: Clock) {
        /// Hour of the day (0 to 23).
        1 Hour = "hour", Hour: clock.hour();
        /// Day of the week (0 for Monday to 6 for Sunday).
        2 Weekday = "weekday", Weekday: clock.weekday();
    }
    /// A shopper at the moment of the decision, from the profile.
    Shopper, shopper_value(shopper: &'a Shopper<'a>) {
        /// Orders placed.
        16 ShopperOrders = "shopper_orders", Orders: shopper.orders();
        /// Mean number of days between orders; NaN before the second.
        17 OrderGap = "order_gap", Days: shopper.order_gap();
        /// Mean number of different products in an order; NaN before the first.
        18 BasketSize = "basket_size", Products: shopper.basket_size();
        /// Days since the last order; NaN before the first.
        19 DaysSinceOrder = "days_since_order", Days: shopper.days_since_order();
        /// Days since the first order; NaN before it.
        20 DaysSinceFirstOrder = "days_since_first_order", Days: shopper.days_since_first_order();
        /// Days since the last order, divided by the gap between orders (at least one day); NaN before the second.
        21 OrderDue = "order_due", Ratio: shopper.order_due();
        /// Days with a known order among the last 14: days on which a product of the profile was bought for the first
        /// or last time.
        22 OrderDays14 = "order_days_14", Days: shopper.order_days(14);
        /// Days with a known order among the last 28.
        23 OrderDays28 = "order_days_28", Days: shopper.order_days(28);
        /// Days with a known order among the last 56.
        24 OrderDays56 = "order_days_56", Days: shopper.order_days(56);
        /// Days with a known order among the last 84.
        25 OrderDays84 = "order_days_84", Days: shopper.order_days(84);
    }
    /// A product, from the tables of the pack.
    Product, product_value(product: ProductStats) {
        /// Share of all orders that contain it.
        48 Popularity = "popularity", Share: product.popularity;
        /// Share of the last four weeks' orders that contain it.
        49 RecentPopularity = "recent_popularity", Share: product.recent_popularity;
        /// Recent popularity divided by popularity.
        50 Trend = "trend", Ratio: product.recent_popularity / product.popularity.max(1e-6);
        /// Share of its buyers who bought it again.
        51 RepeatRate = "repeat_rate", Share: product.repeat_rate;
        /// Median number of days between purchases, over all shoppers; NaN if nobody bought it twice.
        52 TypicalGap = "typical_gap", Days: product.gap_days;
    }
    /// A shopper and a product.
    Habit, habit_value(habit: &'a Habit) {
        /// Share of the shopper's orders that contain the product.
        64 OrderShare = "order_share", Share: habit.order_share();
        /// The shopper's orders that contain it, each weighted by 0.90 to the power of the number of orders since.
        65 Decayed90 = "decayed_90", Orders: habit.decayed[0];
        /// `decayed_90` with 0.95.
        66 Decayed95 = "decayed_95", Orders: habit.decayed[1];
        /// `decayed_90` with 0.98.
        67 Decayed98 = "decayed_98", Orders: habit.decayed[2];
        /// Days since the shopper last bought it; NaN if never.
        68 DaysSince = "days_since", Days: habit.days_since;
        /// The shopper's orders since the one that last contained it; NaN if none did.
        69 OrdersSince = "orders_since", Orders: habit.orders_since;
        /// Mean number of days between the shopper's purchases of it; NaN before the second.
        70 Gap = "gap", Days: habit.gap;
        /// `days_since` divided by `gap` (at least one day); NaN if `gap` is NaN.
        71 Due = "due", Ratio: habit.due(habit.gap);
        /// `days_since` divided by the product's `typical_gap` (at least one day); NaN if either is NaN.
        72 TypicalDue = "typical_due", Ratio: habit.due(habit.typical_gap);
        /// Affinity to products that the shopper bought or viewed: the sum over these of (orders decayed by day +
        /// attention) × similarity.
        73 Affinity = "affinity", Number: habit.affinity;
    }
    /// A product and a coming week, with its last 13 weeks and the coming week's offer. Facts about past weeks are NaN
    /// without history.
    Week, week_value(week: WeekFacts<'a>) {
        /// Units of a week without promotion: weighted units of the last 13 weeks divided by the weighted lifts of
        /// their offers. A week has nine tenths of the weight of the next.
        96 Base = "base", Units: week.base;
        /// Usual units under the coming offer, as a multiple of the base: list / price × (1 + 1.5 display) × (1 + 0.5
        /// mailer).
        97 Lift = "lift", Ratio: week.lift();
        /// Base × lift: usual units under the offer.
        98 Expected = "expected", Units: week.base * week.lift();
        /// Base of the last four weeks, divided by (base + 1).
        99 Base4 = "base_4", Ratio: week.relative(week.base_of(4));
        /// Units of the last week, divided by (base + 1).
        100 LastUnits = "last_units", Ratio: week.relative(week.mean_units(1));
        /// Mean units of the last four weeks, divided by (base + 1).
        101 MeanUnits4 = "mean_units_4", Ratio: week.relative(week.mean_units(4));
        /// Mean units of the last 13 weeks, divided by (base + 1).
        102 MeanUnits13 = "mean_units_13", Ratio: week.relative(week.mean_units(Week::HISTORY));
        /// Minimum weekly units of the last 13 weeks, divided by (base + 1).
        103 LeastUnits = "least_units", Ratio: week.relative(week.least_units());
        /// Maximum weekly units of the last 13 weeks, divided by (base + 1).
        104 MostUnits = "most_units", Ratio: week.relative(week.most_units());
        /// Mean units of weeks without promotion among the last 13, divided by (base + 1); NaN if there are no such
        /// weeks.
        105 PlainUnits = "plain_units", Ratio: week.relative(week.plain_units());
        /// Mean units of the last 13 weeks, weighted by the similarity of their offers to the coming one, divided by
        /// (base + 1). A price 10 % away, or a display or mailer 15 percentage points away, halves the weight.
        106 SimilarUnits = "similar_units", Ratio: week.relative(week.similar_units());
        /// Sum of the weights of `similar_units`.
        107 Similarity = "similarity", Weeks: week.similarity();
        /// Units at the list price under displays and mailers similar to the coming ones, divided by (base + 1): units
        /// of the last 13 weeks by list / price, plus half a week of usual units. A display or mailer 15 percentage
        /// points away halves the weight of a week.
        108 SimilarBase = "similar_base", Ratio: week.relative(week.similar_base());
        /// Price as a share of the list price.
        109 PriceToList = "price_to_list", Share: week.price_to_list();
        /// Price divided by the mean price of the last four weeks.
        110 PriceToMean4 = "price_to_mean_4", Ratio: week.price_to_mean(4);
        /// Price divided by the mean price of the last 13 weeks.
        111 PriceToMean13 = "price_to_mean_13", Ratio: week.price_to_mean(Week::HISTORY);
        /// Price divided by the lowest price of the last 13 weeks.
        112 PriceToLowest = "price_to_lowest", Ratio: week.price_to_lowest();
        /// Share of displays.
        113 Display = "display", Share: week.display();
        /// Share of mailers.
        114 Mailer = "mailer", Share: week.mailer();
        /// Price as a share of the list price in the last week.
        115 LastPriceToList = "last_price_to_list", Share: week.mean_price_to_list(1);
        /// Share of displays in the last week.
        116 LastDisplay = "last_display", Share: week.mean_display(1);
        /// Share of mailers in the last week.
        117 LastMailer = "last_mailer", Share: week.mean_mailer(1);
        /// Mean of price as a share of the list price over the last 13 weeks.
        118 MeanPriceToList = "mean_price_to_list", Share: week.mean_price_to_list(Week::HISTORY);
        /// Mean share of displays over the last 13 weeks.
        119 MeanDisplay = "mean_display", Share: week.mean_display(Week::HISTORY);
        /// Mean share of mailers over the last 13 weeks.
        120 MeanMailer = "mean_mailer", Share: week.mean_mailer(Week::HISTORY);
        /// Weeks from the last past week to the coming one (1 to 4).
        121 Horizon = "horizon", Weeks: week.horizon();
    }
    /// A leg of a shipment when it is dispatched.
    Leg, leg_value(leg: &'a Leg<'a>) {
        /// Distance from origin to destination.
        160 Distance = "distance", Kilometres: leg.distance;
    }
    /// A product at a node of the snapshot.
    Stock, stock_value(stock: Stock) {
        /// Units on hand.
        168 OnHand = "on_hand", Units: stock.on_hand as f32;
        /// Units reserved for orders.
        169 Reserved = "reserved", Units: stock.reserved as f32;
        /// Units available to promise: on hand minus reserved minus safety stock.
        170 Available = "available", Units: stock.available() as f32;
    }
}

impl Source {
    /// Whether the value depends on the price of the coming week.
    pub const fn follows_price(self) -> bool {
        matches!(
            self,
            Self::Lift
                | Self::Expected
                | Self::SimilarUnits
                | Self::Similarity
                | Self::PriceToList
                | Self::PriceToMean4
                | Self::PriceToMean13
                | Self::PriceToLowest
        )
    }
}

impl Row<'_> {
    /// Appends the values of `sources`.
    pub(crate) fn append(&self, sources: &[Source], row: &mut Vec<f32>) {
        row.extend(sources.iter().map(|&source| self.value(source)));
    }
}

/// Checks that a model's columns are defined for its rows.
///
/// # Errors
/// [`PackCorrupt`](ErrorKind::PackCorrupt) names the first that is not.
pub(crate) fn of_rows(sources: &[Source], parts: &[Part], rows: &str) -> Result<()> {
    match sources.iter().find(|source| !parts.contains(&source.part())) {
        None => Ok(()),
        Some(source) => Err(Error::new(
            ErrorKind::PackCorrupt,
            // Its number, because the names of all sources take a kilobyte of the module.
            format!("source {} is not defined for {rows}, the model's rows; see models/FEATURES.md", *source as u8),
        )),
    }
}

/// Name in JSON, number in packs and messages.
impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.name())
        } else {
            serializer.serialize_u8(*self as u8)
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let name = String::deserialize(deserializer)?;
            let found = Self::ALL.iter().find(|source| source.name() == name);
            return found.copied().ok_or_else(|| {
                de::Error::custom(format!("unknown source `{name}` (models/FEATURES.md lists all sources)"))
            });
        }
        let number = u8::deserialize(deserializer)?;
        Self::of_number(number).ok_or_else(|| de::Error::custom(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_each_used_once() {
        for (n, source) in Source::ALL.iter().enumerate() {
            assert_eq!(Source::of_number(*source as u8), Some(*source));
            let others = &Source::ALL[..n];
            assert!(others.iter().all(|other| other.name() != source.name()), "{}", source.name());
        }
    }

    #[test]
    fn a_source_is_nan_in_a_row_without_its_part() {
        for source in Source::ALL {
            assert!(Row::default().value(*source).is_nan());
        }
    }
}

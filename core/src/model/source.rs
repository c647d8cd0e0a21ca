//! Sources: the facts about the world that models are shown, each named, numbered and computed in one place.
//!
//! A pack lists the sources that its model reads, in the order of the model's columns. The same code computes them for
//! training and for serving. A source belongs to a [`Part`] of a row: a model over shoppers may read what is known of
//! shoppers, and one over shoppers and products what is known of either and of both. `models/FEATURES.md` is written
//! from this table.

use super::{clock::Clock, habit::Habit, leg::Leg, shopper::Shopper, tables::ProductStats, week::WeekFacts};
use crate::{
    domain::offer::Week,
    error::{Error, ErrorKind, Result},
    snapshot::Stock,
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a source is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// A part of a whole: 0 to 1.
    Share,
    /// A multiple of something.
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
    /// An hour of the day: 0 to 23.
    Hour,
    /// A day of the week: 0 for Monday to 6 for Sunday.
    Weekday,
    /// Kilometres.
    Kilometres,
    /// Minor units of the snapshot's currency.
    Money,
    /// A number without a unit.
    Number,
}

/// Declares the sources: for each part of a row, the type that knows it, and its sources with number, name, unit, and
/// how the value is found. Values that are not known are NaN, which trees route as *missing*.
macro_rules! sources {
    ($(
        $(#[doc = $about:literal])+
        $part:ident, $value:ident($field:ident: $known:ty) {
            $($(#[doc = $doc:literal])+ $number:literal $name:ident = $text:literal, $unit:ident: $expression:expr;)+
        }
    )+) => {
        /// A part of a row: what its sources are facts about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Part { $($(#[doc = $about])+ $part,)+ }

        impl Part {
            /// Every part.
            pub const ALL: &'static [Self] = &[$(Self::$part,)+];

            /// What it holds, as a sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$part => concat!($($about,)+),)+ }
            }
        }

        /// A fact about the world, which a model may be shown as a column. Numbers are part of the format of packs,
        /// and never used for another source.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Source { $($($(#[doc = $doc])+ $name = $number,)+)+ }

        impl Source {
            /// Every source, part by part.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)+)+];

            /// The name in specs, column lists and evidence.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$name => $text,)+)+ }
            }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $($(Self::$name => concat!($($doc,)+),)+)+ }
            }

            /// What it is measured in.
            pub const fn unit(self) -> Unit {
                match self { $($(Self::$name => Unit::$unit,)+)+ }
            }

            /// The part of a row that it is a fact about.
            pub const fn part(self) -> Part {
                match self { $($(Self::$name)|+ => Part::$part,)+ }
            }

            /// The source of a number.
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

        /// What is known of a row, part by part.
        #[derive(Debug, Clone, Copy, Default)]
        pub(crate) struct Row<'a> { $(pub(crate) $field: Option<$known>,)+ }

        impl Row<'_> {
            /// A source's value; NaN where it has none.
            pub(crate) fn value(&self, source: Source) -> f32 {
                match source.part() {
                    $(Part::$part => $value(source, self),)+
                }
            }
        }
    };
}

sources! {
    /// The clock: of a leg, that of its start when it departs; of an hour of the week, that hour.
    Clock, clock_value(clock: Clock) {
        /// The hour.
        1 Hour = "hour", Hour: clock.hour();
        /// The day of the week.
        2 Weekday = "weekday", Weekday: clock.weekday();
    }
    /// A shopper at the moment of the decision, as the profile remembers.
    Shopper, shopper_value(shopper: &'a Shopper<'a>) {
        /// Orders placed.
        16 ShopperOrders = "shopper_orders", Orders: shopper.orders();
        /// Days from one order to the next, on average; NaN before the second.
        17 OrderGap = "order_gap", Days: shopper.order_gap();
        /// Different products in an order, on average; NaN before the first.
        18 BasketSize = "basket_size", Products: shopper.basket_size();
        /// Days since the last order; NaN before the first.
        19 DaysSinceOrder = "days_since_order", Days: shopper.days_since_order();
        /// Days since the first order; NaN before it.
        20 DaysSinceFirstOrder = "days_since_first_order", Days: shopper.days_since_first_order();
        /// Days since the last order as a multiple of the gap between orders (of one day at least); NaN before the second.
        21 OrderDue = "order_due", Ratio: shopper.order_due();
        /// Days of the last 14 on which an order is known: those on which a product of the profile was bought for the
        /// first or the last time.
        22 OrderDays14 = "order_days_14", Days: shopper.order_days(14);
        /// The same of the last 28 days.
        23 OrderDays28 = "order_days_28", Days: shopper.order_days(28);
        /// The same of the last 56 days.
        24 OrderDays56 = "order_days_56", Days: shopper.order_days(56);
        /// The same of the last 84 days.
        25 OrderDays84 = "order_days_84", Days: shopper.order_days(84);
    }
    /// A product, as the tables of the pack know it.
    Product, product_value(product: ProductStats) {
        /// Share of all orders that contain it.
        48 Popularity = "popularity", Share: product.popularity;
        /// Share of the last four weeks' orders that contain it.
        49 RecentPopularity = "recent_popularity", Share: product.recent_popularity;
        /// Recent popularity as a multiple of popularity.
        50 Trend = "trend", Ratio: product.recent_popularity / product.popularity.max(1e-6);
        /// Share of its buyers who bought it again.
        51 RepeatRate = "repeat_rate", Share: product.repeat_rate;
        /// Days from one purchase to the next over all shoppers, the median; NaN where nobody has two.
        52 TypicalGap = "typical_gap", Days: product.gap_days;
    }
    /// A shopper and a product.
    Habit, habit_value(habit: &'a Habit) {
        /// Share of the shopper's orders that contain the product.
        64 OrderShare = "order_share", Share: habit.order_share();
        /// The shopper's orders that contain it, each counting 0.90 to the power of the orders since.
        65 Decayed90 = "decayed_90", Orders: habit.decayed[0];
        /// The same with 0.95.
        66 Decayed95 = "decayed_95", Orders: habit.decayed[1];
        /// The same with 0.98.
        67 Decayed98 = "decayed_98", Orders: habit.decayed[2];
        /// Days since the shopper last bought it; NaN if never.
        68 DaysSince = "days_since", Days: habit.days_since;
        /// The shopper's orders since the one that last contained it; NaN if none did.
        69 OrdersSince = "orders_since", Orders: habit.orders_since;
        /// Days from one purchase of it by the shopper to the next, on average; NaN before the second.
        70 Gap = "gap", Days: habit.gap;
        /// Days since, as a multiple of that gap (of one day at least); NaN where the gap is.
        71 Due = "due", Ratio: habit.due(habit.gap);
        /// Days since, as a multiple of the product's typical gap (of one day at least); NaN where either is.
        72 TypicalDue = "typical_due", Ratio: habit.due(habit.typical_gap);
        /// How well it goes with what the shopper bought or looked at: the sum over that of (orders decayed by day +
        /// attention) × similarity.
        73 Affinity = "affinity", Number: habit.affinity;
    }
    /// A product before a week to come, by its last 13 weeks and the week's offer. All that looks back is NaN without
    /// history.
    Week, week_value(week: WeekFacts<'a>) {
        /// Units of a week without promotion: those of the last 13 weeks by the lifts of their offers, a week counting
        /// nine tenths of the one after it.
        96 Base = "base", Units: week.base;
        /// How many times the base the offer of the week to come usually sells:
        /// list / price × (1 + 1.5 display) × (1 + 0.5 mailer).
        97 Lift = "lift", Ratio: week.lift();
        /// Base × lift: the units that are usual under the offer.
        98 Expected = "expected", Units: week.base * week.lift();
        /// The base of the last four weeks, as a multiple of (base + 1).
        99 Base4 = "base_4", Ratio: week.relative(week.base_of(4));
        /// Units of the last week, as a multiple of (base + 1).
        100 LastUnits = "last_units", Ratio: week.relative(week.mean_units(1));
        /// Units of the last four weeks on average, as a multiple of (base + 1).
        101 MeanUnits4 = "mean_units_4", Ratio: week.relative(week.mean_units(4));
        /// Units of the last 13 weeks on average, as a multiple of (base + 1).
        102 MeanUnits13 = "mean_units_13", Ratio: week.relative(week.mean_units(Week::HISTORY));
        /// Units of the least of the last 13 weeks, as a multiple of (base + 1).
        103 LeastUnits = "least_units", Ratio: week.relative(week.least_units());
        /// Units of the most of the last 13 weeks, as a multiple of (base + 1).
        104 MostUnits = "most_units", Ratio: week.relative(week.most_units());
        /// Units of those of the last 13 weeks without promotion on average, as a multiple of (base + 1); NaN where
        /// there is none.
        105 PlainUnits = "plain_units", Ratio: week.relative(week.plain_units());
        /// Units of those of the last 13 weeks whose offer was like the one to come, as a multiple of (base + 1): a
        /// week with a price 10 %, or a display or mailer 15 points away counts half.
        106 SimilarUnits = "similar_units", Ratio: week.relative(week.similar_units());
        /// How much such weeks there are: the sum of what they count.
        107 Similarity = "similarity", Weeks: week.similarity();
        /// Units at the list price under displays and mailers like those to come, as a multiple of (base + 1): units of
        /// the last 13 weeks by list / price, where a display or mailer 15 points away counts half, and half a week of
        /// what is usual.
        108 SimilarBase = "similar_base", Ratio: week.relative(week.similar_base());
        /// The price as a share of the list price.
        109 PriceToList = "price_to_list", Share: week.price_to_list();
        /// The price as a multiple of that of the last four weeks on average.
        110 PriceToMean4 = "price_to_mean_4", Ratio: week.price_to_mean(4);
        /// The price as a multiple of that of the last 13 weeks on average.
        111 PriceToMean13 = "price_to_mean_13", Ratio: week.price_to_mean(Week::HISTORY);
        /// The price as a multiple of the lowest of them.
        112 PriceToLowest = "price_to_lowest", Ratio: week.price_to_lowest();
        /// The share of displays.
        113 Display = "display", Share: week.display();
        /// The share of mailers.
        114 Mailer = "mailer", Share: week.mailer();
        /// Price as a share of the list price, of the last week.
        115 LastPriceToList = "last_price_to_list", Share: week.mean_price_to_list(1);
        /// Display of the last week.
        116 LastDisplay = "last_display", Share: week.mean_display(1);
        /// Mailer of the last week.
        117 LastMailer = "last_mailer", Share: week.mean_mailer(1);
        /// Price as a share of the list price, of the last 13 weeks on average.
        118 MeanPriceToList = "mean_price_to_list", Share: week.mean_price_to_list(Week::HISTORY);
        /// Display of the last 13 weeks on average.
        119 MeanDisplay = "mean_display", Share: week.mean_display(Week::HISTORY);
        /// Mailer of the last 13 weeks on average.
        120 MeanMailer = "mean_mailer", Share: week.mean_mailer(Week::HISTORY);
        /// From the last week to the one to come: 1 to 4.
        121 Horizon = "horizon", Weeks: week.horizon();
    }
    /// A leg of a shipment when it is dispatched.
    Leg, leg_value(leg: &'a Leg<'a>) {
        /// Kilometres from start to end.
        160 Distance = "distance", Kilometres: leg.distance;
    }
    /// A product at a node of the snapshot.
    Stock, stock_value(stock: Stock) {
        /// Units that are there.
        168 OnHand = "on_hand", Units: stock.on_hand as f32;
        /// Units that are promised to orders.
        169 Reserved = "reserved", Units: stock.reserved as f32;
        /// Units that can be promised: what is there without what is promised and kept back.
        170 Available = "available", Units: stock.available() as f32;
    }
}

impl Source {
    /// Whether its value changes with the price of the week to come.
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
    /// Appends a value for each of some sources.
    pub(crate) fn append(&self, sources: &[Source], row: &mut Vec<f32>) {
        row.extend(sources.iter().map(|&source| self.value(source)));
    }
}

/// Checks that a model's columns are known of its rows.
///
/// # Errors
/// [`PackCorrupt`](ErrorKind::PackCorrupt) names the one that is not.
pub(crate) fn of_rows(sources: &[Source], parts: &[Part], rows: &str) -> Result<()> {
    match sources.iter().find(|source| !parts.contains(&source.part())) {
        None => Ok(()),
        Some(source) => Err(Error::new(
            ErrorKind::PackCorrupt,
            // By its number: the names of all take a kilobyte of the module.
            format!(
                "source {} is not known of {rows}, which the model's rows are; see models/FEATURES.md",
                *source as u8
            ),
        )),
    }
}

/// By name for people, by number in packs and messages.
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
                de::Error::custom(format!("unknown source `{name}` (models/FEATURES.md lists those that there are)"))
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
    fn a_source_has_no_value_in_a_row_that_does_not_know_its_part() {
        for source in Source::ALL {
            assert!(Row::default().value(*source).is_nan());
        }
    }
}

//! Profile of one shopper, stored on that shopper's device.

pub(crate) mod event;

use crate::{
    bounded,
    domain::{
        line::Line,
        sku::Sku,
        sort,
        time::{Day, Millis},
    },
    error::{Error, ErrorKind, Result},
    profile::event::{Event, EventKind},
};
use alloc::{vec, vec::Vec};
use serde::{Deserialize, Serialize};

/// History of a shopper, bounded and decaying: only what the features of a ranking need.
///
/// It contains no names, locations, searches or single events. Only ranking reads it: no message that leads to a price
/// has a field for it. It is sent with each request and returned updated.
///
/// ```
/// use tradewind_core::{Channel, Event, EventKind, Line, Millis, Profile, Sku};
/// let tea = Sku::new("tea")?;
/// let line = Line { sku: tea.clone(), quantity: 2 };
/// let mut profile = Profile::default();
/// profile.apply(&Event { at: Millis(0), channel: Channel::Web, kind: EventKind::Purchase { lines: vec![line] } });
/// assert_eq!(profile.interest(&tea).map(|interest| interest.orders), Some(1));
/// # Ok::<(), tradewind_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(
    feature = "openapi",
    schema(description = "History of a shopper, without names, locations, searches or single events.")
)]
pub struct Profile {
    /// Number of orders.
    pub orders: u32,
    /// Different products in each order, summed over the orders.
    pub lines: u32,
    /// Day of the first order.
    pub first: Day,
    /// Day of the last order.
    pub last: Day,
    /// Products bought or viewed, ascending by SKU.
    #[serde(deserialize_with = "bounded::list::<{ Profile::MAX_ITEMS }, _, _>")]
    items: Vec<Interest>,
}

/// Facts remembered of one product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Interest {
    /// Product.
    pub sku: Sku,
    /// Number of orders that contained it.
    pub orders: u32,
    /// Day of its first purchase.
    pub first: Day,
    /// Day of its last purchase.
    pub last: Day,
    /// Number of the order in which it was last bought, and the spare units in the bits above it. They share a number
    /// because profiles stay on devices for years, and older profiles have this layout without spare units.
    last_order: u32,
    /// Orders that contained it, each weighted by .90, .95 or .98 to the power of the number of orders since; as of
    /// `last_order`.
    by_order: [f32; 3],
    /// Orders that contained it, with a half-life of 120 days; as of `last`.
    by_day: f32,
    /// Weighted views, clicks and additions to the cart, with a half-life of a day; as of `attended`.
    attention: f32,
    /// Moment of the last view, click or addition to the cart.
    #[serde(deserialize_with = "Millis::of_any_year")]
    attended: Millis,
    /// Whether the shopper asked not to see it.
    pub dismissed: bool,
}

/// Factors by which the weight of an order decays with each later order: habits of weeks, of months, of about a year.
pub const ORDER_DECAYS: [f32; 3] = [0.90, 0.95, 0.98];
/// Half-life of the weight of an order, in days.
pub const HALF_LIFE_DAYS: i64 = 120;
/// Half-life of attention.
pub const ATTENTION_HALF_LIFE: Millis = Millis(Millis::DAY);
/// Mask of the order's number in [`Interest::last_order`]; the bits above it count spare units.
const ORDER: u32 = (1 << 20) - 1;

impl Profile {
    /// Maximum number of products in a profile; beyond it, those with the least weight are forgotten.
    pub const MAX_ITEMS: usize = 128;

    /// Products, ascending by SKU.
    pub fn items(&self) -> &[Interest] {
        &self.items
    }

    /// Facts remembered of a product.
    pub fn interest(&self, sku: &Sku) -> Option<&Interest> {
        self.position(sku).ok().and_then(|at| self.items.get(at))
    }

    /// Adds an event. Events may arrive late; each counts as of its own time.
    pub fn apply(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Purchase { lines } => self.purchase(event.at.day(), lines),
            EventKind::Return(line) => {
                if let Ok(at) = self.position(&line.sku) {
                    self.items[at].returned(line.quantity);
                }
            }
            EventKind::View { sku } | EventKind::Click { sku } => self.attend(sku, event.at, 1.0),
            EventKind::AddToCart(line) => self.attend(&line.sku, event.at, 3.0),
            EventKind::Dismiss { sku } => self.entry(sku).dismissed = true,
            // An impression shows no interest, and searches are not stored.
            EventKind::Impression { .. } | EventKind::Search { .. } => {}
        }
        self.keep(Self::MAX_ITEMS, event.at);
    }

    /// Adds events in order of time.
    pub(crate) fn apply_in_time(&mut self, events: &[Event]) {
        let in_time = sort::ascending(events.len(), &|a, b| events[a].at.cmp(&events[b].at));
        in_time.into_iter().for_each(|n| self.apply(&events[n]));
    }

    /// Mean number of days between orders; `None` before the second.
    pub fn mean_gap_days(&self) -> Option<f32> {
        mean_gap_days(self.orders, self.first, self.last)
    }

    fn purchase(&mut self, day: Day, lines: &[Line]) {
        if lines.is_empty() {
            return;
        }
        self.first = if self.orders == 0 { day } else { self.first.min(day) };
        self.last = if self.orders == 0 { day } else { self.last.max(day) };
        self.orders = self.orders.saturating_add(1);
        let order = self.orders;
        let mut last = None;
        for n in sort::ascending(lines.len(), &|a, b| lines[a].sku.cmp(&lines[b].sku)) {
            let Line { sku, quantity } = &lines[n];
            let first = last.replace(sku) != Some(sku);
            self.lines = self.lines.saturating_add(first.into());
            let item = self.entry(sku);
            if first {
                item.bought(order, day);
            }
            item.set_spare(item.spare().saturating_add(quantity.saturating_sub(first.into())));
        }
    }

    fn attend(&mut self, sku: &Sku, at: Millis, weight: f32) {
        let item = self.entry(sku);
        let now = item.attended.max(at);
        item.attention = item.attention_at(now) + weight * halved(now.0.saturating_sub(at.0), ATTENTION_HALF_LIFE.0);
        item.attended = now;
    }

    /// Interest in a product, created if missing.
    fn entry(&mut self, sku: &Sku) -> &mut Interest {
        let at = match self.position(sku) {
            Ok(at) => at,
            Err(at) => {
                self.items.insert(at, Interest::new(sku.clone()));
                at
            }
        };
        &mut self.items[at]
    }

    fn position(&self, sku: &Sku) -> core::result::Result<usize, usize> {
        self.items.binary_search_by(|item| item.sku.cmp(sku))
    }

    /// Keeps at most `most` products: those with the greatest weight at `now`, ties by ascending SKU.
    pub fn keep(&mut self, most: usize, now: Millis) {
        if self.items.len() <= most {
            return;
        }
        let mut kept = vec![false; self.items.len()];
        let weights = self.items.iter().map(|item| item.weight(self.orders, now));
        for at in sort::greatest(weights.zip(0..)).take(most) {
            kept[at as usize] = true;
        }
        let mut kept = kept.into_iter();
        self.items.retain(|_| kept.next() == Some(true));
    }

    /// Checks a received profile.
    pub(crate) fn check(&self) -> Result<()> {
        let ordered = self.items.windows(2).all(|pair| pair[0].sku < pair[1].sku);
        let sound = self.items.iter().all(|item| {
            let orders = 0.0..=self.orders as f32 * 1.001;
            item.by_order.iter().chain([&item.by_day]).all(|decayed| orders.contains(decayed))
                && (0.0..=1e9).contains(&item.attention)
                && item.last_order() <= self.orders
                && item.orders <= self.orders
                && item.first <= item.last
        });
        if ordered && sound && self.first <= self.last {
            return self.items.iter().try_for_each(|item| item.sku.check().and(item.attended.check()));
        }
        Err(Error::new(ErrorKind::BadRequest, "the profile contradicts itself; erase it"))
    }
}

impl Interest {
    const fn new(sku: Sku) -> Self {
        Self {
            sku,
            orders: 0,
            first: Day(0),
            last: Day(0),
            last_order: 0,
            by_order: [0.0; 3],
            by_day: 0.0,
            attention: 0.0,
            attended: Millis(0),
            dismissed: false,
        }
    }

    fn bought(&mut self, order: u32, day: Day) {
        let last = if self.orders == 0 { day } else { self.last.max(day) };
        self.first = if self.orders == 0 { day } else { self.first.min(day) };
        self.by_order = self.by_order_at(order).map(|decayed| decayed + 1.0);
        self.by_day = self.by_day_at(last) + halved(i64::from(last.since(day)), HALF_LIFE_DAYS);
        self.last = last;
        self.last_order = self.last_order & !ORDER | order.min(ORDER);
        self.orders = self.orders.saturating_add(1);
    }

    /// Number of the order in which it was last bought, counted from 1; 0 if never.
    pub const fn last_order(&self) -> u32 {
        self.last_order & ORDER
    }

    /// Units that can be returned before an order counts less: those beyond the first unit of each order.
    const fn spare(&self) -> u32 {
        self.last_order >> ORDER.count_ones()
    }

    fn set_spare(&mut self, units: u32) {
        self.last_order = self.last_order() | units.min(u32::MAX >> ORDER.count_ones()) << ORDER.count_ones();
    }

    /// Subtracts returned units. The orders that count are at most the units that remain.
    fn returned(&mut self, units: u32) {
        let orders = self.orders.saturating_sub(units.saturating_sub(self.spare()));
        self.set_spare(self.spare().saturating_sub(units));
        let kept = orders as f32 / self.orders.max(1) as f32;
        self.orders = orders;
        self.by_order = self.by_order.map(|decayed| decayed * kept);
        self.by_day *= kept;
    }

    /// Orders that contained it, decayed by each of [`ORDER_DECAYS`], after `orders` orders in total.
    pub fn by_order_at(&self, orders: u32) -> [f32; 3] {
        let since = orders.saturating_sub(self.last_order()) as f32;
        core::array::from_fn(|n| self.by_order[n] * libm::powf(ORDER_DECAYS[n], since))
    }

    /// Orders that contained it, decayed by day, on a day.
    pub fn by_day_at(&self, day: Day) -> f32 {
        self.by_day * halved(i64::from(day.since(self.last).max(0)), HALF_LIFE_DAYS)
    }

    /// Decayed views, clicks and additions to the cart, at a moment.
    pub fn attention_at(&self, at: Millis) -> f32 {
        self.attention * halved(at.0.saturating_sub(self.attended.0).max(0), ATTENTION_HALF_LIFE.0)
    }

    /// Mean number of days between purchases; `None` before the second.
    pub fn mean_gap_days(&self) -> Option<f32> {
        mean_gap_days(self.orders, self.first, self.last)
    }

    /// Weight of the product: the one with the least is forgotten first.
    fn weight(&self, orders: u32, now: Millis) -> f32 {
        // A wish not to see a product is forgotten last.
        let wish = if self.dismissed { 1e6 } else { 0.0 };
        let since = orders.saturating_sub(self.last_order()) as f32;
        let [.., decay] = ORDER_DECAYS;
        let [.., longest] = self.by_order;
        longest * libm::powf(decay, since) + self.attention_at(now) + wish
    }
}

fn mean_gap_days(orders: u32, first: Day, last: Day) -> Option<f32> {
    (orders >= 2).then(|| last.since(first) as f32 / (orders - 1) as f32)
}

/// `2^(−elapsed / half_life)`
fn halved(elapsed: i64, half_life: i64) -> f32 {
    libm::exp2f(-(elapsed as f32) / half_life as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::Channel;
    use alloc::{format, vec};
    use proptest::prelude::*;

    fn sku(code: usize) -> Sku {
        Sku::new(format!("{code:04}")).expect("a SKU")
    }

    fn at_day(day: i64, kind: EventKind) -> Event {
        Event { at: Millis(day * Millis::DAY + 1), channel: Channel::Web, kind }
    }

    fn purchase(day: i64, codes: &[usize]) -> Event {
        let lines = codes.iter().map(|&code| Line { sku: sku(code), quantity: 1 });
        at_day(day, EventKind::Purchase { lines: lines.collect() })
    }

    fn after(events: &[Event]) -> Profile {
        let mut profile = Profile::default();
        events.iter().for_each(|event| profile.apply(event));
        profile
    }

    #[test]
    fn orders_decay_with_later_orders_and_with_days() {
        let profile = after(&[purchase(0, &[1, 2]), purchase(120, &[2])]);
        let Some(once) = profile.interest(&sku(1)) else { unreachable!() };
        assert_eq!((profile.orders, profile.lines, once.orders), (2, 3, 1));
        assert_eq!(once.by_order_at(profile.orders), ORDER_DECAYS);
        assert_eq!(once.by_day_at(Day(120)), 0.5);
        let Some(twice) = profile.interest(&sku(2)) else { unreachable!() };
        assert_eq!(twice.mean_gap_days(), Some(120.0));
        assert_eq!(twice.by_day_at(Day(120)), 1.5);
    }

    #[test]
    fn a_product_counts_once_in_an_order() {
        let profile = after(&[purchase(3, &[7, 7, 7])]);
        assert_eq!((profile.lines, profile.interest(&sku(7)).map(|item| item.orders)), (1, Some(1)));
    }

    #[test]
    fn an_event_that_comes_late_counts_as_of_its_own_time() {
        let late = after(&[purchase(200, &[1]), purchase(80, &[1])]);
        let Some(item) = late.interest(&sku(1)) else { unreachable!() };
        assert_eq!((item.first, item.last), (Day(80), Day(200)));
        assert_eq!(item.by_day_at(Day(200)), 1.5);
        let view = |day| at_day(day, EventKind::View { sku: sku(1) });
        assert_eq!(after(&[view(9), view(8)]).items, after(&[view(8), view(9)]).items);
    }

    #[test]
    fn returned_products_no_longer_count() {
        let line = Line { sku: sku(1), quantity: 1 };
        let profile = after(&[purchase(0, &[1]), at_day(1, EventKind::Return(line))]);
        assert_eq!(profile.interest(&sku(1)).map(|item| (item.orders, item.by_order_at(1))), Some((0, [0.0; 3])));
    }

    #[test]
    fn a_partial_return_counts_like_a_smaller_purchase() {
        let line = |quantity| Line { sku: sku(1), quantity };
        let bought = |day, quantities: &[u32]| {
            at_day(day, EventKind::Purchase { lines: quantities.iter().map(|&quantity| line(quantity)).collect() })
        };
        let back = |quantity| at_day(9, EventKind::Return(line(quantity)));
        assert_eq!(after(&[bought(0, &[5]), back(1)]), after(&[bought(0, &[4])]));
        assert_eq!(after(&[bought(0, &[5]), back(2), back(2)]), after(&[bought(0, &[1])]));
        assert_eq!(after(&[bought(0, &[2, 3]), back(4)]), after(&[bought(0, &[1])]), "an order of several lines");
        assert_eq!(after(&[bought(0, &[5]), bought(3, &[1]), back(1)]), after(&[bought(0, &[4]), bought(3, &[1])]));
        let orders = |events: &[Event]| after(events).interest(&sku(1)).map(|item| item.orders);
        assert_eq!(orders(&[bought(0, &[5]), back(5)]), Some(0), "all of it");
        assert_eq!(orders(&[bought(0, &[2]), bought(3, &[2]), back(3)]), Some(1), "more than one order had");
        assert_eq!(orders(&[bought(0, &[1]), bought(3, &[1]), back(2)]), Some(0));
        assert_eq!(orders(&[bought(0, &[u32::MAX, u32::MAX]), back(4_000)]), Some(1));
    }

    #[test]
    fn neither_searches_nor_impressions_are_kept() {
        let shown = EventKind::Impression { skus: vec![sku(1)] };
        let searched = EventKind::Search { query: "something private".into() };
        assert_eq!(after(&[at_day(0, shown), at_day(0, searched)]), Profile::default());
    }

    #[test]
    fn the_habit_is_kept_when_there_is_no_room_for_everything() {
        let mut events = vec![purchase(0, &[9_999])];
        events.extend((1..40).map(|day| purchase(day, &[9_999])));
        events.push(purchase(50, &(0..400).collect::<Vec<_>>()));
        let profile = after(&events);
        assert_eq!(profile.items().len(), Profile::MAX_ITEMS);
        assert!(profile.interest(&sku(9_999)).is_some(), "forty orders were forgotten for one");
        assert!(profile.interest(&sku(0)).is_some() && profile.interest(&sku(399)).is_none());
    }

    proptest! {
        #[test]
        fn a_profile_is_bounded_and_sound_after_any_events(
            picks in proptest::collection::vec((0..300usize, 0..40_000i64, 0..6u8), 0..400),
        ) {
            let events = picks.into_iter().map(|(code, day, kind)| at_day(day, match kind {
                0 => EventKind::View { sku: sku(code) },
                1 => EventKind::AddToCart(Line { sku: sku(code), quantity: 1 }),
                2 => EventKind::Return(Line { sku: sku(code), quantity: 1 }),
                3 => EventKind::Dismiss { sku: sku(code) },
                _ => EventKind::Purchase { lines: vec![Line { sku: sku(code), quantity: 2 }, Line { sku: sku(code + 1), quantity: 1 }] },
            }));
            let profile = after(&events.collect::<Vec<_>>());
            prop_assert!(profile.items().len() <= Profile::MAX_ITEMS);
            prop_assert_eq!(profile.check(), Ok(()));
            let sent = postcard::to_allocvec(&profile).unwrap_or_default();
            prop_assert!(sent.len() <= 128 * 64, "{} bytes", sent.len());
            prop_assert_eq!(postcard::from_bytes(&sent), Ok(profile));
        }
    }
}

//! Region of a shopper among the snapshot's regions.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Location of a region.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Country, ISO 3166 alpha-2.
    pub country: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// Nearest region of the same country; `None` without a region in the country, because promises do not cross borders.
pub fn nearest<'a>(regions: &'a BTreeMap<String, Place>, at: &Place) -> Option<&'a str> {
    let inside = regions.iter().filter(|(_, place)| place.country == at.country);
    let nearest = inside.min_by(|(_, a), (_, b)| apart(a, at).total_cmp(&apart(b, at)));
    nearest.map(|(code, _)| code.as_str())
}

/// Haversine of the angle between two locations, which grows with their distance.
fn apart(a: &Place, b: &Place) -> f64 {
    let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
    let (north, south) = (a.latitude.to_radians(), b.latitude.to_radians());
    half(a.latitude, b.latitude) + north.cos() * south.cos() * half(a.longitude, b.longitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(country: &str, latitude: f64, longitude: f64) -> Place {
        Place { country: country.into(), latitude, longitude }
    }

    #[test]
    fn the_nearest_region_of_the_country_is_chosen() {
        let regions: BTreeMap<_, _> = [
            ("DTW".to_owned(), place("US", 42.2121, -83.3488)),
            ("SEA".to_owned(), place("US", 47.4490, -122.3093)),
            ("YVR".to_owned(), place("CA", 49.1947, -123.1839)),
        ]
        .into();
        let found = |country, latitude, longitude| nearest(&regions, &place(country, latitude, longitude));
        assert_eq!(found("US", 45.5152, -122.6784), Some("SEA"));
        assert_eq!(found("US", 48.9920, -122.7485), Some("SEA"), "Blaine is nearer to Vancouver, across the border");
        assert_eq!(found("CA", 43.6532, -79.3832), Some("YVR"), "Toronto is nearer to Detroit");
        assert_eq!(found("FR", 48.8566, 2.3522), None);
        // Across the date line, degrees differ much and distances little.
        let pacific: BTreeMap<_, _> =
            [("A".into(), place("FJ", -17.0, 179.0)), ("B".into(), place("FJ", -17.0, 150.0))].into();
        assert_eq!(nearest(&pacific, &place("FJ", -17.0, -179.0)), Some("A"));
    }
}

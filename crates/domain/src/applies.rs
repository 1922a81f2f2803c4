//! Where a rule holds.

use crate::region::{Country, Region};
use crate::zones::Place;

/// Countries and regions in which a rule holds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Applies {
    /// Whole countries.
    pub countries: Vec<Country>,
    /// Single regions.
    pub regions: Vec<Region>,
}

impl Applies {
    /// Whether a rule holds in `place`.
    pub fn to(&self, place: &Place) -> bool {
        place.country.is_some_and(|country| self.countries.contains(&country))
            || place.regions.iter().any(|region| {
                self.regions.contains(region) || self.countries.contains(&region.country())
            })
    }
}

//! Where a number is, as far as anybody can tell: candidate time zones and regions.
//!
//! Digits do not tell where a phone is, only where its number was given out. So a place is a list of
//! candidates, and whoever asks for calling hours asks all of them. docs/calling-hours.md tells how
//! numbers are placed and what is not known.

mod atlas;
mod clock;
mod postal;
#[cfg(test)]
mod tests;

pub use atlas::{Atlas, RegionFacts};
pub use clock::{DayBound, Zone};

use crate::number::canonical::Canonical;
use crate::region::{Country, Region};

/// What the client says about where a contact is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Hint {
    /// An IANA zone, as `America/Boise`.
    pub zone: Option<Zone>,
    /// A state, province or Land: `US-FL`.
    pub region: Option<Region>,
    /// A postal code of the country of the number, in any spelling.
    pub postal_code: Option<String>,
}

impl Hint {
    /// Nothing is said.
    pub const NONE: Self = Self { zone: None, region: None, postal_code: None };
}

/// Whose word counts where number and client say different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Placing {
    /// The number's area code alone; what the client says is not looked at.
    AreaCode,
    /// The client's postal code, else the area code; a zone given narrows it.
    PostalCode,
    /// The client's region, else the area code; a zone given narrows it.
    Region,
    /// Everything that is known together, and all of it must permit.
    #[default]
    Strictest,
}

impl Placing {
    /// Every method, for tables and tests.
    pub const ALL: [Self; 4] = [Self::AreaCode, Self::PostalCode, Self::Region, Self::Strictest];

    /// The name that policies use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AreaCode => "area_code",
            Self::PostalCode => "postal_code",
            Self::Region => "region",
            Self::Strictest => "strictest",
        }
    }

    /// The method of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|placing| placing.name() == name)
    }
}

/// Where those are of whom nothing is known: an extension, an address, a wrong number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The account's country; its numbers are read as it dials them.
    pub country: Country,
    /// The account's zone; all zones of the country without one.
    pub zone: Option<Zone>,
}

/// What told where a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// The first digits of the number.
    AreaCode,
    /// The number's country alone, whose zones are all candidates.
    Country,
    /// Nothing but whose number it is to call: the account's home.
    Home,
    /// The postal code that the client gave.
    PostalCode,
    /// The region that the client gave.
    Region,
    /// The zone that the client gave.
    Zone,
}

impl Evidence {
    /// The name that is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AreaCode => "area code",
            Self::Country => "country",
            Self::Home => "home of the account",
            Self::PostalCode => "postal code",
            Self::Region => "region",
            Self::Zone => "zone",
        }
    }
}

/// Where a number may be. It has at least one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its country; none for what is private.
    pub country: Option<Country>,
    /// Regions that it may be in, in order; empty where none is known.
    pub regions: Vec<Region>,
    /// Zones that it may be in, by name; never empty.
    pub zones: Vec<Zone>,
    /// What told so.
    pub evidence: Vec<Evidence>,
    /// What the client gave and no table knows, so that nobody wonders: `postal code 99999`.
    pub unknown: Vec<String>,
}

/// Candidates that one piece of evidence gives.
#[derive(Clone, Debug, Default)]
struct Candidates {
    regions: Vec<Region>,
    zones: Vec<Zone>,
}

impl Atlas {
    /// Where `number` may be, by `placing`; what has no place is at `home`.
    pub fn place(&self, number: &Canonical, hint: &Hint, placing: Placing, home: &Home) -> Place {
        let mut place = Place {
            country: number.country(),
            regions: Vec::new(),
            zones: Vec::new(),
            evidence: Vec::new(),
            unknown: Vec::new(),
        };
        let country = number.country().unwrap_or(home.country);
        let by_postal_code = hint.postal_code.as_deref().map(|code| {
            let found = self.by_postal_code(country, code);
            (Evidence::PostalCode, found.ok_or_else(|| format!("postal code {}", shown(code))))
        });
        let by_region = hint.region.map(|region| {
            let found = self.by_region(region);
            (Evidence::Region, found.ok_or_else(|| format!("region {region}")))
        });
        let given = match placing {
            Placing::AreaCode => [None, None],
            Placing::PostalCode => [by_postal_code, None],
            Placing::Region => [by_region, None],
            Placing::Strictest => [by_postal_code, by_region],
        };
        for (evidence, found) in given.into_iter().flatten() {
            match found {
                Ok(candidates) => place.add(evidence, candidates),
                Err(unknown) => place.unknown.push(unknown),
            }
        }
        if place.evidence.is_empty() || placing == Placing::Strictest {
            self.place_by_digits(number, &mut place);
        }
        if let Some(zone) = hint.zone.as_ref().filter(|_| placing != Placing::AreaCode) {
            if placing != Placing::Strictest {
                place.zones.clear();
            }
            place.add(Evidence::Zone, Candidates { regions: vec![], zones: vec![zone.clone()] });
        }
        if place.zones.is_empty() {
            let zones = home
                .zone
                .clone()
                .map_or_else(|| self.zones_of(home.country).to_vec(), |zone| vec![zone]);
            place.add(Evidence::Home, Candidates { regions: vec![], zones });
        }
        if place.zones.is_empty() {
            // A country of nobody's: the only zone that is nobody's either.
            place.zones.push(Zone::utc());
        }
        place.regions.sort_unstable();
        place.regions.dedup();
        place.zones.sort_by(|a, b| a.name().cmp(b.name()));
        place.zones.dedup();
        place
    }

    fn place_by_digits(&self, number: &Canonical, place: &mut Place) {
        let Some(digits) = number.e164_digits() else {
            return;
        };
        let regions = self.regions_of(digits).to_vec();
        if let Some(zones) = self.zones_by_prefix(digits) {
            place.add(Evidence::AreaCode, Candidates { regions, zones: zones.to_vec() });
        } else if let Some(country) = number.country() {
            let zones = self.zones_of(country).to_vec();
            if !zones.is_empty() {
                place.add(Evidence::Country, Candidates { regions, zones });
            }
        }
    }
}

impl Place {
    fn add(&mut self, evidence: Evidence, candidates: Candidates) {
        self.evidence.push(evidence);
        self.regions.extend(candidates.regions);
        self.zones.extend(candidates.zones);
    }
}

/// A client's text, short enough to be repeated to him.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

/// Longest part of a client's text that is repeated, in characters.
const SHOWN_MAX: usize = 20;

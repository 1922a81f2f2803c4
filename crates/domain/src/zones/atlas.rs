//! The tables of `data/`: zones of countries, prefixes and regions, read once.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::dated::{self, DataError, Provenance};
use crate::region::{Country, Region};

use super::postal::PostalCodes;
use super::{Candidates, Zone};

/// A region as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionFacts {
    /// The region.
    pub region: Region,
    /// Its name in English.
    pub name: String,
    /// Its zones.
    pub zones: Vec<Zone>,
    /// Prefixes of E.164 that are given out there, without `+`: `1205`.
    pub prefixes: Vec<u32>,
}

/// What is known about where numbers are.
#[derive(Clone, Debug)]
pub struct Atlas {
    countries: HashMap<Country, Vec<Zone>>,
    prefixes: Prefixes<Vec<Zone>>,
    regions: Vec<RegionFacts>,
    region_index: HashMap<Region, usize>,
    regions_by_prefix: Prefixes<Vec<Region>>,
    postal_codes: PostalCodes,
    provenance: Vec<Provenance>,
}

static BUILT_IN: LazyLock<Atlas> = LazyLock::new(|| {
    let tables = Tables {
        countries: include_str!("../../data/zones-of-countries.txt"),
        regions: include_str!("../../data/regions.txt"),
        prefixes: include_str!("../../data/zones-of-prefixes.txt"),
        postal_codes: include_str!("../../data/postal-codes.txt"),
    };
    Atlas::read(&tables).expect("the shipped tables are read by a test")
});

/// The texts of the four tables.
pub(super) struct Tables<'a> {
    pub(super) countries: &'a str,
    pub(super) regions: &'a str,
    pub(super) prefixes: &'a str,
    pub(super) postal_codes: &'a str,
}

impl Atlas {
    /// The tables that are shipped, read when they are first asked for.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    pub(super) fn read(tables: &Tables<'_>) -> Result<Self, DataError> {
        let mut atlas = Self {
            countries: HashMap::new(),
            prefixes: Prefixes::default(),
            regions: Vec::new(),
            region_index: HashMap::new(),
            regions_by_prefix: Prefixes::default(),
            postal_codes: PostalCodes::default(),
            provenance: Vec::new(),
        };
        atlas.read_countries(tables.countries)?;
        atlas.read_regions(tables.regions)?;
        atlas = atlas.with_prefixes("zones-of-prefixes", tables.prefixes)?;
        atlas.read_postal_codes(tables.postal_codes)?;
        Ok(atlas)
    }

    /// The same tables with the rows of a file of prefixes, `prefix|zone&zone`, added or replaced.
    ///
    /// This is the form of libphonenumber's `timezones/map_data.txt`, so that its file can be used
    /// as it is behind a head of `version:` and `source:`.
    pub fn with_prefixes(mut self, file: &str, text: &str) -> Result<Self, DataError> {
        let (provenance, rows) = dated::read(file, text)?;
        for row in rows {
            let (prefix, zones) = row
                .text
                .split_once('|')
                .ok_or_else(|| row.wrong(file, "expected prefix|Zone/Name&Zone/Name"))?;
            let prefix = prefix_of(prefix).map_err(|problem| row.wrong(file, problem))?;
            self.prefixes.set(prefix, Zone::all_named(file, row, zones.split('&'))?);
        }
        self.provenance.push(provenance);
        Ok(self)
    }

    fn read_countries(&mut self, text: &str) -> Result<(), DataError> {
        let file = "zones-of-countries";
        let (provenance, rows) = dated::read(file, text)?;
        for row in rows {
            let (country, zones) = row.split();
            let country = country.parse().map_err(|error| row.wrong(file, error))?;
            self.countries.insert(country, Zone::all_named(file, row, zones.split_whitespace())?);
        }
        self.provenance.push(provenance);
        Ok(())
    }

    /// Rows of `US-AL | Alabama | America/Chicago | 1205 1251`.
    fn read_regions(&mut self, text: &str) -> Result<(), DataError> {
        let file = "regions";
        let (provenance, rows) = dated::read(file, text)?;
        for row in rows {
            let fields: Vec<&str> = row.text.split('|').map(str::trim).collect();
            let &[region, name, zones, prefixes] = fields.as_slice() else {
                return Err(row.wrong(file, "expected region | name | zones | prefixes"));
            };
            let region: Region = region.parse().map_err(|error| row.wrong(file, error))?;
            let zones = Zone::all_named(file, row, zones.split_whitespace())?;
            let prefixes = prefixes
                .split_whitespace()
                .map(prefix_of)
                .collect::<Result<Vec<u32>, _>>()
                .map_err(|problem| row.wrong(file, problem))?;
            for prefix in &prefixes {
                self.regions_by_prefix.entry(*prefix).push(region);
                // A prefix of two regions has the zones of both.
                self.prefixes.entry(*prefix).extend(zones.iter().cloned());
            }
            self.region_index.insert(region, self.regions.len());
            let name = name.to_owned();
            self.regions.push(RegionFacts { region, name, zones, prefixes });
        }
        self.provenance.push(provenance);
        Ok(())
    }

    fn read_postal_codes(&mut self, text: &str) -> Result<(), DataError> {
        let (postal_codes, provenance) = PostalCodes::read("postal-codes", text)?;
        self.postal_codes = postal_codes;
        self.provenance.push(provenance);
        Ok(())
    }

    /// All zones of a country; empty where the country is not known.
    pub fn zones_of(&self, country: Country) -> &[Zone] {
        self.countries.get(&country).map_or(&[], Vec::as_slice)
    }

    /// Zones by the longest known prefix of the digits of an E.164 number.
    pub fn zones_by_prefix(&self, digits: &str) -> Option<&[Zone]> {
        self.prefixes.longest(digits).map(Vec::as_slice)
    }

    /// Regions by the longest known prefix of the digits of an E.164 number.
    pub fn regions_of(&self, digits: &str) -> &[Region] {
        self.regions_by_prefix.longest(digits).map_or(&[], Vec::as_slice)
    }

    /// All regions of the table.
    pub fn regions(&self) -> &[RegionFacts] {
        &self.regions
    }

    /// The region of this code or English name in this country: `FL`, `US-FL`, `Florida`.
    pub fn region(&self, country: Country, text: &str) -> Option<Region> {
        let text = text.trim();
        let by_code = text.parse().or_else(|_| Region::new(country, text)).ok();
        by_code.filter(|region| self.region_index.contains_key(region)).or_else(|| {
            let named = |facts: &&RegionFacts| {
                facts.region.country() == country && facts.name.eq_ignore_ascii_case(text)
            };
            self.regions.iter().find(named).map(|facts| facts.region)
        })
    }

    /// Versions and sources of all tables.
    pub fn provenance(&self) -> &[Provenance] {
        &self.provenance
    }

    /// Number of prefixes that have zones.
    pub fn prefixes_known(&self) -> usize {
        self.prefixes.0.len()
    }

    /// Every zone that any table names, with repetitions.
    pub fn all_zones(&self) -> impl Iterator<Item = &Zone> {
        let of_regions = self.regions.iter().flat_map(|facts| &facts.zones);
        let of_prefixes = self.prefixes.0.iter().flat_map(|(_, zones)| zones);
        self.countries.values().flatten().chain(of_regions).chain(of_prefixes)
    }

    pub(super) fn by_region(&self, region: Region) -> Option<Candidates> {
        let facts = &self.regions[*self.region_index.get(&region)?];
        Some(Candidates { regions: vec![region], zones: facts.zones.clone() })
    }

    pub(super) fn by_postal_code(&self, country: Country, code: &str) -> Option<Candidates> {
        let found = self.postal_codes.find(country, code)?;
        let mut candidates = Candidates::default();
        for region in &found.regions {
            candidates.regions.push(*region);
            if found.zones.is_empty() {
                candidates.zones.extend(self.by_region(*region)?.zones);
            }
        }
        candidates.zones.extend(found.zones.iter().cloned());
        Some(candidates)
    }
}

/// Values by the first digits of a number, sorted by prefix.
#[derive(Clone, Debug)]
struct Prefixes<T>(Vec<(u32, T)>);

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> Prefixes<T> {
    fn entry(&mut self, prefix: u32) -> &mut T {
        let at = match self.0.binary_search_by_key(&prefix, |row| row.0) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (prefix, T::default()));
                at
            }
        };
        &mut self.0[at].1
    }

    fn set(&mut self, prefix: u32, value: T) {
        *self.entry(prefix) = value;
    }

    /// The value of the longest prefix of `digits`.
    fn longest(&self, digits: &str) -> Option<&T> {
        let bytes = digits.as_bytes();
        let digits = &bytes[..bytes.len().min(PREFIX_DIGITS_MAX)];
        let mut prefix = digits.iter().try_fold(0u32, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0'))
        })?;
        while prefix > 0 {
            if let Ok(at) = self.0.binary_search_by_key(&prefix, |row| row.0) {
                return Some(&self.0[at].1);
            }
            prefix /= 10;
        }
        None
    }
}

/// Longest prefix, in digits; libphonenumber's own are of seven.
const PREFIX_DIGITS_MAX: usize = 9;

fn prefix_of(text: &str) -> Result<u32, &'static str> {
    let text = text.trim();
    let well_formed = (1..=PREFIX_DIGITS_MAX).contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|b| b.is_ascii_digit());
    let problem = "a prefix is 1 to 9 digits of E.164 without +";
    if well_formed { text.parse().map_err(|_| problem) } else { Err(problem) }
}

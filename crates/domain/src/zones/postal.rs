//! Postal codes: their first signs tell the region, and sometimes the zone.

use std::collections::HashMap;

use crate::dated::{self, DataError, Provenance};
use crate::region::{Country, Region};

use super::Zone;

/// What a postal code tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Postal {
    /// Regions that the code may lie in.
    pub(super) regions: Vec<Region>,
    /// Zones that the code may lie in; empty where the regions' zones are all that is known.
    pub(super) zones: Vec<Zone>,
}

/// Regions and zones by the first signs of a postal code.
#[derive(Clone, Debug, Default)]
pub(super) struct PostalCodes(HashMap<(Country, String), Postal>);

impl PostalCodes {
    /// Rows of `US | 463-464 | IN | America/Chicago` and `CA | K | ON |`.
    pub(super) fn read(file: &str, text: &str) -> Result<(Self, Provenance), DataError> {
        let (provenance, rows) = dated::read(file, text)?;
        let mut codes = HashMap::new();
        for row in rows {
            let fields: Vec<&str> = row.text.split('|').map(str::trim).collect();
            let &[country, prefixes, regions, zones] = fields.as_slice() else {
                return Err(row.wrong(file, "expected country | prefixes | regions | zones"));
            };
            let country: Country = country.parse().map_err(|error| row.wrong(file, error))?;
            let regions = regions
                .split_whitespace()
                .map(|code| Region::new(country, code))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| row.wrong(file, error))?;
            let zones = match zones {
                "" => Vec::new(),
                zones => Zone::all_named(file, row, zones.split_whitespace())?,
            };
            for prefix in prefixes.split_whitespace() {
                for prefix in expand(prefix).ok_or_else(|| row.wrong(file, PREFIX_FORM))? {
                    let postal = Postal { regions: regions.clone(), zones: zones.clone() };
                    codes.insert((country, prefix), postal);
                }
            }
        }
        Ok((Self(codes), provenance))
    }

    /// What the longest known beginning of a code tells.
    pub(super) fn find(&self, country: Country, code: &str) -> Option<&Postal> {
        let mut code: String = code
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(PREFIX_SIGNS_MAX)
            .map(|sign| sign.to_ascii_uppercase())
            .collect();
        let mut key = (country, code.clone());
        while !code.is_empty() {
            if let Some(postal) = self.0.get(&key) {
                return Some(postal);
            }
            code.pop();
            key.1.clone_from(&code);
        }
        None
    }
}

/// `463-464` as `463` and `464`, `K` as itself; `None` where it is neither.
fn expand(text: &str) -> Option<Vec<String>> {
    let signs = |text: &str| {
        (1..=PREFIX_SIGNS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    };
    let Some((first, last)) = text.split_once('-') else {
        return signs(text).then(|| vec![text.to_owned()]);
    };
    let digits = |text: &str| signs(text).then(|| text.parse::<u32>().ok()).flatten();
    let (from, to) = (digits(first)?, digits(last)?);
    let width = first.len();
    let is_range = from <= to && last.len() == width && to - from < RANGE_MAX;
    is_range.then(|| (from..=to).map(|code| format!("{code:0width$}")).collect())
}

/// Longest beginning of a postal code in the table, in signs.
const PREFIX_SIGNS_MAX: usize = 5;
/// Most codes in one range.
const RANGE_MAX: u32 = 1_000;
/// What a prefix looks like.
const PREFIX_FORM: &str = "a beginning is 1 to 5 digits or capitals, or a range as 463-464";

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "version: 1\nsource: x\nUS | 463-464 006 | IN | America/Chicago\n\
                         US | 46 | IN |\nCA | K | ON |\n";

    fn found(country: &str, code: &str) -> Option<(usize, usize)> {
        let (codes, _) = PostalCodes::read("table", TABLE).unwrap();
        let found = codes.find(country.parse().unwrap(), code)?;
        Some((found.regions.len(), found.zones.len()))
    }

    #[test]
    fn longest_beginning_wins_in_any_spelling() {
        assert_eq!(found("US", "46403-1234"), Some((1, 1)));
        assert_eq!(found("US", "46201"), Some((1, 0)));
        assert_eq!(found("CA", " k1a 0b1"), Some((1, 0)));
    }

    #[test]
    fn code_of_another_country_or_of_nowhere_is_unknown() {
        let nowhere =
            [found("CA", "46403"), found("US", "99999"), found("US", ""), found("US", "é")];
        assert_eq!(nowhere, [None; 4]);
    }

    #[test]
    fn range_that_runs_backward_is_refused() {
        let table = "version: 1\nsource: x\nUS | 464-463 | IN |";
        let error = PostalCodes::read("table", table).unwrap_err();
        assert_eq!(error.line, 3);
    }
}

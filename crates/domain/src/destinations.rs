//! Which numbers may be called at all: countries, prefixes, and ranges that cost.
//!
//! The default is the account's home country without its premium and shared-cost ranges: toll fraud
//! calls abroad, and nobody means to call a satellite. A longer prefix says more than a shorter one
//! and than the country.

use crate::number::canonical::{Canonical, NumberKind};
use crate::region::Country;

/// Numbers that reach people who save lives, as they are dialed anywhere; never called.
const EMERGENCY: [&str; 11] =
    ["000", "08", "100", "101", "102", "110", "111", "112", "119", "911", "999"];
/// Country codes of satellites and of networks of no country: 870 Inmarsat, 878 personal numbers,
/// 881 to 883 (ITU-T E.164.1, list of 2016).
const SATELLITE: [&str; 5] = ["870", "878", "881", "882", "883"];
/// Country codes whose calls cost more than a call: 808 shared cost, 979 premium rate.
const COSTLY: [&str; 2] = ["808", "979"];
/// Most prefixes of a policy.
pub const PREFIXES_MAX: usize = 1_000;
/// Longest prefix, in digits (E.164).
const PREFIX_DIGITS_MAX: usize = 15;

/// Which countries may be called.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Countries {
    /// Any.
    Any,
    /// The account's own.
    #[default]
    Home,
    /// These.
    Only(Vec<Country>),
}

/// Which numbers a campaign may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationPolicy {
    /// Countries.
    pub countries: Countries,
    /// Numbers beginning so may be called, whatever their country and kind.
    pub allowed: Vec<Prefix>,
    /// Numbers beginning so may not.
    pub denied: Vec<Prefix>,
    /// Whether numbers that no public plan knows may be called: extensions, test lines.
    pub private: bool,
    /// Whether numbers may be called at which the caller pays more than for a call.
    pub premium: bool,
    /// Whether satellites and networks of no country may be called.
    pub satellite: bool,
    /// Whether numbers may be called at which both pay.
    pub shared_cost: bool,
}

impl Default for DestinationPolicy {
    fn default() -> Self {
        Self {
            countries: Countries::Home,
            allowed: Vec::new(),
            denied: Vec::new(),
            private: true,
            premium: false,
            satellite: false,
            shared_cost: false,
        }
    }
}

/// The first digits of E.164 numbers, without `+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(String);

/// A text is no prefix. Who wrote it repairs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no prefix: write the first digits with the country code, as +1900")]
pub struct PrefixError(String);

/// Why a number may not be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Name of the rule: `destination-country`.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
}

impl Prefix {
    /// Reads `+1900` or `1900`.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let digits = text.trim().trim_start_matches('+');
        let fits = (1..=PREFIX_DIGITS_MAX).contains(&digits.len());
        if fits && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(digits.to_owned()))
        } else {
            Err(PrefixError(text.chars().take(40).collect()))
        }
    }

    /// Its digits.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl DestinationPolicy {
    /// Why `number` may not be called, if it may not; what may be called is said by `Ok`.
    pub fn weigh(&self, number: &Canonical, home: Country) -> Result<String, Refused> {
        let refused = |rule, seen: String| Err(Refused { rule, seen });
        let dialed = number.key().trim_start_matches('+');
        if EMERGENCY.contains(&dialed) {
            return refused("destination-emergency", format!("{dialed} is an emergency number"));
        }
        let Some(digits) = number.e164_digits() else {
            return match self.private {
                true => Ok("no public number".into()),
                false => refused("destination-private", "no public number".into()),
            };
        };
        match (longest(&self.allowed, digits), longest(&self.denied, digits)) {
            (allowed, Some(denied)) if allowed.is_none_or(|allowed| allowed <= denied) => {
                let seen = format!("+{} is denied", &digits[..denied]);
                return refused("destination-prefix", seen);
            }
            (Some(allowed), _) => return Ok(format!("+{} is allowed", &digits[..allowed])),
            (None, _) => {}
        }
        let begins = |codes: &[&str]| codes.iter().any(|code| digits.starts_with(code));
        if begins(&SATELLITE) && !self.satellite {
            return refused("destination-satellite", "a satellite, or a network of none".into());
        }
        let kind = number.kind();
        if (kind == NumberKind::Premium || digits.starts_with(COSTLY[1])) && !self.premium {
            return refused("destination-premium", "a premium number".into());
        }
        if (kind == NumberKind::SharedCost || digits.starts_with(COSTLY[0])) && !self.shared_cost {
            return refused("destination-shared-cost", "a number of shared cost".into());
        }
        let country = number.country();
        let named = country.map_or_else(|| "no country".to_owned(), |found| found.to_string());
        let permitted = match &self.countries {
            Countries::Any => true,
            Countries::Home => country == Some(home),
            Countries::Only(countries) => {
                country.is_some_and(|country| countries.contains(&country))
            }
        };
        // Networks of no country were permitted above, if they are.
        if permitted || (country.is_none() && begins(&SATELLITE)) {
            Ok(format!("{named}, {}", kind.name()))
        } else {
            refused("destination-country", named)
        }
    }
}

/// Digits of the longest prefix that a number begins with.
fn longest(prefixes: &[Prefix], digits: &str) -> Option<usize> {
    let fitting = prefixes.iter().filter(|prefix| digits.starts_with(prefix.digits()));
    fitting.map(|prefix| prefix.digits().len()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(texts: &[&str]) -> Vec<Prefix> {
        texts.iter().map(|text| Prefix::parse(text).unwrap()).collect()
    }

    fn said(policy: &DestinationPolicy, dialed: &str) -> String {
        match policy.weigh(&Canonical::of(dialed, Country::US), Country::US) {
            Ok(seen) => format!("yes: {seen}"),
            Err(refused) => format!("{}: {}", refused.rule, refused.seen),
        }
    }

    #[test]
    fn home_country_alone_is_called_without_further_words() {
        let policy = DestinationPolicy::default();
        assert!(said(&policy, "617 253 0000").starts_with("yes: US"));
        assert_eq!(said(&policy, "+442079460000"), "destination-country: GB");
        // Same country code, other country.
        assert_eq!(said(&policy, "+14165550123"), "destination-country: CA");
        assert_eq!(said(&policy, "1001"), "yes: no public number");
    }

    #[test]
    fn costly_ranges_are_refused_at_home_too() {
        let policy = DestinationPolicy { countries: Countries::Any, ..Default::default() };
        assert_eq!(said(&policy, "+19005551234"), "destination-premium: a premium number");
        assert!(said(&policy, "+881612345678").starts_with("destination-satellite"));
        assert!(said(&policy, "+870773123456").starts_with("destination-satellite"));
        let open = DestinationPolicy { premium: true, satellite: true, ..policy };
        assert!(said(&open, "+19005551234").starts_with("yes"));
        assert!(said(&open, "+881612345678").starts_with("yes"));
    }

    #[test]
    fn longer_prefix_says_more_than_a_shorter_one_and_than_the_country() {
        let policy = DestinationPolicy {
            allowed: prefixes(&["+4420", "+1617253"]),
            denied: prefixes(&["+44", "1617", "+44207946"]),
            ..Default::default()
        };
        assert_eq!(said(&policy, "+442012345678"), "yes: +4420 is allowed");
        assert_eq!(said(&policy, "+442079460000"), "destination-prefix: +44207946 is denied");
        assert_eq!(said(&policy, "+6172530000"), "destination-country: AU");
        assert_eq!(said(&policy, "6172530000"), "yes: +1617253 is allowed");
        assert_eq!(said(&policy, "6175551234"), "destination-prefix: +1617 is denied");
    }

    #[test]
    fn emergency_numbers_are_never_called() {
        let everything = DestinationPolicy {
            countries: Countries::Any,
            premium: true,
            satellite: true,
            shared_cost: true,
            ..Default::default()
        };
        for number in ["911", "112", "999"] {
            assert!(said(&everything, number).starts_with("destination-emergency"), "{number}");
        }
    }

    #[test]
    fn private_numbers_can_be_ruled_out() {
        let policy = DestinationPolicy { private: false, ..Default::default() };
        assert_eq!(said(&policy, "1001"), "destination-private: no public number");
    }

    #[test]
    fn prefix_is_digits_alone() {
        assert_eq!(Prefix::parse(" +1900 ").unwrap().digits(), "1900");
        for text in ["", "+", "1-900", "1234567890123456", "abc"] {
            assert!(Prefix::parse(text).is_err(), "{text}");
        }
    }
}

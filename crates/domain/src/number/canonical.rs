//! One form for one number, however it was written; its country, kind and area code.

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType,
    Region as Territory,
};

use crate::region::Country;

/// Longest text that is looked at as a number, in bytes; anything longer stays as it is.
const TEXT_MAX: usize = 64;

/// What a number is used for, as far as its digits tell (libphonenumber's types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// A fixed line.
    Fixed,
    /// Either of both: North America does not tell them apart.
    FixedOrMobile,
    /// A mobile phone.
    Mobile,
    /// A pager.
    Pager,
    /// A number that follows its owner.
    Personal,
    /// The caller pays more than for a call.
    Premium,
    /// An extension, a short code or an address that no public numbering plan knows.
    Private,
    /// Caller and callee share the cost.
    SharedCost,
    /// The callee pays.
    TollFree,
    /// A company's number for all of its places.
    Universal,
    /// A mailbox.
    Voicemail,
    /// Internet telephony, without a place.
    Voip,
    /// In no range that the numbering plan has in use.
    Unknown,
}

impl NumberKind {
    /// The name that is shown and that policies use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::FixedOrMobile => "fixed_or_mobile",
            Self::Mobile => "mobile",
            Self::Pager => "pager",
            Self::Personal => "personal",
            Self::Premium => "premium",
            Self::Private => "private",
            Self::SharedCost => "shared_cost",
            Self::TollFree => "toll_free",
            Self::Universal => "universal",
            Self::Voicemail => "voicemail",
            Self::Voip => "voip",
            Self::Unknown => "unknown",
        }
    }
}

/// How sure it is that a number exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Validity {
    /// Its length is right, but no range that is in use has it.
    Possible,
    /// No public number: an extension, a short code, a SIP address, or a wrong number.
    Private,
    /// The numbering plan has its range in use.
    Valid,
}

/// A number in the one form in which numbers are compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Canonical {
    key: String,
    country: Option<Country>,
    kind: NumberKind,
    validity: Validity,
    /// Where the area code lies in the key; empty without one.
    area: std::ops::Range<usize>,
}

impl Canonical {
    /// The canonical form of what is dialed, read as somebody in `home` would dial it.
    ///
    /// A public number becomes E.164 (`+16175551234`); what is none stays as it is written. Digits
    /// without `+` are first read as a number of `home`, then as an international one whose `+`
    /// was lost; a reading that the numbering plan has in use goes before one that is possible.
    pub fn of(dialed: &str, home: Country) -> Self {
        let dialed = dialed.trim();
        let looks_dialable = (1..=TEXT_MAX).contains(&dialed.len())
            && dialed.bytes().all(|b| b.is_ascii_digit() || b"+-.() ".contains(&b));
        if !looks_dialable {
            return Self::private(dialed);
        }
        let national = parse(dialed, home);
        if let Some(number) = national.as_ref().filter(|number| number.is_valid()) {
            return Self::public(number, home, Validity::Valid);
        }
        if !dialed.starts_with('+')
            && let Some(number) = parse(&format!("+{dialed}"), home).filter(PhoneNumber::is_valid)
        {
            return Self::public(&number, home, Validity::Valid);
        }
        match national {
            Some(number) if is_possible(&number) => Self::public(&number, home, Validity::Possible),
            _ => Self::private(dialed),
        }
    }

    /// The text by which numbers are compared: E.164 with `+`, or what is private as it is written.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The country of its numbering plan, or its best guess where several share one code.
    pub const fn country(&self) -> Option<Country> {
        self.country
    }

    /// What it is used for.
    pub const fn kind(&self) -> NumberKind {
        self.kind
    }

    /// How sure it is that it exists.
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// Digits of its area code, without trunk prefix: `617`; none for most mobile numbers.
    pub fn area_code(&self) -> Option<&str> {
        Some(&self.key[self.area.clone()]).filter(|area| !area.is_empty())
    }

    /// Digits of E.164 without `+`; none for what is private.
    pub fn e164_digits(&self) -> Option<&str> {
        if self.validity == Validity::Private { None } else { self.key.strip_prefix('+') }
    }

    fn private(text: &str) -> Self {
        Self {
            key: text.to_owned(),
            country: None,
            kind: NumberKind::Private,
            validity: Validity::Private,
            area: 0..0,
        }
    }

    fn public(number: &PhoneNumber, home: Country, validity: Validity) -> Self {
        let key = number.format_as(PhoneNumberFormat::E164).into_owned();
        let territory = match validity {
            Validity::Valid => number.get_region_code(),
            // No range says which of the countries of a shared code it is: home if home shares it.
            Validity::Possible | Validity::Private => territory(home)
                .filter(|home| {
                    PHONE_NUMBER_UTIL.get_country_code_for_region(*home)
                        == Some(number.country_code)
                })
                .or_else(|| PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code)),
        };
        let country = territory.and_then(|territory| territory.to_string().parse().ok());
        let code_len = number.country_code.to_string().len() + 1;
        let area_len = match number.country_code {
            // North America: always three digits, of mobile and new numbers too.
            1 if key.len() == 12 => 3,
            _ => number.get_length_of_geographical_area_code(),
        };
        let area_end = (code_len + area_len).min(key.len());
        Self { country, kind: kind(number), validity, area: code_len.min(area_end)..area_end, key }
    }
}

/// The library's territory of a country; the library does not know all countries.
fn territory(country: Country) -> Option<Territory> {
    country.as_str().parse().ok()
}

fn parse(text: &str, home: Country) -> Option<PhoneNumber> {
    PhoneNumber::parse(text, territory(home)).ok()
}

/// Whether it could be dialed from anywhere: not too short, and not only within its area.
fn is_possible(number: &PhoneNumber) -> bool {
    matches!(number.is_possible_with_reason(), Ok(NumberLengthType::IsPossible))
}

fn kind(number: &PhoneNumber) -> NumberKind {
    match number.get_type() {
        PhoneNumberType::FixedLine => NumberKind::Fixed,
        PhoneNumberType::FixedLineOrMobile => NumberKind::FixedOrMobile,
        PhoneNumberType::Mobile => NumberKind::Mobile,
        PhoneNumberType::Pager => NumberKind::Pager,
        PhoneNumberType::PersonalNumber => NumberKind::Personal,
        PhoneNumberType::PremiumRate => NumberKind::Premium,
        PhoneNumberType::SharedCost => NumberKind::SharedCost,
        PhoneNumberType::TollFree => NumberKind::TollFree,
        PhoneNumberType::UAN => NumberKind::Universal,
        PhoneNumberType::Unknown => NumberKind::Unknown,
        PhoneNumberType::VoIP => NumberKind::Voip,
        PhoneNumberType::VoiceMail => NumberKind::Voicemail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(dialed: &str) -> Canonical {
        Canonical::of(dialed, Country::US)
    }

    #[test]
    fn one_number_has_one_form_however_it_is_written() {
        let forms = ["+16175551234", "16175551234", "6175551234", "(617) 555-1234", "617.555.1234"];
        for text in forms.into_iter().chain(["011 1 617 555 1234", " +1 (617) 555 1234 "]) {
            assert_eq!(of(text).key(), "+16175551234", "{text}");
        }
        let number = of("6175551234");
        assert_eq!(number.country(), Some(Country::US));
        assert_eq!(number.area_code(), Some("617"));
        assert_eq!(number.e164_digits(), Some("16175551234"));
    }

    #[test]
    fn numbers_of_other_countries_are_read_with_and_without_plus_and_from_home() {
        let gb = "GB".parse().unwrap();
        let de = "DE".parse().unwrap();
        assert_eq!(of("+44 20 7946 0018").key(), "+442079460018");
        assert_eq!(of("442079460018").key(), "+442079460018");
        assert_eq!(of("011442079460018").key(), "+442079460018");
        assert_eq!(Canonical::of("020 7946 0018", gb).key(), "+442079460018");
        assert_eq!(Canonical::of("0044 20 7946 0018", de).key(), "+442079460018");
        assert_eq!(Canonical::of("030 901820", de).area_code(), Some("30"));
    }

    #[test]
    fn kind_and_country_follow_from_the_range() {
        let seen = |text: &str| {
            let number = of(text);
            (number.kind(), number.country().map(|country| country.to_string()))
        };
        let us = Some("US".to_owned());
        assert_eq!(seen("+12015550123").0, NumberKind::FixedOrMobile);
        assert_eq!(seen("+18002345678"), (NumberKind::TollFree, us.clone()));
        assert_eq!(seen("+19002345678"), (NumberKind::Premium, us));
        assert_eq!(seen("+447400123456"), (NumberKind::Mobile, Some("GB".into())));
        assert_eq!(seen("+491803123456"), (NumberKind::SharedCost, Some("DE".into())));
        assert_eq!(seen("+14165550123").1, Some("CA".into()));
        assert_eq!(seen("+17872345678").1, Some("PR".into()));
    }

    #[test]
    fn extensions_short_codes_and_addresses_stay_as_they_are() {
        for text in ["2001", "911", "sip:alice@example.com", "alice", "", "*98", "5551234"] {
            let number = of(text);
            assert_eq!((number.key(), number.validity()), (text, Validity::Private), "{text}");
            assert_eq!((number.kind(), number.country()), (NumberKind::Private, None));
        }
        let long = "1".repeat(500);
        assert_eq!(of(&long).key(), long);
    }

    #[test]
    fn number_of_no_range_in_use_is_possible_only() {
        let number = of("+1 999 555 1234");
        assert_eq!((number.key(), number.validity()), ("+19995551234", Validity::Possible));
        assert_eq!(number.country(), Some(Country::US));
    }

    proptest! {
        #[test]
        fn any_text_has_a_form_and_the_form_is_its_own_form(text in "[-+0-9(). ]{0,24}|\\PC{0,70}") {
            let number = of(&text);
            let again = of(number.key());
            prop_assert_eq!(again.key(), number.key());
        }
    }
}

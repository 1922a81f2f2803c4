//! Countries and their regions, as ISO 3166 writes them: `US`, `US-FL`.

use std::fmt;
use std::str::FromStr;

/// A country of ISO 3166-1, by its two letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// The United States, without their territories, which have letters of their own.
    pub const US: Self = Self(*b"US");
    /// Canada.
    pub const CA: Self = Self(*b"CA");

    /// Its two letters, upper case.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

/// A text is no country or no region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// Not two letters.
    #[error("a country is two letters of ISO 3166-1, as US")]
    Country,
    /// Not a country, a hyphen and one to three letters or digits.
    #[error("a region is a country and a code of ISO 3166-2, as US-FL")]
    Region,
}

impl FromStr for Country {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        match *text.trim().as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(RegionError::Country),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of a country with rules of its own (ISO 3166-2): a state, a province, a Land.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region {
    country: Country,
    /// Upper case, padded with zeros.
    code: [u8; 3],
}

impl Region {
    /// The region of this code in this country: `FL` in the United States.
    pub fn new(country: Country, code: &str) -> Result<Self, RegionError> {
        let code = code.trim().as_bytes();
        if !(1..=3).contains(&code.len()) || !code.iter().all(u8::is_ascii_alphanumeric) {
            return Err(RegionError::Region);
        }
        let mut padded = [0; 3];
        for (to, from) in padded.iter_mut().zip(code) {
            *to = from.to_ascii_uppercase();
        }
        Ok(Self { country, code: padded })
    }

    /// The country that it lies in.
    pub const fn country(&self) -> Country {
        self.country
    }

    /// Its code within the country: `FL`.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or("??").trim_end_matches('\0')
    }
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        let (country, code) = text.trim().split_once('-').ok_or(RegionError::Region)?;
        Self::new(country.parse()?, code)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.country, self.code())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_is_written_as_iso_3166_writes_it() {
        assert_eq!("us-fl".parse::<Region>().unwrap().to_string(), "US-FL");
        assert_eq!("AU-NSW".parse::<Region>().unwrap().code(), "NSW");
    }

    #[test]
    fn what_is_no_region_is_refused() {
        assert_eq!("Florida".parse::<Region>(), Err(RegionError::Region));
        assert_eq!("USA-FL".parse::<Region>(), Err(RegionError::Country));
        assert_eq!("US-FLOR".parse::<Region>(), Err(RegionError::Region));
        assert_eq!("é".parse::<Country>(), Err(RegionError::Country));
    }
}

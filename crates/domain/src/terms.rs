//! What a contact carries beside its window and its budget: urgency, ringing time, variables, place.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::time::Timestamp;

/// How much earlier than it is due a contact takes its turn, for each step of its priority.
///
/// All contacts age alike, so their order never changes while they wait: a contact of priority 10
/// passes contacts of priority 1 that became due up to 90 minutes before it, and no others.
pub const PRIORITY_STEP: Duration = Duration::from_secs(600);
/// Longest name of a variable, in bytes.
pub const VARIABLE_NAME_MAX: usize = 64;
/// Longest variables of a contact, all names and values together, in bytes.
pub const VARIABLES_MAX: usize = 16_384;

/// How urgent a contact is among those of its campaign: 1 to 10, 10 before all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// The most urgent.
    pub const HIGHEST: Self = Self(10);
    /// The least urgent.
    pub const LOWEST: Self = Self(1);
    /// What a contact has whose client says nothing.
    pub const NORMAL: Self = Self(5);

    /// The priority of this number; `None` outside of 1 to 10.
    pub const fn new(number: u8) -> Option<Self> {
        if number >= Self::LOWEST.0 && number <= Self::HIGHEST.0 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The moment by which a contact takes its place in its campaign's order: the one at which it
    /// is due, earlier by [`PRIORITY_STEP`] for each step above [`Priority::NORMAL`], and later
    /// for each below.
    pub fn rank_at(self, due_at: Timestamp) -> Timestamp {
        let steps = i64::from(self.0) - i64::from(Self::NORMAL.0);
        let step = i64::try_from(PRIORITY_STEP.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(due_at.as_millis().saturating_sub(steps.saturating_mul(step)))
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// What all contacts of one request share beside window and budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How urgent they are; a contact may have a priority of its own.
    pub priority: Priority,
    /// How long they ring before nobody has answered; `None`: as the node is set.
    pub ring_time_max: Option<Duration>,
}

/// Named values for the script, in the client's order; each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(Vec<(String, String)>);

/// Why a variable was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// The name is empty or too long.
    #[error("name of a variable has {0} bytes, 1 to {VARIABLE_NAME_MAX} are allowed")]
    Name(usize),
    /// The name is there already.
    #[error("variable {0:?} appears twice")]
    Repeated(String),
    /// All together are too long.
    #[error("variables have more than {VARIABLES_MAX} bytes together")]
    TooLong,
}

impl Variables {
    /// Adds one.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), VariableError> {
        if name.is_empty() || name.len() > VARIABLE_NAME_MAX {
            return Err(VariableError::Name(name.len()));
        }
        if self.value(name).is_some() {
            return Err(VariableError::Repeated(name.to_owned()));
        }
        let bytes: usize = self.0.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes + name.len() + value.len() > VARIABLES_MAX {
            return Err(VariableError::TooLong);
        }
        self.0.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// The value of this name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The form that is stored: `name=value&name=value`, with `%`, `&`, `=` and NUL as `%` and two hex
/// digits.
impl fmt::Display for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (name, value)) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("&")?;
            }
            escape(name, f)?;
            f.write_str("=")?;
            escape(value, f)?;
        }
        Ok(())
    }
}

/// The text is not one that [`Variables`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text is no list of variables")]
pub struct VariablesTextError;

impl FromStr for Variables {
    type Err = VariablesTextError;

    fn from_str(text: &str) -> Result<Self, VariablesTextError> {
        let mut variables = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(VariablesTextError)?;
            let (name, value) = (plain(name)?, plain(value)?);
            variables.add(&name, &value).map_err(|_| VariablesTextError)?;
        }
        Ok(variables)
    }
}

/// What a client says of where its contact is; each narrows or adds to what the number tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of an IANA time zone, as `America/Chicago`.
    pub zone: Option<String>,
    /// State or province, as `FL`.
    pub region: Option<String>,
    /// Postal code, as `33101`.
    pub postal_code: Option<String>,
}

/// The form that is stored, that of [`Variables`].
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pairs = Variables::default();
        let parts =
            [("zone", &self.zone), ("region", &self.region), ("postal_code", &self.postal_code)];
        for (name, value) in parts {
            if let Some(value) = value {
                pairs.0.push((name.to_owned(), value.clone()));
            }
        }
        pairs.fmt(f)
    }
}

impl FromStr for Place {
    type Err = VariablesTextError;

    fn from_str(text: &str) -> Result<Self, VariablesTextError> {
        let pairs: Variables = text.parse()?;
        let part = |name| pairs.value(name).map(str::to_owned);
        Ok(Self { zone: part("zone"), region: part("region"), postal_code: part("postal_code") })
    }
}

fn escape(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let special = |c| matches!(c, '%' | '&' | '=' | '\0');
    let mut rest = text;
    while let Some(at) = rest.find(special) {
        f.write_str(&rest[..at])?;
        write!(f, "%{:02x}", rest.as_bytes()[at])?;
        rest = &rest[at + 1..];
    }
    f.write_str(rest)
}

fn plain(text: &str) -> Result<String, VariablesTextError> {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        let code = code.filter(u8::is_ascii).ok_or(VariablesTextError)?;
        plain.push(char::from(code));
        plain.push_str(&part[2..]);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urgent_contact_passes_those_due_a_little_earlier_and_no_others() {
        let due = |minutes: i64| Timestamp::from_seconds(minutes * 60);
        let urgent = Priority::HIGHEST.rank_at(due(80));
        assert!(urgent < Priority::LOWEST.rank_at(due(0)));
        assert!(Priority::HIGHEST.rank_at(due(91)) > Priority::LOWEST.rank_at(due(0)));
        assert_eq!(Priority::NORMAL.rank_at(due(7)), due(7));
    }

    #[test]
    fn priority_outside_of_one_to_ten_does_not_exist() {
        assert_eq!(Priority::new(0), None);
        assert_eq!(Priority::new(11), None);
        assert_eq!(Priority::new(10), Some(Priority::HIGHEST));
    }

    #[test]
    fn variable_is_taken_once_and_within_bounds() {
        let mut variables = Variables::default();
        assert_eq!(variables.add("", "x"), Err(VariableError::Name(0)));
        assert_eq!(variables.add("name", "Ann"), Ok(()));
        assert_eq!(variables.add("name", "Bob"), Err(VariableError::Repeated("name".into())));
        assert_eq!(variables.add("long", &"x".repeat(VARIABLES_MAX)), Err(VariableError::TooLong));
        assert_eq!(variables.value("name"), Some("Ann"));
    }

    proptest! {
        #[test]
        fn variables_come_back_from_their_text(
            pairs in proptest::collection::btree_map(".{1,12}", ".{0,12}", 0..5),
        ) {
            let mut variables = Variables::default();
            for (name, value) in &pairs {
                variables.add(name, value).unwrap();
            }
            prop_assert_eq!(variables.to_string().parse::<Variables>(), Ok(variables));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = text.parse::<Variables>();
        }

        #[test]
        fn place_comes_back_from_its_text(zone in proptest::option::of(".{0,9}")) {
            let place = Place { zone, region: Some("F&L".into()), postal_code: None };
            prop_assert_eq!(place.to_string().parse::<Place>(), Ok(place));
        }
    }
}

//! JSON that is written, its members in the order in which they were given.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A value to write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Flag(bool),
    List(Vec<Self>),
    Number(f64),
    Object(Object),
    Text(String),
}

/// Members by name.
pub(super) type Object = Vec<(&'static str, Json)>;

impl Json {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// The document.
    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).expect("texts, flags and finite numbers are always JSON")
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

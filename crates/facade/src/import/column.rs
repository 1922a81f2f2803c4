//! What stands in which column: as the client says, or by the names that people give columns.

use std::str::FromStr;

use domain::number::Destination;
use domain::terms::VARIABLE_NAME_MAX;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The caller ID to show.
    CallerId,
    /// Nothing that is wanted.
    Ignore,
    /// The number to dial, with or without `;ani=` and `;postd=`.
    Number,
    /// Opaque text for the application.
    Parameters,
    /// Postal code of the callee.
    PostalCode,
    /// Urgency, 1 to 10.
    Priority,
    /// The client's own id.
    Reference,
    /// State or province of the callee.
    Region,
    /// A variable of the script, by name.
    Variable(String),
    /// Time zone of the callee.
    Zone,
}

impl Field {
    /// The word by which a client names it; a variable is `var.` and its name.
    pub fn word(&self) -> String {
        match self {
            Self::CallerId => "caller_id".into(),
            Self::Ignore => "ignore".into(),
            Self::Number => "number".into(),
            Self::Parameters => "parameters".into(),
            Self::PostalCode => "postal_code".into(),
            Self::Priority => "priority".into(),
            Self::Reference => "reference".into(),
            Self::Region => "region".into(),
            Self::Variable(name) => format!("var.{name}"),
            Self::Zone => "zone".into(),
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        if let Some(name) = word.strip_prefix("var.") {
            let fits = !name.is_empty() && name.len() <= VARIABLE_NAME_MAX;
            return fits.then(|| Self::Variable(name.to_owned()));
        }
        let plain = [
            Self::CallerId,
            Self::Ignore,
            Self::Number,
            Self::Parameters,
            Self::PostalCode,
            Self::Priority,
            Self::Reference,
            Self::Region,
            Self::Zone,
        ];
        plain.into_iter().find(|field| field.word() == word)
    }
}

/// Which columns hold what, as a client says it; columns not named follow their header.
///
/// Written `field=column,field=column`: `number=Phone,var.name=First name,reference=3`. A column is
/// named by its header or by its number from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping(Vec<(Field, String)>);

/// Why the columns do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The text is no mapping.
    #[error(
        "mapping has {0:?}, expected field=column with a field of number, caller_id, reference, \
         parameters, priority, zone, region, postal_code, ignore or var.NAME"
    )]
    Malformed(String),
    /// A column that the file does not have.
    #[error("mapping names the column {column:?}, the file has {}", .columns.join(", "))]
    NoSuchColumn {
        /// The column.
        column: String,
        /// Those of the file.
        columns: Vec<String>,
    },
    /// Nothing looks like a number.
    #[error(
        "no column holds numbers, the file has {}; name it with number=COLUMN",
        .0.join(", ")
    )]
    NoNumber(Vec<String>),
    /// Two columns for one field.
    #[error("mapping gives {0} twice")]
    Repeated(String),
}

impl FromStr for Mapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, MappingError> {
        let mut mapping = Self::default();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            mapping.add(part)?;
        }
        Ok(mapping)
    }
}

impl Mapping {
    /// Adds one `field=column`.
    pub fn add(&mut self, part: &str) -> Result<(), MappingError> {
        let malformed = || MappingError::Malformed(part.trim().to_owned());
        let (word, column) = part.split_once('=').ok_or_else(malformed)?;
        let field = Field::from_word(word.trim()).ok_or_else(malformed)?;
        let column = column.trim();
        if column.is_empty() {
            return Err(malformed());
        }
        if field != Field::Ignore && self.0.iter().any(|said| said.0 == field) {
            return Err(MappingError::Repeated(field.word()));
        }
        self.0.push((field, column.to_owned()));
        Ok(())
    }
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name; `column 3` where the file names none.
    pub(super) name: String,
    /// What it holds.
    pub(super) field: Field,
}

/// Decides what each column holds; `samples` are rows of the file, `names` those of its header.
pub(super) fn columns(
    names: Option<&[String]>,
    samples: &[Vec<String>],
    mapping: &Mapping,
) -> Result<Vec<Column>, MappingError> {
    let widest = || samples.iter().map(Vec::len).max().unwrap_or(0);
    let width = names.map_or_else(widest, <[String]>::len);
    let name = |nth: usize| match names.and_then(|names| names.get(nth)).map(|name| name.trim()) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => format!("column {}", nth + 1),
    };
    let names: Vec<String> = (0..width).map(name).collect();
    let mut fields: Vec<Option<Field>> = vec![None; width];
    for (field, column) in &mapping.0 {
        let by_name = names.iter().position(|name| name.eq_ignore_ascii_case(column));
        let by_number =
            || column.parse::<usize>().ok().filter(|nth| (1..=width).contains(nth)).map(|n| n - 1);
        match by_name.or_else(by_number) {
            Some(nth) => fields[nth] = Some(field.clone()),
            None => {
                let (column, columns) = (column.clone(), names);
                return Err(MappingError::NoSuchColumn { column, columns });
            }
        }
    }
    for (nth, name) in names.iter().enumerate() {
        if fields[nth].is_none()
            && let Some(field) = usual(name)
            && (field == Field::Ignore || !fields.contains(&Some(field.clone())))
        {
            fields[nth] = Some(field);
        }
    }
    if !fields.contains(&Some(Field::Number)) {
        let free = (0..width).filter(|nth| fields[*nth].is_none());
        match free.max_by_key(|nth| (numbers(samples, *nth), width - nth)) {
            Some(nth) if numbers(samples, nth) * 2 > samples.len() => {
                fields[nth] = Some(Field::Number);
            }
            _ => return Err(MappingError::NoNumber(names)),
        }
    }
    let column = |(name, field): (String, Option<Field>)| {
        let short = name.len() <= VARIABLE_NAME_MAX;
        let own = if short { Field::Variable(name.clone()) } else { Field::Ignore };
        Column { field: field.unwrap_or(own), name }
    };
    Ok(names.into_iter().zip(fields).map(column).collect())
}

/// How many samples have something like a number in this column.
fn numbers(samples: &[Vec<String>], nth: usize) -> usize {
    let cells = samples.iter().filter_map(|row| row.get(nth));
    cells.filter(|cell| looks_like_a_number(cell)).count()
}

/// Whether a cell is a number of the length that phones have.
pub(super) fn looks_like_a_number(cell: &str) -> bool {
    let length = |number: &Destination| (7..=15).contains(&number.digits().len());
    cell.parse::<Destination>().is_ok_and(|number| length(&number))
}

/// The field that people mean by this name of a column.
fn usual(name: &str) -> Option<Field> {
    let plain: String =
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    USUAL.iter().find(|row| row.1.contains(&plain.as_str())).map(|row| row.0.clone())
}

/// Names of columns as spreadsheets and the systems that export lists have them, without blanks.
const USUAL: &[(Field, &[&str])] = &[
    (Field::CallerId, &["ani", "callerid", "clid", "from", "outgoingnumber"]),
    // The columns that a file of rejected rows has beside those of its origin.
    (Field::Ignore, &["rejectedline", "rejectedfor"]),
    (
        Field::Number,
        &[
            "callee",
            "cell",
            "cellphone",
            "contactnumber",
            "customernumber",
            "destination",
            "handy",
            "mobile",
            "mobilenumber",
            "mobilephone",
            "movil",
            "móvil",
            "msisdn",
            "number",
            "numero",
            "numéro",
            "número",
            "phone",
            "phone1",
            "phonenumber",
            "phoneno",
            "rufnummer",
            "tel",
            "telefon",
            "telefonnummer",
            "telefono",
            "teléfono",
            "telephone",
            "téléphone",
            "telephonenumber",
            "to",
        ],
    ),
    (Field::Parameters, &["callparameters", "parameters"]),
    (Field::PostalCode, &["plz", "postalcode", "postcode", "zip", "zipcode"]),
    (Field::Priority, &["priority"]),
    (
        Field::Reference,
        &[
            "campaigncontactid",
            "contactid",
            "customerid",
            "externalid",
            "id",
            "messagereference",
            "recordid",
            "ref",
            "reference",
        ],
    ),
    (Field::Region, &["province", "region", "state"]),
    (Field::Zone, &["timezone", "tz", "zone"]),
];

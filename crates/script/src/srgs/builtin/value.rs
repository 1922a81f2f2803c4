//! What matched input of a builtin type is worth (VoiceXML 2.0 App. P).

use super::super::model::Mode;
use super::Kind;

/// The value of a builtin type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    Bool(bool),
    Text(String),
}

/// The value of an input, by the tags that it passed and by its keys.
pub(crate) fn interpret<'t>(
    kind: Kind,
    mode: Mode,
    tags: impl Iterator<Item = &'t str>,
    keys: &str,
) -> Worth {
    let tags: Vec<&str> = tags.map(str::trim).collect();
    Worth::Text(match (kind, mode) {
        (Kind::Boolean, _) => return Worth::Bool(tags.contains(&"y")),
        (Kind::Date | Kind::Digits, Mode::Dtmf) => keys.to_owned(),
        (Kind::Currency | Kind::Number, Mode::Dtmf) => keys.replace('*', "."),
        (Kind::Phone, Mode::Dtmf) => keys.replace('*', "x"),
        (Kind::Time, Mode::Dtmf) => {
            let hour: u32 = keys.get(..2).and_then(|hour| hour.parse().ok()).unwrap_or(0);
            // Keys cannot tell morning from afternoon; only these hours need no telling.
            let half = if (1..=12).contains(&hour) { '?' } else { 'h' };
            format!("{keys}{half}")
        }
        (Kind::Digits, Mode::Voice) => digits(&tags),
        (Kind::Phone, Mode::Voice) => {
            let extension = tags.iter().position(|tag| *tag == "x").unwrap_or(tags.len());
            let (number, rest) = tags.split_at(extension);
            match rest {
                [] => digits(number),
                rest => format!("{}x{}", digits(number), digits(rest)),
            }
        }
        (Kind::Number, Mode::Voice) => number(&tags),
        (Kind::Currency, Mode::Voice) => currency(&tags),
        (Kind::Date, Mode::Voice) => date(&tags),
        (Kind::Time, Mode::Voice) => time(&tags),
    })
}

fn digits(tags: &[&str]) -> String {
    tags.iter().filter_map(|tag| tag.strip_prefix('d')).collect()
}

/// The sum of all that is tagged with a letter; nothing where nothing is.
fn sum(tags: &[&str], letter: char) -> Option<u32> {
    let worth = |tag: &&str| tag.strip_prefix(letter)?.parse::<u32>().ok();
    tags.iter().filter_map(worth).reduce(u32::saturating_add)
}

/// A whole number: what is added, and multiplied.
fn whole(tags: &[&str]) -> u64 {
    let (mut total, mut part) = (0_u64, 0_u64);
    for tag in tags {
        match tag.strip_prefix('x').map(str::parse::<u64>) {
            Some(Ok(100)) => part = part.max(1).saturating_mul(100),
            Some(Ok(factor)) => {
                total = total.saturating_add(part.max(1).saturating_mul(factor));
                part = 0;
            }
            Some(Err(_)) => {}
            None => part = part.saturating_add(tag.parse().unwrap_or(0)),
        }
    }
    total.saturating_add(part)
}

/// Before and behind a tag.
fn split<'a, 't>(tags: &'a [&'t str], at: &str) -> (&'a [&'t str], Option<&'a [&'t str]>) {
    match tags.iter().position(|tag| *tag == at) {
        Some(found) => (&tags[..found], Some(&tags[found + 1..])),
        None => (tags, None),
    }
}

fn number(tags: &[&str]) -> String {
    let sign = if tags.contains(&"minus") { "-" } else { "" };
    let (before, fraction) = split(tags, "point");
    let spelled = digits(before);
    let before = if spelled.is_empty() { whole(before).to_string() } else { spelled };
    match fraction {
        Some(fraction) => format!("{sign}{before}.{}", digits(fraction)),
        None => format!("{sign}{before}"),
    }
}

/// `UUUmm.nn`: the currency's sign after ISO 4217, as far as it was said.
fn currency(tags: &[&str]) -> String {
    let unit = ["USD", "EUR", "GBP", "JPY"].into_iter().find(|unit| tags.contains(unit));
    if tags.contains(&"cents") {
        let cents = whole(tags);
        return format!("{}.{:02}", cents / 100, cents % 100);
    }
    let (before, after) = split(tags, unit.unwrap_or("none"));
    let (units, fraction) = split(before, "point");
    let hundredths = match (fraction, after) {
        (Some(fraction), _) => format!("{:0<2}", digits(fraction)),
        (None, after) => format!("{:02}", whole(after.unwrap_or_default())),
    };
    format!("{}{}.{hundredths}", unit.unwrap_or_default(), whole(units))
}

/// `yyyymmdd`, with question marks for what was not said.
fn date(tags: &[&str]) -> String {
    let year = match (sum(tags, 'c'), sum(tags, 'y')) {
        (None, _) => "????".to_owned(),
        (Some(century), year) => format!("{:04}", century * 100 + year.unwrap_or(0)),
    };
    let two = |letter| sum(tags, letter).map_or("??".to_owned(), |number| format!("{number:02}"));
    format!("{year}{}{}", two('m'), two('a'))
}

/// `hhmmx`, where x is `a`, `p`, `h` for 24 hours or `?` where it was not said.
fn time(tags: &[&str]) -> String {
    // "am" is of the letter a, and no number.
    let mut hour = sum(tags, 'h').unwrap_or(0);
    let mut minute = sum(tags, 'i').unwrap_or(0);
    if tags.contains(&"to") && (1..60).contains(&minute) {
        minute = 60 - minute;
        hour = if hour <= 1 { 12 } else { hour - 1 };
    }
    let half = match () {
        () if tags.contains(&"am") => 'a',
        () if tags.contains(&"pm") => 'p',
        () if tags.contains(&"24") => 'h',
        () => '?',
    };
    format!("{hour:02}{minute:02}{half}")
}

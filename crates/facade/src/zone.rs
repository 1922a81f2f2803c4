//! A place's clock: which offset from UTC holds there when, and moments written by it.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use domain::time::Timestamp;

/// A time zone of the IANA database, or a fixed offset from UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(pub(crate) TimeZone);

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this IANA name, as `America/New_York`, in any case.
    pub fn named(name: &str) -> Option<Self> {
        // The copy inside the program: no file is read, and every machine agrees.
        TimeZoneDatabase::bundled().get(name).ok().map(Self)
    }

    /// Its name; `UTC` where it has none.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// `at` as RFC 822 §5.1 writes it with a year of four digits (RFC 1123 §5.2.14):
    /// `Mon, 19 Jul 2004 13:46:03 -0400`.
    pub fn rfc_822(&self, at: Timestamp) -> String {
        let zoned = moment(at).to_zoned(self.0.clone());
        zoned.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
    }
}

/// `at` as RFC 3339 §5.6 writes it, in UTC with milliseconds: `2004-07-19T17:46:03.000Z`.
pub fn rfc_3339(at: Timestamp) -> String {
    format!("{:.3}", moment(at))
}

/// Reads a moment of RFC 3339 §5.6, whose offset must be written; finer than a millisecond is cut.
pub fn parse_rfc_3339(text: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text.trim().parse().ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

/// The same moment as jiff has it; what lies outside of its 20,000 years is moved to their edge.
pub(crate) fn moment(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(if at.as_millis() < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

/// The zone that an abbreviation stands for in a date, in lower case; `None` where it stands for
/// none, or for several in different parts of the world.
pub(crate) fn abbreviated(word: &str) -> Option<TimeZone> {
    if let Some((_, name)) = GENERAL.iter().find(|row| row.0 == word) {
        return Zone::named(name).map(|zone| zone.0);
    }
    let (_, minutes) = FIXED.iter().find(|row| row.0 == word)?;
    jiff::tz::Offset::from_seconds(minutes * 60).ok().map(TimeZone::fixed)
}

/// Whether an abbreviation stands for several zones in different parts of the world.
pub(crate) fn is_ambiguous(word: &str) -> bool {
    ["amt", "ect", "gst", "ist", "sst"].contains(&word)
}

/// North America's zones where summer and winter are left open.
const GENERAL: [(&str, &str); 4] = [
    ("ct", "America/Chicago"),
    ("et", "America/New_York"),
    ("mt", "America/Denver"),
    ("pt", "America/Los_Angeles"),
];

/// Abbreviations with one offset, in minutes east of UTC. Where a North American or British meaning
/// exists, it is meant (RFC 822 §5.1): CST is Chicago's, BST London's, AST Halifax's.
const FIXED: [(&str, i32); 46] = [
    ("utc", 0),
    ("gmt", 0),
    ("ut", 0),
    ("z", 0),
    ("nst", -210),
    ("ndt", -150),
    ("ast", -240),
    ("adt", -180),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("akst", -540),
    ("akdt", -480),
    ("hst", -600),
    ("brt", -180),
    ("art", -180),
    ("wet", 0),
    ("west", 60),
    ("bst", 60),
    ("cet", 60),
    ("cest", 120),
    ("mez", 60),
    ("mesz", 120),
    ("eet", 120),
    ("eest", 180),
    ("msk", 180),
    ("trt", 180),
    ("sast", 120),
    ("wat", 60),
    ("cat", 120),
    ("eat", 180),
    ("pkt", 300),
    ("hkt", 480),
    ("sgt", 480),
    ("awst", 480),
    ("jst", 540),
    ("kst", 540),
    ("acst", 570),
    ("aest", 600),
    ("aedt", 660),
    ("nzst", 720),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_is_written_as_plum_writes_it() {
        let zone = Zone::named("America/New_York").unwrap();
        assert_eq!(
            zone.rfc_822(Timestamp::from_seconds(1_090_259_163)),
            "Mon, 19 Jul 2004 13:46:03 -0400"
        );
        assert_eq!(
            Zone::utc().rfc_822(Timestamp::from_seconds(1_090_000_000)),
            "Fri, 16 Jul 2004 17:46:40 +0000"
        );
    }

    #[test]
    fn moment_is_written_with_milliseconds_in_utc_and_read_with_any_offset() {
        let at = Timestamp::from_millis(1_090_259_163_005);
        assert_eq!(rfc_3339(at), "2004-07-19T17:46:03.005Z");
        assert_eq!(parse_rfc_3339("2004-07-19T13:46:03.005-04:00"), Some(at));
        assert_eq!(parse_rfc_3339("2004-07-19T13:46:03"), None);
    }

    #[test]
    fn moments_beyond_the_calendar_are_moved_to_its_edge() {
        assert_eq!(rfc_3339(Timestamp::from_millis(i64::MAX)), "9999-12-30T22:00:00.999Z");
        assert_eq!(rfc_3339(Timestamp::from_millis(i64::MIN)), "-009999-01-02T01:59:59.000Z");
    }

    #[test]
    fn zone_is_found_by_name_and_nonsense_is_not() {
        assert_eq!(Zone::named("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(Zone::named("Mars/Olympus"), None);
    }

    #[test]
    fn every_general_abbreviation_has_a_zone() {
        assert!(GENERAL.iter().all(|row| abbreviated(row.0).is_some()));
    }
}

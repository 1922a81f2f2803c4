//! Parts of files: the header Range of one range of bytes (RFC 9110 §14).

/// What of a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Nothing that is there.
    Nothing,
    /// Bytes from the first to the last one of these, both included.
    Part(u64, u64),
    /// All of it.
    Whole,
}

impl Wanted {
    /// Reads the header's value, for a file of so many bytes.
    ///
    /// What is no range of bytes, or are several, is passed over, as it may be: then all is sent.
    pub(crate) fn of(range: Option<&str>, length: u64) -> Self {
        let Some((first, last)) = range.and_then(bounds) else {
            return Self::Whole;
        };
        let end = length.saturating_sub(1);
        match (first, last) {
            (Some(first), Some(last)) if first > last => Self::Whole,
            (Some(first), _) if first >= length => Self::Nothing,
            (Some(first), last) => Self::Part(first, last.map_or(end, |last| last.min(end))),
            (None, Some(count)) if count == 0 || length == 0 => Self::Nothing,
            (None, Some(count)) => Self::Part(length.saturating_sub(count), end),
            (None, None) => Self::Whole,
        }
    }
}

type Bounds = (Option<u64>, Option<u64>);

/// The two numbers of `bytes=first-last`, each of which may be missing.
fn bounds(range: &str) -> Option<Bounds> {
    let (unit, set) = range.split_once('=')?;
    let (first, last) = set.split_once('-')?;
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        // A number beyond all files is one behind the end.
        digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    Some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_cut_to_what_is_there() {
        let part = |range| Wanted::of(Some(range), 100);
        assert_eq!(part("bytes=0-0"), Wanted::Part(0, 0));
        assert_eq!(part("bytes=10-"), Wanted::Part(10, 99));
        assert_eq!(part("bytes=10-500"), Wanted::Part(10, 99));
        assert_eq!(part("Bytes = 10 - 20 "), Wanted::Part(10, 20));
        assert_eq!(part("bytes=-5"), Wanted::Part(95, 99));
        assert_eq!(part("bytes=-500"), Wanted::Part(0, 99));
        assert_eq!(part("bytes=99-18446744073709551616"), Wanted::Part(99, 99));
    }

    #[test]
    fn what_is_behind_the_end_is_not_there() {
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(Wanted::of(Some(range), 100), Wanted::Nothing, "{range}");
        }
        assert_eq!(Wanted::of(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(Wanted::of(Some("bytes=-1"), 0), Wanted::Nothing);
    }

    #[test]
    fn what_is_no_range_asks_for_all() {
        let passed_over = [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-1",
            "bytes=0-1,5-6",
            "lines=0-1",
            "bytes=+1-2",
            "bytes=1",
            "=-",
            "bytes=--5",
        ];
        for range in passed_over {
            assert_eq!(Wanted::of(Some(range), 100), Wanted::Whole, "{range}");
        }
        assert_eq!(Wanted::of(None, 100), Wanted::Whole);
    }
}

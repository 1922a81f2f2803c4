//! How long an answer may be used again without asking, and how to ask (RFC 9111).
//!
//! Kept narrow on purpose: nothing is assumed where the server says nothing. A script or recording
//! that was edited is heard at the next call unless its server has promised otherwise.

use std::time::Duration;

use http::header::{
    AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
    PRAGMA, SET_COOKIE, VARY,
};

use domain::time::Timestamp;

use crate::http::date;

/// Longest time that counts; far beyond any call, and small enough to add up.
const SECONDS_MAX: u64 = 10 * 365 * 24 * 3_600;

/// What of older copies a script will do with, in seconds (VoiceXML 2.0 §6.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Oldest copy that will do.
    pub(super) maxage_s: Option<u32>,
    /// How much staler than fresh it may be.
    pub(super) maxstale_s: Option<u32>,
}

/// What an answer says about its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Freshness {
    /// May it be kept at all, for other calls as well?
    storable: bool,
    /// May it never be used once stale, or without asking?
    strict: bool,
    /// How old it was when it came.
    age: Duration,
    /// How old it may get.
    lifetime: Duration,
    /// When it came.
    received_at: Timestamp,
    /// By which the server knows it again.
    pub(super) etag: Option<HeaderValue>,
    /// Since when it is as it is.
    pub(super) last_modified: Option<HeaderValue>,
    /// All else that it said, which holds until a later answer says otherwise.
    said: Box<[(HeaderName, HeaderValue)]>,
}

impl Freshness {
    /// What the answer to a GET with these headers, received at `now`, says.
    pub(super) fn of(status: u16, headers: &HeaderMap, now: Timestamp) -> Self {
        let directives = Directives::of(headers);
        let etag = headers.get(ETAG).cloned();
        let last_modified = headers.get(LAST_MODIFIED).cloned();
        let lifetime = directives.lifetime(headers, now);
        let reusable = !lifetime.is_zero() || etag.is_some() || last_modified.is_some();
        Self {
            storable: status == 200
                && reusable
                && !directives.no_store
                && !directives.private
                && !headers.contains_key(SET_COOKIE)
                && !varies(headers),
            strict: directives.strict,
            age: age(headers, now),
            lifetime,
            received_at: now,
            etag,
            last_modified,
            said: said(headers),
        }
    }

    /// The same after the server said 304 with these headers: what it says takes the place of what
    /// was said before, all else holds on (RFC 9111 §3.2). How old an answer is, and when it was
    /// made, each says for itself.
    pub(super) fn renewed(&self, headers: &HeaderMap, now: Timestamp) -> Self {
        let mut whole = HeaderMap::new();
        for name in [AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, LAST_MODIFIED, PRAGMA, VARY] {
            for value in headers.get_all(&name) {
                whole.append(&name, value.clone());
            }
        }
        let validators = [(ETAG, &self.etag), (LAST_MODIFIED, &self.last_modified)];
        let validators = validators.into_iter().filter_map(|(name, it)| Some((name, it.clone()?)));
        for (name, value) in self.said.iter().cloned().chain(validators) {
            if !headers.contains_key(&name) {
                whole.append(name, value);
            }
        }
        Self::of(200, &whole, now)
    }

    /// Whether it may be kept for whoever asks next.
    pub(super) fn is_storable(&self) -> bool {
        self.storable
    }

    /// Whether it can be used at all without asking, so that waiting for it may pay.
    pub(super) fn has_lifetime(&self) -> bool {
        !self.lifetime.is_zero()
    }

    /// Whether it may be used at `now` without asking.
    pub(super) fn is_usable(&self, wanted: Wanted, now: Timestamp) -> bool {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        let age = self.age + now.since(self.received_at);
        if wanted.maxage_s.is_some_and(|maxage_s| age > seconds(maxage_s)) {
            return false;
        }
        if age < self.lifetime {
            return true;
        }
        !self.strict
            && !self.lifetime.is_zero()
            && wanted.maxstale_s.is_some_and(|maxstale_s| age - self.lifetime < seconds(maxstale_s))
    }
}

/// `Cache-Control`, as far as it matters here.
#[derive(Default)]
struct Directives {
    no_store: bool,
    no_cache: bool,
    private: bool,
    strict: bool,
    max_age: Option<Duration>,
    s_maxage: Option<Duration>,
}

impl Directives {
    fn of(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for directive in members(headers, &CACHE_CONTROL) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let value = seconds(value.trim().trim_matches('"'));
            match name.trim().to_ascii_lowercase().as_str() {
                "max-age" => directives.max_age = directives.max_age.or(Some(value)),
                "must-revalidate" | "proxy-revalidate" => directives.strict = true,
                "no-cache" => directives.no_cache = true,
                "no-store" => directives.no_store = true,
                "private" => directives.private = true,
                "s-maxage" => directives.s_maxage = directives.s_maxage.or(Some(value)),
                _ => {}
            }
        }
        if !headers.contains_key(CACHE_CONTROL) {
            directives.no_cache = members(headers, &PRAGMA).any(|pragma| pragma == "no-cache");
        }
        directives.strict |= directives.no_cache || directives.s_maxage.is_some();
        directives
    }

    /// How long the answer stays fresh (RFC 9111 §4.2.1).
    fn lifetime(&self, headers: &HeaderMap, now: Timestamp) -> Duration {
        if self.no_cache {
            return Duration::ZERO;
        }
        if let Some(explicit) = self.s_maxage.or(self.max_age) {
            return explicit;
        }
        // A date that cannot be read is one in the past.
        let expires = moment(headers, &EXPIRES).unwrap_or_default();
        let lifetime = expires.since(moment(headers, &DATE).unwrap_or(now));
        lifetime.min(Duration::from_secs(SECONDS_MAX))
    }
}

/// How old the answer was when it came: what caches on the way say (RFC 9111 §4.2.3).
fn age(headers: &HeaderMap, now: Timestamp) -> Duration {
    let said = headers.get(AGE).and_then(|age| age.to_str().ok()).map_or(Duration::ZERO, seconds);
    // The date tells the same where a cache says nothing, unless the clocks differ by design: less
    // than a minute is the clocks.
    let apparent = moment(headers, &DATE).map_or(Duration::ZERO, |date| now.since(date));
    let apparent = if apparent < Duration::from_secs(60) { Duration::ZERO } else { apparent };
    said.max(apparent.min(Duration::from_secs(SECONDS_MAX)))
}

/// What an answer says of how long it holds, as texts of their own: a part of a head would keep all
/// of it in memory.
fn said(headers: &HeaderMap) -> Box<[(HeaderName, HeaderValue)]> {
    let copy = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
    let names = [CACHE_CONTROL, EXPIRES, PRAGMA, VARY].into_iter();
    names
        .flat_map(|name| headers.get_all(&name).iter().map(move |value| (name.clone(), value)))
        .filter_map(|(name, value)| Some((name, copy(value)?)))
        .collect()
}

/// Adds what a document says of itself, for each header that its server has not sent.
///
/// A server's word wins: `http-equiv` is for authors who cannot set their server's headers
/// (SRGS 1.0 §4.11.1). What is left out, as `Set-Cookie`, is not a document's to say.
pub(super) fn add_said_by_document(headers: &mut HeaderMap, said: &[(String, String)]) {
    let by_server: Vec<HeaderName> = headers.keys().cloned().collect();
    for (name, content) in said.iter().take(SAID_MAX) {
        let Ok(name) = HeaderName::from_bytes(name.trim().as_bytes()) else { continue };
        let counts = [CACHE_CONTROL, DATE, ETAG, EXPIRES, LAST_MODIFIED, PRAGMA].contains(&name);
        if !counts || by_server.contains(&name) {
            continue;
        }
        if let Ok(value) = HeaderValue::from_str(content.trim()) {
            headers.append(name, value);
        }
    }
}

/// Header fields that a document may say of itself; there are six that count.
const SAID_MAX: usize = 20;

/// Whether the answer depends on what differs between calls; all else in our requests is constant.
fn varies(headers: &HeaderMap) -> bool {
    members(headers, &VARY).any(|name| {
        name == "*"
            || name.eq_ignore_ascii_case("cookie")
            || name.eq_ignore_ascii_case("authorization")
    })
}

/// Members of a list header, however it is split into lines.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|member| !member.is_empty())
}

/// A number of seconds; what is too large is long, what is none is no time at all.
fn seconds(text: &str) -> Duration {
    let digits = !text.is_empty() && text.bytes().all(|sign| sign.is_ascii_digit());
    let seconds = if digits { text.parse().unwrap_or(SECONDS_MAX) } else { 0 };
    Duration::from_secs(seconds.min(SECONDS_MAX))
}

fn moment(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    date::parse(headers.get(name)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const NOW: Timestamp = Timestamp::from_seconds(784_111_777);
    const ETAG_A: (&str, &str) = ("etag", "\"a\"");

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn freshness(lines: &[(&str, &str)]) -> Freshness {
        Freshness::of(200, &headers(lines), NOW)
    }

    /// Seconds for which it may be used without asking.
    fn usable_s(lines: &[(&str, &str)]) -> u64 {
        let freshness = freshness(lines);
        let usable = |s: u64| freshness.is_usable(Wanted::default(), NOW + Duration::from_secs(s));
        (0..200).find(|s| !usable(*s)).unwrap_or(u64::MAX)
    }

    #[test]
    fn answer_is_fresh_as_long_as_it_says_and_no_longer() {
        let cases: [(&[(&str, &str)], u64); 14] = [
            (&[("cache-control", "max-age=60")], 60),
            (&[("cache-control", "public, Max-Age=\"60\", x=y")], 60),
            (&[("cache-control", "max-age=60"), ("age", "20")], 40),
            (&[("cache-control", "max-age=60, s-maxage=90")], 90),
            (&[("cache-control", "max-age=60"), ("expires", "Sun, 06 Nov 1994 08:49:47 GMT")], 60),
            (&[("expires", "Sun, 06 Nov 1994 08:49:47 GMT")], 10),
            (
                &[
                    ("date", "Sun, 06 Nov 1994 08:49:40 GMT"),
                    ("expires", "Sun, 06 Nov 1994 08:49:50 GMT"),
                ],
                10,
            ),
            (&[("expires", "0"), ETAG_A], 0),
            (&[("cache-control", "no-cache, max-age=60"), ETAG_A], 0),
            (&[("pragma", "no-cache"), ("expires", "Mon, 07 Nov 1994 00:00:00 GMT")], 0),
            (&[("cache-control", "max-age=-1"), ETAG_A], 0),
            (&[("cache-control", "max-age=60"), ("date", "Sun, 06 Nov 1994 08:47:37 GMT")], 0),
            (&[("last-modified", "Sat, 06 Nov 1993 08:49:37 GMT")], 0),
            (&[("cache-control", "max-age=60"), ("age", "99999999999999999999999")], 0),
        ];
        for (lines, expected) in cases {
            assert_eq!(usable_s(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_belongs_to_one_call_is_not_kept() {
        let storable = |lines: &[(&str, &str)]| freshness(lines).is_storable();
        assert!(storable(&[ETAG_A]));
        assert!(storable(&[("cache-control", "max-age=1")]));
        assert!(storable(&[ETAG_A, ("vary", "Accept, User-Agent")]));
        assert!(!storable(&[]));
        assert!(!storable(&[ETAG_A, ("cache-control", "no-store")]));
        assert!(!storable(&[ETAG_A, ("cache-control", "private, max-age=9")]));
        assert!(!storable(&[ETAG_A, ("set-cookie", "a=b")]));
        assert!(!storable(&[ETAG_A, ("vary", "accept, Cookie")]));
        assert!(!storable(&[ETAG_A, ("vary", "*")]));
        assert!(!Freshness::of(404, &headers(&[ETAG_A]), NOW).is_storable());
    }

    #[test]
    fn script_may_want_it_fresher_or_take_it_staler() {
        let freshness = freshness(&[("cache-control", "max-age=60")]);
        let usable = |maxage_s, maxstale_s, after_s| {
            let wanted = Wanted { maxage_s, maxstale_s };
            freshness.is_usable(wanted, NOW + Duration::from_secs(after_s))
        };
        assert!(usable(Some(10), None, 10));
        assert!(!usable(Some(10), None, 11));
        assert!(!usable(Some(10), Some(600), 11));
        assert!(usable(None, Some(30), 89));
        assert!(!usable(None, Some(30), 90));
        assert!(usable(Some(99), Some(30), 80));
        assert!(!usable(None, Some(0), 60));
        assert!(usable(None, Some(u32::MAX), 1_000_000));
    }

    #[test]
    fn stale_answer_is_not_used_against_its_servers_will() {
        let strict = ["max-age=9, must-revalidate", "no-cache, max-age=9", "s-maxage=9"];
        for directives in strict {
            let freshness = freshness(&[("cache-control", directives)]);
            let wanted = Wanted { maxage_s: None, maxstale_s: Some(60) };
            assert!(!freshness.is_usable(wanted, NOW + Duration::from_secs(10)), "{directives}");
        }
    }

    #[test]
    fn answer_that_has_not_changed_lives_again() {
        let later = NOW + Duration::from_secs(100);
        let old = freshness(&[("cache-control", "max-age=60"), ETAG_A]);
        assert!(!old.is_usable(Wanted::default(), later));
        let same = old.renewed(&headers(&[]), later);
        assert!(same.is_usable(Wanted::default(), later + Duration::from_secs(59)));
        assert_eq!(same.etag, old.etag);
        let shorter = old.renewed(&headers(&[("cache-control", "max-age=5")]), later);
        assert!(!shorter.is_usable(Wanted::default(), later + Duration::from_secs(5)));
        let gone = old.renewed(&headers(&[("cache-control", "no-store")]), later);
        assert!(!gone.is_storable());
    }

    #[test]
    fn answer_that_held_until_a_moment_does_not_hold_on_beyond_it() {
        let old = freshness(&[("expires", "Sun, 06 Nov 1994 08:50:37 GMT"), ETAG_A]);
        let before = old.renewed(&headers(&[]), NOW + Duration::from_secs(50));
        let usable = |it: &Freshness, after_s| {
            it.is_usable(Wanted::default(), NOW + Duration::from_secs(after_s))
        };
        assert_eq!([usable(&before, 59), usable(&before, 60)], [true, false]);
        let after = old.renewed(&headers(&[]), NOW + Duration::from_secs(70));
        assert!(!usable(&after, 70));
        let again = after.renewed(
            &headers(&[("expires", "Sun, 06 Nov 1994 08:52:37 GMT")]),
            NOW + Duration::from_secs(80),
        );
        assert_eq!([usable(&again, 179), usable(&again, 180)], [true, false]);
    }

    #[test]
    fn document_speaks_where_its_server_is_silent() {
        let judged = |server: &[(&str, &str)], document: &[(&str, &str)]| {
            let mut headers = headers(server);
            let said: Vec<(String, String)> =
                document.iter().map(|(name, it)| ((*name).into(), (*it).into())).collect();
            add_said_by_document(&mut headers, &said);
            let freshness = Freshness::of(200, &headers, NOW);
            (0..200)
                .find(|s| !freshness.is_usable(Wanted::default(), NOW + Duration::from_secs(*s)))
        };
        let max_age = ("Cache-Control", "max-age=60");
        assert_eq!(judged(&[], &[max_age]), Some(60));
        assert_eq!(judged(&[("cache-control", "no-cache")], &[max_age]), Some(0));
        assert_eq!(judged(&[("cache-control", "max-age=9")], &[max_age]), Some(9));
        // Another header is another matter; the two are weighed as HTTP weighs them.
        assert_eq!(judged(&[("expires", "Sun, 06 Nov 1994 08:49:47 GMT")], &[max_age]), Some(60));
        let expires = ("EXPIRES", " Sun, 06 Nov 1994 08:49:57 GMT ");
        assert_eq!(judged(&[], &[expires]), Some(20));
        assert_eq!(judged(&[], &[("expires", "0"), max_age]), Some(60));
        assert_eq!(judged(&[], &[expires, ("Pragma", "no-cache")]), Some(0));
        let dated = ("Date", "Sun, 06 Nov 1994 08:47:57 GMT");
        assert_eq!(judged(&[], &[max_age, dated]), Some(0));
        assert_eq!(
            judged(&[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], &[max_age, dated]),
            Some(60)
        );
        let split = [("Cache-Control", "max-age=60"), ("Cache-Control", "no-cache")];
        assert_eq!(judged(&[], &split), Some(0));
        let nonsense = [("Set-Cookie", "a=b"), ("a b", "c"), ("Expires", "\u{1}"), max_age];
        assert_eq!(judged(&[], &nonsense), Some(60));
    }
}

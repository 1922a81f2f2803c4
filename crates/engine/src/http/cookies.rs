//! Cookies of one call: kept while it lasts, shared with no other (RFC 6265).

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use http::header::{HeaderMap, SET_COOKIE};
use url::{Host, Url};

use domain::time::Timestamp;

use super::date;

/// Most cookies of one call; the oldest goes first (RFC 6265 §6.1 asks for 50 per domain).
const COOKIES_MAX: usize = 50;
/// Longest cookie, name, value and attributes together (RFC 6265 §6.1).
const COOKIE_BYTES_MAX: usize = 4_096;

/// The cookies of one call; clones share them.
#[derive(Clone, Debug, Default)]
pub struct CookieJar(Arc<Mutex<Vec<Cookie>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    host_only: bool,
    path: String,
    secure: bool,
    /// `None`: until the call ends.
    expires_at: Option<Timestamp>,
}

impl CookieJar {
    /// Takes every cookie that the answer from `url` sets; what is not valid is left out.
    pub(super) fn take(&self, url: &Url, headers: &HeaderMap, now: Timestamp) {
        for value in headers.get_all(SET_COOKIE) {
            if let Some(cookie) = value.to_str().ok().and_then(|text| read(text, url, now)) {
                self.put(cookie, now);
            }
        }
    }

    /// The `Cookie` header for a request of `url`; `None` where no cookie belongs to it.
    pub(super) fn header(&self, url: &Url, now: Timestamp) -> Option<HeaderValue> {
        let cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut matching: Vec<&Cookie> =
            cookies.iter().filter(|cookie| cookie.belongs_to(url, now)).collect();
        // Longer paths first; the sort is stable, so that older ones come first among equals.
        matching.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> =
            matching.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        if pairs.is_empty() {
            return None;
        }
        HeaderValue::from_str(&pairs.join("; ")).ok()
    }

    /// Replaces the cookie of the same name, domain and path, which keeps its place.
    fn put(&self, cookie: Cookie, now: Timestamp) {
        let mut cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |old: &Cookie| {
            old.name == cookie.name && old.domain == cookie.domain && old.path == cookie.path
        };
        let expired = cookie.has_expired(now);
        match cookies.iter().position(same) {
            Some(position) if expired => {
                cookies.remove(position);
            }
            Some(position) => cookies[position] = cookie,
            None if expired => {}
            None => {
                cookies.retain(|old| !old.has_expired(now));
                if cookies.len() >= COOKIES_MAX {
                    cookies.remove(0);
                }
                cookies.push(cookie);
            }
        }
    }
}

impl Cookie {
    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    fn belongs_to(&self, url: &Url, now: Timestamp) -> bool {
        let host = url.host_str().unwrap_or_default();
        let domain =
            if self.host_only { host == self.domain } else { domain_matches(host, &self.domain) };
        domain
            && path_matches(url.path(), &self.path)
            && (!self.secure || url.scheme() == "https")
            && !self.has_expired(now)
    }
}

/// Reads a `Set-Cookie` of the answer from `url` (RFC 6265 §5.2, §5.3).
fn read(text: &str, url: &Url, now: Timestamp) -> Option<Cookie> {
    if text.len() > COOKIE_BYTES_MAX {
        return None;
    }
    let mut parts = text.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let host = url.host_str()?;
    let mut cookie = Cookie {
        name: Some(name.trim()).filter(|name| !name.is_empty())?.to_owned(),
        value: value.trim().to_owned(),
        domain: host.to_owned(),
        host_only: true,
        path: default_path(url),
        secure: false,
        expires_at: None,
    };
    let mut max_age = None;
    for attribute in parts {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "domain" => match value.trim_start_matches('.').to_ascii_lowercase() {
                domain if domain.is_empty() => {}
                domain => {
                    cookie.host_only = !permits_domain(url, &domain)?;
                    cookie.domain = domain;
                }
            },
            "expires" => cookie.expires_at = date::parse(value).or(cookie.expires_at),
            "max-age" => max_age = max_age_of(value).or(max_age),
            "path" if value.starts_with('/') => cookie.path = value.to_owned(),
            "secure" => cookie.secure = true,
            _ => {}
        }
    }
    // Max-Age wins over Expires, whatever their order.
    match max_age {
        Some(0) => cookie.expires_at = Some(now),
        Some(seconds) => cookie.expires_at = Some(now + std::time::Duration::from_secs(seconds)),
        None => {}
    }
    Some(cookie)
}

/// Seconds to keep a cookie; a negative age is none left.
fn max_age_of(value: &str) -> Option<u64> {
    if value.strip_prefix('-').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit())) {
        return Some(0);
    }
    let digits = value.bytes().all(|sign| sign.is_ascii_digit()) && !value.is_empty();
    // A number too large to read is a cookie for ever.
    digits.then(|| value.parse().unwrap_or(u64::from(u32::MAX)).min(u64::from(u32::MAX)))
}

/// Whether a host may set cookies for all hosts in `domain` (`Some(true)`), for itself alone
/// (`Some(false)`: the domain is its own address), or not at all.
///
/// A domain without a dot is a whole top level. Longer public suffixes are not known here: such a
/// cookie lives within one call alone, whose pages its author chose.
fn permits_domain(url: &Url, domain: &str) -> Option<bool> {
    match url.host()? {
        Host::Domain(host) if host == domain => Some(domain.contains('.')),
        Host::Domain(host) => {
            (domain.contains('.') && domain_matches(host, domain)).then_some(true)
        }
        Host::Ipv4(_) | Host::Ipv6(_) => (url.host_str() == Some(domain)).then_some(false),
    }
}

/// Whether `host` is `domain` or lies in it (RFC 6265 §5.1.3); never called with an address.
fn domain_matches(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether a request of `path` is answered by a cookie of `cookie_path` (RFC 6265 §5.1.4).
fn path_matches(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

/// The directory of the URL's path (RFC 6265 §5.1.4).
fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(end) => url.path()[..end].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000_000);

    fn jar(url: &str, cookies: &[&str]) -> CookieJar {
        let jar = CookieJar::default();
        set(&jar, url, cookies);
        jar
    }

    fn set(jar: &CookieJar, url: &str, cookies: &[&str]) {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(SET_COOKIE, cookie.parse().unwrap());
        }
        jar.take(&Url::parse(url).unwrap(), &headers, NOW);
    }

    fn sent(jar: &CookieJar, url: &str) -> String {
        let header = jar.header(&Url::parse(url).unwrap(), NOW);
        header.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn cookie_goes_back_to_its_host_and_directory_alone() {
        let jar = jar("http://app.example/ivr/start.php", &["SID=31d4; HttpOnly"]);
        assert_eq!(sent(&jar, "http://app.example/ivr/next.php"), "SID=31d4");
        assert_eq!(sent(&jar, "http://app.example:8080/ivr/deep/er"), "SID=31d4");
        assert_eq!(sent(&jar, "http://app.example/ivrs/next.php"), "");
        assert_eq!(sent(&jar, "http://app.example/"), "");
        assert_eq!(sent(&jar, "http://www.app.example/ivr/next.php"), "");
        assert_eq!(sent(&jar, "http://example/ivr/next.php"), "");
    }

    #[test]
    fn cookie_for_a_domain_goes_to_every_host_in_it() {
        let jar = jar("http://a.app.example/", &["x=1; Domain=.App.Example; Path=/"]);
        assert_eq!(sent(&jar, "http://a.app.example/"), "x=1");
        assert_eq!(sent(&jar, "http://b.app.example/y"), "x=1");
        assert_eq!(sent(&jar, "http://app.example/"), "x=1");
        assert_eq!(sent(&jar, "http://notapp.example/"), "");
    }

    #[test]
    fn cookie_for_somebody_elses_domain_is_not_taken() {
        let foreign = [
            "x=1; Domain=other.example",
            "x=1; Domain=example",
            "x=1; Domain=b.app.example",
            "x=1; Domain=pp.example",
        ];
        assert_eq!(sent(&jar("http://app.example/", &foreign), "http://app.example/"), "");
        let address = jar("http://192.0.2.1/", &["x=1; Domain=2.1", "y=2; Domain=192.0.2.1"]);
        assert_eq!(sent(&address, "http://192.0.2.1/"), "y=2");
    }

    #[test]
    fn secure_cookie_is_sent_over_tls_alone() {
        let jar = jar("https://app.example/", &["x=1; Secure"]);
        assert_eq!(sent(&jar, "http://app.example/"), "");
        assert_eq!(sent(&jar, "https://app.example/"), "x=1");
    }

    #[test]
    fn longer_paths_go_first_and_older_cookies_before_newer() {
        let cookies = ["a=1; Path=/", "b=2; Path=/p/", "c=3; Path=/", "b=4; Path=/p/"];
        let jar = jar("http://app.example/p/q", &cookies);
        assert_eq!(sent(&jar, "http://app.example/p/q"), "b=4; a=1; c=3");
    }

    #[test]
    fn cookie_ends_when_its_server_says() {
        let url = "http://app.example/";
        let jar = jar(
            url,
            &[
                "past=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                "future=1; Expires=Fri, 31 Dec 2999 23:59:59 GMT",
                "age=1; Max-Age=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                "none=1; Max-Age=0",
                "minus=1; Max-Age=-1",
                "odd=1; Max-Age=soon",
                "ever=1; Max-Age=99999999999999999999999999",
            ],
        );
        assert_eq!(sent(&jar, url), "future=1; age=1; odd=1; ever=1");
        let later = NOW + std::time::Duration::from_secs(5);
        let header = jar.header(&Url::parse(url).unwrap(), later).unwrap();
        assert_eq!(header, "future=1; odd=1; ever=1");
    }

    #[test]
    fn cookie_is_deleted_by_setting_it_into_the_past() {
        let url = "http://app.example/";
        let jar = jar(url, &["x=1", "y=2"]);
        set(&jar, url, &["x=; Max-Age=0"]);
        assert_eq!(sent(&jar, url), "y=2");
    }

    #[test]
    fn jar_is_bounded_and_odd_cookies_are_left_out() {
        let url = "http://app.example/";
        let long = format!("long={}", "x".repeat(COOKIE_BYTES_MAX));
        let jar = jar(url, &["=1", "novalue", "", ";;;", &long, "empty=", "v=a=b"]);
        assert_eq!(sent(&jar, url), "empty=; v=a=b");
        for number in 0..COOKIES_MAX * 3 {
            set(&jar, url, &[&format!("n{number}=1")]);
        }
        let sent = sent(&jar, url);
        assert_eq!(sent.split("; ").count(), COOKIES_MAX);
        assert!(sent.starts_with("n100=1") && sent.ends_with("n149=1"), "{sent}");
    }
}

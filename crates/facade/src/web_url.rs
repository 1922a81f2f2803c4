//! Addresses that clients give us to ask or to tell: absolute, http or https, not too long.

use url::Url;

use crate::refusal::{Mistake, Refusal};

/// What would be right, in every refusal of an address.
const EXPECTED: &str = "an absolute address such as https://app.example/start";

/// Takes `text` as the address in `field`, at most `chars_max` characters long.
///
/// Only its form is looked at; where it may point is the engine's business.
pub(crate) fn parse(field: &str, text: &str, chars_max: usize) -> Result<String, Refusal> {
    let text = text.trim();
    let length = text.chars().count();
    if length > chars_max {
        let expected = format!("at most {chars_max} characters, not {length}");
        return Err(Refusal::new(field, Mistake::TooLong, text, expected));
    }
    let malformed = |expected: &str| Refusal::new(field, Mistake::Malformed, text, expected);
    let url = Url::parse(text).map_err(|_| malformed(EXPECTED))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(malformed(EXPECTED));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // The refusal shows nothing: what stands there is a password.
        let expected = "an address without a user and password in it";
        return Err(Refusal::blind(field, Mistake::Malformed, expected));
    }
    if text.chars().any(|sign| sign.is_whitespace() || sign.is_control()) {
        return Err(malformed("an address without blanks, %20 in their place"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match parse("start_url", text, 255) {
            Ok(url) => url,
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn web_addresses_are_kept_as_they_are() {
        for url in
            ["http://a.example/s?x=1&y=%20", "HTTPS://a.example", "http://[2001:db8::1]:8080/"]
        {
            assert_eq!(read(url), url);
        }
        assert_eq!(read(" http://a.example/ \n"), "http://a.example/");
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        let expected = "expected an absolute address such as https://app.example/start";
        for text in
            ["app.example/start", "/start", "ftp://a.example/", "file:///etc/passwd", "http://"]
        {
            assert_eq!(read(text), format!("start_url: found {text:?}, {expected}"));
        }
    }

    #[test]
    fn address_with_a_password_is_refused_without_being_shown() {
        assert_eq!(
            read("http://ann:secret@a.example/"),
            "start_url: expected an address without a user and password in it"
        );
    }

    #[test]
    fn address_that_is_too_long_or_has_blanks_is_refused() {
        let long = format!("http://a.example/{}", "x".repeat(300));
        assert!(read(&long).ends_with("expected at most 255 characters, not 317"));
        assert!(read("http://a.example/a b").ends_with("%20 in their place"));
    }
}

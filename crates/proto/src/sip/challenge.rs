//! What a server or proxy asks before it goes on: WWW-Authenticate and Proxy-Authenticate.

use std::fmt;

use super::grammar::{Cursor, SyntaxError, Token, unquote_value};

/// Most parameters that one challenge may have; digest defines nine.
const PARAMS_MAX: usize = 32;

/// One challenge of a 401 or 407.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// RFC 7616 and its elder, RFC 2617.
    Digest(DigestChallenge),
    /// A scheme that we do not speak, such as `Basic`.
    Other(Token),
}

/// A challenge to prove knowledge of a password without saying it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChallenge {
    /// Whose password is meant.
    pub realm: String,
    /// What the proof is bound to.
    pub nonce: String,
    /// To be given back unchanged.
    pub opaque: Option<String>,
    /// Whether only the nonce was too old, the password right.
    pub stale: bool,
    /// How to hash.
    pub algorithm: Algorithm,
    /// Which protections are offered.
    pub qop: Qop,
}

/// How a digest is hashed, RFC 8760.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5`, also where none is said.
    Md5,
    /// `MD5-sess`
    Md5Sess,
    /// `SHA-256`
    Sha256,
    /// `SHA-256-sess`
    Sha256Sess,
    /// One that we do not speak, such as `SHA-512-256`.
    Other(Token),
}

impl Algorithm {
    /// The name as it is written on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
            Self::Other(name) => name.as_str(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let known = [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess];
        let found = known.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(text));
        found.or_else(|| Token::new(text).map(Self::Other))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which protections a challenge offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Qop {
    /// None is named: the digest of RFC 2069.
    Absent,
    /// `auth` is among them.
    Auth,
    /// Only others, such as `auth-int`, which we do not speak.
    OnlyOthers,
}

impl Challenge {
    /// Reads one header's value; SIP allows one challenge a header (RFC 3261 §7.3.1).
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_space();
        let scheme = cursor.token("a scheme such as Digest")?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            let scheme = Token::new(scheme).ok_or(SyntaxError::new(0, "a scheme"))?;
            return Ok(Self::Other(scheme));
        }
        let start = cursor.at();
        let params = read_auth_params(&mut cursor)?;
        let text_of = |name: &str| {
            let value = params.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
            value.map(|(_, value)| unquote_value(value))
        };
        let algorithm = match text_of("algorithm") {
            None => Algorithm::Md5,
            Some(name) => Algorithm::parse(&name)
                .ok_or(SyntaxError::new(start, "an algorithm such as SHA-256"))?,
        };
        let qop = match text_of("qop") {
            None => Qop::Absent,
            Some(offered) => {
                let mut words = offered.split(',').map(str::trim);
                match words.any(|word| word.eq_ignore_ascii_case("auth")) {
                    true => Qop::Auth,
                    false => Qop::OnlyOthers,
                }
            }
        };
        let required = |name, expected| {
            text_of(name).map(String::from).ok_or(SyntaxError::new(start, expected))
        };
        Ok(Self::Digest(DigestChallenge {
            realm: required("realm", "a realm")?,
            nonce: required("nonce", "a nonce")?,
            opaque: text_of("opaque").map(Into::into),
            stale: text_of("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            algorithm,
            qop,
        }))
    }
}

/// `name=value *("," name=value)`; values keep their quotes.
pub(crate) fn read_auth_params<'a>(
    cursor: &mut Cursor<'a>,
) -> Result<Vec<(&'a str, &'a str)>, SyntaxError> {
    let mut params = Vec::new();
    loop {
        cursor.skip_space();
        let name = cursor.token("a parameter such as realm")?;
        if !cursor.eat_separator(b'=') {
            return Err(cursor.error("an equals sign"));
        }
        let start = cursor.at();
        match cursor.peek() {
            Some(b'"') => cursor.quoted()?,
            _ => cursor.token("a token or a quoted string")?,
        };
        params.push((name, cursor.since(start)));
        if params.len() > PARAMS_MAX {
            return Err(cursor.error("at most 32 parameters"));
        }
        if !cursor.eat_separator(b',') {
            cursor.finish("a comma or the end of the challenge")?;
            return Ok(params);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> DigestChallenge {
        match Challenge::parse(text).unwrap() {
            Challenge::Digest(digest) => digest,
            Challenge::Other(scheme) => panic!("{scheme} is no digest"),
        }
    }

    #[test]
    fn digest_challenge_is_read_whatever_its_case_and_order() {
        let challenge = digest(
            "digest QOP=\"auth-int , auth\",nonce=\"a\\\"b\" ,REALM = \"one, two\", \
             algorithm=sha-256, stale=TRUE, opaque=\"\", unknown=token",
        );
        let expected = DigestChallenge {
            realm: "one, two".into(),
            nonce: "a\"b".into(),
            opaque: Some(String::new()),
            stale: true,
            algorithm: Algorithm::Sha256,
            qop: Qop::Auth,
        };
        assert_eq!(challenge, expected);
    }

    #[test]
    fn challenge_without_algorithm_and_qop_is_the_old_md5() {
        let challenge = digest("Digest realm=\"r\", nonce=\"n\"");
        assert_eq!((challenge.algorithm, challenge.qop), (Algorithm::Md5, Qop::Absent));
        assert_eq!(digest("Digest realm=r, nonce=n, qop=\"auth-int\"").qop, Qop::OnlyOthers);
    }

    #[test]
    fn other_schemes_are_named_and_not_read() {
        let scheme = Token::new("NoOneKnowsThisScheme").unwrap();
        assert_eq!(
            Challenge::parse("NoOneKnowsThisScheme opaque-data=here"),
            Ok(Challenge::Other(scheme))
        );
    }

    #[test]
    fn broken_challenges_are_refused_with_the_place() {
        let refused = [
            ("", 0),
            ("Digest", 6),
            ("Digest realm", 12),
            ("Digest realm=\"r\"", 6),
            ("Digest realm=\"r", 15),
            ("Digest realm=\"r\",,nonce=\"n\"", 17),
            ("Digest realm=\"r\" nonce=\"n\"", 17),
        ];
        for (text, at) in refused {
            assert_eq!(Challenge::parse(text).unwrap_err().at, at, "{text}");
        }
    }
}

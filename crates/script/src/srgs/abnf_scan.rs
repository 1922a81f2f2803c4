//! The letters of the ABNF form: blanks, comments, names, quotes, addresses, tags.

use super::model::{is_combining, is_name_part};

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) at: usize,
    pub(crate) message: String,
}

fn wrong<T>(at: usize, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { at, message: message.into() })
}

/// A position in a text that only goes forward, but for [`Scan::back_to`].
pub(crate) struct Scan<'t> {
    text: &'t str,
    at: usize,
    /// Marks that have been looked for and do not come any more; looking again for each of a
    /// million opening brackets would take for ever.
    absent: Vec<&'static str>,
}

/// Longest address; without a bound, each of many that do not end would be looked for far.
const URI_MAX_BYTES: usize = 4_096;

impl<'t> Scan<'t> {
    pub(crate) fn new(text: &'t str, at: usize) -> Self {
        Self { text, at, absent: Vec::new() }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(crate) fn eat(&mut self, expected: &str) -> bool {
        let there = self.rest().starts_with(expected);
        if there {
            self.at += expected.len();
        }
        there
    }

    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// All up to a mark, which is passed; `None` where it does not come.
    fn take_to(&mut self, mark: &'static str) -> Option<&'t str> {
        if self.absent.contains(&mark) {
            return None;
        }
        let Some((taken, _)) = self.rest().split_once(mark) else {
            self.absent.push(mark);
            return None;
        };
        self.at += taken.len() + mark.len();
        Some(taken)
    }

    pub(crate) fn expect(&mut self, c: char, why: &str) -> Result<(), Wrong> {
        if self.peek() == Some(c) {
            self.at += c.len_utf8();
            return Ok(());
        }
        match self.peek() {
            None => wrong(self.at, format!("{why}; here is the end of the text")),
            Some(found) => wrong(self.at, format!("{why}; here is {found}")),
        }
    }

    /// Past white space and comments.
    pub(crate) fn blank(&mut self) -> Result<(), Wrong> {
        loop {
            self.take_while(char::is_whitespace);
            let start = self.at;
            if self.eat("//") {
                self.take_while(|c| !matches!(c, '\n' | '\r'));
            } else if self.eat("/*") {
                if self.take_to("*/").is_none() {
                    self.at = self.text.len();
                    return wrong(start, "a comment without its end, */");
                }
            } else {
                return Ok(());
            }
        }
    }

    /// Letters and hyphens, as declarations begin.
    pub(crate) fn keyword(&mut self) -> &'t str {
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    }

    /// Letters, digits, and what else the names of XML may have.
    pub(crate) fn name_token(&mut self, why: &str) -> Result<&'t str, Wrong> {
        let at = self.at;
        match self.take_while(|c| is_name_part(c) || matches!(c, '-' | '.' | ':')) {
            "" => wrong(at, format!("here stands {why}")),
            name => Ok(name),
        }
    }

    /// `$name`, without its sign.
    pub(crate) fn rule_name(&mut self) -> Result<&'t str, Wrong> {
        let at = self.at;
        if !self.eat("$") {
            return wrong(at, "the name of a rule is wanted, as $name");
        }
        match self.take_while(|c| is_name_part(c) || matches!(c, '-' | '.' | ':')) {
            "" => wrong(at, "a $ without the name of a rule"),
            name => Ok(name),
        }
    }

    /// A text in single or double quotes.
    pub(crate) fn quoted(&mut self) -> Result<&'t str, Wrong> {
        let at = self.at;
        let mark = if self.eat("\"") {
            "\""
        } else if self.eat("'") {
            "'"
        } else {
            return wrong(at, "a text in quotation marks is wanted");
        };
        self.take_to(mark).map_or_else(|| wrong(at, "a quotation mark without its other one"), Ok)
    }

    /// `<address>`.
    pub(crate) fn uri(&mut self) -> Result<&'t str, Wrong> {
        let at = self.at;
        if !self.eat("<") {
            return wrong(at, "an address is wanted, as <http://example.com/a.gram>");
        }
        let bytes = self.rest().bytes().take(URI_MAX_BYTES);
        let end = bytes.take_while(|byte| *byte != b'\n').position(|byte| byte == b'>');
        let Some(end) = end else {
            return wrong(at, "an address without its end, >");
        };
        let uri = &self.rest()[..end];
        self.at += end + 1;
        Ok(uri.trim())
    }

    /// `~<media type>`, where there is one.
    pub(crate) fn media_type(&mut self) -> Result<Option<String>, Wrong> {
        let at = self.at;
        self.blank()?;
        if !self.eat("~") {
            self.at = at;
            return Ok(None);
        }
        self.blank()?;
        self.uri().map(|media_type| Some(media_type.to_owned()))
    }

    pub(crate) fn until_semicolon(&mut self) -> &'t str {
        self.take_while(|c| !matches!(c, ';' | '\n')).trim()
    }

    /// `{tag}` or `{!{tag}!}`.
    pub(crate) fn tag(&mut self) -> Result<&'t str, Wrong> {
        let at = self.at;
        let mark = if self.eat("{!{") {
            "}!}"
        } else if self.eat("{") {
            "}"
        } else {
            return wrong(at, "a tag is wanted, as {tag}");
        };
        self.take_to(mark).map_or_else(|| wrong(at, format!("a tag without its end, {mark}")), Ok)
    }

    /// `/number/`.
    pub(crate) fn between_slashes(&mut self) -> Result<&'t str, Wrong> {
        let at = self.at;
        if !self.eat("/") {
            return wrong(at, "a number between slashes is wanted");
        }
        let number = self.take_while(|c| !matches!(c, '/' | ';' | '\n'));
        match self.eat("/") {
            true => Ok(number.trim()),
            false => wrong(at, "a slash without its other one"),
        }
    }

    /// A token that stands without quotes.
    pub(crate) fn bare_token(&mut self) -> &'t str {
        self.take_while(is_token_part)
    }

    /// Behind the next semicolon that ends something.
    pub(crate) fn recover(&mut self) {
        while let Some(c) = self.peek() {
            let at = self.at;
            let passed = match c {
                ';' => {
                    self.at += 1;
                    return;
                }
                '"' => self.quoted().is_ok(),
                '{' => self.tag().is_ok(),
                '/' if self.rest().starts_with("/*") || self.rest().starts_with("//") => {
                    self.blank().is_ok()
                }
                _ => false,
            };
            if !passed {
                self.at = at + c.len_utf8();
            }
        }
    }
}

/// Whether a character may stand in a token without quotes: what XML calls a name token, and
/// the apostrophe, without which English does not get by.
pub(crate) fn is_token_part(c: char) -> bool {
    let sign = matches!(c, '-' | '.' | ':' | '_' | '\'');
    sign || c.is_alphanumeric() || is_combining(c) || (!c.is_ascii() && !c.is_whitespace())
}

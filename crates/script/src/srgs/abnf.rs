//! Reads the ABNF form (SRGS 1.0 Appendix D): header, declarations, rules.
//!
//! After a mistake it goes on behind the next semicolon, so that all mistakes are found.

use url::Url;

use super::abnf_rule::Expansions;
use super::abnf_scan::{Scan, Wrong};
use super::builder::Builder;
use super::model::{Draft, Expansion, Form, Lexicon, Meta, TagFormat};
use crate::vxml::Mistake;
use crate::vxml::place::Rows;

/// Reads a document; an embedded one needs no language.
pub(crate) fn read(
    text: &str,
    rows: &Rows<'_>,
    url: Option<&Url>,
    embedded: bool,
    bytes_max: usize,
) -> Result<Draft, Vec<Mistake>> {
    let start = text.len() - text.trim_start_matches('\u{feff}').len();
    // What stands in a document may stand apart from its tags.
    let blank = text[start..].len() - text[start..].trim_start().len();
    let start = if embedded { start + blank } else { start };
    if text.len() > bytes_max {
        let message = format!("the text has {} bytes; at most {bytes_max} are read", text.len());
        return Err(vec![rows.mistake(0, message)]);
    }
    let mut reader = Reader {
        scan: Scan::new(text, start),
        to: Builder::new(Form::Abnf, rows, url, embedded),
        seen: Vec::new(),
    };
    if let Err(wrong) = reader.header() {
        // Without its header a text can be anything; more mistakes would tell nothing.
        return Err(vec![rows.mistake(wrong.at, wrong.message)]);
    }
    reader.declarations();
    reader.rules();
    reader.to.finish(start)
}

struct Reader<'r> {
    scan: Scan<'r>,
    to: Builder<'r>,
    /// Declarations that may come once, and have.
    seen: Vec<&'static str>,
}

impl Reader<'_> {
    /// `#ABNF 1.0 encoding;` and the end of the row.
    fn header(&mut self) -> Result<(), Wrong> {
        let wrong = |at, message: &str| Err(Wrong { at, message: message.to_owned() });
        let start = self.scan.at();
        if !self.scan.eat("#ABNF ") {
            return wrong(start, "a grammar begins with: #ABNF 1.0;");
        }
        let at = self.scan.at();
        let version = self.scan.take_while(|c| !matches!(c, ' ' | ';' | '\r' | '\n'));
        if version != "1.0" {
            return wrong(at, "the version is 1.0, as in: #ABNF 1.0;");
        }
        if self.scan.eat(" ") {
            // It was heeded when the bytes became text.
            let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
            let at = self.scan.at();
            if self.scan.take_while(named).is_empty() {
                return wrong(at, "an encoding or a semicolon is wanted, as: #ABNF 1.0 UTF-8;");
            }
        }
        let at = self.scan.at();
        if !self.scan.eat(";") {
            return wrong(at, "a semicolon ends the header, as in: #ABNF 1.0;");
        }
        self.scan.take_while(|c| matches!(c, ' ' | '\t'));
        let at = self.scan.at();
        match self.scan.peek() {
            None | Some('\r' | '\n' | '\u{85}' | '\u{2028}') => Ok(()),
            Some(_) => wrong(at, "the header stands in a row of its own"),
        }
    }

    fn declarations(&mut self) {
        loop {
            let blank = self.scan.blank();
            self.tell(blank);
            let at = self.scan.at();
            if self.scan.is_at_end() || self.scan.peek() == Some('$') {
                return;
            }
            let outcome = if self.scan.peek() == Some('{') {
                self.head_tag()
            } else {
                let word = self.scan.keyword();
                if matches!(word, "public" | "private") {
                    self.scan.back_to(at);
                    return;
                }
                self.declaration(word, at)
            };
            if let Err(wrong) = outcome {
                self.to.mistake(wrong.at, wrong.message);
                self.scan.recover();
            }
        }
    }

    fn head_tag(&mut self) -> Result<(), Wrong> {
        let at = self.scan.at();
        let tag = self.scan.tag()?;
        self.scan.blank()?;
        self.scan.expect(';', "a semicolon ends a declaration")?;
        self.to.head_tag(tag, at);
        Ok(())
    }

    fn declaration(&mut self, word: &str, at: usize) -> Result<(), Wrong> {
        self.scan.blank()?;
        let value_at = self.scan.at();
        match word {
            "language" => {
                self.once("language", at);
                let tag = self.scan.name_token("a language, as: language en-US;")?;
                self.to.language = self.to.language_tag(tag, value_at);
            }
            "mode" => {
                self.once("mode", at);
                let mode = self.scan.name_token("a mode, as: mode dtmf;")?;
                self.to.set_mode(mode, value_at);
            }
            "root" => {
                self.once("root", at);
                let root = self.scan.rule_name()?;
                self.to.root = Some((root.to_owned(), value_at));
            }
            "tag-format" => {
                self.once("tag-format", at);
                // The standard writes <semantics/1.0>; its drafts had no brackets.
                let format = match self.scan.peek() {
                    Some('<') => self.scan.uri()?,
                    _ => self.scan.until_semicolon(),
                };
                self.to.tag_format = Some(TagFormat::named(format));
            }
            "base" => {
                self.once("base", at);
                let base = self.scan.uri()?.to_owned();
                self.to.set_own_base(&base, value_at);
            }
            "lexicon" => {
                let uri = self.scan.uri()?.to_owned();
                let media_type = self.scan.media_type()?;
                self.to.lexicons.push(Lexicon { uri, media_type });
            }
            "meta" | "http-equiv" => self.meta(word == "http-equiv")?,
            _ => {
                let message = match word {
                    "" => "a declaration or a rule is wanted here".to_owned(),
                    word => format!(
                        "there is no declaration {word}; there are base, http-equiv, language, \
                         lexicon, meta, mode, root and tag-format"
                    ),
                };
                return Err(Wrong { at, message });
            }
        }
        self.scan.blank()?;
        self.scan.expect(';', "a semicolon ends a declaration")
    }

    fn meta(&mut self, http_equiv: bool) -> Result<(), Wrong> {
        let at = self.scan.at();
        let name = self.scan.quoted()?.to_owned();
        self.scan.blank()?;
        let is_at = self.scan.at();
        if self.scan.keyword() != "is" {
            let message = "is stands between name and content: meta \"author\" is \"me\";";
            return Err(Wrong { at: is_at, message: message.to_owned() });
        }
        self.scan.blank()?;
        let content = self.scan.quoted()?.to_owned();
        if name == "base" && !http_equiv && !self.seen.contains(&"base") {
            // As drafts of the standard had it; the declaration wins (SRGS 1.0 §4.9.1).
            self.to.set_base(&content, at);
        }
        self.to.metas.push(Meta { name, content, http_equiv });
        Ok(())
    }

    fn once(&mut self, what: &'static str, at: usize) {
        if self.seen.contains(&what) {
            self.to.mistake(at, format!("a second {what}; a grammar has one"));
        }
        self.seen.push(what);
    }

    fn rules(&mut self) {
        loop {
            let blank = self.scan.blank();
            self.tell(blank);
            if self.scan.is_at_end() {
                return;
            }
            let at = self.scan.at();
            if let Err(wrong) = self.rule(at) {
                self.to.mistake(wrong.at, wrong.message);
                self.scan.recover();
            }
        }
    }

    fn rule(&mut self, at: usize) -> Result<(), Wrong> {
        let public = match self.scan.keyword() {
            "" | "private" => false,
            "public" => true,
            word => {
                let message = match KEYWORDS.contains(&word) {
                    true => format!("{word}: declarations come before the rules"),
                    false => format!("a rule is wanted, as: public $name = words; not {word}"),
                };
                return Err(Wrong { at, message });
            }
        };
        self.scan.blank()?;
        let at = self.scan.at();
        let name = self.scan.rule_name()?.to_owned();
        let expansion = self.expansion();
        // A rule that is wrong inside is there all the same; who refers to it is not wrong too.
        let (expansion, outcome) = match expansion {
            Ok(expansion) => (expansion, Ok(())),
            Err(wrong) => (Expansion::Null, Err(wrong)),
        };
        self.to.rule(&name, public, expansion, at);
        outcome
    }

    fn expansion(&mut self) -> Result<Expansion, Wrong> {
        self.scan.blank()?;
        self.scan.expect('=', "an equals sign stands behind the name of a rule")?;
        let expansion =
            Expansions { scan: &mut self.scan, to: &mut self.to, depth: 0 }.alternatives()?;
        self.scan.expect(';', "a semicolon ends a rule")?;
        Ok(expansion)
    }

    fn tell(&mut self, outcome: Result<(), Wrong>) {
        if let Err(wrong) = outcome {
            self.to.mistake(wrong.at, wrong.message);
        }
    }
}

const KEYWORDS: [&str; 8] =
    ["base", "http-equiv", "language", "lexicon", "meta", "mode", "root", "tag-format"];

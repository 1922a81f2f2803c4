//! Whether the tags of a grammar are ECMAScript, found out without running them (SISR 1.0 §3.2).

use std::sync::Arc;

use crate::vxml::Limits;
use crate::vxml::expr::Engine;
use crate::vxml::simple::{is_identifier, is_reserved};
use crate::vxml::value::Value;

/// Tags, and where they begin.
type Tags = [(Arc<str>, usize)];

/// Up to `most` of the tags that are no ECMAScript: where they begin, and what is wrong.
pub(crate) fn wrong(tags: &Tags, most: usize) -> Vec<(usize, String)> {
    let mut engine = None;
    let mut found = Vec::new();
    for (tag, offset) in tags.iter().filter(|(tag, _)| !is_plain(tag)) {
        if found.len() >= most {
            break;
        }
        let engine = match &mut engine {
            Some(engine) => engine,
            // Nothing is run, so that no chance is needed.
            None => match Engine::new(&Limits::default(), 0, &Value::Record(Vec::new())) {
                Ok(made) => engine.insert(made),
                Err(fault) => return vec![(*offset, fault.message)],
            },
        };
        if let Err(fault) = engine.check_script(tag) {
            found.push((*offset, format!("the tag is no ECMAScript: {}", fault.message)));
        }
    }
    found
}

/// Whether some tag assigns to what a rule means, under the name of SISR or of its drafts.
pub(crate) fn assign(tags: &Tags) -> bool {
    tags.iter().any(|(tag, _)| {
        let tag = tag.trim_start();
        let rest = tag.strip_prefix('$').or_else(|| tag.strip_prefix("out"));
        let rest = rest.unwrap_or_default().trim_start();
        let assigned = rest.starts_with('=') && !rest.starts_with("==");
        assigned || (rest.starts_with(['.', '[']) && rest.contains('='))
    })
}

/// Whether a tag only assigns literals and properties, as most do: then it is ECMAScript, and no
/// engine is needed to say so.
fn is_plain(tag: &str) -> bool {
    // A semicolon in a text makes two halves that are no statements: the engine decides.
    tag.split(';').all(|statement| {
        let statement = statement.trim();
        let parts = statement.split_once('=');
        statement.is_empty()
            || parts.is_some_and(|(to, value)| is_path(to.trim()) && is_operand(value.trim()))
    })
}

fn is_path(text: &str) -> bool {
    text.split('.').all(|name| is_identifier(name) && !is_reserved(name))
}

fn is_operand(text: &str) -> bool {
    let quoted = ['"', '\''].into_iter().any(|quote| {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        inner.is_some_and(|inner| !inner.contains([quote, '\\', '\n', '\r']))
    });
    let number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let latest = text == "rules.latest()";
    quoted || latest || (number && !text.is_empty()) || is_path(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(texts: &[&str]) -> Vec<(Arc<str>, usize)> {
        texts.iter().enumerate().map(|(at, text)| (Arc::from(*text), at)).collect()
    }

    #[test]
    fn tags_that_are_no_ecmascript_are_found_by_their_places() {
        let tags = tags(&["out = 'a';", "out = ;", "if (x) {", "return 1", "var a = 'x;y'", ""]);
        let found: Vec<usize> = wrong(&tags, 9).into_iter().map(|(at, _)| at).collect();
        assert_eq!(found, [1, 2, 3]);
        assert_eq!(wrong(&tags, 1).len(), 1);
        assert!(wrong(&tags, 1)[0].1.contains("SyntaxError"));
    }

    #[test]
    fn plain_assignments_are_known_without_an_engine() {
        for plain in ["out='a'", " out.x = rules.y ; out.z = 12;", "out = rules.latest();", ""] {
            assert!(is_plain(plain), "{plain}");
        }
        for more in ["out = 'a;b'", "out = 1 + 2", "out = 'it\\'s'", "out == 1", "var = 'x'", "07"]
        {
            assert!(!is_plain(more), "{more}");
        }
    }

    #[test]
    fn an_assignment_to_what_a_rule_means_is_seen() {
        for text in ["$ = 'a'", "$.x = 1", "out='a'", " out.x=1", "out['x'] = 1"] {
            assert!(assign(&tags(&[text])), "{text}");
        }
        for text in ["boston", "output = 1", "out of order", "$city", "out == 1", "$", "out."] {
            assert!(!assign(&tags(&[text])), "{text}");
        }
    }
}

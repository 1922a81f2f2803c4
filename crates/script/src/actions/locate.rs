//! Finds where in a text of JSON a value stands, so that mistakes can be pointed at.

/// One step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Item(usize),
    Member(String),
}

/// The byte at which the value at the end of this way begins; where the way breaks off, the last
/// value that is there. The text is JSON.
pub(super) fn locate(text: &str, way: &[Turn]) -> usize {
    let scanner = Scanner { bytes: text.as_bytes(), text };
    let mut at = scanner.blank(0);
    for turn in way {
        match scanner.turn(at, turn) {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

struct Scanner<'t> {
    bytes: &'t [u8],
    text: &'t str,
}

impl Scanner<'_> {
    fn turn(&self, at: usize, turn: &Turn) -> Option<usize> {
        match (self.bytes.get(at)?, turn) {
            (b'[', Turn::Item(nth)) => {
                let mut value = self.blank(at + 1);
                for _ in 0..*nth {
                    let after = self.blank(self.value_end(value));
                    if self.bytes.get(after) != Some(&b',') {
                        return None;
                    }
                    value = self.blank(after + 1);
                }
                (self.bytes.get(value) != Some(&b']')).then_some(value)
            }
            (b'{', Turn::Member(name)) => {
                let mut member = self.blank(at + 1);
                let mut found = None;
                while self.bytes.get(member) == Some(&b'"') {
                    let end = self.text_end(member);
                    let value = self.blank(self.blank(end) + 1);
                    let read = self.text.get(member..end).map(serde_json::from_str::<String>);
                    if matches!(read, Some(Ok(read)) if read == *name) {
                        // Of several members of a name the last one counts.
                        found = Some(value);
                    }
                    let after = self.blank(self.value_end(value));
                    if self.bytes.get(after) != Some(&b',') {
                        break;
                    }
                    member = self.blank(after + 1);
                }
                found
            }
            _ => None,
        }
    }

    fn blank(&self, mut at: usize) -> usize {
        while self.bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        at
    }

    /// Behind the text that begins here with its quote.
    fn text_end(&self, at: usize) -> usize {
        let mut at = at + 1;
        while let Some(byte) = self.bytes.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        at
    }

    /// Behind the value that begins here.
    fn value_end(&self, mut at: usize) -> usize {
        let mut depth = 0_usize;
        while let Some(byte) = self.bytes.get(at) {
            match byte {
                b'"' => {
                    at = self.text_end(at);
                    if depth == 0 {
                        return at;
                    }
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' if depth == 0 => return at,
                b']' | b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        return at + 1;
                    }
                }
                b',' if depth == 0 => return at,
                _ => {}
            }
            at += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, way: &[&str]) -> String {
        let turns: Vec<Turn> = way
            .iter()
            .map(|turn| match turn.parse() {
                Ok(nth) => Turn::Item(nth),
                Err(_) => Turn::Member((*turn).to_owned()),
            })
            .collect();
        text[locate(text, &turns)..].chars().take(6).collect()
    }

    #[test]
    fn value_is_found_behind_others_and_strings_with_brackets() {
        let text = r#" {"a\"b": "]}", "list": [ [1, "x,"], {"k": 5, "k": 6} ]}"#;
        assert_eq!(at(text, &["list", "1", "k"]), "6} ]}");
        assert_eq!(at(text, &["a\"b"]), "\"]}\", ");
        assert_eq!(at(text, &["list", "0", "1"]), "\"x,\"],");
    }

    #[test]
    fn way_that_breaks_off_ends_at_the_last_value_there() {
        assert_eq!(at("{\"a\": [1]}", &["a", "7"]), "[1]}");
        assert_eq!(at("[]", &["0", "x"]), "[]");
        assert_eq!(at("", &["x"]), "");
    }
}

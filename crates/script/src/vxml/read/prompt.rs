//! Reads prompts: text, audio, values and the SSML around them (VoiceXML 2.0 §4.1).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use roxmltree::Node;

use super::super::document::{BargeinType, Given, Part, Plain, Prompt};
use super::{Reader, XML, parse_duration};

impl Reader<'_> {
    pub(super) fn prompt(&mut self, node: Node<'_, '_>) -> Prompt {
        let parts = self.inner(node);
        Prompt {
            bargein: self.boolean(node, "bargein"),
            bargein_type: self.bargein_type(node),
            cond: self.expr(node, "cond"),
            count: self.count(node),
            timeout: self.duration(node, "timeout"),
            language: self.language(node),
            base: self.own_base(node),
            parts,
            place: self.place(node),
        }
    }

    fn bargein_type(&mut self, node: Node<'_, '_>) -> Option<BargeinType> {
        node.attribute("bargeintype")?;
        Some(match self.word(node, "bargeintype", &["speech", "hotword"]) {
            "hotword" => BargeinType::Hotword,
            _ => BargeinType::Speech,
        })
    }

    pub(super) fn parts(&mut self, nodes: &[Node<'_, '_>]) -> Vec<Part> {
        let mut parts = Vec::new();
        for node in nodes {
            if node.is_text() {
                parts.push(Part::Text(node.text().unwrap_or_default().to_owned()));
            } else if node.is_element() {
                parts.extend(self.part(*node));
            }
        }
        parts
    }

    fn part(&mut self, node: Node<'_, '_>) -> Option<Part> {
        Some(match node.tag_name().name() {
            "audio" => self.audio(node),
            "break" => Part::Break(self.pause(node)),
            "enumerate" => {
                let inner = self.inner(node);
                let blank =
                    |part: &Part| matches!(part, Part::Text(text) if text.trim().is_empty());
                let template = (!inner.iter().all(blank)).then_some(inner);
                Part::Enumerate { template, place: self.place(node) }
            }
            "foreach" => {
                let content = self.inner(node);
                Part::Foreach(Arc::new(self.foreach(node, content)))
            }
            "mark" => {
                let name = self.exactly_one(node, &["name", "nameexpr"]);
                Part::Mark(self.given(node, name.unwrap_or("name")))
            }
            "say-as" => {
                let plain = match is_spelled(self.required(node, "interpret-as")) {
                    true => Plain::Spelled,
                    false => Plain::Same,
                };
                self.markup(node, plain)
            }
            "sub" => {
                let alias = self.required(node, "alias").to_owned();
                self.markup(node, Plain::Alias(alias))
            }
            "phoneme" => {
                self.required(node, "ph");
                self.markup(node, Plain::Apart)
            }
            "value" => Part::Value(self.required_expr(node, "expr")),
            "desc" | "lexicon" | "meta" | "metadata" => return None,
            "emphasis" | "p" | "prosody" | "s" | "voice" => self.manner(node),
            // No part of a prompt: the schema has said so.
            _ => return None,
        })
    }

    /// An element that says how its content is spoken, perhaps in a language of its own.
    fn manner(&mut self, node: Node<'_, '_>) -> Part {
        self.word(node, "level", &["moderate", "none", "reduced", "strong"]);
        self.word(node, "gender", &["female", "male", "neutral"]);
        let markup = self.markup(node, Plain::Apart);
        match self.language(node) {
            Some(language) => Part::Spoken { language, parts: vec![markup] },
            None => markup,
        }
    }

    fn inner(&mut self, node: Node<'_, '_>) -> Vec<Part> {
        let children: Vec<_> = node.children().collect();
        self.parts(&children)
    }

    /// An SSML element as it stands, around its parts.
    fn markup(&mut self, node: Node<'_, '_>, plain: Plain) -> Part {
        let name = node.tag_name().name().to_owned();
        let mut start = format!("<{name}");
        for attribute in node.attributes() {
            let prefix = match attribute.namespace() {
                None => "",
                Some(XML) if attribute.name() == "lang" => "xml:",
                // Means nothing to a synthesizer.
                Some(_) => continue,
            };
            let value = escaped(attribute.value());
            // Writing to a text does not fail.
            let _ = write!(start, " {prefix}{}=\"{value}\"", attribute.name());
        }
        start.push('>');
        Part::Markup { name, start, parts: self.inner(node), plain }
    }

    fn audio(&mut self, node: Node<'_, '_>) -> Part {
        let name = self.exactly_one(node, &["src", "expr"]);
        Part::Audio {
            source: name.map_or(Given::Literal(String::new()), |name| self.given(node, name)),
            fetch: self.fetch(node),
            fallback: self.inner(node),
            place: self.place(node),
        }
    }

    /// A `<break>`: its time, or what its strength amounts to.
    fn pause(&mut self, node: Node<'_, '_>) -> Duration {
        let words = ["medium", "none", "x-weak", "weak", "strong", "x-strong"];
        let strength = self.word(node, "strength", &words);
        match node.attribute("time") {
            Some(time) => match parse_duration(time) {
                // A pause is heard; one longer than this is a mistake in the document.
                Some(pause) if pause <= PAUSE_MAX => pause,
                _ => {
                    let message = format!("time=\"{time}\"; a pause is written as 500ms or 2s");
                    self.mistake(node, message);
                    Duration::ZERO
                }
            },
            None => Duration::from_millis(match strength {
                "none" => 0,
                "x-weak" => 100,
                "weak" => 200,
                "strong" => 800,
                "x-strong" => 1_200,
                _ => 500,
            }),
        }
    }
}

/// Longest pause: an hour of silence is no prompt.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// Whether `interpret-as` asks for one character after the other.
fn is_spelled(interpret_as: &str) -> bool {
    let kind = interpret_as.strip_prefix("vxml:").unwrap_or(interpret_as);
    let kinds = ["characters", "digits", "number:digits", "phone", "spell-out", "telephone"];
    kinds.contains(&kind)
}

/// A text as it may stand in XML, between tags or in an attribute.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            // XML 1.0 has no other control characters, not even escaped ones.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

//! Reads prompts: text, audio, values and the SSML around them (VoiceXML 2.0 §4.1).

use std::time::Duration;

use roxmltree::Node;

use super::super::document::{Given, Part, Prompt};
use super::{Reader, parse_duration};

impl Reader<'_> {
    pub(super) fn prompt(&mut self, node: Node<'_, '_>) -> Prompt {
        let children: Vec<_> = node.children().collect();
        let parts = self.parts(&children);
        self.word(node, "bargeintype", &["speech", "hotword"]);
        Prompt {
            bargein: self.boolean(node, "bargein"),
            cond: self.expr(node, "cond"),
            count: self.count(node),
            timeout: self.duration(node, "timeout"),
            language: self.language(node),
            base: self.own_base(node),
            parts,
            place: self.place(node),
        }
    }

    pub(super) fn parts(&mut self, nodes: &[Node<'_, '_>]) -> Vec<Part> {
        let mut parts = Vec::new();
        for node in nodes {
            if node.is_text() {
                parts.push(Part::Text(node.text().unwrap_or_default().to_owned()));
            } else if node.is_element() {
                self.part(*node, &mut parts);
            }
        }
        parts
    }

    fn part(&mut self, node: Node<'_, '_>, parts: &mut Vec<Part>) {
        let place = self.place(node);
        match node.tag_name().name() {
            "audio" => parts.push(self.audio(node)),
            "break" => parts.push(Part::Break(self.pause(node))),
            "enumerate" => {
                let inner = self.inner(node);
                let blank =
                    |part: &Part| matches!(part, Part::Text(text) if text.trim().is_empty());
                let template = (!inner.iter().all(blank)).then_some(inner);
                parts.push(Part::Enumerate { template, place });
            }
            "foreach" => parts.push(Part::Unsupported { element: "foreach", place }),
            "mark" => parts.push(Part::Unsupported { element: "mark", place }),
            "say-as" => {
                let inner = self.inner(node);
                if is_spelled(self.required(node, "interpret-as")) {
                    parts.push(Part::Spelled(inner));
                } else {
                    parts.extend(inner);
                }
            }
            "sub" => parts.push(Part::Text(self.required(node, "alias").to_owned())),
            "value" => parts.push(Part::Value(self.required_expr(node, "expr"))),
            "desc" | "lexicon" | "meta" | "metadata" => {}
            // Structure and prosody: their text is spoken, with a blank to keep words apart.
            _ => match self.language(node) {
                Some(language) => parts.push(Part::Spoken { language, parts: self.inner(node) }),
                None => {
                    parts.push(Part::Text(" ".to_owned()));
                    parts.extend(self.inner(node));
                    parts.push(Part::Text(" ".to_owned()));
                }
            },
        }
    }

    fn inner(&mut self, node: Node<'_, '_>) -> Vec<Part> {
        let children: Vec<_> = node.children().collect();
        self.parts(&children)
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

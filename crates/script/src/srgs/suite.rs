//! Runs lists of grammars with inputs and what they must come to: for `outdial lab srgs`, and
//! for tests.
//!
//! Two kinds of lists are understood. One has `grammars`, each with a `file` and `vectors` of
//! `in`, `accept` and `parse`; the other has `sets`, each with the text of a `grammar`, whether
//! it `parses`, and `vectors` of `input`, `result` and `interpretation`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use url::Url;

use super::model::{Draft, Form, Mode, keys_of};
use super::{Given, Grammar, Library, Linked, Matcher, evaluate, link, read, read_bytes};
use crate::vxml::Limits;

/// What a list came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Vectors, and grammars that must or must not be well made, that came out as wanted.
    pub passed: usize,
    /// The others.
    pub failures: Vec<Failure>,
    /// Documents that were not there, and for which one was made up that matches what the list
    /// says it must.
    pub made_up: usize,
}

/// One vector that came out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The grammar's file or name.
    pub grammar: String,
    /// The input; empty where the grammar itself is the matter.
    pub input: String,
    /// What came out, and what should have.
    pub message: String,
}

impl Report {
    /// Adds what another list came to.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
        self.made_up += other.made_up;
    }

    fn note(&mut self, grammar: &str, input: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(message) => self.failures.push(Failure {
                grammar: grammar.to_owned(),
                input: input.to_owned(),
                message,
            }),
        }
    }
}

/// Whether a list is one of these kinds.
pub fn is_suite(list: &Json) -> bool {
    list["grammars"].is_array() || list["sets"].is_array()
}

/// Runs a list; `load` gives the bytes of a file by its path beside the list.
pub fn run(list: &Json, load: &mut dyn FnMut(&str) -> Option<Vec<u8>>) -> Report {
    let mut report = Report::default();
    let wanted = Wanted::of(list);
    for grammar in list["grammars"].as_array().into_iter().flatten() {
        run_file(grammar, &wanted, load, &mut report);
    }
    for set in list["sets"].as_array().into_iter().flatten() {
        run_set(set, &mut report);
    }
    report
}

/// Where the list is taken to stand, so that references between its files resolve.
const ROOT: &str = "file:///suite/";
/// Readings of one input among which the wanted one may be.
const READINGS_MAX: usize = 200;
/// Documents fetched for one grammar.
const ROUNDS_MAX: usize = 50;

fn text<'j>(json: &'j Json, name: &str) -> &'j str {
    json[name].as_str().unwrap_or_default()
}

// Files.

type Load<'l> = &'l mut dyn FnMut(&str) -> Option<Vec<u8>>;

fn run_file(grammar: &Json, all: &Wanted, load: Load<'_>, report: &mut Report) {
    let file = text(grammar, "file");
    // How inputs are read is not judged by what has been taken back.
    let withdrawn = grammar["withdrawn"].as_bool().unwrap_or(false);
    for vector in grammar["vectors"].as_array().into_iter().flatten() {
        let input = text(vector, "in");
        let accept = vector["accept"].as_bool().unwrap_or(true);
        let wanted = vector["parse"].as_str();
        let got = readings(file, input, wanted, all, load, &mut report.made_up);
        let wanted = wanted.filter(|_| !withdrawn);
        let outcome = match (got, accept) {
            (Ok(texts), true) if texts.is_empty() => Err("rejected; it is to match".to_owned()),
            (Ok(texts), true) => judge(&texts, wanted),
            (Ok(texts), false) if texts.is_empty() => Ok(()),
            (Ok(texts), false) => Err(format!("matched as {}; it is to be rejected", texts[0].1)),
            (Err(why), true) => Err(format!("rejected: {why}; it is to match")),
            (Err(_), false) => Ok(()),
        };
        report.note(file, input, outcome);
    }
}

/// All readings of an input: as the grammar writes its references, and with whole addresses.
type Texts = Vec<(Vec<String>, String)>;

fn judge(texts: &Texts, wanted: Option<&str>) -> Result<(), String> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    let lexemes = lexemes(wanted);
    if texts.iter().any(|(own, _)| *own == lexemes) {
        return Ok(());
    }
    Err(format!("read as {}; it is to be read as {wanted}", texts[0].1))
}

fn readings(
    file: &str,
    input: &str,
    wanted: Option<&str>,
    all: &Wanted,
    load: Load<'_>,
    made_up: &mut usize,
) -> Result<Texts, String> {
    let url = Url::parse(ROOT).and_then(|root| root.join(file)).map_err(|e| e.to_string())?;
    let bytes = load(file).ok_or_else(|| "the file is not there".to_owned())?;
    let draft = Arc::new(document(&bytes, &url)?);
    // A rule may have to be activated that is not the root.
    let first = wanted.and_then(|wanted| wanted.trim().strip_prefix('$')?.split('[').next());
    let public = |name: &&str| draft.public_rules().any(|rule| rule == *name);
    let rule = first.filter(|name| draft.root() != Some(name)).filter(public);
    let mut library = Library::default();
    let grammar = 'linked: {
        for _ in 0..ROUNDS_MAX {
            match link(&draft, rule, &library, Limits::default().grammar_states_max) {
                Ok(Linked::Ready(grammar)) => break 'linked Arc::from(grammar),
                Ok(Linked::Needs(urls)) => {
                    for needed in urls {
                        supply(&needed, draft.mode, all, load, &mut library, made_up);
                    }
                }
                Err(mistakes) => return Err(told(&mistakes)),
            }
        }
        return Err("it refers to more and more grammars".to_owned());
    };
    let own = lexemes_resolved(&grammar, input, &url, draft.base.as_ref().unwrap_or(&url))?;
    Ok(own)
}

fn document(bytes: &[u8], url: &Url) -> Result<Draft, String> {
    let bytes_max = Limits::default().document_bytes_max;
    let given = Given { url: Some(url), media_type: "", embedded: false, bytes_max };
    read_bytes(bytes, &given).map_err(|mistakes| told(&mistakes))
}

fn told(mistakes: &[crate::vxml::Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Puts a document into the library: the file, or where there is none, a grammar of just what
/// the list says that it matches.
fn supply(
    needed: &Url,
    mode: Mode,
    all: &Wanted,
    load: Load<'_>,
    library: &mut Library,
    made_up: &mut usize,
) {
    let path = needed.as_str().strip_prefix(ROOT);
    let bytes = path.and_then(&mut *load);
    let text = match &bytes {
        Some(_) => None,
        None => all.grammar_for(needed, mode),
    };
    let had = match (&bytes, &text) {
        (Some(bytes), _) => document(bytes, needed),
        (None, Some(text)) => document(text.as_bytes(), needed),
        (None, None) => Err("there is no such file".to_owned()),
    };
    match had {
        Ok(mut draft) => {
            if text.is_some() {
                *made_up += 1;
                // It stands for a file of the form that its name says.
                draft.form = if needed.path().ends_with("xml") { Form::Xml } else { Form::Abnf };
            }
            library.add(needed, Arc::new(draft));
        }
        Err(why) => library.miss(needed, why),
    }
}

/// All readings that a list wants, with the address of the grammar of each.
struct Wanted(Vec<(Url, Vec<String>)>);

impl Wanted {
    fn of(list: &Json) -> Self {
        let mut all = Vec::new();
        for grammar in list["grammars"].as_array().into_iter().flatten() {
            let url = Url::parse(ROOT).and_then(|root| root.join(text(grammar, "file")));
            for vector in grammar["vectors"].as_array().into_iter().flatten() {
                if let (Ok(url), Some(parse)) = (&url, vector["parse"].as_str()) {
                    all.push((url.clone(), lexemes(parse)));
                }
            }
        }
        Self(all)
    }

    /// A grammar that matches what all readings say that this one matches.
    fn grammar_for(&self, needed: &Url, mode: Mode) -> Option<String> {
        let mut rules: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (from, lexemes) in &self.0 {
            for (at, lexeme) in lexemes.iter().enumerate() {
                let uri = lexeme.strip_prefix("$<").and_then(|rest| rest.strip_suffix(">["));
                let Some(mut url) = uri.and_then(|uri| from.join(uri).ok()) else { continue };
                let name = url.fragment().unwrap_or("made_up").to_owned();
                url.set_fragment(None);
                if url == *needed {
                    let (body, _) = body(&lexemes[at + 1..], from, &mut rules);
                    rules.entry(name).or_default().push(body);
                }
            }
        }
        if rules.is_empty() {
            return None;
        }
        let root = if rules.contains_key("made_up") { "root $made_up;\n" } else { "" };
        let mut text = format!("#ABNF 1.0;\nlanguage en;\nmode {};\n{root}", mode.name());
        for (name, bodies) in rules {
            text.push_str(&format!("public ${name} = {};\n", bodies.join(" | ")));
        }
        Some(text)
    }
}

/// The right side of a rule that matches what is read here, up to its end, and how many pieces
/// that is; the rules that are read in it are added.
fn body(
    lexemes: &[String],
    from: &Url,
    rules: &mut BTreeMap<String, Vec<String>>,
) -> (String, usize) {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(lexeme) = lexemes.get(at) {
        at += 1;
        if lexeme == "]" {
            break;
        }
        let Some(name) = lexeme.strip_prefix('$').and_then(|rest| rest.strip_suffix('[')) else {
            parts.push(lexeme.clone());
            continue;
        };
        let (inner, length) = body(&lexemes[at..], from, rules);
        at += length;
        match name.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
            Some(uri) => parts.push(format!(
                "$<{}>",
                from.join(uri).map_or_else(|_| uri.to_owned(), String::from,)
            )),
            None => {
                rules.entry(name.to_owned()).or_default().push(inner);
                parts.push(format!("${name}"));
            }
        }
    }
    let body = if parts.is_empty() { "()".to_owned() } else { parts.join(" ") };
    (body, at)
}

fn lexemes_resolved(
    grammar: &Arc<Grammar>,
    input: &str,
    url: &Url,
    base: &Url,
) -> Result<Texts, String> {
    let (matcher, words) = matched(grammar, input)?;
    if !matcher.verdict().complete {
        return Ok(Vec::new());
    }
    let readings = matcher.readings(&words, READINGS_MAX, 1.0).map_err(|e| e.to_string())?;
    let mut texts = Vec::new();
    for reading in readings {
        let written = lexemes(&reading.text);
        // Relative to where the document stands, when its base is another.
        let moved = written.iter().map(|lexeme| relative(lexeme, url, base)).collect();
        texts.push((moved, reading.text.clone()));
        texts.push((written, reading.text));
    }
    Ok(texts)
}

/// `$<a#b>[` below another base, told from where the document stands.
fn relative(lexeme: &str, url: &Url, base: &Url) -> String {
    let uri = lexeme.strip_prefix("$<").and_then(|rest| rest.strip_suffix(">["));
    let resolved = uri.filter(|_| url != base).and_then(|uri| base.join(uri).ok());
    match resolved.and_then(|resolved| url.make_relative(&resolved)) {
        Some(relative) => format!("$<./{relative}>["),
        None => lexeme.to_owned(),
    }
}

fn matched(grammar: &Arc<Grammar>, input: &str) -> Result<(Matcher, Vec<String>), String> {
    let mut words: Vec<String> = Vec::new();
    for word in input.split_whitespace() {
        match grammar.mode() {
            Mode::Dtmf => {
                let keys = keys_of(word).map_err(|stray| format!("{stray} is no key"))?;
                words.extend(keys.chars().map(String::from));
            }
            Mode::Voice => words.push(word.trim_matches('"').to_owned()),
        }
    }
    let mut matcher = Matcher::new(Arc::clone(grammar)).map_err(|e| e.to_string())?;
    for word in &words {
        matcher.feed(word).map_err(|e| e.to_string())?;
    }
    Ok((matcher, words))
}

/// The pieces of a reading's text: `$name[`, `]`, `"token"`, `{!{tag}!}`. What closes more than
/// was opened is left out.
fn lexemes(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    let mut depth = 0_usize;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '$' if rest.starts_with("$<") => rest.find(">[").map(|at| at + 2),
            '$' => rest.find('[').map(|at| at + 1),
            '"' => rest[1..].find('"').map(|at| at + 2),
            '{' => rest.find("}!}").map(|at| at + 3),
            _ => Some(first.len_utf8()),
        };
        let (piece, behind) = rest.split_at(end.unwrap_or(rest.len()));
        match first {
            '$' => depth += 1,
            ']' if depth == 0 => return pieces,
            ']' => depth -= 1,
            _ => {}
        }
        if first != ',' && !first.is_whitespace() {
            let piece = piece.split_whitespace().collect::<Vec<_>>().join(" ");
            pieces.push(piece.replace("{!{ ", "{!{").replace(" }!}", "}!}"));
        }
        rest = behind;
    }
    pieces
}

// Sets.

fn run_set(set: &Json, report: &mut Report) {
    let name = text(set, "grammar_name");
    let bytes_max = Limits::default().document_bytes_max;
    let given = Given { url: None, media_type: "", embedded: true, bytes_max };
    let draft = read(text(set, "grammar"), &given);
    let linked = draft.and_then(|draft| {
        let states_max = Limits::default().grammar_states_max;
        link(&Arc::new(draft), None, &Library::default(), states_max)
    });
    let grammar = match linked {
        Ok(Linked::Ready(grammar)) => Ok(Arc::from(grammar)),
        Ok(Linked::Needs(urls)) => Err(format!("it needs {}", urls[0])),
        Err(mistakes) => Err(told(&mistakes)),
    };
    let wanted = set["parses"].as_bool().unwrap_or(true);
    let outcome = match (&grammar, wanted) {
        (Ok(_), true) | (Err(_), false) => Ok(()),
        (Ok(_), false) => Err("well made; it is to be refused".to_owned()),
        (Err(why), true) => Err(format!("refused: {why}")),
    };
    report.note(name, "", outcome);
    let Ok(grammar) = grammar else {
        return;
    };
    for vector in set["vectors"].as_array().into_iter().flatten() {
        let outcome = keyed(&grammar, vector);
        report.note(name, text(vector, "input"), outcome);
    }
}

/// Judges one row of keys: `match`, `match_end` where nothing may follow, `partial`, `no_match`.
fn keyed(grammar: &Arc<Grammar>, vector: &Json) -> Result<(), String> {
    let input = text(vector, "input");
    let keys: Vec<String> = input.chars().map(String::from).collect();
    let mut matcher = Matcher::new(Arc::clone(grammar)).map_err(|e| e.to_string())?;
    for key in &keys {
        matcher.feed(key).map_err(|e| e.to_string())?;
    }
    let verdict = matcher.verdict();
    let result = match (verdict.complete, verdict.more) {
        (true, true) => "match",
        (true, false) => "match_end",
        // Before the first key nothing is partly matched.
        (false, true) if !keys.is_empty() => "partial",
        (false, _) => "no_match",
    };
    let wanted = text(vector, "result");
    if result != wanted {
        return Err(format!("{result}; it is to be {wanted}"));
    }
    let Some(wanted) = vector["interpretation"].as_str() else {
        return Ok(());
    };
    let meaning = matcher.interpret(&keys, 1.0).ok_or("no match, so it means nothing")?;
    let meaning = meaning.map_err(|e| e.to_string())?;
    let meaning = evaluate(&meaning, &Limits::default())?;
    match meaning.as_str() == Some(wanted) {
        true => Ok(()),
        false => Err(format!("it means {meaning}; it is to mean {wanted}")),
    }
}

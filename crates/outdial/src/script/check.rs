//! `outdial script check`: the mistakes of documents, for people and for programs.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;
use url::Url;

use engine::fetch::Undecodable;
use engine::http::CookieJar;
use script::step::{Fetch, FetchId, Method};
use script::vxml::Mistake;

use super::{address, fetcher};
use crate::cli::EXIT_FAILED;

/// What a document is, as it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A page of actions, JSON.
    Actions,
    /// A grammar, ABNF or XML.
    Grammar,
    Vxml,
}

/// What was found in one document.
#[derive(Debug, Serialize)]
struct Checked {
    document: String,
    /// None where the document could not be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    mistakes: Vec<Found>,
}

/// A mistake; without a place where it is one of the document as a whole.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Found {
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    message: String,
}

/// All that was found, as it is written for programs.
#[derive(Debug, Serialize)]
struct Report {
    documents: Vec<Checked>,
    mistakes: usize,
}

/// Checks all documents, also behind one that cannot be had, and tells what was found.
pub(super) async fn run(documents: &[String], json: bool) -> Result<ExitCode> {
    let mut checked = Vec::new();
    for document in documents {
        checked.push(check(document).await?);
    }
    let mistakes = checked.iter().map(|it| it.mistakes.len()).sum();
    let report = Report { documents: checked, mistakes };
    if json {
        println!("{}", serde_json::to_string_pretty(&report).context("the report is no JSON")?);
    } else {
        print!("{}", told(&report));
    }
    Ok(if mistakes == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

async fn check(document: &str) -> Result<Checked> {
    let (kind, mistakes) = match text_of(document).await? {
        Ok(text) => {
            let kind = kind_of(document, &text);
            (Some(kind), mistakes(kind, document, &text).into_iter().map(Found::from).collect())
        }
        Err(found) => (None, vec![found]),
    };
    Ok(Checked { document: document.to_owned(), kind, mistakes })
}

fn mistakes(kind: Kind, document: &str, text: &str) -> Vec<Mistake> {
    match kind {
        Kind::Actions => script::actions::check(text, &script::actions::Limits::default()),
        Kind::Grammar => {
            // An ending says what somebody meant to write; without one it is as it begins.
            let media_type = match ending(document).as_deref() {
                Some("abnf" | "gram") => "application/srgs",
                Some("grxml") => "application/srgs+xml",
                _ => "",
            };
            script::srgs::check(text, media_type)
        }
        Kind::Vxml => script::vxml::check(text),
    }
}

/// What a document is: by its name's ending, else as it begins.
pub(super) fn kind_of(document: &str, text: &str) -> Kind {
    let begins = text.trim_start_matches('\u{feff}').trim_start();
    match ending(document).as_deref() {
        Some("json") => Kind::Actions,
        Some("abnf" | "gram" | "grxml") => Kind::Grammar,
        _ if begins.starts_with('{') => Kind::Actions,
        _ if begins.starts_with("#ABNF") || root_of(begins) == Some("grammar") => Kind::Grammar,
        _ => Kind::Vxml,
    }
}

/// The name of the first element, without its prefix; as good as can be told of what may be no XML.
fn root_of(mut text: &str) -> Option<&str> {
    loop {
        text = &text[text.find('<')?..];
        if let Some(comment) = text.strip_prefix("<!--") {
            text = comment.split_once("-->")?.1;
        } else if text.starts_with("<?") || text.starts_with("<!") {
            text = text.split_once('>')?.1;
        } else {
            let tag = text[1..].split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next();
            return tag.map(|tag| tag.rsplit(':').next().unwrap_or(tag));
        }
    }
}

fn ending(document: &str) -> Option<String> {
    let path = address(document).map_or_else(|| document.to_owned(), |url| url.path().to_owned());
    let ending = Path::new(&path).extension()?.to_str()?;
    Some(ending.to_ascii_lowercase())
}

/// The document's text, or why there is none.
async fn text_of(document: &str) -> Result<std::result::Result<String, Found>> {
    let whole = |message: String| Found { row: None, column: None, message };
    Ok(match address(document) {
        Some(url) => page(url).await?.map_err(whole),
        None => match std::fs::read(document) {
            Ok(bytes) => engine::fetch::decode("", &bytes).map_err(Found::from),
            Err(error) => Err(whole(format!("cannot be read: {error}"))),
        },
    })
}

async fn page(url: Url) -> Result<std::result::Result<String, String>> {
    let fetch = Fetch {
        fetch: FetchId(1),
        url,
        method: Method::Get,
        timeout: None,
        maxage_s: None,
        maxstale_s: None,
    };
    let fetched = fetcher()?.page(&fetch, &CookieJar::default()).await;
    let text = fetched.map(|page| page.text);
    Ok(text.map_err(|error| format!("cannot be fetched: {error}")))
}

impl From<Mistake> for Found {
    fn from(mistake: Mistake) -> Self {
        let Mistake { row, column, message } = mistake;
        Self { row: Some(row), column: Some(column), message }
    }
}

impl From<Undecodable> for Found {
    fn from(wrong: Undecodable) -> Self {
        let (row, column) = wrong.place.unzip();
        Self { row, column, message: wrong.message }
    }
}

/// As compilers write it: one mistake a row, the file and the place first.
fn told(report: &Report) -> String {
    let mut told = String::new();
    for checked in &report.documents {
        for Found { row, column, message } in &checked.mistakes {
            let place = [row, column].into_iter().flatten().map(|it| format!("{it}:"));
            let place: String = place.collect();
            told.push_str(&format!("{}:{place} {message}\n", checked.document));
        }
    }
    let documents = counted(report.documents.len(), "document");
    told.push_str(&match report.mistakes {
        0 => format!("no mistakes in {documents}\n"),
        mistakes => format!("{} in {documents}\n", counted(mistakes, "mistake")),
    });
    told
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_is_known_by_its_name_or_by_how_it_begins() {
        let abnf = "\u{feff}#ABNF 1.0;";
        let grammar = "<?xml version='1.0'?>\n<!-- <vxml> --><!DOCTYPE grammar PUBLIC 'a' 'b'>\n\
                       <s:grammar>";
        let cases = [
            ("a", "", Kind::Vxml),
            ("a.txt", " {\"actions\": []}", Kind::Actions),
            ("http://a/b.JSON?c=d.vxml", "<vxml/>", Kind::Actions),
            ("a.gram", "<grammar/>", Kind::Grammar),
            ("a.xml", grammar, Kind::Grammar),
            ("a", abnf, Kind::Grammar),
            ("a.vxml", "<vxml><grammar/></vxml>", Kind::Vxml),
            ("a.vxml", "<!-- <grammar>", Kind::Vxml),
        ];
        for (document, text, kind) in cases {
            assert_eq!(kind_of(document, text), kind, "{document} {text}");
        }
    }

    #[tokio::test]
    async fn all_documents_are_checked_also_behind_one_that_cannot_be_had() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let documents = [
            folder.path().to_str().unwrap().to_owned(),
            folder.path().join("none.vxml").to_str().unwrap().to_owned(),
            write("latin.vxml", b"<vxml version='2.1'>\n <form id='caf\xe9'/></vxml>"),
            write("empty.vxml", b""),
            write("digits.gram", b"#ABNF 1.0;\nroot $a;\nmode dtmf;\n$b = 1;\n"),
            write("page.json", b"{\"actions\": [{\"ply\": {}},]}"),
            write("fine.vxml", b"\xef\xbb\xbf<vxml version='2.1'><form/></vxml>"),
            "http://127.0.0.1:1/a.vxml".to_owned(),
        ];
        let mut checked = Vec::new();
        for document in &documents {
            checked.push(check(document).await.unwrap());
        }
        let mistakes = checked.iter().map(|it| it.mistakes.len()).sum();
        let report = Report { documents: checked, mistakes };
        let told = told(&report).replace(folder.path().to_str().unwrap(), "DIR");
        expect_test::expect![[r#"
            DIR: cannot be read: Is a directory (os error 21)
            DIR/none.vxml: cannot be read: No such file or directory (os error 2)
            DIR/latin.vxml:2:15: page is not valid UTF-8 (its encoding by default); save it so, or name its encoding in the Content-Type or the XML declaration
            DIR/empty.vxml:1:1: the document is empty
            DIR/digits.gram:2:6: the root names a; there is no such rule
            DIR/page.json:1:26: the page is not JSON: trailing comma
            http://127.0.0.1:1/a.vxml: cannot be fetched: address is refused: port 1 is not permitted, use 80, 443 or one from 1024 on that is free for HTTP
            7 mistakes in 8 documents
        "#]].assert_eq(&told);
        let json = serde_json::to_value(&report).unwrap();
        let latin = &json["documents"][2];
        assert_eq!(
            (&latin["mistakes"][0]["row"], &latin["mistakes"][0]["column"]),
            (&2.into(), &15.into())
        );
        assert!(latin.get("kind").is_none());
        assert_eq!(json["documents"][4]["kind"], "grammar");
        assert!(json["documents"][0]["mistakes"][0].get("row").is_none());
    }
}

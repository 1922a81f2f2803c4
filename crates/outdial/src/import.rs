//! `outdial import`: a file of contacts, looked at first, then taken in by a running server.

use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use facade::import::{Delimiter, ImportOptions, ImportReport, ImportRow, Mapping, RejectedWriter};
use http_body_util::StreamBody;
use hyper::body::Frame;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;

use crate::cli::{EXIT_FAILED, Server};
use crate::client::ApiClient;
use crate::config::Config;
use crate::terminal;

/// How much of the file is read at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1_024;
/// Separates the parts of the request; no list has it.
const BOUNDARY: &str = "outdial-7c1f94a5d3b2e680";

/// A file of contacts, and what to do with it.
///
/// Exit codes: 0 all rows are good, 1 some are not or nothing was taken in, 2 wrong command line.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file: CSV with any delimiter and in any encoding.
    file: PathBuf,
    /// Read the file here and say what is in it; no server is asked, nothing is taken in.
    #[arg(long)]
    dry_run: bool,
    /// Take in all good rows without asking.
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
    /// What stands in a column: number=Phone, reference=ID, var.name="First name", ignore=Notes;
    /// a column is named by its header or its number from 1. Can be given several times.
    #[arg(long = "map", value_name = "FIELD=COLUMN")]
    mapping: Vec<String>,
    /// What separates cells: comma, semicolon, tab or pipe. Found out where it is not given.
    #[arg(long, value_parser = delimiter, value_name = "WORD")]
    delimiter: Option<Delimiter>,
    /// Name of the encoding, as windows-1252. Found out where it is not given.
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// Whether the first row names the columns. Found out where it is not given.
    #[arg(long, value_name = "BOOL")]
    header: Option<bool>,
    /// Take a number again that came before in the file.
    #[arg(long)]
    keep_duplicates: bool,
    /// Where to write the rows that are not good, to be repaired and imported again.
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// Name of the campaign; created where there is none.
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Text to speak.
    #[arg(long, value_name = "TEXT")]
    say: Option<String>,
    /// Address of a VoiceXML page.
    #[arg(long, value_name = "URL")]
    vxml: Option<String>,
    /// File with a VoiceXML document.
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// Attempts in all for each contact.
    #[arg(long, value_name = "NUMBER")]
    attempts_max: Option<u32>,
    /// Seconds between attempts.
    #[arg(long, value_name = "SECONDS")]
    wait_s: Option<u32>,
    /// First moment of dialing, as 2026-10-14T09:00:00-04:00.
    #[arg(long, value_name = "TIME")]
    opens_at: Option<String>,
    /// First moment that is too late.
    #[arg(long, value_name = "TIME")]
    closes_at: Option<String>,
    /// Address that is posted each result.
    #[arg(long, value_name = "URL")]
    result_url: Option<String>,
    /// Urgency, 1 to 10.
    #[arg(long, value_name = "NUMBER")]
    priority: Option<u8>,
    /// Print what was found as JSON; without --yes nothing is taken in.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

fn delimiter(word: &str) -> Result<Delimiter, String> {
    Delimiter::from_word(word).ok_or_else(|| "comma, semicolon, tab or pipe".to_owned())
}

/// Reads the file, or has the server read it; asks; takes in.
pub(crate) async fn run(config: &Config, options: &Options) -> Result<ExitCode> {
    if options.dry_run {
        let report = read_here(config, options)?;
        show(&report, options)?;
        return Ok(code(&report));
    }
    let key = options.server.api_key.clone().filter(|key| !key.is_empty());
    if key.is_none() {
        bail!(
            "an API key is needed: --api-key or OUTDIAL_API_KEY, or --dry-run to look at the file"
        );
    }
    let client = ApiClient::new(&options.server.base(config), key);
    let import = send(&client, options).await?;
    let report = import.get("report").cloned().unwrap_or_default();
    let id = import.get("id").and_then(Value::as_str).context("the server named no import")?;
    let address = format!("/v1/imports/{id}");
    if number(&report, "rejected") > 0
        && let Some(path) = &options.rejected
    {
        let rows = client.get(&format!("{address}/rejected")).await?;
        write(path, rows.body.as_bytes())?;
    }
    if !options.json {
        show(&report, options)?;
    }
    let accepted = number(&report, "accepted");
    let take_in = accepted > 0 && (options.yes || (!options.json && asked(accepted)?));
    let ended = if take_in {
        client.post(&format!("{address}/commit"), "application/json", "").await?.json()?
    } else {
        client.delete(&address).await?.json()?
    };
    if options.json {
        println!("{ended:#}");
    } else if take_in {
        println!("{accepted} contacts are taken in, import {id}");
    } else {
        println!("nothing is taken in");
    }
    Ok(if take_in { code(&report) } else { ExitCode::from(EXIT_FAILED) })
}

fn code(report: &Value) -> ExitCode {
    let good = number(report, "rejected") == 0 && number(report, "accepted") > 0;
    if good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) }
}

/// Asks the person at the terminal; where there is none, the answer is no.
fn asked(accepted: u64) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        eprintln!("nobody to ask: give --yes to take the good rows in");
        return Ok(false);
    }
    print!("take {accepted} contacts in? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn import_options(options: &Options) -> Result<ImportOptions> {
    let mut mapping = Mapping::default();
    for part in &options.mapping {
        mapping.add(part)?;
    }
    Ok(ImportOptions {
        mapping,
        delimiter: options.delimiter,
        encoding: options.encoding.clone(),
        header: options.header,
        keep_duplicates: options.keep_duplicates,
        home: None,
        ..ImportOptions::default()
    })
}

/// Reads the file in this process.
fn read_here(config: &Config, options: &Options) -> Result<Value> {
    let home = Some(config.dialing.home.country);
    let import = ImportOptions { home, ..import_options(options)? };
    let path = &options.file;
    let open =
        || std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()));
    let mut file = open()?;
    let bar = progress(file.metadata().map(|data| data.len()).unwrap_or_default());
    let mut reader = api::import_reader(import);
    let (mut rows, mut chunk) = (Vec::new(), vec![0; CHUNK_BYTES]);
    let mut taken =
        Taken { report: ImportReport::default(), rejected: None, path: options.rejected.clone() };
    loop {
        let read = std::io::Read::read(&mut file, &mut chunk)?;
        if read == 0 {
            break;
        }
        reader.push(&chunk[..read], &mut rows)?;
        if let Some(layout) = reader.layout().cloned() {
            taken.rows(&mut rows, &layout)?;
        }
        bar.inc(read as u64);
    }
    let layout = reader.finish(&mut rows)?;
    taken.rows(&mut rows, &layout)?;
    bar.finish_and_clear();
    if let Some((_, mut file)) = taken.rejected {
        file.flush()?;
    }
    Ok(serde_json::to_value(taken.report.finish(layout))?)
}

/// What has been read so far.
struct Taken {
    report: ImportReport,
    /// The file of rejected rows, once there is one.
    rejected: Option<(RejectedWriter, std::io::BufWriter<std::fs::File>)>,
    path: Option<PathBuf>,
}

impl Taken {
    fn rows(&mut self, rows: &mut Vec<ImportRow>, layout: &facade::import::Layout) -> Result<()> {
        for row in rows.drain(..) {
            self.report.add(&row);
            let (ImportRow::Rejected { line, faults, cells }, Some(path)) = (&row, &self.path)
            else {
                continue;
            };
            if self.rejected.is_none() {
                let file = std::fs::File::create(path);
                let file = file.with_context(|| format!("cannot write {}", path.display()))?;
                let (writer, header) = RejectedWriter::new(layout);
                let mut file = std::io::BufWriter::new(file);
                file.write_all(header.as_bytes())?;
                self.rejected = Some((writer, file));
            }
            if let Some((writer, file)) = &mut self.rejected {
                file.write_all(writer.row(*line, faults, cells).as_bytes())?;
            }
        }
        Ok(())
    }
}

/// What the server is told beside the file.
fn settings(options: &Options) -> Result<Value> {
    let mut settings = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| drop(settings.insert(name.to_owned(), value)));
    };
    let document = options.document.as_ref().map(|path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    });
    set("campaign", options.campaign.clone().map(Value::from));
    set("say", options.say.clone().map(Value::from));
    set("vxml_url", options.vxml.clone().map(Value::from));
    set("document", document.transpose()?.map(Value::from));
    set("result_url", options.result_url.clone().map(Value::from));
    set("priority", options.priority.map(Value::from));
    set("encoding", options.encoding.clone().map(Value::from));
    set("header", options.header.map(Value::from));
    set("keep_duplicates", options.keep_duplicates.then_some(Value::from(true)));
    set("delimiter", options.delimiter.map(|delimiter| json!(delimiter)));
    set("mapping", (!options.mapping.is_empty()).then(|| options.mapping.join(",").into()));
    let pairs = |pairs: [(&str, Option<Value>); 2]| {
        let given = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let given: Map<String, Value> = given.collect();
        (!given.is_empty()).then_some(Value::Object(given))
    };
    set(
        "retry",
        pairs([
            ("attempts_max", options.attempts_max.map(Value::from)),
            ("wait_s", options.wait_s.map(Value::from)),
        ]),
    );
    set(
        "window",
        pairs([
            ("opens_at", options.opens_at.clone().map(Value::from)),
            ("closes_at", options.closes_at.clone().map(Value::from)),
        ]),
    );
    Ok(Value::Object(settings))
}

/// Has the server read the file, and shows how far it has come.
async fn send(client: &ApiClient, options: &Options) -> Result<Value> {
    import_options(options)?;
    let path = &options.file;
    let file = tokio::fs::File::open(path).await;
    let file = file.with_context(|| format!("cannot read {}", path.display()))?;
    let bar = progress(file.metadata().await.map(|data| data.len()).unwrap_or_default());
    let name =
        path.file_name().unwrap_or_default().to_string_lossy().replace(['"', '\r', '\n'], "_");
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"settings\"\r\n\r\n{}\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n",
        settings(options)?
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let shown = bar.clone();
    let parts = futures_util::stream::unfold(
        (Some(Bytes::from(head)), Some(file), Some(Bytes::from(tail))),
        move |(head, mut file, tail)| {
            let shown = shown.clone();
            async move {
                if let Some(head) = head {
                    return Some((Ok(Frame::data(head)), (None, file, tail)));
                }
                if let Some(open) = &mut file {
                    let mut chunk = vec![0; CHUNK_BYTES];
                    match open.read(&mut chunk).await {
                        Ok(0) => {}
                        Ok(read) => {
                            chunk.truncate(read);
                            shown.inc(read as u64);
                            return Some((Ok(Frame::data(chunk.into())), (None, file, tail)));
                        }
                        Err(error) => return Some((Err(error), (None, None, None))),
                    }
                }
                tail.map(|tail| (Ok(Frame::data(tail)), (None, None, None)))
            }
        },
    );
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let answer = client.post_stream("/v1/imports", &content_type, StreamBody::new(parts)).await;
    bar.finish_and_clear();
    answer?.json()
}

fn progress(bytes: u64) -> ProgressBar {
    let template = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr()).with_style(style)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// Prints what was found.
fn show(report: &Value, options: &Options) -> Result<()> {
    if options.json {
        println!("{report:#}");
        return Ok(());
    }
    print!("{}", told(report));
    if let Some(path) = options.rejected.as_ref().filter(|_| number(report, "rejected") > 0) {
        println!("rejected rows are in {}", path.display());
    }
    Ok(())
}

/// What was found, for people.
fn told(report: &Value) -> String {
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let list = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let layout = report.get("layout").cloned().unwrap_or_default();
    let mut out = format!(
        "{} rows: {} good, {} rejected, {} of them duplicates ({}, {})\n\n",
        number(report, "rows"),
        number(report, "accepted"),
        number(report, "rejected"),
        number(report, "duplicates"),
        text(&layout, "encoding"),
        text(&layout, "delimiter"),
    );
    let columns = list(&layout, "columns");
    let row = |c: &Value| vec![text(c, "name"), text(c, "field"), text(c, "sample")];
    out.push_str(&terminal::table(
        &["column", "taken as", "for example"],
        &columns.iter().map(row).collect::<Vec<_>>(),
    ));
    let preview = list(report, "preview");
    if !preview.is_empty() {
        let row = |p: &Value| {
            let variables = p.get("variables").map(Value::to_string).unwrap_or_default();
            vec![
                number(p, "line").to_string(),
                text(p, "destination"),
                text(p, "reference"),
                variables,
            ]
        };
        out.push('\n');
        let rows: Vec<_> = preview.iter().map(row).collect();
        out.push_str(&terminal::table(&["line", "to dial", "reference", "variables"], &rows));
    }
    for kind in list(report, "faults") {
        out.push_str(&format!(
            "\n{} × {}: {}\n",
            number(&kind, "count"),
            text(&kind, "fault"),
            text(&kind, "fix")
        ));
        for example in list(&kind, "examples").iter().take(EXAMPLES_SHOWN) {
            let column = text(example, "column");
            let at = if column.is_empty() { String::new() } else { format!(", column {column}") };
            out.push_str(&format!(
                "  line {}{at}: found {:?}, expected {}\n",
                number(example, "line"),
                text(example, "found"),
                text(example, "expected")
            ));
        }
    }
    out
}

/// Examples of each kind of fault that are printed; --json has more of them.
const EXAMPLES_SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use facade::import::ImportReader;

    use super::*;

    #[test]
    fn what_was_found_is_told_with_columns_preview_and_repairs() {
        let file = "phone;name\n6175550101;Ann\nbad;Bob\n6175550101;Ann\n";
        let (mut reader, mut rows) = (ImportReader::new(ImportOptions::default()), Vec::new());
        reader.push(file.as_bytes(), &mut rows).unwrap();
        let layout = reader.finish(&mut rows).unwrap();
        let mut report = ImportReport::default();
        rows.iter().for_each(|row| report.add(row));
        let report = serde_json::to_value(report.finish(layout)).unwrap();
        expect![[r#"
            3 rows: 1 good, 2 rejected, 1 of them duplicates (utf-8, semicolon)

              column  taken as  for example
              ──────  ────────  ───────────
              phone   number    6175550101
              name    var.name  Ann

              line  to dial     reference  variables
              ────  ──────────  ─────────  ──────────────
              2     6175550101             {"name":"Ann"}

            1 × duplicate: nothing to do, unless the number is to be called for each row
              line 4, column phone: found "6175550101", expected a number other than that of line 2

            1 × not_a_number: write the number with digits only, as +12125550101
              line 3, column phone: found "bad", expected a number such as +12125550101
        "#]]
        .assert_eq(&told(&report));
    }
}

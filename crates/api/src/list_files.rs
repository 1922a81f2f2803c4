//! Files of numbers that are not called: read as they come, added in parts. docs/dialing-rules.md.

use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use domain::ids::AccountId;
use facade::import::{ImportOptions, ImportReader, ImportReport, ImportRow};
use facade::native::answer::Part;
use facade::native::explain::{ListFile, ListFileQuery};
use facade::native::problem::ProblemCode;
use http::{Method, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::body::{Chunks, content_type, media_type};
use crate::error::Fault;
use crate::idempotency::{self, Fingerprint, Key};
use crate::imports::no_list;
use crate::native::{Caller, Id};
use crate::rules::list_name;
use crate::{Parts, Shared};

/// Largest file, in bytes: the national list of a large country, some 250 million numbers, comes in
/// several.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Most numbers handed to the store at once; others write in between.
const NUMBERS_MAX: usize = 2_000;

/// Adds the numbers of a CSV file to a list, which is created where it is new.
///
/// The file is the body. It may have any dialect and further columns, as one of contacts; rows
/// without a number are left out and told. A file that breaks off is taken in as far as it came:
/// sent again, it does no harm.
#[utoipa::path(post, path = "/v1/lists/{list}/file", tag = "rules",
    params(
        ("list" = String, Path, description = "Name of the list."),
        ("reason" = Option<String>, Query, description = "Why, for people."),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request, in quotes: it is done once.")),
    request_body(content = String, content_type = "text/csv",
        description = "The file: a column holds the numbers."),
    responses((status = 200, description = "What was found and added.", body = ListFile)))]
pub(crate) async fn add_file(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(list): Id<String>,
    Key(key): Key,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Fault> {
    let list = list_name(&list)?;
    let query = query.unwrap_or_default();
    let reason = ListFileQuery::parse(&query);
    let reason = reason.map_err(|refusals| Fault::refused(Part::Query, refusals))?.reason;
    let found = media_type(content_type(request.headers()));
    if found != "text/csv" && found != "text/plain" {
        let detail = format!("found {found:?}, expected text/csv");
        return Err(Fault::new(ProblemCode::MediaType, detail));
    }
    let mut early = idempotency::begin_early(&shared, account, key).await??;
    let _turn = shared.imports.acquire().await.map_err(|_| Fault::busy())?;
    let to = (!early.is_known).then_some((list, reason.as_str()));
    let read = read(&shared, account, to, request).await?;
    let path = format!("/v1/lists/{list}/file");
    let mut print = Fingerprint::new(&Method::POST, &path).json(&Value::Null);
    print.part(query.as_bytes());
    print.part(&read.digest);
    if early.is_known {
        return early.answer(&shared, print).await;
    }
    let answer = idempotency::done(StatusCode::OK, &ListFile::new(read.added, read.report));
    let kept = idempotency::keep(&shared, early.once(print), answer).await?;
    Ok(idempotency::met(&shared, kept)?)
}

/// A file that was read to its end.
struct ReadFile {
    /// Numbers that were not on the list before.
    added: u64,
    report: ImportReport,
    /// A hash of the file.
    digest: [u8; 32],
}

async fn read(
    shared: &Parts,
    account: AccountId,
    to: Option<(&str, &str)>,
    request: Request,
) -> Result<ReadFile, Fault> {
    let (head, body) = request.into_parts();
    let mut chunks = Chunks::new(&head.headers, body, FILE_BYTES_MAX)?;
    let options = ImportOptions { numbers_only: true, ..ImportOptions::default() };
    let mut reader = ImportReader::new(options);
    let (mut digest, mut rows) = (Sha256::new(), Vec::new());
    let mut adding = Adding { shared, account, to, added: 0, report: ImportReport::default() };
    while let Some(bytes) = chunks.next().await? {
        digest.update(&bytes);
        reader.push(&bytes, &mut rows).map_err(no_list)?;
        if rows.len() >= NUMBERS_MAX {
            adding.rows(&mut rows).await?;
        }
    }
    let layout = reader.finish(&mut rows).map_err(no_list)?;
    adding.rows(&mut rows).await?;
    let (added, report) = (adding.added, adding.report.finish(layout));
    Ok(ReadFile { added, report, digest: digest.finalize().into() })
}

/// Numbers on their way to a list, and why; without one they are only read.
struct Adding<'a> {
    shared: &'a Parts,
    account: AccountId,
    to: Option<(&'a str, &'a str)>,
    added: u64,
    report: ImportReport,
}

impl Adding<'_> {
    async fn rows(&mut self, rows: &mut Vec<ImportRow>) -> Result<(), Fault> {
        let mut numbers = Vec::new();
        for row in rows.drain(..) {
            self.report.add(&row);
            if let ImportRow::Contact { contact, .. } = row {
                numbers.push(contact.destination.dialed().to_owned());
            }
        }
        if let (Some((list, reason)), false) = (self.to, numbers.is_empty()) {
            let added = self.shared.control.list_add(self.account, list, numbers, reason).await?;
            self.added += added;
        }
        Ok(())
    }
}

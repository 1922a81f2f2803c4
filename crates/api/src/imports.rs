//! Files of contacts under `/v1/imports`: sent, read, looked at, then committed. docs/api/native.md.

use std::str::FromStr;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::contact::NewContact;
use domain::ids::AccountId;
use engine::imports::ImportUnderWay;
use facade::form;
use facade::import::{
    CellFault, ImportError, ImportReader, ImportReport, ImportRow, Layout, RejectedWriter,
};
use facade::multipart::{Multipart, MultipartError, Piece};
use facade::native::answer::Part;
use facade::native::import::{
    Import, ImportList, ImportQuery, ImportState, NewImport, report_text,
};
use facade::native::problem::ProblemCode;
use facade::native::request::ListOf;
use facade::refusal::{Mistake, Refusal};
use facade::zone::rfc_3339;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{Method, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{Answer, Given, UploadId};

use crate::body::{Chunks, content_type};
use crate::error::Fault;
use crate::idempotency::{self, Begin, Fingerprint, Key};
use crate::native::{Caller, Id, in_body, list_query};
use crate::scratch::import_reader;
use crate::{Parts, Shared};

/// Largest request with a file, in bytes: some ten million rows.
const IMPORT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Largest settings, in bytes: those with a document of the greatest length.
const SETTINGS_BYTES_MAX: usize = 1024 * 1024;
/// Longest name of a file, in characters.
const FILE_NAME_MAX: usize = 255;
/// Most contacts handed to the store at once; others write in between.
const CONTACTS_MAX: usize = 2_000;
/// Length from which rejected rows are handed to the store, in bytes.
const REJECTED_BYTES: usize = 64 * 1024;

/// Reads a file of contacts.
///
/// The body is `multipart/form-data`: a field `settings` with the JSON of an ImportRequest, then the
/// file in the field `file`. Nothing is dialed before the import is committed.
#[utoipa::path(post, path = "/v1/imports", tag = "imports",
    params(
        ("dry_run" = Option<bool>, Query,
            description = "Read and tell what was found, and keep nothing."),
        ("commit" = Option<bool>, Query,
            description = "Take in at once all rows that can be taken in."),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request, in quotes: it is done once.")),
    request_body(content = inline(ImportForm), content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "A dry run: what was found.", body = Import),
        (status = 201, description = "The file was read.", body = Import,
            headers(("Location" = String, description = "Address of the import.")))))]
pub(crate) async fn create_import(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Key(key): Key,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Fault> {
    let query = query.unwrap_or_default();
    let ask = ImportQuery::parse(&query);
    let ask = ask.map_err(|refusals| Fault::refused(Part::Query, refusals))?;
    let key = key.filter(|_| !ask.dry_run);
    // What makes the request what it is, its file above all, is known only when it has been read.
    let mut early = idempotency::begin_early(&shared, account, key).await??;
    let _turn = shared.imports.acquire().await.map_err(|_| Fault::busy())?;
    let created_at = rfc_3339(shared.control.now());
    let keeps = !ask.dry_run && !early.is_known;
    let read = read(&shared, account, keeps, request).await?;
    let mut print = Fingerprint::new(&Method::POST, "/v1/imports").json(&read.settings);
    print.part(query.as_bytes());
    print.part(&read.digest);
    if early.is_known {
        return early.answer(&shared, print).await;
    }
    let Some(under_way) = read.under_way else {
        let report = serde_json::from_str(&report_text(&read.report)).unwrap_or(Value::Null);
        let (file_name, state) = (read.file_name, ImportState::Discarded);
        let import = Import { id: None, state, file_name, created_at, report };
        return Ok(Json(import).into_response());
    };
    let at_once = ask.commit && read.report.accepted > 0;
    let (report, once) = (report_text(&read.report), early.once(print));
    let met = under_way.checked(report, at_once, once, created).await?;
    Ok(idempotency::met(&shared, met.map(|import| created(&import)))?)
}

fn created(import: &store::Import) -> Answer {
    let location = format!("/v1/imports/{}", import.id.0);
    idempotency::created(&shown(import), Some(location))
}

/// The body of an import, for the document of this API.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only described, never made: the body is read as it comes")]
pub(crate) struct ImportForm {
    /// What the contacts share, as JSON; before the file.
    settings: facade::native::import::ImportRequest,
    /// The file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Lists imports, newest first; they are kept for a week.
#[utoipa::path(get, path = "/v1/imports", tag = "imports",
    params(
        ("after" = Option<String>, Query, description = "Where the page begins: taken from `next`."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200,
            description = "Most imports in the page. Default: 50.")),
    responses((status = 200, description = "A page of the list.", body = ImportList)))]
pub(crate) async fn list_imports(
    State(shared): State<Shared>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ImportList>, Fault> {
    let (query, after) = list_query(query.as_deref(), ListOf::Campaigns)?;
    let page = shared.control.reader().imports(account, after, query.limit).await?;
    let next = page.next.map(|next| format!("/v1/imports?{}", query.following(&next.to_string())));
    Ok(Json(ImportList { data: page.items.iter().map(shown).collect(), next }))
}

/// Shows an import and what was found in its file.
#[utoipa::path(get, path = "/v1/imports/{id}", tag = "imports",
    params(("id" = String, Path, description = "Id of the import.")),
    responses((status = 200, description = "The import.", body = Import)))]
pub(crate) async fn read_import(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<ImportId>,
) -> Result<Json<Import>, Fault> {
    Ok(Json(import_of(&shared, account, id.0).await?))
}

/// Gives the rejected rows back as a CSV file that can be repaired and imported again.
#[utoipa::path(get, path = "/v1/imports/{id}/rejected", tag = "imports",
    params(("id" = String, Path, description = "Id of the import.")),
    responses((status = 200, description = "The rows.", body = String,
        content_type = "text/csv")))]
pub(crate) async fn rejected_rows(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<ImportId>,
) -> Result<Response, Fault> {
    import_of(&shared, account, id.0).await?;
    let parts = futures_util::stream::unfold((shared, 0_u32), move |(shared, part)| async move {
        let text = shared.control.reader().rejected_part(id.0, part).await;
        let text = text.transpose()?.map(Bytes::from).map_err(std::io::Error::other);
        Some((text, (shared, part + 1)))
    });
    let disposition = format!("attachment; filename=\"rejected-{}.csv\"", id.0.0);
    let head =
        [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, disposition)];
    Ok((head, Body::from_stream(parts)).into_response())
}

/// Takes the contacts of a checked import in, all at once.
#[utoipa::path(post, path = "/v1/imports/{id}/commit", tag = "imports",
    params(
        ("id" = String, Path, description = "Id of the import."),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request, in quotes: it is done once.")),
    responses(
        (status = 200, description = "The contacts are taken in.", body = Import),
        (status = 409, description = "The import does not wait for a commit.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn commit_import(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<ImportId>,
    Key(key): Key,
) -> Result<Response, Fault> {
    let print = Fingerprint::new(&Method::POST, &format!("/v1/imports/{}/commit", id.0.0));
    let claim = match idempotency::begin(&shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let answer = |import: &store::Import| idempotency::done(StatusCode::OK, &shown(import));
    let met = shared.control.commit_import(account, id.0, claim.once(), answer).await?;
    let Ok(met) = met.map(|import| import.ok_or(())).transpose() else {
        return Err(over(import_of(&shared, account, id.0).await?.state));
    };
    Ok(idempotency::met(&shared, met.map(|import| answer(&import)))?)
}

/// Throws a checked import away.
#[utoipa::path(delete, path = "/v1/imports/{id}", tag = "imports",
    params(("id" = String, Path, description = "Id of the import.")),
    responses(
        (status = 200, description = "The import is discarded.", body = Import),
        (status = 409, description = "The import does not wait for a commit.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn discard_import(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<ImportId>,
) -> Result<Json<Import>, Fault> {
    if !shared.control.discard_import(account, id.0).await? {
        return Err(over(import_of(&shared, account, id.0).await?.state));
    }
    Ok(Json(import_of(&shared, account, id.0).await?))
}

/// An import's id in an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImportId(UploadId);

impl FromStr for ImportId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|id| Self(UploadId(id)))
    }
}

fn over(state: ImportState) -> Fault {
    let detail = format!("the import is {}, only a checked one can be moved on", state.name());
    Fault::new(ProblemCode::AlreadyEnded, detail)
}

async fn import_of(shared: &Parts, account: AccountId, id: UploadId) -> Result<Import, Fault> {
    let import = shared.control.reader().import(account, id).await?;
    import.as_ref().map(shown).ok_or_else(|| Fault::not_found("import"))
}

fn shown(import: &store::Import) -> Import {
    Import {
        id: Some(import.id.0.to_string()),
        state: match import.state {
            store::ImportState::Checked => ImportState::Checked,
            store::ImportState::Checking => ImportState::Checking,
            store::ImportState::Committed => ImportState::Committed,
            store::ImportState::Discarded => ImportState::Discarded,
        },
        file_name: import.file_name.clone(),
        created_at: rfc_3339(import.created_at),
        // Empty while the file is being read.
        report: serde_json::from_str(&import.report).unwrap_or(Value::Null),
    }
}

/// A file that was read to its end.
struct ReadFile {
    file_name: String,
    report: ImportReport,
    /// `None` of a dry run.
    under_way: Option<ImportUnderWay>,
    settings: Value,
    /// A hash of the file.
    digest: [u8; 32],
}

/// What is done with the file as it comes.
struct Desk<'p> {
    shared: &'p Parts,
    account: AccountId,
    keeps: bool,
    settings: Vec<u8>,
    digest: Sha256,
    reading: Option<Reading<'p>>,
    part: FormPart,
}

/// Where the data of the current part go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FormPart {
    File,
    Nowhere,
    Settings,
}

struct Reading<'p> {
    shared: &'p Parts,
    account: AccountId,
    /// Lists of numbers that are not called, which the campaign heeds.
    lists: Vec<String>,
    settings: Value,
    file_name: String,
    reader: ImportReader,
    rows: Vec<ImportRow>,
    report: ImportReport,
    rejected: Option<RejectedWriter>,
    rejected_text: String,
    under_way: Option<ImportUnderWay>,
}

async fn read(
    shared: &Parts,
    account: AccountId,
    keeps: bool,
    request: Request,
) -> Result<ReadFile, Fault> {
    let mut multipart = Multipart::new(content_type(request.headers()))?;
    let (head, body) = request.into_parts();
    let mut chunks = Chunks::new(&head.headers, body, IMPORT_BYTES_MAX)?;
    let mut desk = Desk {
        shared,
        account,
        keeps,
        settings: Vec::new(),
        digest: Sha256::new(),
        reading: None,
        part: FormPart::Nowhere,
    };
    while let Some(bytes) = chunks.next().await? {
        multipart.push(&bytes);
        while let Some(piece) = multipart.piece()? {
            desk.piece(piece).await?;
        }
    }
    multipart.finish()?;
    desk.finish().await
}

impl Desk<'_> {
    async fn piece(&mut self, piece: Piece) -> Result<(), Fault> {
        match piece {
            Piece::Begin { name, file_name } => {
                self.part = match name.as_str() {
                    "settings" if self.reading.is_none() => FormPart::Settings,
                    "settings" => return Err(refused("settings", "before the file, not after it")),
                    "file" if self.reading.is_some() => {
                        return Err(refused("file", "one file, not several"));
                    }
                    "file" => {
                        self.begin(file_name.unwrap_or_default()).await?;
                        FormPart::File
                    }
                    name => {
                        let expected = "settings and file";
                        let refusal = Refusal::new(name, Mistake::Unknown, name, expected);
                        return Err(Fault::refused(Part::Body, vec![refusal]));
                    }
                };
            }
            Piece::Data(data) => match (self.part, &mut self.reading) {
                (FormPart::Settings, _) => {
                    self.settings.extend_from_slice(&data);
                    if self.settings.len() > SETTINGS_BYTES_MAX {
                        let detail = format!("settings are longer than {SETTINGS_BYTES_MAX} bytes");
                        return Err(Fault::new(ProblemCode::BodyTooLarge, detail));
                    }
                }
                (FormPart::File, Some(reading)) => {
                    self.digest.update(&data);
                    reading.push(data).await?;
                }
                (FormPart::File | FormPart::Nowhere, _) => {}
            },
            Piece::End => self.part = FormPart::Nowhere,
        }
        Ok(())
    }

    /// The file begins: what its contacts share must be known by now.
    async fn begin(&mut self, file_name: String) -> Result<(), Fault> {
        if self.settings.is_empty() {
            return Err(refused("settings", "the settings as JSON, before the file"));
        }
        let settings: Value =
            serde_json::from_str(&form::decode(&self.settings)).map_err(|error| {
                Fault::new(ProblemCode::BodyMalformed, format!("settings: {error}"))
            })?;
        let mut new = NewImport::parse(&settings, self.shared.control.now()).map_err(in_body)?;
        let (shared, account) = (self.shared, self.account);
        new.options.home = Some(shared.control.country(account));
        let rule = new.rule(account);
        let lists = shared.control.heeded_lists(account, &rule.campaign).await?;
        let file_name: String =
            file_name.chars().filter(|c| !c.is_control()).take(FILE_NAME_MAX).collect();
        let under_way = match self.keeps {
            true => Some(shared.control.begin_import(rule, &file_name).await?),
            false => None,
        };
        self.reading = Some(Reading {
            shared,
            account,
            lists,
            settings,
            file_name,
            reader: import_reader(new.options),
            rows: Vec::new(),
            report: ImportReport::default(),
            rejected: None,
            rejected_text: String::new(),
            under_way,
        });
        Ok(())
    }

    async fn finish(self) -> Result<ReadFile, Fault> {
        let Some(mut reading) = self.reading else {
            return Err(refused("file", "a file of contacts"));
        };
        let mut rows = std::mem::take(&mut reading.rows);
        let reader = std::mem::take(&mut reading.reader);
        let layout = reader.finish(&mut rows).map_err(no_list)?;
        if reading.rejected.is_none() {
            reading.begin_rejected(&layout);
        }
        reading.rows = rows;
        reading.take_in(&layout).await?;
        reading.hand_over_rejected().await?;
        let Reading { settings, file_name, report, under_way, .. } = reading;
        let (report, digest) = (report.finish(layout), self.digest.finalize().into());
        Ok(ReadFile { file_name, report, under_way, settings, digest })
    }
}

impl Reading<'_> {
    async fn push(&mut self, bytes: Vec<u8>) -> Result<(), Fault> {
        self.read_on(bytes).await?;
        let Some(layout) = self.reader.layout().cloned() else {
            return Ok(());
        };
        if self.rejected.is_none() {
            self.begin_rejected(&layout);
        }
        if self.rows.len() >= CONTACTS_MAX { self.take_in(&layout).await } else { Ok(()) }
    }

    /// Reads rows where that keeps no call waiting: it takes processor time, and of a long file the
    /// disk.
    async fn read_on(&mut self, bytes: Vec<u8>) -> Result<(), Fault> {
        let mut reader = std::mem::take(&mut self.reader);
        let mut rows = std::mem::take(&mut self.rows);
        let reading = tokio::task::spawn_blocking(move || {
            let read = reader.push(&bytes, &mut rows);
            (reader, rows, read)
        });
        let broken = |_| Fault::of_status(StatusCode::INTERNAL_SERVER_ERROR);
        let (reader, rows, read) = reading.await.map_err(broken)?;
        (self.reader, self.rows) = (reader, rows);
        read.map_err(no_list)
    }

    fn begin_rejected(&mut self, layout: &Layout) {
        let (writer, header) = RejectedWriter::new(layout);
        self.rejected_text = header;
        self.rejected = Some(writer);
    }

    /// Stages the contacts among the rows read so far, and keeps those rejected.
    async fn take_in(&mut self, layout: &Layout) -> Result<(), Fault> {
        let mut rows = std::mem::take(&mut self.rows);
        self.weigh(layout, &mut rows).await?;
        let mut given = Vec::new();
        if let Some(under_way) = &mut self.under_way {
            given = under_way.add(contacts_of(&rows).cloned().collect()).await?;
        }
        let mut given = given.into_iter();
        for mut row in rows.drain(..) {
            if let ImportRow::Contact { contact, .. } = &row
                && let Some(Given { id, is_new: false }) = given.next()
            {
                let fault = CellFault::reference_taken(layout, &contact.reference, &id.to_string());
                row = row.rejected(fault);
            }
            self.report.add(&row);
            if let (ImportRow::Rejected { line, faults, cells }, Some(writer)) =
                (&row, &self.rejected)
            {
                self.rejected_text.push_str(&writer.row(*line, faults, cells));
            }
        }
        // Its room is used again.
        self.rows = rows;
        if self.rejected_text.len() >= REJECTED_BYTES {
            self.hand_over_rejected().await?;
        }
        Ok(())
    }

    /// Rejects rows whose number is not to be called, or whose caller ID may not be shown.
    async fn weigh(&self, layout: &Layout, rows: &mut [ImportRow]) -> Result<(), Fault> {
        let (control, account) = (&self.shared.control, self.account);
        let listed = control.listed(account, &self.lists, contacts_of(rows)).await?;
        let mut listed = listed.into_iter();
        for row in rows {
            let ImportRow::Contact { contact, .. } = &*row else { continue };
            let destination = &contact.destination;
            let shown = destination.caller_id().filter(|own| !control.may_show(account, own));
            let fault = match (listed.next().flatten(), shown) {
                (Some(list), _) => CellFault::do_not_call(layout, destination.dialed(), &list),
                (None, Some(shown)) => CellFault::caller_id(layout, shown),
                (None, None) => continue,
            };
            *row = row.clone().rejected(fault);
        }
        Ok(())
    }

    async fn hand_over_rejected(&mut self) -> Result<(), Fault> {
        let text = std::mem::take(&mut self.rejected_text);
        match &mut self.under_way {
            Some(under_way) if !text.is_empty() => Ok(under_way.reject(text).await?),
            _ => Ok(()),
        }
    }
}

fn contacts_of(rows: &[ImportRow]) -> impl Iterator<Item = &NewContact> {
    rows.iter().filter_map(|row| match row {
        ImportRow::Contact { contact, .. } => Some(contact),
        ImportRow::Rejected { .. } => None,
    })
}

fn refused(field: &str, expected: &str) -> Fault {
    Fault::refused(Part::Body, vec![Refusal::blind(field, Mistake::Missing, expected)])
}

/// The file as a whole is none that can be read.
pub(crate) fn no_list(error: ImportError) -> Fault {
    let field = match &error {
        ImportError::Scratch(_) => {
            tracing::error!(%error, "a file of contacts cannot be read");
            return Fault::new(ProblemCode::Unavailable, "the disk is full or away, try again");
        }
        ImportError::Mapping(_) => "mapping",
        ImportError::Encoding(_) => "encoding",
        ImportError::Columns(_) | ImportError::Empty | ImportError::Workbook => "file",
    };
    let expected = format!("a list that can be read: {error}");
    let refusal = Refusal::blind(field, Mistake::Malformed, expected);
    Fault::refused(Part::Body, vec![refusal])
}

impl From<MultipartError> for Fault {
    fn from(error: MultipartError) -> Self {
        Self::new(ProblemCode::BodyMalformed, error.to_string())
    }
}

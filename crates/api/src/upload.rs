//! Forms with files, and the list in them: received onto disk, taken in row by row.
//!
//! Fields may come after the file, and each can change what the list means; so nothing is taken in
//! before all of the request is here. What comes is kept on disk and never whole in memory, and no
//! transaction of the store waits for a client's network.

use std::io::SeekFrom;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use domain::contact::NewContact;
use domain::ids::ContactId;
use domain::terms::Variables;
use engine::control::Upload;
use facade::form::{self, Form};
use facade::fuse;
use facade::fuse::answer::{Format, ListAnswer};
use facade::list::{ListError, ListRow, Rejection};
use facade::multipart::{Multipart, MultipartError, Piece};
use facade::plum::answer::{self, Failure};
use facade::plum::list::ListReader;
use facade::plum::request::{Credentials, QueueCalls};
use facade::refusal::Refusal;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use store::{Answer, AnswerId, Met, Once};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::io::ReaderStream;

use crate::Parts;
use crate::body::{Chunks, content_type, media_type};
use crate::error::NOT_VERIFIED;
use crate::plum::{EXPECTED_TYPES, FORM_BYTES_MAX, Refused, account, urlencoded};

/// Largest request with a list, in bytes: half a million rows of the usual length.
const UPLOAD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How much of a file is read at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// Most contacts handed to the store at once; others write in between.
const CONTACTS_MAX: usize = 2_000;
/// How long a list waits for its turn.
const TURN_TIME_MAX: Duration = Duration::from_secs(30);
/// When a list is sent again that did not get its turn, in seconds.
const TURN_RETRY_S: u32 = 60;

/// A request with a list, all of it here.
pub(crate) struct UploadedList {
    /// Its fields.
    pub(crate) form: Form,
    /// Its list, from the beginning.
    pub(crate) file: Option<File>,
    /// A hash of its files, in the order in which they came.
    pub(crate) digest: [u8; 32],
}

/// What a form says, with the list that goes with it; or all that is wrong with the two.
pub(crate) fn with_list<T>(
    said: Result<T, Vec<Refusal>>,
    file: Option<File>,
    missing: fn() -> Refusal,
) -> Result<(T, File), Vec<Refusal>> {
    match (said, file) {
        (Ok(said), Some(file)) => Ok((said, file)),
        (Ok(_), None) => Err(vec![missing()]),
        (Err(refusals), Some(_)) => Err(refusals),
        (Err(mut refusals), None) => {
            refusals.push(missing());
            Err(refusals)
        }
    }
}

/// A list whose rows are staged; its upload is still to be committed.
pub(crate) struct Taken {
    /// The upload.
    pub(crate) upload: Upload,
    /// What is answered once it is committed.
    pub(crate) answer: SpooledAnswer,
    /// Contacts in it; where there are none, nothing is to be committed.
    pub(crate) queued: u64,
}

/// The field of a form that holds the list.
pub(crate) struct ListField {
    /// Whether it has this name; any other file is the list if alone.
    is_named: fn(&str) -> bool,
    /// What is said of several files none or two of which are named as the list.
    repeated: fn() -> Refusal,
}

/// The list of `queuecalls.php`.
pub(crate) const PLUM_LIST: ListField =
    ListField { is_named: QueueCalls::is_list_field, repeated: QueueCalls::list_repeated };

/// The list of `bulk_queue`.
pub(crate) const FUSE_LIST: ListField = ListField {
    is_named: fuse::request::Order::is_list_field,
    repeated: fuse::request::Order::list_repeated,
};

/// How a facade reads a list and answers it, row by row.
pub(crate) trait List {
    /// Takes the next bytes and appends the rows that they complete.
    fn push(&mut self, bytes: &[u8], rows: &mut Vec<ListRow>) -> Result<(), ListError>;
    /// Takes the end of the file.
    fn finish(&mut self, rows: &mut Vec<ListRow>) -> Result<(), ListError>;
    /// Appends the answer to a row that was taken in.
    fn queued(&mut self, out: &mut String, row: u64, contact: &NewContact, id: ContactId);
    /// Appends the answer to a row that was not.
    fn rejected(&mut self, out: &mut String, rejection: &Rejection);
    /// What stands before the rows.
    fn begin(&self, queued: u64, rejected: u64) -> String;
    /// What stands after them.
    fn end(&self) -> &'static str;
}

/// The list of `queuecalls.php`.
pub(crate) struct PlumList<'o> {
    reader: ListReader,
    calls: &'o QueueCalls,
}

impl<'o> PlumList<'o> {
    /// A list whose calls share what `calls` says.
    pub(crate) fn new(calls: &'o QueueCalls) -> Self {
        Self { reader: ListReader::default(), calls }
    }
}

impl List for PlumList<'_> {
    fn push(&mut self, bytes: &[u8], rows: &mut Vec<ListRow>) -> Result<(), ListError> {
        self.reader.push(bytes, rows)
    }

    fn finish(&mut self, rows: &mut Vec<ListRow>) -> Result<(), ListError> {
        std::mem::take(&mut self.reader).finish(rows)
    }

    fn queued(&mut self, out: &mut String, _: u64, contact: &NewContact, id: ContactId) {
        answer::list_queued(out, contact, id);
    }

    fn rejected(&mut self, out: &mut String, rejection: &Rejection) {
        answer::list_rejected(out, rejection);
    }

    fn begin(&self, queued: u64, rejected: u64) -> String {
        match queued {
            0 => answer::list_begin_failed(rejected),
            queued => answer::list_begin(&self.calls.order, queued, rejected),
        }
    }

    fn end(&self) -> &'static str {
        answer::LIST_END
    }
}

/// The list of `bulk_queue`.
pub(crate) struct FuseList {
    reader: fuse::list::ListReader,
    answer: ListAnswer,
}

impl FuseList {
    /// A list whose calls all have `metadata`.
    pub(crate) fn new(metadata: Variables, format: Format) -> Self {
        let reader = fuse::list::ListReader::new(fuse::list::List::new(metadata));
        Self { reader, answer: ListAnswer::new(format) }
    }
}

impl List for FuseList {
    fn push(&mut self, bytes: &[u8], rows: &mut Vec<ListRow>) -> Result<(), ListError> {
        self.reader.push(bytes, rows)
    }

    fn finish(&mut self, rows: &mut Vec<ListRow>) -> Result<(), ListError> {
        std::mem::take(&mut self.reader).finish(rows)
    }

    fn queued(&mut self, out: &mut String, row: u64, contact: &NewContact, id: ContactId) {
        self.answer.queued(out, row, contact, id);
    }

    fn rejected(&mut self, out: &mut String, rejection: &Rejection) {
        self.answer.rejected(out, rejection);
    }

    fn begin(&self, queued: u64, rejected: u64) -> String {
        self.answer.begin(queued, rejected)
    }

    fn end(&self) -> &'static str {
        self.answer.end()
    }
}

/// An answer too long for memory.
pub(crate) struct SpooledAnswer {
    /// Its length.
    pub(crate) bytes: u64,
    begin: String,
    rows: File,
    end: &'static str,
}

/// Waits for a turn; it lasts as long as the permit.
pub(crate) async fn turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>, Refused> {
    match tokio::time::timeout(TURN_TIME_MAX, turns.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(Failure::Busy { retry_after_s: TURN_RETRY_S }.into()),
    }
}

/// Reads a form without files, of either kind.
pub(crate) async fn read_form(request: Request) -> Result<Form, Refused> {
    match media_type(content_type(request.headers())).as_str() {
        // Clients on bare sockets forget the header.
        "application/x-www-form-urlencoded" | "" => urlencoded(request).await,
        "multipart/form-data" => {
            let mut receiver = Receiver::new(&request, &PLUM_LIST)?;
            let (head, body) = request.into_parts();
            let mut chunks = Chunks::new(&head.headers, body, FORM_BYTES_MAX)?;
            while let Some(bytes) = chunks.next().await? {
                receiver.push(&bytes);
                while receiver.step().await? != Step::NeedsMore {}
            }
            Ok(receiver.finish()?.form)
        }
        found => {
            Err(Failure::MediaType { found: found.to_owned(), expected: EXPECTED_TYPES }.into())
        }
    }
}

/// Looks at who sends a list, each time a file in it begins.
pub(crate) trait Door {
    /// Lets the file in, or not; `form` are the fields that came before it.
    async fn file_begins(&mut self, form: &Form) -> Result<(), Refused>;
}

/// The client was known before its list came.
pub(crate) struct Known;

impl Door for Known {
    async fn file_begins(&mut self, _: &Form) -> Result<(), Refused> {
        Ok(())
    }
}

/// The client says who it is among the fields.
///
/// Credentials that come before the file are checked before it; of lists that come before their
/// credentials only a few are received at once, so that strangers do not fill the disk.
pub(crate) struct Asked<'p> {
    shared: &'p Parts,
    source: IpAddr,
    stranger: Option<SemaphorePermit<'p>>,
}

impl<'p> Asked<'p> {
    /// A door for a client at this address.
    pub(crate) const fn new(shared: &'p Parts, source: IpAddr) -> Self {
        Self { shared, source, stranger: None }
    }
}

impl Door for Asked<'_> {
    async fn file_begins(&mut self, form: &Form) -> Result<(), Refused> {
        match Credentials::early(form) {
            Some(credentials) => {
                account(self.shared, &credentials, self.source).await?;
            }
            None if self.stranger.is_none() => {
                self.stranger = Some(turn(&self.shared.strangers).await?);
            }
            None => {}
        }
        Ok(())
    }
}

/// Reads a form with a list.
pub(crate) async fn receive(
    request: Request,
    field: &'static ListField,
    mut door: impl Door,
) -> Result<UploadedList, Refused> {
    match media_type(content_type(request.headers())).as_str() {
        "multipart/form-data" => {}
        // Without a file, but its other mistakes can be named.
        "application/x-www-form-urlencoded" => {
            let form = urlencoded(request).await?;
            return Ok(UploadedList { form, file: None, digest: [0; 32] });
        }
        found => {
            let expected = "multipart/form-data";
            return Err(Failure::MediaType { found: found.to_owned(), expected }.into());
        }
    }
    let mut receiver = Receiver::new(&request, field)?;
    let (head, body) = request.into_parts();
    let mut chunks = Chunks::new(&head.headers, body, UPLOAD_BYTES_MAX)?;
    while let Some(bytes) = chunks.next().await? {
        receiver.push(&bytes);
        loop {
            match receiver.step().await? {
                Step::Did => {}
                Step::FileBegins => door.file_begins(&receiver.form).await?,
                Step::NeedsMore => break,
            }
        }
    }
    receiver.finish()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Did,
    FileBegins,
    NeedsMore,
}

/// Where the data of the current part go.
enum Part {
    Field {
        name: String,
        value: Vec<u8>,
    },
    File {
        file: File,
        is_named: bool,
    },
    /// A file input that was left empty, or nothing.
    Nowhere,
}

/// Sorts the parts of a body into fields and one file.
struct Receiver {
    field: &'static ListField,
    multipart: Multipart,
    form: Form,
    form_bytes: u64,
    part: Part,
    /// The list so far, and whether its field has the list's name.
    list: Option<(File, bool)>,
    several: bool,
    digest: Sha256,
}

impl Receiver {
    fn new(request: &Request, field: &'static ListField) -> Result<Self, Refused> {
        Ok(Self {
            field,
            multipart: Multipart::new(content_type(request.headers()))?,
            form: Form::new(),
            form_bytes: 0,
            part: Part::Nowhere,
            list: None,
            several: false,
            digest: Sha256::new(),
        })
    }

    fn push(&mut self, bytes: &[u8]) {
        self.multipart.push(bytes);
    }

    async fn step(&mut self) -> Result<Step, Refused> {
        match self.multipart.piece()? {
            None => return Ok(Step::NeedsMore),
            Some(Piece::Begin { name, file_name }) => {
                self.part = part(name, file_name, self.field).await?;
                if matches!(self.part, Part::File { .. }) {
                    return Ok(Step::FileBegins);
                }
            }
            Some(Piece::Data(data)) => self.data(&data).await?,
            Some(Piece::End) => self.end()?,
        }
        Ok(Step::Did)
    }

    async fn data(&mut self, data: &[u8]) -> Result<(), Refused> {
        match &mut self.part {
            Part::Field { value, .. } => {
                self.form_bytes += data.len() as u64;
                if self.form_bytes > FORM_BYTES_MAX {
                    return Err(Failure::BodyTooLarge { limit_bytes: FORM_BYTES_MAX }.into());
                }
                value.extend_from_slice(data);
            }
            Part::File { file, .. } => {
                self.digest.update(data);
                file.write_all(data).await.map_err(spool_broke)?;
            }
            Part::Nowhere => {}
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refused> {
        match std::mem::replace(&mut self.part, Part::Nowhere) {
            Part::Field { name, value } => {
                let value = form::decode(&value).into_owned();
                let pushed = self.form.push(name, value);
                pushed.map_err(|error| Failure::BodyMalformed(error.to_string()).into())
            }
            Part::File { file, is_named } => {
                match self.list {
                    // A file in the list's own field is the list, whatever else comes.
                    Some((_, true)) if !is_named => {}
                    Some((_, was_named)) if was_named == is_named => self.several = true,
                    Some(_) | None => self.list = Some((file, is_named)),
                }
                Ok(())
            }
            Part::Nowhere => Ok(()),
        }
    }

    fn finish(self) -> Result<UploadedList, Refused> {
        self.multipart.finish()?;
        if self.several {
            return Err(vec![(self.field.repeated)()].into());
        }
        let digest = self.digest.finalize().into();
        Ok(UploadedList { form: self.form, file: self.list.map(|(file, _)| file), digest })
    }
}

async fn part(name: String, file_name: Option<String>, field: &ListField) -> Result<Part, Refused> {
    let is_named = (field.is_named)(&name);
    Ok(match file_name {
        Some(file_name) if file_name.is_empty() && !is_named => Part::Nowhere,
        None if !is_named => Part::Field { name, value: Vec::new() },
        Some(_) | None => Part::File { file: spool().await?, is_named },
    })
}

/// A file without a name, gone when it is closed.
async fn spool() -> Result<File, Refused> {
    let file = tokio::task::spawn_blocking(tempfile::tempfile).await;
    let file = file.map_err(|_| Failure::Internal)?.map_err(spool_broke)?;
    Ok(File::from_std(file))
}

fn spool_broke(error: std::io::Error) -> Refused {
    tracing::error!("a list cannot be kept on disk: {error}");
    Failure::Unavailable.into()
}

/// Stages the rows of a list, and writes the answer as it goes.
pub(crate) async fn take_in(
    mut upload: Upload,
    list: impl List,
    mut file: File,
) -> Result<Taken, Refused> {
    file.seek(SeekFrom::Start(0)).await.map_err(spool_broke)?;
    let mut taking = Taking { list, answer: spool().await?, queued: 0, rejected: 0 };
    let mut rows = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk).await.map_err(spool_broke)?;
        if read == 0 {
            break;
        }
        taking.list.push(&chunk[..read], &mut rows).map_err(Failure::List)?;
        taking.rows(&mut upload, &mut rows).await?;
    }
    taking.list.finish(&mut rows).map_err(Failure::List)?;
    taking.rows(&mut upload, &mut rows).await?;
    if taking.queued == 0 && taking.rejected == 0 {
        return Err(Failure::ListEmpty.into());
    }
    let queued = taking.queued;
    Ok(Taken { upload, answer: SpooledAnswer::new(taking).await?, queued })
}

/// Commits a list that was taken in; with a key, its answer is kept for the same request, sent
/// again, as `kept` has it.
pub(crate) async fn commit(
    shared: &Parts,
    taken: Taken,
    once: Option<Once>,
    kept: impl FnOnce(AnswerId) -> Answer,
) -> Result<Met<SpooledAnswer>, Refused> {
    let Taken { upload, answer, .. } = taken;
    if once.is_none() {
        upload.commit().await?;
        return Ok(Met::Done(answer));
    }
    let (answer, parts) = keep(shared, answer).await?;
    Ok(upload.commit_once(once, kept(parts)).await?.map(|()| answer))
}

/// Keeps an answer for the same request, sent again; it counts once its upload is committed.
async fn keep(
    shared: &Parts,
    mut answer: SpooledAnswer,
) -> Result<(SpooledAnswer, AnswerId), Refused> {
    let id = shared.control.next_answer().await?;
    shared.control.keep_answer_part(id, 0, answer.begin.clone()).await?;
    let (mut part, mut text, mut chunk) = (1, Vec::new(), vec![0; CHUNK_BYTES]);
    loop {
        let read = answer.rows.read(&mut chunk).await.map_err(spool_broke)?;
        text.extend_from_slice(&chunk[..read]);
        // A character that the chunk cuts goes with the next one.
        let whole = match std::str::from_utf8(&text) {
            Ok(_) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let rest = text.split_off(whole);
        let body = String::from_utf8(std::mem::replace(&mut text, rest));
        let body = body.map_err(|_| Failure::Internal)?;
        if read == 0 {
            break;
        }
        shared.control.keep_answer_part(id, part, body).await?;
        part += 1;
    }
    shared.control.keep_answer_part(id, part, answer.end.to_owned()).await?;
    answer.rows.seek(SeekFrom::Start(0)).await.map_err(spool_broke)?;
    Ok((answer, id))
}

/// A list that is being taken in.
struct Taking<L> {
    list: L,
    answer: File,
    queued: u64,
    rejected: u64,
}

impl<L: List> Taking<L> {
    /// Takes in the contacts among `rows`, and answers each row.
    async fn rows(&mut self, upload: &mut Upload, rows: &mut Vec<ListRow>) -> Result<(), Refused> {
        for row in rows.iter_mut() {
            check_caller_id(upload, row);
        }
        let contacts: Vec<NewContact> = rows
            .iter()
            .filter_map(|row| match row {
                ListRow::Contact { contact, .. } => Some(contact.clone()),
                ListRow::Rejected(_) => None,
            })
            .collect();
        let mut ids = Vec::with_capacity(contacts.len());
        for contacts in contacts.chunks(CONTACTS_MAX) {
            ids.extend(upload.add(contacts.to_vec()).await?);
        }
        let (mut ids, mut text) = (ids.into_iter(), String::new());
        for row in rows.drain(..) {
            match row {
                ListRow::Contact { row, contact } => {
                    let id = ids.next().ok_or(Failure::Internal)?;
                    self.list.queued(&mut text, row, &contact, id);
                    self.queued += 1;
                }
                ListRow::Rejected(rejection) => {
                    self.list.rejected(&mut text, &rejection);
                    self.rejected += 1;
                }
            }
        }
        self.answer.write_all(text.as_bytes()).await.map_err(spool_broke)
    }
}

/// Rejects a row that shows a caller ID which its account may not show.
fn check_caller_id(upload: &Upload, row: &mut ListRow) {
    let ListRow::Contact { row: number, contact } = &*row else {
        return;
    };
    let Some(shown) = contact.destination.caller_id().filter(|shown| !upload.may_show(shown))
    else {
        return;
    };
    let reason = format!("ani: found {shown:?}, expected {NOT_VERIFIED}");
    let (phone_number, reference) = (contact.destination.dialed(), contact.reference.as_str());
    *row = ListRow::Rejected(Rejection::new(*number, phone_number, reference, reason));
}

impl SpooledAnswer {
    async fn new(taken: Taking<impl List>) -> Result<Self, Refused> {
        let Taking { list, answer: mut rows, queued, rejected } = taken;
        let (begin, end) = (list.begin(queued, rejected), list.end());
        rows.flush().await.map_err(spool_broke)?;
        let length = rows.seek(SeekFrom::Current(0)).await.map_err(spool_broke)?;
        rows.seek(SeekFrom::Start(0)).await.map_err(spool_broke)?;
        let bytes = begin.len() as u64 + length + end.len() as u64;
        Ok(Self { bytes, begin, rows, end })
    }

    /// The answer as a body that is read from disk as the client takes it.
    pub(crate) fn into_body(self) -> Body {
        let text = |text: Bytes| futures_util::stream::iter([Ok::<_, std::io::Error>(text)]);
        let rows = ReaderStream::with_capacity(self.rows, CHUNK_BYTES);
        let end = text(Bytes::from_static(self.end.as_bytes()));
        Body::from_stream(text(self.begin.into()).chain(rows).chain(end))
    }
}

impl From<MultipartError> for Refused {
    fn from(error: MultipartError) -> Self {
        Failure::BodyMalformed(error.to_string()).into()
    }
}

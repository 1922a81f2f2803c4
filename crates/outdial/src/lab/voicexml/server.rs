//! Pages that no folder has: they echo, fail, move, wait, count and set cookies.
//!
//! Everything below `/dyn/`, for tests of how pages are fetched and values submitted.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value as Json, json};

use crate::script::site::file;

/// Longest wait that a page may ask for.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// Largest body that is read: recordings of some minutes.
const BODY_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// What such pages remember.
#[derive(Clone, Debug, Default)]
pub(super) struct Dynamic {
    /// How often each counting page was really fetched.
    counts: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// One request for such a page.
pub(super) struct Asked<'r> {
    pub(super) method: &'r Method,
    pub(super) uri: &'r Uri,
    pub(super) headers: &'r HeaderMap,
    pub(super) body: &'r Bytes,
}

/// What becomes of a request.
pub(super) enum Answer {
    Is(Response),
    /// The page at this path, after so long.
    Later(Duration, String),
}

/// The pages below `/dyn/`, in front of those of a folder.
pub(super) fn router(folder: PathBuf) -> Router {
    let (dynamic, folder) = (Dynamic::default(), Arc::new(folder));
    let page = move |Path(path): Path<String>, request: Request| async move {
        serve(&dynamic, &folder, path, request).await
    };
    Router::new().route("/dyn/{*path}", any(page))
}

async fn serve(dynamic: &Dynamic, folder: &FilePath, path: String, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let (method, uri, headers) = (&head.method, &head.uri, &head.headers);
    let mut path = path;
    loop {
        match dynamic.answer(&path, &Asked { method, uri, headers, body: &body }) {
            Answer::Is(response) => return response,
            Answer::Later(time, later) => {
                tokio::time::sleep(time).await;
                match later.strip_prefix("/dyn/") {
                    Some(later) => path = later.to_owned(),
                    None => return file(folder, &later).await,
                }
            }
        }
    }
}

impl Dynamic {
    /// The answer to a request for a path below `/dyn/`.
    pub(super) fn answer(&self, path: &str, asked: &Asked<'_>) -> Answer {
        let (kind, rest) = path.split_once('/').unwrap_or((path, ""));
        Answer::Is(match kind {
            "cache" => self.count(rest),
            "cookie.vxml" => cookie(asked.headers),
            "echo.vxml" => echo(asked),
            "echo.xml" => echo_xml(asked),
            "redirect" => {
                let to = format!("/{rest}");
                (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
            }
            "sleep" => {
                let (seconds, path) = rest.split_once('/').unwrap_or((rest, ""));
                let seconds =
                    seconds.parse().unwrap_or(0.0_f64).clamp(0.0, SLEEP_MAX.as_secs_f64());
                return Answer::Later(Duration::from_secs_f64(seconds), format!("/{path}"));
            }
            "status" => {
                let status = rest.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
                status.unwrap_or(StatusCode::NOT_FOUND).into_response()
            }
            "upload.vxml" => page(&format!(
                "<script><![CDATA[var parts={};]]></script><form><block><exit expr=\"parts\"/>\
                 </block></form>",
                parts(asked)
            )),
            _ => StatusCode::NOT_FOUND.into_response(),
        })
    }

    /// A page that says how often it was fetched, and how long that may be kept.
    fn count(&self, rest: &str) -> Response {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(rest.to_owned()).or_default();
        *count += 1;
        let age = rest.split('/').next().unwrap_or_default();
        let control = if age == "no" { "no-cache".into() } else { format!("max-age={age}") };
        let body = format!("<form><block><exit expr=\"{count}\"/></block></form>");
        ([(header::CACHE_CONTROL, control)], page(&body)).into_response()
    }
}

fn page(body: &str) -> Response {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<vxml version=\"2.1\" \
         xmlns=\"http://www.w3.org/2001/vxml\">{body}</vxml>\n"
    );
    ([(header::CONTENT_TYPE, "application/voicexml+xml")], text).into_response()
}

/// JSON that may stand in a script in XML.
fn script(value: &Json) -> String {
    value.to_string().replace('<', "\\u003c").replace('&', "\\u0026")
}

fn cookie(headers: &HeaderMap) -> Response {
    let sent = headers.get(header::COOKIE).and_then(|value| value.to_str().ok());
    let body = format!(
        "<script><![CDATA[var cookie={};]]></script><form><block><exit expr=\"cookie\"/></block>\
         </form>",
        script(&json!(sent.unwrap_or_default()))
    );
    let headers = [(header::SET_COOKIE, "ir=1; Path=/"), (header::CACHE_CONTROL, "no-cache")];
    (headers, page(&body)).into_response()
}

fn echo(asked: &Asked<'_>) -> Response {
    let kind = content_type(asked);
    let values: serde_json::Map<String, Json> =
        fields(asked).into_iter().map(|(name, value)| (name, Json::String(value))).collect();
    let body = format!(
        "<script><![CDATA[var m={}; var ct={}; var q={};]]></script><form><block>\
         <exit expr=\"q\"/></block></form>",
        script(&json!(asked.method.as_str())),
        script(&json!(kind)),
        script(&Json::Object(values))
    );
    ([(header::CACHE_CONTROL, "no-cache")], page(&body)).into_response()
}

fn echo_xml(asked: &Asked<'_>) -> Response {
    let escaped =
        |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let params: String = fields(asked)
        .iter()
        .map(|(name, value)| {
            format!("<param name=\"{}\">{}</param>", escaped(name), escaped(value))
        })
        .collect();
    let text = format!("<request method=\"{}\">{params}</request>", asked.method);
    let headers = [(header::CONTENT_TYPE, "text/xml"), (header::CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}

fn content_type(asked: &Asked<'_>) -> String {
    let given = asked.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.unwrap_or_default().to_owned()
}

/// Names and values of the query and of the body.
fn fields(asked: &Asked<'_>) -> Vec<(String, String)> {
    let pairs = |text: &[u8]| -> Vec<(String, String)> {
        url::form_urlencoded::parse(text).into_owned().collect()
    };
    let mut fields = pairs(asked.uri.query().unwrap_or_default().as_bytes());
    let kind = content_type(asked);
    if kind.starts_with("application/x-www-form-urlencoded") {
        fields.extend(pairs(asked.body));
    }
    let texts = body_parts(asked).into_iter().filter(|part| part.file.is_none());
    fields.extend(texts.map(|part| (part.name, String::from_utf8_lossy(&part.bytes).into_owned())));
    fields
}

/// The parts of a form, as a script literal: how large each is, and of what type.
fn parts(asked: &Asked<'_>) -> String {
    let parts: serde_json::Map<String, Json> = body_parts(asked)
        .into_iter()
        .map(|part| {
            let told =
                json!({"bytes": part.bytes.len(), "type": part.media_type, "filename": part.file});
            (part.name, told)
        })
        .collect();
    script(&Json::Object(parts))
}

/// One part of a `multipart/form-data` body.
struct BodyPart {
    name: String,
    file: Option<String>,
    media_type: String,
    bytes: Vec<u8>,
}

fn body_parts(asked: &Asked<'_>) -> Vec<BodyPart> {
    let kind = content_type(asked);
    let boundary = kind
        .strip_prefix("multipart/form-data")
        .and_then(|rest| rest.split_once("boundary="))
        .map(|(_, boundary)| boundary.trim_matches('"').to_owned());
    let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty()) else {
        return Vec::new();
    };
    let mut body = vec![b'\r', b'\n'];
    body.extend_from_slice(asked.body);
    let border = format!("\r\n--{boundary}");
    split(&body, border.as_bytes()).into_iter().skip(1).filter_map(body_part).collect()
}

fn body_part(part: &[u8]) -> Option<BodyPart> {
    let part = part.strip_prefix(b"\r\n")?;
    let (head, bytes) = match split(part, b"\r\n\r\n").as_slice() {
        [head, rest @ ..] if !rest.is_empty() => (*head, &part[head.len() + 4..]),
        _ => return None,
    };
    let head = String::from_utf8_lossy(head);
    let value = |name: &str| {
        let (_, rest) = head.split_once(&format!("{name}=\""))?;
        rest.split('"').next().map(str::to_owned)
    };
    let media_type = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
    });
    Some(BodyPart {
        name: value(" name")?,
        file: value("filename"),
        media_type: media_type.unwrap_or_else(|| "text/plain".to_owned()),
        bytes: bytes.to_vec(),
    })
}

fn split<'b>(bytes: &'b [u8], border: &[u8]) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(at) = bytes[from..].windows(border.len()).position(|part| part == border) {
        parts.push(&bytes[from..from + at]);
        from += at + border.len();
    }
    parts.push(&bytes[from..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_form_are_found_with_their_bytes() {
        let mut headers = HeaderMap::new();
        let kind = "multipart/form-data; boundary=xyz";
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        let body = Bytes::from_static(
            b"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n\
              --xyz\r\nContent-Disposition: form-data; name=\"r\"; filename=\"r.wav\"\r\n\
              Content-Type: audio/x-wav\r\n\r\nRIFF\r\n\r\n\x00\r\n--xyz--\r\n",
        );
        let uri = Uri::from_static("/dyn/echo.vxml?q=1");
        let method = Method::POST;
        let asked = Asked { method: &method, uri: &uri, headers: &headers, body: &body };
        let pairs = [("q", "1"), ("a", "1\r\n2")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields(&asked), pairs);
        let told = parts(&asked);
        assert!(told.contains(r#""bytes":9,"filename":"r.wav","type":"audio/x-wav""#), "{told}");
    }
}

//! HTTP as the commands speak it to a running server.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Largest answer read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// A client for one server.
#[derive(Clone, Debug)]
pub(crate) struct ApiClient {
    base: String,
    key: Option<String>,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl ApiClient {
    /// For the server at `base`, as `http://127.0.0.1:8080`.
    pub(crate) fn new(base: &str, key: Option<String>) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { base: base.trim_end_matches('/').to_owned(), key, http }
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, None, Bytes::new()).await
    }

    /// POST of JSON.
    pub(crate) async fn post_json(&self, path: &str, body: &serde_json::Value) -> Result<Answer> {
        self.post(path, "application/json", body.to_string()).await
    }

    /// POST of anything.
    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        self.send("POST", path, Some(content_type), body.into()).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let mut request = http::Request::builder().method(method).uri(&url);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.body(Full::new(body)).context("this is no address")?;
        let response = self.http.request(request).await.with_context(|| {
            format!("no server answers at {}: is `outdial serve` up?", self.base)
        })?;
        let status = response.status().as_u16();
        let body = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let Ok(body) = body.collect().await else {
            bail!("the answer of {url} broke off or is too long");
        };
        Ok(Answer { status, body: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
    }
}

impl Answer {
    /// The JSON of an answer that says yes; else the server's own words.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        let json: serde_json::Value =
            serde_json::from_str(&self.body).unwrap_or(serde_json::Value::Null);
        if (200..300).contains(&self.status) {
            return Ok(json);
        }
        let text = |name: &str| json.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        match (text("title"), text("detail")) {
            ("", "") => bail!("the server answered {}: {}", self.status, self.body.trim()),
            (title, detail) => match pointers(&json) {
                pointers if pointers.is_empty() => bail!("{title}: {detail}"),
                pointers => bail!("{title}:{pointers}"),
            },
        }
    }
}

/// The fields of a problem document that are wrong, a line each.
fn pointers(problem: &serde_json::Value) -> String {
    let errors = problem.get("errors").and_then(|errors| errors.as_array());
    let text = |error: &serde_json::Value, name: &str| {
        error.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    errors
        .into_iter()
        .flatten()
        .map(|error| format!("\n  {}: {}", text(error, "pointer"), text(error, "detail")))
        .collect()
}

//! HTTP as the commands speak it to a running server.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
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
    http: Client<HttpConnector, RequestBody>,
}

/// What is sent: a body at hand, or one that is read as it goes.
type RequestBody = UnsyncBoxBody<Bytes, std::io::Error>;

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

    /// PUT of JSON.
    pub(crate) async fn put_json(&self, path: &str, body: &serde_json::Value) -> Result<Answer> {
        self.send("PUT", path, Some("application/json"), body.to_string().into()).await
    }

    /// POST of JSON that counts once however often it is sent, by an Idempotency-Key.
    pub(crate) async fn post_json_once(
        &self,
        path: &str,
        body: &serde_json::Value,
        key: &str,
    ) -> Result<Answer> {
        self.post_once(path, "application/json", body.to_string(), key).await
    }

    /// POST of anything that counts once however often it is sent, by an Idempotency-Key.
    pub(crate) async fn post_once(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<Bytes>,
        key: &str,
    ) -> Result<Answer> {
        let body = Full::new(body.into()).map_err(|never| match never {});
        let head = [("content-type", content_type), ("idempotency-key", key)];
        self.send_body("POST", path, &head, body.boxed_unsync()).await
    }

    /// Host and port of the server.
    pub(crate) fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
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

    /// POST of a body that is read as it goes.
    pub(crate) async fn post_stream(
        &self,
        path: &str,
        content_type: &str,
        body: impl Body<Data = Bytes, Error = std::io::Error> + Send + 'static,
    ) -> Result<Answer> {
        let head = [("content-type", content_type)];
        self.send_body("POST", path, &head, body.boxed_unsync()).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Result<Answer> {
        self.send("DELETE", path, None, Bytes::new()).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Answer> {
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        let head: Vec<_> = content_type.map(|kind| ("content-type", kind)).into_iter().collect();
        self.send_body(method, path, &head, body).await
    }

    async fn send_body(
        &self,
        method: &str,
        path: &str,
        head: &[(&str, &str)],
        body: RequestBody,
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let mut request = http::Request::builder().method(method).uri(&url);
        for (name, value) in head {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.body(body).context("this is no address")?;
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

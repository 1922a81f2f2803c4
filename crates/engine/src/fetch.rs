//! Pages and recordings for scripts: forms out, text and bytes back, and what may be kept of them.

mod cache;
mod form;
mod freshness;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use tokio::time::timeout;
use url::Url;

use domain::time::Timestamp;
use script::http_equivs;
use script::step::{Fetch, FetchError, Fetched, Method, Part};

use self::cache::{Cache, Kept, Look};
use self::form::{Content, Form};
use self::freshness::{Freshness, Wanted, add_said_by_document};
pub use self::text::{Undecodable, decode};
use crate::clock::Clock;
use crate::files::{AudioFile, AudioWish, Takes};
use crate::http::{
    Answer, CookieJar, HttpClient, HttpError, Method as HttpMethod, Purpose, Request,
};

/// Fetches for scripts; clones share one cache.
#[derive(Clone, Debug)]
pub struct Fetcher {
    http: HttpClient,
    clock: Clock,
    cache: Cache,
}

/// What is fetched: where, and what of older copies will do.
struct Wish<'a> {
    url: &'a Url,
    purpose: Purpose,
    wanted: Wanted,
    timeout: Option<Duration>,
    cookies: &'a CookieJar,
}

impl Fetcher {
    /// A fetcher that keeps up to `cache_bytes_max` bytes of answers.
    pub fn new(http: HttpClient, clock: Clock, cache_bytes_max: usize) -> Self {
        Self { http, clock, cache: Cache::new(cache_bytes_max) }
    }

    /// The page that a script asks for, decoded; `cookies` are those of its call.
    pub async fn page(&self, fetch: &Fetch, cookies: &CookieJar) -> Result<Fetched, FetchError> {
        self.page_with(fetch, cookies, &Takes::default()).await
    }

    /// The same for a call in which something may have been recorded.
    pub async fn page_with(
        &self,
        fetch: &Fetch,
        cookies: &CookieJar,
        takes: &Takes,
    ) -> Result<Fetched, FetchError> {
        let wish = Wish {
            url: &fetch.url,
            purpose: Purpose::Page,
            wanted: Wanted { maxage_s: fetch.maxage_s, maxstale_s: fetch.maxstale_s },
            timeout: fetch.timeout,
            cookies,
        };
        let kept = match &fetch.method {
            Method::Get => self.get(&wish).await?,
            Method::Post(fields) => self.post(&wish, Form::urlencoded(fields)).await?,
            Method::PostJson(text) => self.post(&wish, Form::json(text)).await?,
            Method::PostMultipart(fields) => self.post(&wish, parts(fields, takes)?).await?,
        };
        if let Some(kind) = no_page(&kept.media_type()) {
            let reason = format!("server sent {kind} where a page was expected");
            return Err(FetchError::Failed(reason));
        }
        let text = text::decode(&kept.content_type, &kept.body)
            .map_err(|wrong| FetchError::Failed(wrong.to_string()))?;
        Ok(Fetched { url: kept.url.clone(), content_type: kept.media_type(), text })
    }

    /// A recording, as it is; who plays it decodes it.
    pub async fn audio(
        &self,
        wish: &AudioWish,
        cookies: &CookieJar,
    ) -> Result<AudioFile, FetchError> {
        let wanted = Wanted { maxage_s: wish.maxage_s, maxstale_s: wish.maxstale_s };
        let (url, timeout) = (&wish.url, wish.timeout);
        let wish = Wish { url, purpose: Purpose::Audio, wanted, timeout, cookies };
        let kept = self.get(&wish).await?;
        let media_type = kept.media_type();
        if matches!(media_type.as_str(), "text/html" | "application/json" | "application/xml") {
            let reason = format!("server sent {media_type} where a recording was expected");
            return Err(FetchError::Failed(reason));
        }
        Ok(AudioFile { content_type: kept.content_type.clone(), bytes: kept.body.clone() })
    }

    /// A GET, from the cache where it may be; the time counts for waiting as well.
    async fn get(&self, wish: &Wish<'_>) -> Result<Kept, FetchError> {
        let time_max = wish.timeout.unwrap_or(FETCH_TIME_MAX);
        timeout(time_max, self.get_shared(wish)).await.map_err(|_| FetchError::Timeout)?
    }

    /// Calls that ask for the same page at once ask its server once, as long as its answers may be
    /// shared; others do not wait for each other.
    async fn get_shared(&self, wish: &Wish<'_>) -> Result<Kept, FetchError> {
        let key = cache::key(wish.purpose, wish.url);
        let mut turn = None;
        loop {
            let now = self.clock.now();
            match self.cache.look(&key, wish.wanted, now) {
                Look::Use(kept) => {
                    count("hit");
                    return Ok(kept);
                }
                Look::Alone(kept) => {
                    drop(turn);
                    return self.ask(wish, &key, kept).await;
                }
                Look::Shared(kept) if turn.is_some() => return self.ask(wish, &key, kept).await,
                Look::Shared(_) => turn = Some(self.cache.turn(&key).await),
            }
        }
    }

    /// Asks the server, whether for a page or for whether the kept one still holds.
    async fn ask(
        &self,
        wish: &Wish<'_>,
        key: &str,
        kept: Option<Kept>,
    ) -> Result<Kept, FetchError> {
        let mut request = self.request(wish);
        request.headers = wish.wanted.headers();
        if let Some(kept) = &kept {
            kept.freshness.ask_for_change(&mut request.headers);
        }
        let answer = match self.http.send(request).await {
            Ok(answer) => answer,
            Err(error) => {
                // Whoever waited for this answer must not fail one after another.
                self.cache.forget(key, self.clock.now());
                return Err(fetch_error(error));
            }
        };
        let now = self.clock.now();
        if let (304, Some(kept)) = (answer.status, kept) {
            count("revalidated");
            let freshness = kept.freshness.renewed(&answer.headers, now);
            let kept = Kept { freshness, ..kept };
            self.cache.keep(key, &kept, now);
            return Ok(kept);
        }
        count("miss");
        if !(200..300).contains(&answer.status) {
            self.cache.forget(key, now);
            return Err(FetchError::Status(answer.status));
        }
        // Of a chain of redirects, only the last answer said how long it holds.
        let redirected = answer.url != *wish.url;
        let kept = kept_of(answer, wish.purpose, now);
        if redirected {
            self.cache.forget(key, now);
        } else {
            self.cache.keep(key, &kept, now);
        }
        Ok(kept)
    }

    async fn post(&self, wish: &Wish<'_>, form: Form) -> Result<Kept, FetchError> {
        let method = HttpMethod::Post { content_type: form.content_type, body: form.body };
        let request = Request { method, ..self.request(wish) };
        let answer = self.http.send(request).await.map_err(fetch_error)?;
        let now = self.clock.now();
        // What was posted may have changed what a GET answers (RFC 9111 §4.4).
        self.cache.forget(&cache::key(Purpose::Page, wish.url), now);
        match answer.status {
            200..300 => Ok(kept_of(answer, wish.purpose, now)),
            status => Err(FetchError::Status(status)),
        }
    }

    fn request(&self, wish: &Wish<'_>) -> Request {
        Request {
            timeout: wish.timeout,
            cookies: Some(wish.cookies.clone()),
            ..Request::get(wish.url.clone(), wish.purpose)
        }
    }
}

impl Wanted {
    /// What caches on the way must know as well.
    fn headers(self) -> HeaderMap {
        let directives = [("max-age", self.maxage_s), ("max-stale", self.maxstale_s)]
            .into_iter()
            .filter_map(|(name, seconds)| seconds.map(|seconds| format!("{name}={seconds}")))
            .collect::<Vec<_>>()
            .join(", ");
        let mut headers = HeaderMap::new();
        if let Some(value) = HeaderValue::from_str(&directives).ok().filter(|it| !it.is_empty()) {
            headers.insert(CACHE_CONTROL, value);
        }
        headers
    }
}

impl Freshness {
    /// Asks the server to answer 304 if nothing has changed since.
    fn ask_for_change(&self, headers: &mut HeaderMap) {
        if let Some(etag) = &self.etag {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        if let Some(last_modified) = &self.last_modified {
            headers.insert(IF_MODIFIED_SINCE, last_modified.clone());
        }
    }
}

/// A form of parts, the sound of what was recorded among them.
fn parts(fields: &[(String, Part)], takes: &Takes) -> Result<Form, FetchError> {
    let part = |(name, part): &(String, Part)| {
        let content = match part {
            Part::Recording(recording) => {
                let take = takes.find(*recording);
                let take =
                    take.ok_or_else(|| FetchError::Failed("the recording is gone".into()))?;
                let (name, media_type) = (take.file_name(), take.media_type.clone());
                Content::File { name, media_type, bytes: take.file() }
            }
            Part::Text(text) => Content::Text(text.clone()),
        };
        Ok((name.clone(), content))
    };
    let parts: Result<Vec<_>, FetchError> = fields.iter().map(part).collect();
    Ok(Form::multipart(&parts?))
}

fn kept_of(mut answer: Answer, purpose: Purpose, now: Timestamp) -> Kept {
    if purpose == Purpose::Page && may_speak_for_itself(&answer.body) {
        let text = text::decode(&answer.content_type, &answer.body);
        let said = text.map(|text| http_equivs(&text)).unwrap_or_default();
        add_said_by_document(&mut answer.headers, &said);
    }
    let freshness = Freshness::of(answer.status, &answer.headers, now);
    Kept { url: answer.url, content_type: answer.content_type, body: answer.body, freshness }
}

/// Whether a page may hold an `http-equiv`; looked for where most pages need not be decoded.
fn may_speak_for_itself(body: &[u8]) -> bool {
    const NAME: &[u8] = b"http-equiv";
    let wide = body.iter().take(4).any(|byte| matches!(byte, 0 | 0xfe | 0xff));
    wide || body.windows(NAME.len()).any(|window| window == NAME)
}

/// The media type, if pages surely never have it. All others are read: servers that know nothing of
/// VoiceXML call it HTML, plain text or bytes.
fn no_page(media_type: &str) -> Option<&str> {
    let (kind, _) = media_type.split_once('/')?;
    let other = matches!(kind, "audio" | "font" | "image" | "video")
        || matches!(media_type, "application/gzip" | "application/pdf" | "application/zip");
    other.then_some(media_type)
}

fn fetch_error(error: HttpError) -> FetchError {
    match error {
        HttpError::Refused(refusal) => FetchError::Refused(refusal.to_string()),
        HttpError::Timeout(_) => FetchError::Timeout,
        HttpError::TooLarge { limit } => FetchError::TooLarge(limit),
        other => FetchError::Failed(other.to_string()),
    }
}

fn count(result: &'static str) {
    metrics::counter!("outdial_fetch_cache_total", "result" => result).increment(1);
}

/// Time for a fetch where the script says nothing, waiting for others included.
const FETCH_TIME_MAX: Duration = Duration::from_secs(15);

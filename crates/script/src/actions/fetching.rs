//! Pages on their way: asked for, asked for again, read, and those that are told something.

use std::time::Duration;

use domain::time::Timestamp;
use url::Url;

use super::instance::{News, Standing};
use super::json::{Json, Object};
use super::page;
use super::play::{PageMethod, WebPage};
use super::runner::{Phase, Runner};
use crate::step::{Fetch, FetchError, FetchId, Fetched, Method, Step, Timer};

/// How often the error page is asked for, where it does not answer.
const ERROR_PAGE_TRIES: u32 = 3;
/// The wait before the second try; before later ones it doubles.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Most pages that are being told something at once.
const NOTICES_MAX: usize = 32;

/// A page that is asked for.
#[derive(Debug)]
pub(super) struct Fetching {
    fetch: FetchId,
    url: Url,
    method: Method,
    kind: Kind,
    tries: u32,
    /// It did not answer, and is asked again then.
    retry_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is told what was wrong with another one.
    Error,
    Page,
}

impl Fetching {
    /// Whether this is the fetch of it.
    pub(super) fn is(&self, fetch: FetchId) -> bool {
        self.fetch == fetch
    }

    /// When it is asked for again.
    pub(super) fn deadline(&self) -> Option<(Timestamp, Timer)> {
        self.retry_at.map(|at| (at, Timer::Retry))
    }
}

impl Runner {
    /// The rest of the page is dropped: another one goes on, and is told what came of an action.
    pub(super) fn follow(&mut self, page: &WebPage, action: &'static str, result: Object) {
        let news = News { result: Some((action, Some(result))), ..News::default() };
        match self.address(&page.url) {
            Ok(url) => self.ask_page(url, page.method, Kind::Page, news),
            Err(why) => self.fail(&why),
        }
    }

    /// An action cannot be done: the error page goes on, or the call ends.
    pub(super) fn fail(&mut self, why: &str) {
        let action = self.current;
        self.tell(action, why);
        self.fail_with(vec![("action", Json::text(action)), ("result", Json::text(why))]);
    }

    pub(super) fn fail_with(&mut self, error: Object) {
        self.actions.clear();
        self.phase = Phase::Busy;
        self.refuses = true;
        let Some(page) = self.instance.error_page.clone().filter(|_| !self.is_gone) else {
            return;
        };
        let news = News { error: Some(error), ..News::default() };
        match self.address(&page.url) {
            Ok(url) => self.ask_page(url, page.method, Kind::Error, news),
            Err(why) => self.tell("error_page", &why),
        }
    }

    /// Where a page is that this page names.
    pub(super) fn address(&self, address: &str) -> Result<Url, String> {
        let parsed = match &self.base {
            Some(base) => base.join(address.trim()),
            None => Url::parse(address.trim()),
        };
        parsed.map_err(|error| format!("{address:?} is no address: {error}"))
    }

    pub(super) fn ask_page(&mut self, url: Url, method: PageMethod, kind: Kind, news: News) {
        self.actions.clear();
        self.phase = Phase::Busy;
        if let Err(why) = self.usage.page(&self.limits) {
            self.tell("limit", &why);
            self.refuses = true;
            return;
        }
        if kind == Kind::Page {
            self.refuses = false;
        }
        let (fetch, url, method) = self.request(url, method, news);
        self.fetch(fetch, url.clone(), method.clone());
        self.phase =
            Phase::Fetching(Fetching { fetch, url, method, kind, tries: 1, retry_at: None });
    }

    /// A request that tells a page how things stand.
    fn request(&mut self, mut url: Url, method: PageMethod, news: News) -> (FetchId, Url, Method) {
        let standing = Standing {
            session: &self.session,
            token: &self.token,
            lasted: self.now.since(self.began_at),
            is_gone: self.is_gone,
        };
        let info = self.instance.info(standing, news);
        url.set_fragment(None);
        let method = match method {
            PageMethod::Get => {
                url.query_pairs_mut().append_pair("instance_info", &info);
                Method::Get
            }
            PageMethod::Post => Method::PostJson(info),
        };
        self.ids.fetch += 1;
        (FetchId(self.ids.fetch), url, method)
    }

    fn fetch(&mut self, fetch: FetchId, url: Url, method: Method) {
        // What is told differs from page to page: an older answer is never the right one.
        let maxage_s = Some(0);
        self.steps.push_back(Step::Fetch(Fetch {
            fetch,
            url,
            method,
            timeout: None,
            maxage_s,
            maxstale_s: None,
        }));
    }

    pub(super) fn page_came(&mut self, result: Result<Fetched, FetchError>) {
        let Phase::Fetching(fetching) = std::mem::take(&mut self.phase) else {
            return;
        };
        match result {
            Ok(page) => {
                let text = page.text;
                match fetching.kind {
                    Kind::Error => self.read_last(page.url, &text),
                    Kind::Page => self.read(Some(page.url), &text),
                }
            }
            Err(error) if fetching.kind == Kind::Error => self.retry(fetching, &error),
            Err(error) => {
                let why = format!("page cannot be had: {error}");
                self.tell("page", &format!("{}: {why}", shown(&fetching.url)));
                self.fail_with(vec![
                    ("action", Json::text("")),
                    ("result", Json::text(&why)),
                    ("url", Json::text(shown(&fetching.url).as_str())),
                ]);
            }
        }
    }

    fn retry(&mut self, mut fetching: Fetching, error: &FetchError) {
        let why = format!("{}: page cannot be had: {error}", shown(&fetching.url));
        self.tell("error_page", &why);
        if fetching.tries < ERROR_PAGE_TRIES {
            let wait = RETRY_WAIT * 2_u32.saturating_pow(fetching.tries - 1);
            fetching.retry_at = Some(self.now + wait);
            self.phase = Phase::Fetching(fetching);
        }
    }

    pub(super) fn ask_again(&mut self) {
        let Phase::Fetching(mut fetching) = std::mem::take(&mut self.phase) else {
            return;
        };
        self.ids.fetch += 1;
        fetching.fetch = FetchId(self.ids.fetch);
        fetching.tries += 1;
        fetching.retry_at = None;
        self.fetch(fetching.fetch, fetching.url.clone(), fetching.method.clone());
        self.phase = Phase::Fetching(fetching);
    }

    /// Takes a page over, or says what is wrong with it.
    pub(super) fn read(&mut self, url: Option<Url>, text: &str) {
        let at = url.as_ref().map(shown).unwrap_or_default();
        if url.is_some() {
            self.base = url;
        }
        if let Err(mistakes) = self.take_over(text) {
            let named = mistakes.iter().map(|mistake| Json::text(mistake)).collect();
            let first = mistakes.first().map_or("", String::as_str);
            let error = vec![
                ("action", Json::text("")),
                ("result", Json::text(first)),
                ("url", Json::text(&at)),
                ("mistakes", Json::List(named)),
            ];
            self.fail_with(error);
        }
    }

    /// The same of an error page: what is wrong with it is told to nobody but the log.
    fn read_last(&mut self, url: Url, text: &str) {
        self.base = Some(url);
        if self.take_over(text).is_err() {
            self.actions.clear();
        }
    }

    fn take_over(&mut self, text: &str) -> Result<(), Vec<String>> {
        self.phase = Phase::Busy;
        match page::parse(text, &self.limits) {
            Ok(page) => {
                self.token = page.token.unwrap_or_else(|| std::mem::take(&mut self.token));
                self.actions = page.actions.into();
                self.is_page_new = true;
                Ok(())
            }
            Err(mistakes) => {
                let named: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                let at = self.base.as_ref().map(shown).unwrap_or_default();
                for mistake in &named {
                    self.tell("page", &format!("{at}:{mistake}"));
                }
                Err(named)
            }
        }
    }

    /// Tells a page something that changes nothing here.
    pub(super) fn notify(&mut self, page: &WebPage, action: &'static str, result: Object) {
        let result = Some((action, Some(result)));
        self.send_notice(page, News { result, is_notification: true, ..News::default() });
    }

    pub(super) fn tell_transcript(&mut self, page: &WebPage, result: Object) {
        let result = Some(("start_transcription", Some(result)));
        let news = News { result, is_notification: true, is_transcript: true, ..News::default() };
        self.send_notice(page, news);
    }

    pub(super) fn send_notice(&mut self, page: &WebPage, news: News) {
        let asked = match self.address(&page.url) {
            Ok(_) if self.notices.len() >= NOTICES_MAX => {
                Err("too many pages are being told".into())
            }
            Ok(url) => self.usage.notice(&self.limits).map(|()| url),
            Err(why) => Err(why),
        };
        match asked {
            Ok(url) => {
                let (fetch, url, method) = self.request(url, page.method, news);
                self.fetch(fetch, url, method);
                self.notices.push(fetch);
            }
            Err(why) => self.tell("notification", &why),
        }
    }
}

/// An address without what may be somebody's own: its query.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

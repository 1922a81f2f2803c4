//! Runs a script beside its call: evaluates off the runtime's workers, fetches, and makes prompts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use domain::application::{ActionPages, PageAddress, ScriptSource};
use domain::contact::Contact;
use domain::ids::AccountId;
use domain::outcome::CalleeType;
use domain::time::Timestamp;
use facade::Facade;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use proto::rtp::Codec;
use script::actions::{Instance, PageMethod, Runner, WebPage};
use script::machine::Script;
use script::step::{
    Connect, FarScript, Input, Join, Listen, Method, PlayError, PlayId, Prompt, Record, Session,
    StartPage, Step, Timer, Transcribe, Transfer,
};
use script::vxml::Vxml;
use store::Begun;
use url::Url;

use super::{CallParts, next_of};
use crate::files::{self, AudioWish, Takes};
use crate::http::CookieJar;
use crate::rtp_io::PlayItem;

/// What a script wants of its call.
pub(super) enum Wish {
    Connect(Connect),
    /// It has ended, gave this token back, and said whether the callee wants no more calls.
    End {
        token: Option<String>,
        opts_out: bool,
    },
    EndTransfer,
    HangUp,
    Join(Join),
    Leave,
    Listen(Listen),
    Problem(String),
    Record(Record),
    SendKeys(String),
    StopListen,
    StopPlay,
    StopRecord,
    StopTranscribe,
    Transcribe(Transcribe),
    Transfer(Transfer),
}

/// What came of a script's own work.
pub(super) enum Done {
    /// To be fed back.
    Input(Box<Input>),
    /// Prompts are ready.
    Play { play: PlayId, items: Vec<PlayItem> },
}

/// Largest page that is read in place: some hundred microseconds of work.
const IN_PLACE_BYTES_MAX: usize = 16 * 1_024;

type Prepared = (PlayId, Result<Vec<PlayItem>, PlayError>);

/// A running script.
pub(super) struct ScriptHost {
    parts: Arc<CallParts>,
    account: AccountId,
    /// `None` once it has broken, or while it evaluates.
    machine: Option<Script>,
    cookies: CookieJar,
    codec: Codec,
    /// Whether a page of this call has ECMAScript, or is large.
    computes: bool,
    fetches: FuturesUnordered<BoxFuture<'static, Input>>,
    /// Prompts that are being made ready; one after the other, so that they are heard in order.
    preparing: Option<BoxFuture<'static, Prepared>>,
    prompts: VecDeque<(PlayId, Vec<Prompt>)>,
    takes: Takes,
}

impl ScriptHost {
    /// A script for this attempt and the input that starts it, or why it cannot start; the script
    /// is told who answered, as far as that is known.
    pub(super) fn start(
        parts: &Arc<CallParts>,
        begun: &Begun,
        script: &ScriptSource,
        callee_type: Option<CalleeType>,
    ) -> Result<(Self, Input), String> {
        let spec = &begun.application.spec;
        let facade = Facade::of(spec.dialect)
            .ok_or_else(|| "the application was stored by a newer program".to_owned())?;
        // Another seed for every call, the same one for the same attempt.
        let seed =
            parts.seed ^ begun.attempt.id.0.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut machine = Script::Vxml(Box::new(Vxml::new(parts.script_limits.clone(), seed)));
        let page = match script {
            ScriptSource::Actions(pages) => {
                let pages_max = parts.script_limits.pages_max;
                let limits = script::actions::Limits { pages_max, ..Default::default() };
                machine = Script::Actions(Box::new(Runner::new(limits, instance(begun, pages))));
                first_page(pages)?
            }
            ScriptSource::Document(text) => StartPage::Document(text.clone()),
            ScriptSource::Say(text) => StartPage::Document(script::vxml::say_document(text)),
            ScriptSource::Url(url) => StartPage::Url {
                url: Url::parse(url).map_err(|error| format!("start page {url:?}: {error}"))?,
                method: Method::Post(facade.start_form(&begun.contact, &spec.parameters)),
            },
        };
        let host = Self::of(parts, begun.contact.account, machine, Takes::default());
        let session = session(&begun.contact, facade, callee_type);
        Ok((host, Input::Start { session, page }))
    }

    /// A script for somebody who was called for the callee, and the input that starts it.
    pub(super) fn for_far_end(
        (parts, account): (&Arc<CallParts>, AccountId),
        limits: script::actions::Limits,
        script: FarScript,
        (nth, session): (u32, Session),
        takes: Takes,
    ) -> (Self, Input) {
        let method = match script.method {
            PageMethod::Get => Method::Get,
            PageMethod::Post => Method::Post(Vec::new()),
        };
        let page = StartPage::Url { url: script.url.clone(), method };
        let machine = Script::Actions(Box::new(Runner::of_far_end(limits, script, nth)));
        (Self::of(parts, account, machine, takes), Input::Start { session, page })
    }

    fn of(parts: &Arc<CallParts>, account: AccountId, machine: Script, takes: Takes) -> Self {
        Self {
            parts: Arc::clone(parts),
            account,
            machine: Some(machine),
            cookies: CookieJar::default(),
            codec: Codec::Pcmu,
            computes: false,
            fetches: FuturesUnordered::new(),
            preparing: None,
            prompts: VecDeque::new(),
            takes,
        }
    }

    /// When to wake it, and for what.
    pub(super) fn deadline(&self) -> Option<(Timestamp, Timer)> {
        self.machine.as_ref().and_then(|machine| machine.deadline())
    }

    /// One thing happened; what the script wants now. `codec` is what the leg speaks.
    pub(super) async fn feed(
        &mut self,
        now: Timestamp,
        input: Input,
        codec: Option<Codec>,
    ) -> Vec<Wish> {
        self.codec = codec.unwrap_or(self.codec);
        let Some(mut machine) = self.machine.take() else {
            return Vec::new();
        };
        self.computes |= brings_script(&input);
        let evaluate = move || {
            machine.handle(now, input);
            let steps: Vec<Step> = std::iter::from_fn(|| machine.poll()).collect();
            (machine, steps)
        };
        // A customer's script may compute for a while; the runtime's workers serve other calls.
        let evaluated = if self.computes {
            self.parts.evaluations.run(self.account, evaluate).await
        } else {
            Ok(evaluate())
        };
        match evaluated {
            Ok((machine, steps)) => {
                self.machine = Some(machine);
                steps.into_iter().filter_map(|step| self.take(step)).collect()
            }
            Err(error) => {
                vec![Wish::Problem(error.to_string()), Wish::End { token: None, opts_out: false }]
            }
        }
    }

    /// Waits for the script's own work: fetches and prompts.
    pub(super) async fn next(&mut self) -> Done {
        self.prepare();
        tokio::select! {
            Some(input) = self.fetches.next(), if !self.fetches.is_empty() => Done::Input(Box::new(input)),
            (play, prepared) = next_of(self.preparing.as_mut(), |preparing| preparing) => {
                self.preparing = None;
                match prepared {
                    Ok(items) => Done::Play { play, items },
                    Err(error) => Done::Input(Box::new(Input::PlayFailed { play, error })),
                }
            }
            else => std::future::pending().await,
        }
    }

    fn take(&mut self, step: Step) -> Option<Wish> {
        match step {
            Step::Connect(wanted) => Some(Wish::Connect(wanted)),
            Step::End { values } => {
                let token = values.get("token").cloned();
                Some(Wish::End { token, opts_out: opts_out(&values) })
            }
            Step::Join(wanted) => Some(Wish::Join(wanted)),
            Step::Leave => Some(Wish::Leave),
            Step::SendKeys { keys } => Some(Wish::SendKeys(keys)),
            Step::EndTransfer => Some(Wish::EndTransfer),
            Step::Fetch(fetch) => {
                let (parts, cookies) = (Arc::clone(&self.parts), self.cookies.clone());
                let takes = self.takes.clone();
                self.fetches.push(
                    async move {
                        let result = parts.fetcher.page_with(&fetch, &cookies, &takes).await;
                        Input::Fetched { fetch: fetch.fetch, result }
                    }
                    .boxed(),
                );
                None
            }
            Step::HangUp => Some(Wish::HangUp),
            Step::Listen(wanted) => Some(Wish::Listen(wanted)),
            // What a script logs may hold what a callee keyed: only its length is told.
            Step::Log { label, text } => {
                tracing::debug!(label, text_bytes = text.len(), "script log");
                None
            }
            Step::Play { play, prompts } => {
                self.prompts.push_back((play, prompts));
                None
            }
            Step::Record(wanted) => Some(Wish::Record(wanted)),
            Step::Transfer(wanted) => Some(Wish::Transfer(wanted)),
            Step::Problem { event, message } => Some(Wish::Problem(format!("{event}: {message}"))),
            Step::StopListen => Some(Wish::StopListen),
            Step::StopPlay => {
                self.prompts.clear();
                self.preparing = None;
                Some(Wish::StopPlay)
            }
            Step::StopRecord => Some(Wish::StopRecord),
            Step::StopTranscribe => Some(Wish::StopTranscribe),
            Step::Transcribe(wanted) => Some(Wish::Transcribe(wanted)),
        }
    }

    /// Feeds the script this once it has done what it does now.
    pub(super) fn later(&mut self, input: Input) {
        self.fetches.push(std::future::ready(input).boxed());
    }

    /// What was recorded in this call.
    pub(super) fn takes(&self) -> &Takes {
        &self.takes
    }

    /// Begins with the next prompts, if none are being made ready.
    fn prepare(&mut self) {
        if self.preparing.is_some() {
            return;
        }
        let Some((play, prompts)) = self.prompts.pop_front() else {
            return;
        };
        let (parts, cookies, codec) = (Arc::clone(&self.parts), self.cookies.clone(), self.codec);
        let takes = self.takes.clone();
        self.preparing = Some(
            async move {
                let fetch = |wish: AudioWish| {
                    let (parts, cookies) = (&parts, &cookies);
                    async move { parts.fetcher.audio(&wish, cookies).await }
                };
                let (speech, files) = (&parts.speech, &parts.files);
                (play, files::prepare(speech, files, &prompts, (codec, &takes), fetch).await)
            }
            .boxed(),
        );
    }
}

/// Whether a page comes in that may keep a thread busy: one with ECMAScript in it, or a large one.
///
/// It is enough to look for the words: a page that only seems to have some is none the worse.
fn brings_script(input: &Input) -> bool {
    let page = match input {
        Input::Start { page: StartPage::Document(text), .. } => text,
        Input::Fetched { result: Ok(page), .. } => &page.text,
        _ => return false,
    };
    let element =
        |name: &str| page.match_indices(name).any(|(at, _)| page[..at].ends_with(['<', ':']));
    let attribute = |name: &str| {
        page.match_indices(name)
            .any(|(at, _)| page[at + name.len()..].trim_start().starts_with('='))
    };
    page.len() > IN_PLACE_BYTES_MAX
        || ["expr", "cond", "array", "expritem", "namelist"].into_iter().any(attribute)
        || ["script", "var", "assign"].into_iter().any(element)
}

/// What pages of actions are told of who asks.
fn instance(begun: &Begun, pages: &ActionPages) -> Instance {
    let spec = &begun.application.spec;
    let page = |page: &PageAddress| WebPage { url: page.url.clone(), method: method(page) };
    Instance {
        id: begun.contact.id.to_string(),
        call: begun.attempt.id.to_string(),
        token: begun.contact.reference.clone(),
        application_parameters: spec.parameters.clone(),
        outbound_parameters: begun.contact.parameters.clone(),
        error_page: pages.error.as_ref().map(page),
        is_classified: spec.detection.as_ref().is_some_and(|it| it.rules().is_some()),
        voice: pages.voice.clone(),
        connects_max: usize::try_from(pages.extra_legs).unwrap_or(usize::MAX),
        recording: crate::files::recording_address(begun.contact.id, begun.attempt.id),
        is_far_end: false,
    }
}

/// The page that an application of actions begins with.
fn first_page(pages: &ActionPages) -> Result<StartPage, String> {
    let url = &pages.first.url;
    start_page(&pages.first).ok_or_else(|| format!("first page {url:?} is no address"))
}

/// A page that a script of actions goes on with; `None` where its address is none.
pub(super) fn start_page(page: &PageAddress) -> Option<StartPage> {
    let url = Url::parse(&page.url).ok()?;
    let method = match method(page) {
        PageMethod::Get => Method::Get,
        PageMethod::Post => Method::Post(Vec::new()),
    };
    Some(StartPage::Url { url, method })
}

fn method(page: &PageAddress) -> PageMethod {
    if page.is_got { PageMethod::Get } else { PageMethod::Post }
}

/// What the script may know of its call.
fn session(contact: &Contact, facade: Facade, callee_type: Option<CalleeType>) -> Session {
    let destination = &contact.destination;
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Session {
        local_uri: destination.caller_id().map(|id| format!("tel:{id}")).unwrap_or_default(),
        remote_uri: facade.remote_uri(destination),
        protocol_name: "sip".into(),
        protocol_version: "2.0".into(),
        callee_type: facade.session_callee_type(callee_type).into(),
        parameters: contact.variables.iter().map(pair).collect(),
    }
}

/// Whether a script said at its end that the callee wants no more calls: docs/dialing-rules.md.
fn opts_out(values: &BTreeMap<String, String>) -> bool {
    values.get(OPT_OUT).is_some_and(|said| ["true", "1", "yes"].contains(&said.as_str()))
}

/// The variable by which a script says so: `<exit namelist="opt_out"/>` (VoiceXML 2.0 §5.3.9).
const OPT_OUT: &str = "opt_out";

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(text: &str) -> Input {
        Input::Start { session: Session::default(), page: StartPage::Document(text.into()) }
    }

    #[test]
    fn page_without_ecmascript_is_run_in_place() {
        let page = "<vxml><form><field type='digits'><prompt>One second, there are various.</prompt></field></form></vxml>";
        assert!(!brings_script(&starts(page)));
    }

    #[test]
    fn page_that_may_compute_is_not() {
        for page in [
            "<if cond\n= 'true'/>",
            "<data srcexpr='1'/>",
            "<v:script>for(;;);</v:script>",
            "<var name='a'/>",
        ] {
            assert!(brings_script(&starts(page)), "{page}");
        }
        assert!(brings_script(&starts(&"x".repeat(IN_PLACE_BYTES_MAX + 1))));
    }

    #[test]
    fn script_opts_the_callee_out_by_a_value_that_says_yes() {
        let said = |said: &str| opts_out(&BTreeMap::from([(OPT_OUT.into(), said.into())]));
        assert!(said("true") && said("1") && said("yes"));
        assert!(!said("false") && !said("") && !said("0") && !said("undefined"));
        assert!(!opts_out(&BTreeMap::new()));
    }
}

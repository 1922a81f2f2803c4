//! The only door between a script and a call: what a script wants done, and what it is told.
//!
//! Every script machine, whatever its language, takes [`Input`] and gives [`Step`]: `handle` one
//! input, `poll` all steps, mind the `deadline`, feed the next.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

/// Names one playing, so that its end can be told from the end of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayId(pub u32);

/// Names one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FetchId(pub u32);

/// One thing a script wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Play these in order, after what is still playing; answered by [`Input::PlayEnded`] or
    /// [`Input::PlayFailed`] unless [`Step::StopPlay`] comes first.
    Play {
        /// Names this playing.
        play: PlayId,
        /// What to play.
        prompts: Vec<Prompt>,
    },
    /// Stop playing at once and forget what was to come; no [`Input::PlayEnded`] follows.
    StopPlay,
    /// Fetch a page; answered by [`Input::Fetched`], always.
    Fetch(Fetch),
    /// A line for the application's developer.
    Log {
        /// What kind of line; empty where the script names none.
        label: String,
        /// The line.
        text: String,
    },
    /// Something went wrong in the script; it goes on as its own handlers say.
    Problem {
        /// The event, as `error.badfetch.http.404`.
        event: String,
        /// What was wrong, where, and what would be right.
        message: String,
    },
    /// The script wants the call to end; it may run on without one.
    HangUp,
    /// The last step: the script has ended, and with it the call.
    End {
        /// Values that the script gave back, by name (VoiceXML `<exit>`).
        values: BTreeMap<String, String>,
    },
}

/// Something to be heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// A recording; where it cannot be had, `fallback` is played instead.
    Audio {
        /// Where it is, absolute.
        url: Url,
        /// How long its fetch may take; `None` for the engine's default.
        timeout: Option<Duration>,
        /// What to play instead; empty: the prompt is skipped.
        fallback: Vec<Self>,
    },
    /// Silence.
    Silence(Duration),
    /// A text to be spoken.
    Speech {
        /// The text, plain; no markup.
        text: String,
        /// Language as in `en-US`; `None` for the configured one.
        language: Option<String>,
    },
}

/// A page to fetch.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    /// Names this fetch.
    pub fetch: FetchId,
    /// Where it is, absolute, without fragment; a GET's fields are already in its query.
    pub url: Url,
    /// How it is asked for.
    pub method: Method,
    /// How long it may take; `None` for the engine's default.
    pub timeout: Option<Duration>,
    /// Oldest copy that will do, in seconds, as in Cache-Control: max-age.
    pub maxage_s: Option<u32>,
    /// How much staler than fresh a copy may be, in seconds, as in Cache-Control: max-stale.
    pub maxstale_s: Option<u32>,
}

/// How a page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST of a form, as `application/x-www-form-urlencoded`.
    Post(Vec<(String, String)>),
    /// POST of a form as `multipart/form-data`.
    PostMultipart(Vec<(String, String)>),
}

/// One thing that happened to a script.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The call is answered; begin.
    Start {
        /// What the script may know of the call.
        session: Session,
        /// The first page.
        page: StartPage,
    },
    /// A fetch has ended.
    Fetched {
        /// Which.
        fetch: FetchId,
        /// With what.
        result: Result<Fetched, FetchError>,
    },
    /// The callee pressed a key: `0-9 A-D * #`.
    Key(char),
    /// The last sample of this playing is out.
    PlayEnded {
        /// Which.
        play: PlayId,
    },
    /// This playing could not be had, in part or whole; nothing more of it comes.
    PlayFailed {
        /// Which.
        play: PlayId,
        /// Why.
        error: PlayError,
    },
    /// Who or what answered is now known.
    CalleeType(&'static str),
    /// The call is gone; the script may run on to its end without input or output.
    HungUp,
    /// The timer of the last deadline ran out.
    Expired(Timer),
}

/// Why a script wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// No further key came after the last one.
    InterDigit,
    /// No input came after the prompts.
    NoInput,
    /// No terminating key came after complete input.
    Term,
}

/// The first page.
#[derive(Clone, Debug, PartialEq)]
pub enum StartPage {
    /// A document that is already here; relative addresses in it cannot be resolved.
    Document(String),
    /// To be fetched.
    Url {
        /// Where it is.
        url: Url,
        /// How it is asked for.
        method: Method,
    },
}

/// What a script may know of its call (VoiceXML 2.0 §5.1.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Our own address: the caller ID, as `tel:…`; empty where none is shown.
    pub local_uri: String,
    /// The callee's address, as `tel:…`.
    pub remote_uri: String,
    /// `sip` in the embedded engine.
    pub protocol_name: String,
    /// `2.0`.
    pub protocol_version: String,
    /// `processing`, then who answered, in the words of the client's facade.
    pub callee_type: String,
    /// Values of the client's request, each a session variable of its own under
    /// `session.connection.parameters`.
    pub parameters: BTreeMap<String, String>,
}

/// A page that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it came from after redirects; relative addresses in it resolve against this.
    pub url: Url,
    /// Its media type in lower case, without parameters; empty where the server named none.
    pub content_type: String,
    /// The page, decoded to UTF-8.
    pub text: String,
}

/// Why a page could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address is not permitted (scheme, port, private network).
    #[error("address is refused: {0}")]
    Refused(String),
    /// The server answered with this status.
    #[error("server answered {0}")]
    Status(u16),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// More than the limit.
    #[error("page is larger than {0} bytes")]
    TooLarge(usize),
    /// No connection, broken transfer, bad encoding.
    #[error("{0}")]
    Failed(String),
}

/// Why something could not be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayError {
    /// No synthesizer: `error.noresource`.
    #[error("no speech synthesizer: {0}")]
    NoResource(String),
    /// No synthesizer for this language: `error.unsupported.language`.
    #[error("no voice for language {0}")]
    Language(String),
    /// An audio file without fallback could not be fetched or decoded: `error.badfetch`.
    #[error("audio cannot be had: {0}")]
    BadFetch(String),
}

//! The only door between a script and a call: what a script wants done, and what it is told.
//!
//! Every script machine, whatever its language, takes [`Input`] and gives [`Step`]: `handle` one
//! input, `poll` all steps, mind the `deadline`, feed the next.

mod far_ends;

use std::collections::BTreeMap;
use std::time::Duration;

use domain::policy::CallRecording;
use url::Url;

pub use self::far_ends::{Connect, FarEndNews, FarScript, Waiting};
pub use crate::vxml::VoiceGrammar;

/// Names one playing, so that its end can be told from the end of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayId(pub u32);

/// Names one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FetchId(pub u32);

/// Names one listening to speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenId(pub u32);

/// Names one recording; it is kept until the call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(pub u32);

/// Names one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransferId(pub u32);

/// Names one stay in a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StayId(pub u32);

/// Names one transcription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TranscriptId(pub u32);

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
    /// Call several others for the callee, the first to answer wins; answered as
    /// [`Step::Transfer`] is, and ended by [`Step::EndTransfer`].
    Connect(Connect),
    /// Fetch a page; answered by [`Input::Fetched`], always.
    Fetch(Fetch),
    /// Put the callee into a conference; answered by [`Input::StayEnded`], always, and before that
    /// by [`Input::StayBegan`] where there was a place.
    Join(Join),
    /// Take the callee out of the conference; [`Input::StayEnded`] still follows.
    Leave,
    /// Recognize speech, also while prompts play; answered by [`Input::Heard`],
    /// [`Input::SpeechTooLong`] or [`Input::ListenFailed`] unless [`Step::StopListen`] comes
    /// first. Silence is the script's own affair.
    Listen(Listen),
    /// Recognize no more; nothing more is said of that listening.
    StopListen,
    /// Record the callee; answered by [`Input::Recorded`] or [`Input::RecordFailed`], always.
    Record(Record),
    /// End the recording under way and answer with what there is, also when the callee is gone.
    StopRecord,
    /// Call somebody for the callee; answered by [`Input::TransferEnded`], always, and before
    /// that by [`Input::TransferConnected`] where the two have talked.
    Transfer(Transfer),
    /// End the transfer under way, connected or not; [`Input::TransferEnded`] still follows.
    EndTransfer,
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
    /// Send keys to the callee; answered by [`Input::KeysSent`], always, unless the callee is gone.
    SendKeys {
        /// `0-9 A-D * #`, and `,` for a pause.
        keys: String,
    },
    /// Write down what is said; told by [`Input::Transcribed`] until it ends.
    Transcribe(Transcribe),
    /// Write down no more; what was still in the air is told yet.
    StopTranscribe,
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
        /// Oldest copy that will do, in seconds, as in Cache-Control: max-age.
        maxage_s: Option<u32>,
        /// How much staler than fresh a copy may be, in seconds, as in Cache-Control: max-stale.
        maxstale_s: Option<u32>,
        /// What to play instead; empty: the prompt is skipped.
        fallback: Vec<Self>,
    },
    /// A place in what is played; reaching it is told by [`Input::MarkReached`].
    Mark(String),
    /// A text to be spoken with markup.
    Markup {
        /// Content of an SSML 1.0 `<speak>`: well-formed, its elements without namespace prefix.
        ssml: String,
        /// The same without markup, for synthesizers that understand none.
        text: String,
        /// Language as in `en-US`; `None` for the configured one.
        language: Option<String>,
    },
    /// What was recorded in this call; where it is gone, `fallback` is played instead.
    Recording {
        /// Which.
        recording: RecordingId,
        /// What to play instead.
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
    /// POST of a text that is JSON.
    PostJson(String),
    /// POST of a form as `multipart/form-data`.
    PostMultipart(Vec<(String, Part)>),
}

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A text.
    Text(String),
    /// The sound of a recording, with the media type it was recorded in.
    Recording(RecordingId),
}

/// How to listen to speech.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Names this listening.
    pub listen: ListenId,
    /// It goes on from the one before, which has just ended: what was said since then counts.
    pub goes_on: bool,
    /// What may be said, in order of precedence; never empty.
    pub grammars: Vec<VoiceGrammar>,
    /// Language as in `en-US`; `None` for the configured one.
    pub language: Option<String>,
    /// Most readings of what was said that are of use.
    pub hypotheses_max: u32,
    /// Silence after speech that matches; `None` for the recognizer's default.
    pub complete: Option<Duration>,
    /// Silence after speech that may go on; `None` for the recognizer's default.
    pub incomplete: Option<Duration>,
    /// Longest speech; `None` for the recognizer's default.
    pub speech_max: Option<Duration>,
    /// How quiet speech may be, from 0 (loud only) to 1.
    pub sensitivity: f64,
    /// From 0 (right) to 1 (fast).
    pub speed_over_accuracy: f64,
    /// Where to keep the sound of what was said, if at all.
    pub recording: Option<RecordingId>,
}

/// How to record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Names this recording.
    pub recording: RecordingId,
    /// Whether to sound a tone before; it is not part of the recording.
    pub beep: bool,
    /// Longest recording.
    pub time_max: Duration,
    /// Silence after speech that ends it.
    pub final_silence: Duration,
    /// Silence from the start that ends it.
    pub timeout: Duration,
    /// `audio/basic`, `audio/x-alaw-basic` or `audio/x-wav`.
    pub media_type: String,
}

/// A recording that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// How.
    pub end: RecordEnd,
    /// How long it is, in sound.
    pub duration: Duration,
    /// How large it is.
    pub bytes: u64,
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEnd {
    /// It has its greatest length.
    Full,
    /// Nothing was said; there is no recording.
    NoInput,
    /// Nothing more was said.
    Silence,
    /// The script stopped it, or the callee is gone.
    Stopped,
}

/// Whom to call for the callee, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Names this transfer.
    pub transfer: TransferId,
    /// How.
    pub kind: TransferKind,
    /// `tel:…` or `sip:…`, as written.
    pub destination: String,
    /// How long to let it ring; the script ends it then.
    pub connect_timeout: Duration,
    /// What to tell the far end beside; empty for nothing.
    pub aai: String,
}

/// Which conference to put the callee into, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Names this stay.
    pub stay: StayId,
    /// The room; whoever of the account joins the same name meets there.
    pub room: String,
    /// Whether the others hear the callee.
    pub speaks: bool,
    /// Whether the conference begins when the callee comes, if it has not begun.
    pub begins: bool,
    /// Whether the conference ends when the callee leaves.
    pub ends: bool,
    /// Whether the others hear a sound when the callee comes and when he leaves.
    pub sounds: bool,
    /// Whether, and how, to record the call meanwhile.
    pub recording: CallRecording,
}

/// How a stay in a conference ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StayEnd {
    /// The conference is over.
    Closed,
    /// There is no place left.
    Full,
    /// The script took the callee out.
    Left,
    /// There are no conferences here.
    Unsupported,
}

/// What to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcribe {
    /// Names this transcription.
    pub transcript: TranscriptId,
    /// Language as in `en-US`; `None` for the configured one.
    pub language: Option<String>,
    /// What the callee says.
    pub callee: bool,
    /// What the callee hears.
    pub heard: bool,
    /// Whether to tell texts that may still change.
    pub interim: bool,
}

/// A piece of what was said, written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcribed {
    /// Readings of it, best first.
    pub hypotheses: Vec<Hypothesis>,
    /// Whether it will not change any more.
    pub is_final: bool,
    /// Whether the callee said it, and not whoever talks to the callee.
    pub by_callee: bool,
}

/// How a callee is transferred (VoiceXML 2.1 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// Handed over at once; the call is over for the script.
    Blind,
    /// The two talk through us; the call comes back when they have done.
    Bridge,
    /// Handed over once the far end has answered.
    Consultation,
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEnd {
    /// No such number, or one that means nothing here.
    BadDestination,
    /// The far end is busy.
    Busy,
    /// The script ended it.
    Ended,
    /// The far end hung up.
    FarEnd,
    /// The network ended it.
    Network,
    /// The network is busy.
    NetworkBusy,
    /// It rang, and nobody answered.
    NoAnswer,
    /// This call may not go there.
    NoAuthorization,
    /// There is no slot for another leg.
    NoResource,
    /// There is no way to go there.
    NoRoute,
    /// The far end refused with this status of its protocol.
    Protocol(u16),
    /// The callee was handed over and is gone.
    Transferred,
    /// It is over, and nobody knows how.
    Unknown,
    /// This kind of transfer cannot be made here.
    Unsupported,
    /// Addresses of this scheme cannot be called.
    UnsupportedUri,
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
    /// The callee said something, or made a noise.
    Heard {
        /// In which listening.
        listen: ListenId,
        /// What.
        heard: Heard,
    },
    /// Somebody outside wants the action under way to stop.
    Interrupted {
        /// The page that goes on; without one the script ends.
        page: Option<StartPage>,
    },
    /// The callee pressed a key: `0-9 A-D * #`.
    Key(char),
    /// The keys of the last [`Step::SendKeys`] are out.
    KeysSent,
    /// Speech cannot be recognized.
    ListenFailed {
        /// Which listening.
        listen: ListenId,
        /// Why.
        error: ListenError,
    },
    /// What is played has come to a mark.
    MarkReached {
        /// Of which playing.
        play: PlayId,
        /// Its name.
        name: String,
    },
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
    /// A recording has ended.
    Recorded {
        /// Which.
        recording: RecordingId,
        /// How.
        recorded: Recorded,
    },
    /// A recording could not be made.
    RecordFailed {
        /// Which.
        recording: RecordingId,
        /// Why, for the log.
        reason: String,
    },
    /// The callee began to speak.
    SpeechStarted {
        /// In which listening.
        listen: ListenId,
    },
    /// The callee spoke longer than may be.
    SpeechTooLong {
        /// In which listening.
        listen: ListenId,
    },
    /// The callee is in a conference.
    StayBegan {
        /// By which stay.
        stay: StayId,
    },
    /// The callee is in a conference no more, or was never let in.
    StayEnded {
        /// Which stay.
        stay: StayId,
        /// How.
        end: StayEnd,
    },
    /// A piece of what was said.
    Transcribed {
        /// Of which transcription.
        transcript: TranscriptId,
        /// The piece; `Err` says why there will be none, `None` that it is over.
        piece: Result<Option<Transcribed>, String>,
    },
    /// The far end of a transfer has answered; the two talk.
    TransferConnected {
        /// Which.
        transfer: TransferId,
    },
    /// What came of one far end of a [`Connect`]; the end of each is told before that of the whole.
    FarEnd {
        /// Of which.
        transfer: TransferId,
        /// Its place in the list of destinations.
        nth: usize,
        /// What.
        news: FarEndNews,
    },
    /// A transfer is over, or has failed.
    TransferEnded {
        /// Which.
        transfer: TransferId,
        /// How.
        end: TransferEnd,
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
    /// A fetch takes long: time for its audio, or the audio has been heard long enough.
    FetchAudio,
    /// No further key came after the last one.
    InterDigit,
    /// No input came after the prompts.
    NoInput,
    /// What was asked for has not been answered in time.
    Reply,
    /// A page that could not be had is asked for again.
    Retry,
    /// The script has slept.
    Sleep,
    /// No terminating key came after complete input.
    Term,
    /// The far end of a transfer has not answered.
    TransferConnect,
    /// The two have talked long enough.
    TransferMax,
}

/// What was recognized.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// Readings of it, best first; none: no words were made out.
    pub hypotheses: Vec<Hypothesis>,
    /// The sound of it, where it was asked for.
    pub recording: Option<Recorded>,
}

/// One reading of what was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Its words with single blanks between.
    pub words: String,
    /// From 0 to 1.
    pub confidence: f64,
}

/// Why speech cannot be recognized.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// The grammars are more than the recognizer can take: `error.noresource`.
    #[error("no speech recognizer: {0}")]
    NoResource(String),
    /// No recognizer for this language: `error.unsupported.language`.
    #[error("no recognizer for language {0}")]
    Language(String),
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

//! A VoiceXML document as it was written, parsed once and never changed.
//!
//! [`read`](super::read) makes it from text; the machine walks it. Statements live in shared
//! slices, so that a running script holds its place without borrowing the document.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::fault::Fault;
use super::grammar::{Grammar, Mode};
use super::place::Place;
use crate::srgs::Draft;
use crate::step::TransferKind;

/// A whole document.
#[derive(Debug)]
pub(crate) struct Document {
    /// Where it came from, without fragment; `None` for one that was handed over.
    pub(crate) url: Option<Url>,
    /// What relative addresses in it resolve against.
    pub(crate) base: Option<Url>,
    /// Its name in messages.
    pub(crate) name: Arc<str>,
    pub(crate) language: Option<String>,
    /// The address of its application root, as written.
    pub(crate) application: Option<Located<String>>,
    /// Its `<var>` and `<script>` in document order.
    pub(crate) init: Block,
    pub(crate) catches: Vec<Catch>,
    pub(crate) links: Vec<Arc<Link>>,
    pub(crate) properties: Vec<Property>,
    pub(crate) dialogs: Vec<Arc<Dialog>>,
}

impl Document {
    /// The dialog of this id.
    pub(crate) fn dialog(&self, id: &str) -> Option<usize> {
        self.dialogs.iter().position(|dialog| dialog.id.as_deref() == Some(id))
    }
}

/// Something and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// An ECMAScript expression.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) text: Arc<str>,
    pub(crate) place: Place,
}

/// Given as it is, or to be evaluated.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Expr(Expr),
    Literal(String),
}

/// Statements, shared between the document and whoever runs them.
pub(crate) type Block = Arc<[Statement]>;

/// A form or a menu; a menu is a form with one item (VoiceXML 2.0 §2.2).
#[derive(Debug)]
pub(crate) struct Dialog {
    pub(crate) id: Option<String>,
    pub(crate) scope: GrammarScope,
    /// Its `<var>` and `<script>`, and the declaration of each form item, in document order.
    pub(crate) init: Block,
    pub(crate) items: Vec<Item>,
    /// All its `<filled>`, those inside items too, in document order.
    pub(crate) filled: Vec<Filled>,
    pub(crate) catches: Vec<Catch>,
    pub(crate) links: Vec<Arc<Link>>,
    pub(crate) properties: Vec<Property>,
    /// Form-level grammars.
    pub(crate) grammars: Vec<Arc<GrammarRef>>,
    pub(crate) place: Place,
}

impl Dialog {
    /// The form item of this name.
    pub(crate) fn item(&self, name: &str) -> Option<usize> {
        self.items.iter().position(|item| item.named && item.name == name)
    }
}

/// How far the grammars of a dialog reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrammarScope {
    Dialog,
    Document,
}

/// A form item.
#[derive(Debug)]
pub(crate) struct Item {
    /// The name of its variable; made up where it has none.
    pub(crate) name: String,
    /// Whether the document gave it its name.
    pub(crate) named: bool,
    pub(crate) expr: Option<Expr>,
    pub(crate) cond: Option<Expr>,
    pub(crate) kind: ItemKind,
    pub(crate) place: Place,
}

impl Item {
    /// What all items have that take input; `None` for blocks.
    pub(crate) fn input(&self) -> Option<&InputItem> {
        match &self.kind {
            ItemKind::Field(field) => Some(&field.input),
            ItemKind::Initial(input) => Some(input),
            ItemKind::Menu(menu) => Some(&menu.input),
            ItemKind::Object(object) => Some(&object.input),
            ItemKind::Record(record) => Some(&record.input),
            ItemKind::Subdialog(subdialog) => Some(&subdialog.input),
            ItemKind::Transfer(transfer) => Some(&transfer.input),
            ItemKind::Block(_) => None,
        }
    }

    /// Whether it is an input item, filled by something (VoiceXML 2.0 §2.3).
    pub(crate) fn is_input(&self) -> bool {
        !matches!(self.kind, ItemKind::Block(_) | ItemKind::Initial(_))
    }
}

#[derive(Debug)]
pub(crate) enum ItemKind {
    Block(Block),
    Field(Field),
    /// Asks for several fields at once (VoiceXML 2.0 §2.3.3).
    Initial(InputItem),
    Menu(Menu),
    Object(Object),
    Record(Record),
    Subdialog(Subdialog),
    Transfer(Transfer),
}

/// What all items have that talk with the callee.
#[derive(Debug, Default)]
pub(crate) struct InputItem {
    pub(crate) prompts: Vec<Arc<Prompt>>,
    pub(crate) catches: Vec<Catch>,
    pub(crate) links: Vec<Arc<Link>>,
    pub(crate) properties: Vec<Property>,
    pub(crate) grammars: Vec<Arc<GrammarRef>>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) input: InputItem,
    pub(crate) slot: String,
    pub(crate) modal: bool,
    pub(crate) options: Vec<Choosable>,
}

/// Platform code, of which there is none; visiting it is an error (VoiceXML 2.0 §2.3.5).
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) input: InputItem,
    pub(crate) class: String,
    pub(crate) params: Vec<Param>,
}

/// VoiceXML 2.0 §2.3.6.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) input: InputItem,
    pub(crate) modal: bool,
    pub(crate) beep: bool,
    /// Whether any key ends it.
    pub(crate) dtmf_term: bool,
    pub(crate) time_max: Option<Duration>,
    pub(crate) final_silence: Option<Duration>,
    /// The media type, as written.
    pub(crate) media_type: Option<String>,
}

/// VoiceXML 2.0 §2.3.4.
#[derive(Debug)]
pub(crate) struct Subdialog {
    pub(crate) input: InputItem,
    pub(crate) source: Given,
    pub(crate) params: Vec<Param>,
    pub(crate) names: Vec<String>,
    pub(crate) how: SubmitHow,
    pub(crate) fetch: FetchRule,
}

/// A value for a subdialog or an object.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) value: Given,
    pub(crate) place: Place,
}

/// VoiceXML 2.0 §2.3.7, 2.1 §9.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) input: InputItem,
    pub(crate) kind: TransferKind,
    pub(crate) destination: Given,
    pub(crate) connect_timeout: Option<Duration>,
    /// `None`: as long as they like.
    pub(crate) time_max: Option<Duration>,
    /// What the callee hears until the far end answers.
    pub(crate) audio: Option<String>,
    pub(crate) aai: Option<Given>,
}

#[derive(Debug)]
pub(crate) struct Menu {
    pub(crate) input: InputItem,
    pub(crate) choices: Vec<Choice>,
}

/// What `<choice>` and `<option>` have in common: something that a key and words choose.
#[derive(Debug)]
pub(crate) struct Choosable {
    /// Whether some of its words will do (VoiceXML 2.0 §2.2.5).
    pub(crate) approximate: bool,
    /// Keys, already numbered where the menu asks for it; empty for none.
    pub(crate) keys: String,
    /// Its text, for `<enumerate>` and recognizers.
    pub(crate) text: String,
    /// An option's `value`.
    pub(crate) value: Option<String>,
    /// Built from its keys and its words.
    pub(crate) own_grammars: Vec<Arc<GrammarRef>>,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) choosable: Choosable,
    /// Grammars of its own.
    pub(crate) grammars: Vec<Arc<GrammarRef>>,
    pub(crate) then: Outcome,
}

/// Where a choice or a link leads.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// To another page or dialog; addresses are relative to where the link stands.
    Go {
        to: Given,
        base: Option<Url>,
        fetch: FetchRule,
        place: Place,
    },
    Throw(Throw, Place),
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) grammars: Vec<Arc<GrammarRef>>,
    pub(crate) then: Outcome,
}

/// An event to throw.
#[derive(Clone, Debug)]
pub(crate) struct Throw {
    pub(crate) event: Given,
    pub(crate) message: Option<Given>,
}

/// A grammar as it stands in a document.
#[derive(Debug)]
pub(crate) struct GrammarRef {
    pub(crate) source: GrammarSource,
    /// Overrides the dialog's scope where given.
    pub(crate) scope: Option<GrammarScope>,
    /// What a relative address resolves against: where the grammar stands.
    pub(crate) base: Option<Url>,
    pub(crate) fetch: FetchRule,
    pub(crate) place: Place,
}

impl GrammarRef {
    /// Whether it is known to be one of keys.
    pub(crate) fn is_dtmf(&self) -> bool {
        match &self.source {
            GrammarSource::Draft(draft) => draft.mode() == Mode::Dtmf,
            GrammarSource::Inline(grammar) => grammar.mode() == Mode::Dtmf,
            GrammarSource::At(_) | GrammarSource::Refused(_) => false,
        }
    }
}

#[derive(Debug)]
pub(crate) enum GrammarSource {
    /// Elsewhere; a fragment names the rule.
    At(Given),
    /// Here, but it refers to other documents: linked when they have been fetched.
    Draft(Arc<Draft>),
    /// Here, or built in: compiled when the document was read.
    Inline(Arc<Grammar>),
    /// Not to be had: what to throw when it is to be active.
    Refused(Fault),
}

#[derive(Debug)]
pub(crate) struct Catch {
    /// Event names; empty means all.
    pub(crate) events: Vec<String>,
    pub(crate) count: u32,
    pub(crate) cond: Option<Expr>,
    pub(crate) content: Block,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct Filled {
    /// The item it stands in; `None` for one of the form.
    pub(crate) item: Option<usize>,
    pub(crate) mode: FilledMode,
    /// The items it waits for; `None`: every input item of the form.
    pub(crate) awaited: Option<Vec<usize>>,
    pub(crate) content: Block,
    pub(crate) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilledMode {
    All,
    Any,
}

#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) place: Place,
}

/// How something is fetched; what is not given is looked up in properties.
#[derive(Clone, Debug, Default)]
pub(crate) struct FetchRule {
    /// The address of what is played in the meantime, as written.
    pub(crate) audio: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) maxage_s: Option<u32>,
    pub(crate) maxstale_s: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) bargein: Option<bool>,
    pub(crate) bargein_type: Option<BargeinType>,
    pub(crate) cond: Option<Expr>,
    pub(crate) count: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) language: Option<String>,
    /// Its own `xml:base`; without one, addresses resolve against the active document, which for
    /// inherited handlers is not the one they stand in (VoiceXML 2.0 §5.2.4).
    pub(crate) base: Option<Url>,
    pub(crate) parts: Vec<Part>,
    pub(crate) place: Place,
}

impl Prompt {
    /// One without attributes.
    pub(crate) fn bare(parts: Vec<Part>, place: Place) -> Self {
        Self {
            bargein: None,
            bargein_type: None,
            cond: None,
            count: 1,
            timeout: None,
            language: None,
            base: None,
            parts,
            place,
        }
    }
}

/// What it takes to interrupt a prompt (VoiceXML 2.0 §4.1.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BargeinType {
    /// Input that matches as a whole.
    Hotword,
    /// Any input.
    Speech,
}

/// A part of a prompt.
#[derive(Debug)]
pub(crate) enum Part {
    Audio {
        source: Given,
        fetch: FetchRule,
        fallback: Vec<Self>,
        place: Place,
    },
    Break(Duration),
    /// The choices of the menu or field at hand, each as the template says.
    Enumerate {
        template: Option<Vec<Self>>,
        place: Place,
    },
    /// Its parts once for each element of an array.
    Foreach(Arc<Foreach<Vec<Self>>>),
    /// A place that is told when it is reached.
    Mark(Given),
    /// SSML around what is inside.
    Markup {
        name: String,
        /// Its start tag, whole.
        start: String,
        parts: Vec<Self>,
        /// What a synthesizer without markup says instead.
        plain: Plain,
    },
    /// Another language for what is inside.
    Spoken {
        language: String,
        parts: Vec<Self>,
    },
    Text(String),
    Value(Expr),
}

/// What becomes of a marked-up text where markup is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// This instead (`<sub>`).
    Alias(String),
    /// Its text, kept apart from its neighbours.
    Apart,
    /// Its text.
    Same,
    /// Its text, character by character (`<say-as interpret-as="digits">` and its kin).
    Spelled,
}

/// VoiceXML 2.1 §6.
#[derive(Debug)]
pub(crate) struct Foreach<C> {
    pub(crate) array: Expr,
    /// The variable of the element at hand.
    pub(crate) item: String,
    pub(crate) content: C,
    pub(crate) place: Place,
}

/// A statement and where it stands.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) act: Act,
    pub(crate) place: Place,
}

/// What a statement does (VoiceXML 2.0 §5.3).
#[derive(Debug)]
pub(crate) enum Act {
    Assign {
        name: String,
        expr: Expr,
    },
    Clear {
        names: Option<Vec<String>>,
    },
    /// The variable of a form item, in its place among the variables of the form.
    DeclareItem(usize),
    /// XML from a server (VoiceXML 2.1 §5).
    Data {
        name: Option<String>,
        from: Given,
        names: Vec<String>,
        how: SubmitHow,
        fetch: FetchRule,
    },
    Disconnect {
        names: Vec<String>,
    },
    Exit {
        expr: Option<Expr>,
        names: Vec<String>,
    },
    Foreach(Arc<Foreach<Block>>),
    Goto {
        to: Target,
        fetch: FetchRule,
    },
    /// Branches in order; an `else` has no condition.
    If(Vec<(Option<Expr>, Block)>),
    Log {
        label: String,
        expr: Option<Expr>,
        parts: Vec<LogPart>,
    },
    Prompt(Arc<Prompt>),
    Reprompt,
    /// Back from a subdialog, with values or with an event.
    Return {
        names: Vec<String>,
        throw: Option<Throw>,
    },
    Script {
        source: ScriptSource,
        fetch: FetchRule,
    },
    Submit {
        to: Given,
        names: Option<Vec<String>>,
        how: SubmitHow,
        fetch: FetchRule,
    },
    Throw(Throw),
    Var {
        name: String,
        expr: Option<Expr>,
    },
}

#[derive(Debug)]
pub(crate) enum LogPart {
    Text(String),
    Value(Expr),
}

/// Where a `<goto>` leads.
#[derive(Debug)]
pub(crate) enum Target {
    Item(Given),
    Page(Given),
}

#[derive(Debug)]
pub(crate) enum ScriptSource {
    At(Given),
    Inline(Expr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubmitHow {
    Get,
    PostForm,
    PostMultipart,
}

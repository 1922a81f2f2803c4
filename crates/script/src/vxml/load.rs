//! Gets pages, application roots, scripts and grammars, and moves between pages
//! (VoiceXML 2.0 §1.5.2, §5.3.7, §5.3.8, §6.1).

use std::sync::Arc;

use url::Url;

use super::document::{Document, Expr, FetchRule, Given, SubmitHow};
use super::event::Counters;
use super::fault::{BAD_FETCH, Fault};
use super::fia::{HangUp, Task, Vxml};
use super::form::Visit;
use super::grammar::Unfit;
use super::place::{Mistake, Place};
use super::prompt::resolve;
use super::property::Properties;
use super::read::read;
use super::record::recording_of;
use super::run::{Purpose, Running};
use super::scope::Level;
use super::value::Value;
use crate::step::{FetchError, Fetched, Method, Part, StartPage};

/// The pages at hand.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) document: Option<Arc<Document>>,
    /// The application root, where that is another page.
    pub(super) root: Option<Arc<Document>>,
    /// The root's address, also where the page is its own root.
    application: Option<Url>,
    /// Events that came while no dialog was at hand.
    pub(super) events: Counters,
    pub(super) last_result: Value,
    /// The address, as evaluated, of the grammar that has just been fetched.
    pub(super) fetched_grammar: Option<String>,
    /// A prompt on the way out has failed, and the document has heard of it.
    pub(super) farewell_failed: bool,
}

impl Pages {
    /// What relative addresses resolve against: the active page's base.
    pub(super) fn base(&self) -> Option<Url> {
        self.document.as_ref().and_then(|page| page.base.clone())
    }

    pub(super) fn language(&self) -> Option<&str> {
        self.document.as_ref().and_then(|page| page.language.as_deref())
    }

    /// The properties of the item, dialog, page and root at hand.
    pub(super) fn properties<'p>(&'p self, visit: Option<&'p Visit>) -> Properties<'p> {
        let item = visit.and_then(|visit| visit.item_at_hand()?.input());
        Properties {
            levels: [
                item.map_or(&[], |input| input.properties.as_slice()),
                visit.map_or(&[], |visit| visit.dialog.properties.as_slice()),
                self.document.as_ref().map_or(&[], |page| page.properties.as_slice()),
                self.root.as_ref().map_or(&[], |page| page.properties.as_slice()),
            ],
        }
    }
}

/// What a fetch is for.
#[derive(Debug)]
pub(super) enum Loading {
    Data {
        level: Level,
        name: Option<String>,
        place: Place,
    },
    Grammar {
        url: Url,
        address: String,
        place: Place,
    },
    Page(Move),
    /// The root of a page that is here already.
    Root(Move, Arc<Document>),
    Script {
        level: Level,
        place: Place,
    },
}

/// On the way to another page.
#[derive(Clone, Debug)]
pub(super) struct Move {
    /// The dialog to go to; `None`: the first.
    pub(super) dialog: Option<String>,
    pub(super) way: Way,
    /// Where the script asked for it; the start of the call has no such place.
    pub(super) place: Place,
}

/// How a page was asked for, which decides whether the root's variables live on (§1.5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Goto,
    /// A context of its own, with values for these variables and where they were given.
    Subdialog(Vec<(String, Place)>),
    Submit,
}

impl Vxml {
    /// The first page of the call.
    pub(super) fn load_first(&mut self, page: StartPage) -> Result<(), Fault> {
        let begin = |place| Move { dialog: None, way: Way::Submit, place };
        match page {
            StartPage::Document(text) => {
                let document = self.read_page(&text, None)?;
                self.arrived(document, begin(Place::platform()))
            }
            StartPage::Url { mut url, method } => {
                let mut begin = begin(Place::whole(&Arc::from(url.as_str())));
                begin.dialog = take_fragment(&mut url);
                self.usage.document(&self.limits)?;
                self.request(url, method, &FetchRule::default(), Loading::Page(begin))
            }
        }
    }

    /// Goes to an address; one that is only a fragment is a dialog of this page, unless it stands
    /// in another (a link of the root).
    pub(super) fn go(
        &mut self,
        address: &str,
        base: Option<&Url>,
        fetch: &FetchRule,
        place: &Place,
    ) -> Result<(), Fault> {
        self.forget_exit();
        let fragment = address.trim().strip_prefix('#');
        if let Some(id) = fragment.filter(|_| base == self.pages.base().as_ref()) {
            let page = self.pages.document.as_ref();
            let Some(dialog) = page.and_then(|page| page.dialog(id)) else {
                let message = format!("there is no dialog {id} in this page");
                return Err(Fault::bad_fetch(message).at(place));
            };
            self.running = None;
            self.task = Task::Enter(dialog, None);
            return Ok(());
        }
        let url = resolve(base, address).map_err(|fault| fault.at(place))?;
        self.move_to(url, Method::Get, Way::Goto, fetch, place)
    }

    pub(super) fn move_to(
        &mut self,
        mut url: Url,
        method: Method,
        way: Way,
        fetch: &FetchRule,
        place: &Place,
    ) -> Result<(), Fault> {
        let dialog = take_fragment(&mut url);
        let rule = self.properties().fetch("document", fetch)?;
        self.usage.document(&self.limits)?;
        self.running = None;
        let place = place.clone();
        let onward = Move { dialog, way, place };
        self.request(url, method, &rule, Loading::Page(onward))
    }

    /// A page that the script goes to takes back its wish to end.
    fn forget_exit(&mut self) {
        if self.hang_up == HangUp::No {
            self.exit = None;
        }
    }

    /// `<submit>`: values to a server, and on to the page it answers with (§5.3.8).
    pub(super) fn submit(
        &mut self,
        to: &Given,
        names: Option<&[String]>,
        how: SubmitHow,
        fetch: &FetchRule,
        place: &Place,
    ) -> Result<(), Fault> {
        self.forget_exit();
        let address = self.given(to)?;
        let base = match address.trim().starts_with('#') {
            // A fragment alone is this page, asked for anew.
            true => self.pages.document.as_ref().and_then(|page| page.url.clone()),
            false => self.pages.base(),
        };
        let mut url = resolve(base.as_ref(), &address)?;
        let fields = match names {
            Some(names) => self.fields(names)?,
            None => self.input_fields()?,
        };
        let method = method(how, fields, &mut url);
        self.move_to(url, method, Way::Submit, fetch, place)
    }

    /// The values of variables, as they are submitted.
    pub(super) fn fields(&mut self, names: &[String]) -> Result<Vec<(String, String)>, Fault> {
        let mut fields = Vec::new();
        let mut bytes = 0;
        for name in names {
            let value = self.scopes.read(name)?;
            if value.is_object() {
                let message = format!(
                    "{name} is an object, which cannot be submitted; submit its properties, as \
                     {name}.x"
                );
                return Err(Fault::semantic(message));
            }
            let text = value.to_text();
            bytes += name.len() + text.len();
            self.check_submit(bytes)?;
            fields.push((name.clone(), text));
        }
        Ok(fields)
    }

    /// The named input items of the form, which `<submit>` sends without a namelist. The script
    /// has not asked for objects by name, so that those which came of subdialogs and of grammars
    /// go by their properties.
    fn input_fields(&mut self) -> Result<Vec<(String, String)>, Fault> {
        let items = self.visit.iter().flat_map(|visit| &visit.dialog.items);
        let inputs = items.filter(|item| item.named && item.is_input());
        let names: Vec<String> = inputs.map(|item| item.name.clone()).collect();
        let mut fields = Vec::new();
        for name in names {
            let value = self.scopes.read(&name)?;
            spread(name, &value, &mut fields);
        }
        self.check_submit(fields.iter().map(|(name, text)| name.len() + text.len()).sum())?;
        Ok(fields)
    }

    // Fetching.

    /// What was awaited is here, or is not to be had.
    pub(super) fn take_fetched(&mut self, result: Result<Fetched, FetchError>, loading: Loading) {
        let taken = match (result, loading) {
            (Ok(page), Loading::Data { level, name, place }) => {
                let came = self.data_came(&page, level, name.as_deref());
                came.map_err(|fault| fault.at(&place))
            }
            (Ok(page), Loading::Grammar { url, address, place }) => {
                self.grammar_came(&page, &url, address).map_err(|fault| fault.at(&place))
            }
            (Ok(page), Loading::Page(onward)) => self.page_came(&page, onward),
            (Ok(page), Loading::Root(onward, leaf)) => self.root_came(&page, onward, leaf),
            (Ok(page), Loading::Script { level, place }) => self.script_came(page, level, &place),
            (Err(error), loading) => Err(fetch_fault(&error, &loading)),
        };
        if let Err(fault) = taken {
            self.raise(fault);
        }
    }

    fn page_came(&mut self, page: &Fetched, onward: Move) -> Result<(), Fault> {
        let document = self.read_page(&page.text, Some(&page.url))?;
        self.arrived(document, onward)
    }

    /// A page is here; its root may have to come first.
    fn arrived(&mut self, document: Arc<Document>, onward: Move) -> Result<(), Fault> {
        let Some(application) = &document.application else {
            return self.settle(document, None, &onward);
        };
        let place = application.place.clone();
        let root = resolve(document.base.as_ref(), &application.value);
        let mut root = root.map_err(|fault| fault.at(&place))?;
        root.set_fragment(None);
        let own_context = matches!(onward.way, Way::Subdialog(_));
        if self.pages.application.as_ref() == Some(&root) && !own_context {
            // The same application: its root, and all that is in its scope, stays.
            let root = self.pages.root.clone().or_else(|| self.pages.document.clone());
            return self.settle(document, root, &onward);
        }
        self.usage.document(&self.limits)?;
        let rule = self.properties().fetch("document", &FetchRule::default())?;
        self.request(root, Method::Get, &rule, Loading::Root(onward, document))
    }

    fn root_came(
        &mut self,
        page: &Fetched,
        onward: Move,
        leaf: Arc<Document>,
    ) -> Result<(), Fault> {
        let root = self.read_page(&page.text, Some(&page.url))?;
        if let Some(application) = &root.application {
            let message = "an application root names an application root of its own; only the \
                           pages of an application do";
            return Err(Fault::semantic(message).at(&application.place));
        }
        self.settle(leaf, Some(root), &onward)
    }

    fn read_page(&self, text: &str, url: Option<&Url>) -> Result<Arc<Document>, Fault> {
        let mut url = url.cloned();
        if let Some(url) = &mut url {
            url.set_fragment(None);
        }
        let name: Arc<str> = url.as_ref().map_or("document", Url::as_str).into();
        let document = read(text, &name, url.as_ref(), &self.limits);
        document.map(Arc::new).map_err(|mistakes| mistakes_fault(&name, &mistakes))
    }

    /// Page and root are here and in order: the page takes the place of the one before.
    pub(super) fn settle(
        &mut self,
        document: Arc<Document>,
        root: Option<Arc<Document>>,
        onward: &Move,
    ) -> Result<(), Fault> {
        let dialog = match &onward.dialog {
            None => (!document.dialogs.is_empty()).then_some(0),
            Some(id) => Some(document.dialog(id).ok_or_else(|| {
                let message = format!("there is no dialog {id} in {}", document.name);
                Fault::bad_fetch(message).at(&onward.place)
            })?),
        };
        if let Way::Subdialog(params) = &onward.way {
            self.enter_context()?;
            self.params = params.clone();
        }
        let kept = self.keeps_application(&document, root.as_ref(), &onward.way);
        self.scopes.close_page()?;
        if !kept {
            self.scopes.open(Level::Application)?;
        }
        self.visit = None;
        self.grammars.clear();
        self.pages.events = Counters::default();
        self.pages.application = match &root {
            Some(root) => root.url.clone(),
            None => document.url.clone(),
        };
        self.task = match (&root, kept) {
            (Some(_), false) => Task::InitRoot(dialog),
            (Some(_), true) => Task::InitDocument(dialog),
            (None, false) => Task::InitDocument(dialog),
            (None, true) => {
                self.scopes.share_document()?;
                self.pages.root = None;
                self.pages.document = Some(document);
                return self.document_ready(dialog);
            }
        };
        self.pages.document = Some(document);
        self.pages.root = root;
        Ok(())
    }

    /// Whether the variables of the application live on (§1.5.2): between pages of one root, and
    /// from a page to its root by goto.
    fn keeps_application(
        &self,
        document: &Document,
        root: Option<&Arc<Document>>,
        way: &Way,
    ) -> bool {
        let own = self.pages.application.as_ref();
        match root {
            Some(root) => own.is_some() && root.url.as_ref() == own,
            None => {
                let from_leaf = self.pages.root.is_some();
                from_leaf && *way == Way::Goto && own.is_some() && document.url.as_ref() == own
            }
        }
    }

    pub(super) fn init_root(&mut self, dialog: Option<usize>) -> Result<(), Fault> {
        if let Some(root) = &self.pages.root {
            let purpose = Purpose::InitRoot(dialog);
            self.running = Some(Running::new(&root.init, purpose));
        }
        Ok(())
    }

    pub(super) fn init_document(&mut self, dialog: Option<usize>) -> Result<(), Fault> {
        match &self.pages.root {
            Some(_) => self.scopes.open(Level::Document)?,
            None => self.scopes.share_document()?,
        }
        if let Some(page) = &self.pages.document {
            self.running = Some(Running::new(&page.init, Purpose::InitDocument(dialog)));
        }
        Ok(())
    }

    /// The page is initialized: into its dialog, or out where it has none.
    pub(super) fn document_ready(&mut self, dialog: Option<usize>) -> Result<(), Fault> {
        match dialog {
            Some(dialog) => self.task = Task::Enter(dialog, None),
            None => self.begin_exit(std::collections::BTreeMap::new()),
        }
        Ok(())
    }

    /// A grammar of the root matched: the root becomes the page at hand, its variables stay.
    pub(super) fn become_root(&mut self) -> Result<(), Fault> {
        self.scopes.close_page()?;
        self.scopes.share_document()?;
        self.visit = None;
        self.pages.document = self.pages.root.take();
        Ok(())
    }

    fn script_came(&mut self, page: Fetched, level: Level, place: &Place) -> Result<(), Fault> {
        if page.text.len() > self.limits.document_bytes_max {
            let message = format!("the script has {} bytes, which is too much", page.text.len());
            return Err(Fault::bad_fetch(message).at(place));
        }
        let code =
            Expr { text: Arc::from(page.text), place: Place::whole(&Arc::from(page.url.as_str())) };
        self.scopes.script(level, &code)
    }

    fn grammar_came(&mut self, page: &Fetched, url: &Url, address: String) -> Result<(), Fault> {
        let came = self.grammars.add(url, &page.url, &page.content_type, &page.text, &self.limits);
        came.map_err(unfit_fault)?;
        self.pages.fetched_grammar = Some(address);
        self.task = Task::Collect;
        Ok(())
    }
}

/// A value by its name, an object by its properties: `name.property`.
fn spread(name: String, value: &Value, fields: &mut Vec<(String, String)>) {
    match value {
        Value::List(values) => {
            for (at, value) in values.iter().enumerate() {
                spread(format!("{name}.{at}"), value, fields);
            }
        }
        Value::Record(properties) => {
            for (property, value) in properties {
                spread(format!("{name}.{property}"), value, fields);
            }
        }
        value => fields.push((name, value.to_text())),
    }
}

/// Why a grammar cannot be had, as the event of it.
pub(super) fn unfit_fault(unfit: Unfit) -> Fault {
    match unfit {
        Unfit::Fault(fault) => fault,
        Unfit::Mistakes(name, mistakes) => mistakes_fault(&name, &mistakes),
    }
}

/// How fields are sent: a GET has them in its address.
pub(super) fn method(how: SubmitHow, fields: Vec<(String, String)>, url: &mut Url) -> Method {
    match how {
        SubmitHow::Get => {
            if !fields.is_empty() {
                url.query_pairs_mut().extend_pairs(&fields);
            }
            Method::Get
        }
        SubmitHow::PostForm => Method::Post(fields),
        SubmitHow::PostMultipart => {
            let part = |text: String| match recording_of(&text) {
                Some(recording) => Part::Recording(recording),
                None => Part::Text(text),
            };
            let parts = fields.into_iter().map(|(name, text)| (name, part(text)));
            Method::PostMultipart(parts.collect())
        }
    }
}

fn take_fragment(url: &mut Url) -> Option<String> {
    let fragment = url.fragment().map(|fragment| {
        percent_encoding::percent_decode_str(fragment).decode_utf8_lossy().into_owned()
    });
    url.set_fragment(None);
    fragment.filter(|fragment| !fragment.is_empty())
}

fn fetch_fault(error: &FetchError, loading: &Loading) -> Fault {
    let event = match error {
        FetchError::Status(status) => format!("{BAD_FETCH}.http.{status}"),
        FetchError::Refused(_)
        | FetchError::Timeout
        | FetchError::TooLarge(_)
        | FetchError::Failed(_) => BAD_FETCH.to_owned(),
    };
    let (what, place) = match loading {
        Loading::Data { place, .. } => ("data", place),
        Loading::Grammar { place, .. } => ("grammar", place),
        Loading::Page(onward) => ("page", &onward.place),
        Loading::Root(onward, _) => ("application root", &onward.place),
        Loading::Script { place, .. } => ("script", place),
    };
    Fault::new(event, format!("the {what} cannot be had: {error}")).at(place)
}

/// Mistakes told in a message; the rest is for whoever checks the page.
const MISTAKES_TOLD_MAX: usize = 3;

pub(super) fn mistakes_fault(name: &Arc<str>, mistakes: &[Mistake]) -> Fault {
    let told = mistakes.iter().take(MISTAKES_TOLD_MAX).map(Mistake::to_string);
    let mut message = told.collect::<Vec<_>>().join("; ");
    if mistakes.len() > MISTAKES_TOLD_MAX {
        let more = mistakes.len() - MISTAKES_TOLD_MAX;
        message.push_str(&format!("; and {more} more"));
    }
    Fault::bad_fetch(message).at(&Place::whole(name))
}

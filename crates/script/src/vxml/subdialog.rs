//! Subdialogs: another context, values into it and out of it (VoiceXML 2.0 §2.3.4, §5.3.10).

use super::document::{Given, Param, Subdialog, Throw};
use super::fault::Fault;
use super::fia::Vxml;
use super::form::Visit;
use super::grammar::Shelf;
use super::load::{Move, Pages, Way};
use super::place::Place;
use super::prompt::resolve;
use super::scope::Level;
use super::value::Value;

/// A context that waits for its subdialog.
#[derive(Debug)]
pub(super) struct Frame {
    pages: Pages,
    visit: Option<Visit>,
    grammars: Shelf,
}

impl Vxml {
    /// Gets the page of a subdialog, and its values ready.
    pub(super) fn call_subdialog(
        &mut self,
        subdialog: &Subdialog,
        place: &Place,
    ) -> Result<(), Fault> {
        if self.frames.len() >= self.limits.subdialogs_max {
            let max = self.limits.subdialogs_max;
            let message = format_args!("more than {max} subdialogs inside each other");
            return Err(Fault::limit("subdialogs_max", message));
        }
        let address = self.given(&subdialog.source)?;
        let fields = self.fields(&subdialog.names)?;
        let params = self.hold_params(&subdialog.params)?;
        let fragment = address.trim().strip_prefix('#');
        if let (Some(id), true) = (fragment, subdialog.names.is_empty()) {
            let Some(document) = self.pages.document.clone() else {
                return Ok(());
            };
            let dialog = (!id.is_empty()).then(|| id.to_owned());
            let onward = Move { dialog, way: Way::Subdialog(params), place: place.clone() };
            return self.settle(document, self.pages.root.clone(), &onward);
        }
        let base = match fragment {
            Some(_) => self.pages.document.as_ref().and_then(|page| page.url.clone()),
            None => self.pages.base(),
        };
        let mut url = resolve(base.as_ref(), &address)?;
        let method = super::load::method(subdialog.how, fields, &mut url);
        self.move_to(url, method, Way::Subdialog(params), &subdialog.fetch, place)
    }

    fn hold_params(&mut self, params: &[Param]) -> Result<Vec<(String, Place)>, Fault> {
        self.scopes.drop_held()?;
        let mut names = Vec::new();
        for param in params {
            let held = match &param.value {
                Given::Expr(expr) => self.scopes.hold(&param.name, expr),
                Given::Literal(text) => {
                    self.scopes.hold_value(&param.name, Value::text(text.clone()))
                }
            };
            held.map_err(|fault| fault.at(&param.place))?;
            names.push((param.name.clone(), param.place.clone()));
        }
        Ok(names)
    }

    /// The subdialog's page is here: sets the caller aside.
    pub(super) fn enter_context(&mut self) -> Result<(), Fault> {
        self.scopes.push_frame()?;
        self.frames.push(Frame {
            pages: std::mem::take(&mut self.pages),
            visit: self.visit.take(),
            grammars: std::mem::take(&mut self.grammars),
        });
        Ok(())
    }

    /// `<return>`: back to the caller, with values or with an event.
    pub(super) fn return_to_caller(
        &mut self,
        names: &[String],
        throw: Option<&Throw>,
        place: &Place,
    ) -> Result<(), Fault> {
        if self.frames.is_empty() {
            let message = "<return> outside of a subdialog, so that there is nowhere to return to";
            return Err(Fault::semantic(message));
        }
        let event = throw.map(|throw| self.event(throw)).transpose()?;
        self.scopes.drop_held()?;
        for name in names {
            self.scopes.hold_variable(name)?;
        }
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        self.scopes.pop_frame()?;
        self.running = None;
        self.activation = None;
        self.params.clear();
        (self.pages, self.visit, self.grammars) = (frame.pages, frame.visit, frame.grammars);
        if let Some(event) = event {
            self.throw(event, Some(place));
            return Ok(());
        }
        let at_hand = self.visit.as_ref().and_then(Visit::named_item);
        if let Some((at, name)) = at_hand {
            self.scopes.release_all(Level::Dialog, &name)?;
            self.begin_filled(vec![at]);
        }
        Ok(())
    }

    /// A variable of the subdialog's form that the caller gives a value; true where it does
    /// (§2.3.4: the value of a `<param>` comes before that of the `<var>`).
    pub(super) fn take_param(&mut self, name: &str) -> Result<bool, Fault> {
        let Some(visit) = &mut self.visit else {
            return Ok(false);
        };
        let before = visit.params.len();
        visit.params.retain(|(own, _)| own != name);
        if visit.params.len() == before {
            return Ok(false);
        }
        self.scopes.release(Level::Dialog, name)
    }

    /// Every value that the caller gave must have had its variable.
    pub(super) fn check_params(&mut self) -> Result<(), Fault> {
        let left = self.visit.as_mut().map(|visit| std::mem::take(&mut visit.params));
        match left.unwrap_or_default().first() {
            None => Ok(()),
            Some((name, place)) => {
                let message = format!(
                    "the form of the subdialog has no variable {name} for this <param>; it needs \
                     <var name=\"{name}\"/>"
                );
                Err(Fault::semantic(message).at(place))
            }
        }
    }
}

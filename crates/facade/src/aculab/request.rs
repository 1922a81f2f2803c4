//! What clients ask: whom to call, which invocations are meant, and who asks.

use domain::contact::{NewContact, TEXT_MAX};
use domain::number::Destination;
use domain::number::sip_address::SipNumber;
use domain::terms::Variables;
use serde_json::Value;

use super::service::CallType;
use super::words::CONFERENCE;
use crate::form::Form;

/// Most calls of one request.
pub const CALLS_MAX: usize = 1_000;
/// Most invocations of one request.
pub const IDS_MAX: usize = 1_000;

/// The user of a request: `cloud/user`, or `cloud/user/service`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User<'u> {
    /// The login of the account.
    pub login: &'u str,
    /// The service, where one is named.
    pub service: Option<&'u str>,
}

impl<'u> User<'u> {
    /// Reads a user; which cloud it is makes no difference here.
    pub fn parse(text: &'u str) -> Option<Self> {
        let (_, rest) = text.split_once('/')?;
        let (login, service) = match rest.split_once('/') {
            Some((login, service)) => (login, Some(service)),
            None => (rest, None),
        };
        (!login.is_empty()).then_some(Self { login, service })
    }
}

/// The calls that `service_start` asks for; or all that is wrong with them.
pub fn calls(
    form: &Form,
    call_type: CallType,
    application_parameters: &str,
    is_at_trunk: impl Fn(&SipNumber) -> bool,
) -> Result<Vec<NewContact>, Vec<String>> {
    let text = one(form, "rest_calls").or_else(|| one(form, "outbound_parameters"));
    let Some(text) = text else {
        return Err(vec!["rest_calls is a required parameter".to_owned()]);
    };
    let value: Value = serde_json::from_str(text)
        .map_err(|error| vec![format!("rest_calls is not JSON: {error}")])?;
    let items = match value {
        Value::Array(items) => items,
        Value::Object(_) => vec![value],
        _ => return Err(vec!["rest_calls is not an object or a list of objects".to_owned()]),
    };
    if items.is_empty() || items.len() > CALLS_MAX {
        return Err(vec![format!("rest_calls has {} calls, not 1 to {CALLS_MAX}", items.len())]);
    }
    let mut details = Vec::new();
    let mut calls = Vec::new();
    for (nth, item) in items.iter().enumerate() {
        if !item.is_object() {
            details.push(format!("rest_calls[{nth}] is not of type 'object'"));
            continue;
        }
        match call(item, call_type, application_parameters, &is_at_trunk) {
            Ok(call) => calls.push(call),
            Err(why) => details.extend(why.iter().map(|why| format!("rest_calls[{nth}].{why}"))),
        }
    }
    if details.is_empty() { Ok(calls) } else { Err(details) }
}

fn call(
    item: &Value,
    call_type: CallType,
    application_parameters: &str,
    is_at_trunk: &impl Fn(&SipNumber) -> bool,
) -> Result<NewContact, Vec<String>> {
    let mut details = Vec::new();
    let mut text = |name: &str, needed: bool| match item.get(name) {
        Some(Value::String(text)) => Some(text.trim().to_owned()),
        None | Some(Value::Null) if needed => {
            details.push(format!("{name} is a required property"));
            None
        }
        None | Some(Value::Null) => None,
        Some(_) => {
            details.push(format!("{name} is not of type 'string'"));
            None
        }
    };
    let to = text("to", true);
    // Nobody is shown a number in a conference.
    let from = text("from", to.is_some() && call_type == CallType::TelephoneNumber);
    let token = text("token", false).unwrap_or_default();
    let parameters = match item.get("outbound_parameters") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    for (name, text) in [("token", &token), ("outbound_parameters", &parameters)] {
        if text.chars().count() > TEXT_MAX {
            details.push(format!("{name} is longer than {TEXT_MAX} characters"));
        }
    }
    let destination = to.as_deref().map(|to| match call_type {
        CallType::Conference => conference(to),
        CallType::TelephoneNumber => number("to", to, is_at_trunk),
    });
    let caller = from.as_deref().filter(|from| !from.is_empty());
    let caller = caller.map(|from| number("from", from, is_at_trunk)).transpose();
    let mut variables = Variables::default();
    if variables.add(APPLICATION_PARAMETERS, application_parameters).is_err() {
        details.push("application_parameters of the service are too long".to_owned());
    }
    match (destination, caller) {
        (Some(Ok(destination)), Ok(caller)) if details.is_empty() => {
            let destination = match caller {
                Some(caller) => destination
                    .with_caller_id(caller.dialed())
                    .map_err(|error| vec![format!("from is refused: {error}")])?,
                None => destination,
            };
            let contact = NewContact::new(destination);
            Ok(NewContact { reference: token, parameters, variables, ..contact })
        }
        (destination, caller) => {
            details.extend(destination.and_then(Result::err));
            details.extend(caller.err());
            Err(details)
        }
    }
}

/// A conference of the account, by its name: `con:talk`, or `talk`.
fn conference(text: &str) -> Result<Destination, String> {
    let prefix = format!("{CONFERENCE}:");
    let name = match text.split_once(':') {
        Some((scheme, name)) if scheme.eq_ignore_ascii_case(CONFERENCE) => name,
        Some((scheme, _)) => {
            return Err(format!(
                "to '{scheme}:' is no conference, and outbound_call_type is 'conference'; \
                 write '{prefix}' and a name"
            ));
        }
        None => text,
    };
    Destination::conference(name.trim()).map_err(|error| format!("to '{name}': {error}"))
}

/// A telephone number, or one at a host of a trunk; whatever else has a prefix cannot be called from
/// here.
fn number(
    name: &str,
    text: &str,
    is_at_trunk: &impl Fn(&SipNumber) -> bool,
) -> Result<Destination, String> {
    if let Some(address) = SipNumber::parse(text) {
        return if is_at_trunk(&address) {
            Ok(address.number)
        } else {
            let host = address.host;
            Err(format!("{name}: calls leave by trunks, and none of them is at '{host}'"))
        };
    }
    let (scheme, rest) = text.split_once(':').unwrap_or(("tel", text));
    if scheme.eq_ignore_ascii_case(CONFERENCE) {
        return Err(format!(
            "{name} '{scheme}:' is a conference, and outbound_call_type is 'telephone_number'"
        ));
    }
    if !scheme.eq_ignore_ascii_case("tel") {
        return Err(format!(
            "{name} '{scheme}:' cannot be called from here, telephone numbers as tel:15550100 can"
        ));
    }
    if rest.contains('@') {
        return Err(format!("{name} is a SIP address whose user is no telephone number"));
    }
    let digits = rest.strip_prefix('+').unwrap_or(rest);
    if digits.matches('-').count() > 1 || digits.starts_with('0') {
        let expected = "a full international number without a leading 0, with at most one '-'";
        return Err(format!("{name} is not {expected}"));
    }
    // Numbers are international here, with or without the plus.
    Destination::number(&format!("+{digits}")).map_err(|error| format!("{name}: {error}"))
}

/// The invocations that a request names, delimited by `/`.
pub fn ids(form: &Form, name: &'static str) -> Result<Vec<String>, Vec<String>> {
    let text = one(form, name).ok_or_else(|| vec![format!("{name} is a required parameter")])?;
    let ids: Vec<String> =
        text.split('/').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect();
    if ids.is_empty() || ids.len() > IDS_MAX {
        return Err(vec![format!("{name} names {} invocations, not 1 to {IDS_MAX}", ids.len())]);
    }
    Ok(ids)
}

/// Where an interrupted application goes on, if it does.
pub fn redirect(form: &Form) -> Result<Option<domain::application::PageAddress>, Vec<String>> {
    let is_got = match one(form, "redirect_method") {
        None | Some("POST") => false,
        Some("GET") => true,
        Some(other) => {
            return Err(vec![format!("redirect_method '{other}' is not one of ['GET','POST']")]);
        }
    };
    let Some(address) = one(form, "redirect_page") else {
        return Ok(None);
    };
    let url = crate::web_url::parse("redirect_page", address, 2_000)
        .map_err(|refusal| vec![refusal.to_string()])?;
    Ok(Some(domain::application::PageAddress { url, is_got }))
}

fn one<'f>(form: &'f Form, name: &'f str) -> Option<&'f str> {
    form.all(name).map(str::trim).find(|value| !value.is_empty())
}

/// Under this name every call carries its service's parameters, for who is told of its end.
pub(super) const APPLICATION_PARAMETERS: &str = "application_parameters";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(calls_text: &str) -> Result<Vec<String>, Vec<String>> {
        read_as(CallType::TelephoneNumber, calls_text)
    }

    fn read_as(call_type: CallType, calls_text: &str) -> Result<Vec<String>, Vec<String>> {
        let mut form = Form::new();
        form.push("rest_calls".into(), calls_text.into()).unwrap();
        let calls = calls(&form, call_type, "p", |address| address.host == "pbx.example")?;
        Ok(calls.iter().map(|call| format!("{} {}", call.destination, call.reference)).collect())
    }

    #[test]
    fn method_of_an_interrupt_is_looked_at_with_a_page_and_without() {
        let asked = |fields: &[(&str, &str)]| {
            let mut form = Form::new();
            for (name, value) in fields {
                form.push((*name).to_owned(), (*value).to_owned()).unwrap();
            }
            redirect(&form)
        };
        assert_eq!(asked(&[]), Ok(None));
        assert_eq!(asked(&[("redirect_method", "GET")]), Ok(None));
        let page = ("redirect_page", "http://app.example/next");
        let got = asked(&[page, ("redirect_method", "GET")]).unwrap().unwrap();
        assert!(got.is_got);
        for fields in [&[("redirect_method", "PUT")][..], &[page, ("redirect_method", "PUT")]] {
            let refused = asked(fields).unwrap_err();
            assert_eq!(refused, ["redirect_method 'PUT' is not one of ['GET','POST']"]);
        }
    }

    #[test]
    fn calls_are_read_one_or_many_with_numbers_in_every_documented_form() {
        let one = r#"{"to": "1617-5551234", "from": "18009957586", "token": "t"}"#;
        assert_eq!(read(one), Ok(vec!["+16175551234;ani=+18009957586 t".to_owned()]));
        let two = r#"[{"to": "tel:+16175551234", "from": "+18009957586"},
            {"to": "TEL:441908273800", "from": "18009957586"}]"#;
        assert_eq!(read(two).unwrap().len(), 2);
        let address = r#"{"to": "sip:+16175551234@PBX.example;user=phone", "from": "18009957586"}"#;
        assert_eq!(read(address), Ok(vec!["+16175551234;ani=+18009957586 ".to_owned()]));
    }

    #[test]
    fn every_mistake_of_every_call_is_named() {
        let wrong =
            r#"[{"from": "1"}, {"to": "sip:ann@x", "from": 5}, {"to": "0161", "from": "1"}]"#;
        assert_eq!(
            read(wrong).unwrap_err(),
            [
                "rest_calls[0].to is a required property",
                "rest_calls[1].from is not of type 'string'",
                "rest_calls[1].to 'sip:' cannot be called from here, telephone numbers as \
                 tel:15550100 can",
                "rest_calls[2].to is not a full international number without a leading 0, with at \
                 most one '-'",
            ]
        );
        let why = "rest_calls[1] is not of type 'object'";
        for other in ["null", "[]", "\"+15550100\"", "5"] {
            let calls = format!(r#"[{{"to": "+15550100", "from": "1"}}, {other}]"#);
            assert_eq!(read(&calls).unwrap_err(), [why], "{other}");
        }
        // Nobody has us send anything to hosts that are no trunk's.
        let other = r#"{"to": "sip:+16175551234@192.0.2.1:5060", "from": "1"}"#;
        let why = "rest_calls[0].to: calls leave by trunks, and none of them is at \
                   '192.0.2.1:5060'";
        assert_eq!(read(other).unwrap_err(), [why]);
        for text in ["", "x", "[]", "5"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    /// Checklist 2-006, 2-016.
    #[test]
    fn service_of_conferences_calls_them_by_name_and_nothing_else() {
        let read = |calls: &str| read_as(CallType::Conference, calls);
        let two = r#"[{"to": "con:talk", "token": "t"}, {"to": "CON: week_2 ", "from": "1800"}]"#;
        let expected = ["conference:talk t", "conference:week_2;ani=+1800 "];
        assert_eq!(read(two), Ok(expected.map(str::to_owned).into()));
        assert_eq!(read(r#"{"to": "talk", "from": ""}"#), Ok(vec!["conference:talk ".into()]));
        let wrong =
            r#"[{"to": "tel:15550100"}, {"to": "con:a b"}, {"to": "con:", "from": "x"}, {}]"#;
        assert_eq!(
            read(wrong).unwrap_err(),
            [
                "rest_calls[0].to 'tel:' is no conference, and outbound_call_type is \
                 'conference'; write 'con:' and a name",
                "rest_calls[1].to 'a b': a conference's name has 1 to 48 letters, digits, _ and -",
                "rest_calls[2].to '': a conference's name has 1 to 48 letters, digits, _ and -",
                "rest_calls[2].from: number has 'x', which is neither a digit nor a separator",
                "rest_calls[3].to is a required property",
            ]
        );
        let other = r#"{"to": "con:talk", "from": "1"}"#;
        let why = "rest_calls[0].to 'con:' is a conference, and outbound_call_type is \
                   'telephone_number'";
        assert_eq!(self::read(other).unwrap_err(), [why]);
    }

    #[test]
    fn user_names_cloud_login_and_service() {
        let user = User { login: "bob@example.com", service: Some("MyService") };
        assert_eq!(User::parse("1-2-0/bob@example.com/MyService"), Some(user));
        assert_eq!(User::parse("1-2-0/bob"), Some(User { login: "bob", service: None }));
        assert_eq!(User::parse("bob"), None);
        assert_eq!(User::parse("1-2-0/"), None);
    }
}

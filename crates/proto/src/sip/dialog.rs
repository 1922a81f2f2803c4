//! Dialogs (RFC 3261 §12): who speaks with whom, in which order, by which way.
//!
//! All our dialogs begin with our INVITE, so we are their UAC; requests go both ways afterwards.

use super::header::Headers;
use super::message::{Method, Request, Response};
use super::name::Name;
use super::transaction::MAX_FORWARDS;
use super::uri::Uri;
use super::value::NameAddr;

/// Longest route set we follow; real ones have one to four entries.
const ROUTES_MAX: usize = 16;

/// One dialog, early or confirmed.
#[derive(Clone, Debug)]
pub struct Dialog {
    call_id: Box<str>,
    /// Our From, tag and all, as it was in the INVITE.
    local: Box<str>,
    /// The far end's To, tag and all, as its response had it.
    remote: Box<str>,
    /// Empty for a far end of RFC 2543, which gave none.
    remote_tag: Box<str>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    /// Where the far end itself is: its last Contact.
    target: Uri,
    /// The proxies that stayed in the way, nearest first.
    routes: Vec<NameAddr>,
}

/// A request of the far end came out of order (RFC 3261 §12.2.2): answered 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder;

impl Dialog {
    /// The dialog that a response to our INVITE opens; `None` where it names nobody.
    ///
    /// `request_uri` is where the INVITE went, for a far end that gives no Contact.
    pub fn open(response: &Response, request_uri: &Uri) -> Option<Self> {
        let headers = &response.headers;
        let (local_cseq, _) = headers.cseq().ok()?;
        let to = headers.to().ok()?;
        let mut dialog = Self {
            call_id: headers.call_id().ok()?.into(),
            local: headers.get(Name::From)?.into(),
            remote: headers.get(Name::To)?.into(),
            remote_tag: to.tag().unwrap_or_default().into(),
            local_cseq,
            remote_cseq: None,
            target: request_uri.clone(),
            routes: Vec::new(),
        };
        dialog.set_routes(headers);
        dialog.refresh_target(headers);
        Some(dialog)
    }

    /// The 2xx confirms the dialog: its route set counts, not the early one (§13.2.2.4).
    pub fn confirm(&mut self, response: &Response) {
        self.set_routes(&response.headers);
        self.refresh_target(&response.headers);
    }

    /// Takes over the far end's new Contact, if it gives one (§12.2.1.2, §12.2.2).
    pub fn refresh_target(&mut self, headers: &Headers) {
        let contact = headers.contacts().ok().and_then(|contacts| contacts.into_iter().next());
        if let Some(contact) = contact.filter(|contact| contact.uri.host().is_some()) {
            self.target = contact.uri;
        }
    }

    /// The next request of ours in this dialog, with its route and the next CSeq (§12.2.1.1).
    ///
    /// Via and Contact are the caller's: they depend on the transport.
    pub fn request(&mut self, method: Method) -> Request {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.build(method, self.local_cseq)
    }

    /// The ACK of the 2xx to our INVITE of this CSeq (§13.2.2.4).
    pub fn ack(&self, cseq: u32) -> Request {
        self.build(Method::Ack, cseq)
    }

    /// Checks the order of a request from the far end and remembers its number (§12.2.2).
    pub fn check_order(&mut self, cseq: u32) -> Result<(), OutOfOrder> {
        if self.remote_cseq.is_some_and(|last| cseq <= last) {
            return Err(OutOfOrder);
        }
        self.remote_cseq = Some(cseq);
        Ok(())
    }

    /// A 2xx that opens this dialog again, as far as our requests need it.
    ///
    /// `ahead` is how many requests of ours it may be behind; the far end takes gaps (§12.2.2).
    pub fn to_response(&self, ahead: u32) -> Response {
        let mut response = Response::new(200, "OK");
        let headers = &mut response.headers;
        headers.push(Name::From, &self.local);
        headers.push(Name::To, &self.remote);
        headers.push(Name::CallId, &self.call_id);
        let cseq = self.local_cseq.saturating_add(ahead);
        headers.push(Name::CSeq, format_args!("{cseq} INVITE"));
        headers.push(Name::Contact, format_args!("<{}>", self.target));
        for route in self.routes.iter().rev() {
            headers.push(Name::RecordRoute, route);
        }
        response
    }

    /// Where the next request goes first: the nearest proxy, else the far end itself.
    pub fn next_hop(&self) -> &Uri {
        self.routes.first().map_or(&self.target, |route| &route.uri)
    }

    /// Where the far end itself is reached, as whoever calls it from outside writes it.
    pub fn remote_target(&self) -> Uri {
        self.target.for_request_line().into_owned()
    }

    /// The far end's tag; empty for one of RFC 2543.
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    fn build(&self, method: Method, cseq: u32) -> Request {
        let strict = self.routes.first().filter(|route| !route.uri.is_loose_router());
        let uri = strict.map_or(&self.target, |route| &route.uri);
        let mut request = Request::new(method, uri.for_request_line().into_owned());
        let cseq = format!("{cseq} {}", request.method);
        let headers = &mut request.headers;
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        for route in self.routes.iter().skip(usize::from(strict.is_some())) {
            headers.push(Name::Route, route);
        }
        if strict.is_some() {
            // A strict router overwrites the Request-URI; the far end goes last in the route.
            headers.push(Name::Route, format_args!("<{}>", self.target));
        }
        headers.push(Name::From, &self.local);
        headers.push(Name::To, &self.remote);
        headers.push(Name::CallId, &self.call_id);
        headers.push(Name::CSeq, cseq);
        request
    }

    fn set_routes(&mut self, headers: &Headers) {
        let mut routes = headers.record_routes().unwrap_or_default();
        routes.truncate(ROUTES_MAX);
        routes.reverse();
        self.routes = routes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap()
    }

    fn response(extra: &[(Name, &str)]) -> Response {
        let mut response = Response::new(200, "OK");
        let headers = &mut response.headers;
        headers.push(Name::From, "<sip:us@192.0.2.1>;tag=ours");
        headers.push(Name::To, "\"Bo\" <sip:+1617@192.0.2.9>;tag=theirs");
        headers.push(Name::CallId, "c1");
        headers.push(Name::CSeq, "7 INVITE");
        for (name, value) in extra {
            headers.push(*name, value);
        }
        response
    }

    fn dialog(extra: &[(Name, &str)]) -> Dialog {
        Dialog::open(&response(extra), &uri("sip:+1617@192.0.2.9")).unwrap()
    }

    fn story(request: &Request) -> String {
        let routes: Vec<_> = request.headers.get_all(Name::Route).collect();
        format!("{} {} via {}", request.method, request.uri, routes.join(" "))
    }

    #[test]
    fn request_goes_to_the_contact_with_the_next_number() {
        let mut dialog = dialog(&[(Name::Contact, "<sip:bo@198.51.100.4:5070>")]);
        let request = dialog.request(Method::Bye);
        assert_eq!(story(&request), "BYE sip:bo@198.51.100.4:5070 via ");
        assert_eq!(request.headers.get(Name::CSeq), Some("8 BYE"));
        assert_eq!(request.headers.get(Name::From), Some("<sip:us@192.0.2.1>;tag=ours"));
        assert_eq!(request.headers.get(Name::To), Some("\"Bo\" <sip:+1617@192.0.2.9>;tag=theirs"));
        assert_eq!(request.headers.max_forwards(), Ok(Some(70)));
        assert_eq!(dialog.ack(7).headers.get(Name::CSeq), Some("7 ACK"));
    }

    #[test]
    fn loose_routes_are_visited_in_reverse_order_of_their_recording() {
        let mut dialog = dialog(&[
            (Name::Contact, "<sip:bo@198.51.100.4>"),
            (Name::RecordRoute, "<sip:far.example;lr>, <sip:middle.example;lr>;x=1"),
            (Name::RecordRoute, "<sip:near.example;lr>"),
        ]);
        assert_eq!(dialog.next_hop().as_str(), "sip:near.example;lr");
        assert_eq!(
            story(&dialog.request(Method::Bye)),
            "BYE sip:bo@198.51.100.4 via <sip:near.example;lr> <sip:middle.example;lr>;x=1 \
             <sip:far.example;lr>"
        );
    }

    #[test]
    fn strict_router_gets_the_request_uri_and_the_far_end_goes_last() {
        let mut dialog = dialog(&[
            (Name::Contact, "<sip:bo@198.51.100.4>"),
            (Name::RecordRoute, "<sip:far.example;lr>, <sip:near.example?x=1>"),
        ]);
        assert_eq!(
            story(&dialog.request(Method::Bye)),
            "BYE sip:near.example via <sip:far.example;lr> <sip:bo@198.51.100.4>"
        );
        assert_eq!(dialog.next_hop().as_str(), "sip:near.example?x=1");
    }

    #[test]
    fn the_2xx_replaces_the_early_route_set() {
        let early = [(Name::RecordRoute, "<sip:a.example;lr>"), (Name::Contact, "<sip:x@y>")];
        let mut dialog = dialog(&early);
        dialog.confirm(&response(&[(Name::Contact, "<sip:z@y>")]));
        assert_eq!(story(&dialog.request(Method::Bye)), "BYE sip:z@y via ");
    }

    #[test]
    fn far_end_without_contact_is_reached_where_the_invite_went() {
        for contact in ["*", "<tel:+1617>", "garbage"] {
            let mut dialog = dialog(&[(Name::Contact, contact)]);
            assert_eq!(story(&dialog.request(Method::Bye)), "BYE sip:+1617@192.0.2.9 via ");
        }
    }

    #[test]
    fn requests_of_the_far_end_must_count_upwards() {
        let mut dialog = dialog(&[]);
        assert_eq!(dialog.check_order(0), Ok(()));
        assert_eq!(dialog.check_order(5), Ok(()));
        assert_eq!(dialog.check_order(5), Err(OutOfOrder));
        assert_eq!(dialog.check_order(4), Err(OutOfOrder));
        assert_eq!(dialog.check_order(u32::MAX), Ok(()));
    }

    #[test]
    fn dialog_that_is_opened_again_goes_on_where_it_was() {
        for extra in [
            vec![],
            vec![
                (Name::Contact, "<sip:bo@198.51.100.4;transport=tcp>;expires=60"),
                (Name::RecordRoute, "<sip:far.example;lr>, \"M\" <sip:middle.example;lr>;x=1"),
                (Name::RecordRoute, "<sip:near.example>"),
            ],
        ] {
            let mut dialog = dialog(&extra);
            dialog.request(Method::Update);
            let written = dialog.to_response(100);
            let mut again = Dialog::open(&written, &uri("sip:nobody@192.0.2.9")).unwrap();
            let (one, two) = (dialog.request(Method::Bye), again.request(Method::Bye));
            assert_eq!(story(&one), story(&two));
            for name in [Name::From, Name::To, Name::CallId] {
                assert_eq!(one.headers.get(name), two.headers.get(name));
            }
            assert_eq!(two.headers.get(Name::CSeq), Some("109 BYE"));
        }
    }

    #[test]
    fn response_without_from_opens_no_dialog() {
        let mut broken = response(&[]);
        broken.headers.remove(Name::From);
        assert!(Dialog::open(&broken, &uri("sip:a@b")).is_none());
    }

    #[test]
    fn endless_route_sets_are_cut() {
        let routes = vec!["<sip:a.example;lr>"; 500].join(", ");
        assert_eq!(dialog(&[(Name::RecordRoute, &routes)]).routes.len(), ROUTES_MAX);
    }
}

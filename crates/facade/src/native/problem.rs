//! Every problem that a request can meet: its stable code and its page in docs/errors.md.

use std::fmt::Write;

use serde::Serialize;
use utoipa::ToSchema;

/// A stable name for what went wrong; `/errors/<code>` explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// 409: the call has ended, there is nothing to cancel.
    AlreadyEnded,
    /// 400: the body is not JSON.
    BodyMalformed,
    /// 413: the body is too large.
    BodyTooLarge,
    /// 503: too much is going on.
    Busy,
    /// 410: events after this cursor are forgotten already.
    CursorGone,
    /// 503: the server is shutting down.
    Draining,
    /// 403: the key may not do this.
    Forbidden,
    /// 409: a request with this key is under way.
    IdempotencyKeyInUse,
    /// 400: the key is none.
    IdempotencyKeyMalformed,
    /// 422: the key belongs to another request.
    IdempotencyKeyReused,
    /// 500: a defect of the server.
    Internal,
    /// 422: fields or parameters are wrong.
    InvalidRequest,
    /// 409: the account has as many of these as it may have.
    LimitReached,
    /// 415: the body is of another kind.
    MediaType,
    /// 405: the address exists, not for this method.
    MethodNotAllowed,
    /// 409: the name is taken.
    NameTaken,
    /// 503: what is asked for is at another server, which does not answer.
    NodeAway,
    /// 404: nothing is there.
    NotFound,
    /// 416: the part that is asked for is not there.
    RangeNotSatisfiable,
    /// 408: the request did not arrive in time.
    RequestTimeout,
    /// 429: wrong keys too often.
    Throttled,
    /// 401: no valid key.
    Unauthorized,
    /// 503: the store is away.
    Unavailable,
    /// 422: the server may not ask this address.
    UrlRefused,
    /// 422: the address did not answer.
    UrlUnreachable,
}

/// What the page of a code says.
struct Page {
    title: &'static str,
    happened: &'static str,
    causes: &'static [&'static str],
    repairs: &'static [&'static str],
}

impl ProblemCode {
    /// Every code, in the order of docs/errors.md.
    pub const ALL: [Self; 25] = [
        Self::AlreadyEnded,
        Self::BodyMalformed,
        Self::BodyTooLarge,
        Self::Busy,
        Self::CursorGone,
        Self::Draining,
        Self::Forbidden,
        Self::IdempotencyKeyInUse,
        Self::IdempotencyKeyMalformed,
        Self::IdempotencyKeyReused,
        Self::Internal,
        Self::InvalidRequest,
        Self::LimitReached,
        Self::MediaType,
        Self::MethodNotAllowed,
        Self::NameTaken,
        Self::NodeAway,
        Self::NotFound,
        Self::RangeNotSatisfiable,
        Self::RequestTimeout,
        Self::Throttled,
        Self::Unauthorized,
        Self::Unavailable,
        Self::UrlRefused,
        Self::UrlUnreachable,
    ];

    /// The name that clients see; never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlreadyEnded => "already_ended",
            Self::BodyMalformed => "body_malformed",
            Self::BodyTooLarge => "body_too_large",
            Self::Busy => "busy",
            Self::CursorGone => "cursor_gone",
            Self::Draining => "draining",
            Self::Forbidden => "forbidden",
            Self::IdempotencyKeyInUse => "idempotency_key_in_use",
            Self::IdempotencyKeyMalformed => "idempotency_key_malformed",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::Internal => "internal",
            Self::InvalidRequest => "invalid_request",
            Self::LimitReached => "limit_reached",
            Self::MediaType => "media_type",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NameTaken => "name_taken",
            Self::NodeAway => "node_away",
            Self::NotFound => "not_found",
            Self::RangeNotSatisfiable => "range_not_satisfiable",
            Self::RequestTimeout => "request_timeout",
            Self::Throttled => "throttled",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable => "unavailable",
            Self::UrlRefused => "url_refused",
            Self::UrlUnreachable => "url_unreachable",
        }
    }

    /// The code of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// The code in words.
    pub const fn title(self) -> &'static str {
        self.page().title
    }

    /// Its section of docs/errors.md.
    pub fn section(self) -> String {
        let page = self.page();
        let mut out = format!("## {}\n\n", self.name());
        let _ = write!(out, "**{}** · HTTP {}\n\n{}\n\n", page.title, self.status(), page.happened);
        for (heading, items) in [("Possible causes", page.causes), ("What to do", page.repairs)] {
            let _ = write!(out, "{heading}:\n\n");
            for item in items {
                let _ = writeln!(out, "- {item}");
            }
            out.push('\n');
        }
        out
    }

    #[expect(clippy::too_many_lines, reason = "a table: one row for each code")]
    const fn page(self) -> Page {
        match self {
            Self::AlreadyEnded => Page {
                title: "The call has ended already",
                happened: "The call cannot be canceled, for it has ended; nothing was changed.",
                causes: &[
                    "It was answered, failed or expired before the cancel arrived.",
                    "It was canceled before.",
                ],
                repairs: &["Read the call: its `state` says how it ended."],
            },
            Self::BodyMalformed => Page {
                title: "The body is not JSON",
                happened: "The body could not be read as JSON; the detail says where it goes wrong.",
                causes: &[
                    "A quote, comma or bracket is missing, or one too many is there.",
                    "The body is empty, cut off, or not in UTF-8.",
                ],
                repairs: &["Let a JSON library write the body, and send all of it."],
            },
            Self::BodyTooLarge => Page {
                title: "The body is too large",
                happened: "The body is larger than the server takes; the detail says how much it takes.",
                causes: &["A document is given with the call that should be behind an address."],
                repairs: &["Serve long documents yourself and name them by `vxml_url`."],
            },
            Self::Busy => Page {
                title: "The server is busy",
                happened: "As many requests are under way as the server works on at once.",
                causes: &["Many clients, or one client with many connections, ask at once."],
                repairs: &[
                    "Try again after the seconds in `Retry-After`.",
                    "Use fewer connections.",
                ],
            },
            Self::CursorGone => Page {
                title: "Events after this cursor are forgotten",
                happened: "Events between this cursor and the oldest that is kept are forgotten, or \
                           the cursor is of another database; nobody can be told what is missing.",
                causes: &[
                    "Nobody asked for longer than events are kept: `keep.events_d` of the server.",
                    "The database was restored from a backup that is older than the cursor.",
                ],
                repairs: &[
                    "Read how your calls stand now by `GET /v1/calls`.",
                    "Then go on with `after=now`, or without `after` with the oldest that is kept.",
                ],
            },
            Self::Draining => Page {
                title: "The server is shutting down",
                happened: "The server takes no new calls, for it is being stopped or updated.",
                causes: &["An operator stops or restarts the server."],
                repairs: &["Try again in a minute; calls taken in before are not lost."],
            },
            Self::Forbidden => Page {
                title: "Your key may not do this",
                happened: "The key is valid, but what was asked for is another's to decide; nothing \
                           was changed.",
                causes: &[
                    "The address is for operators, and the key is not one's.",
                    "An operator has suspended the account, which only an operator can undo.",
                ],
                repairs: &["Ask whoever runs the server."],
            },
            Self::IdempotencyKeyInUse => Page {
                title: "A request with this key is under way",
                happened: "Another request with the same `Idempotency-Key` is being worked on; this \
                           one did nothing.",
                causes: &["The request was sent again before its first sending was answered."],
                repairs: &[
                    "Wait a moment and send it again: the answer to the first sending comes back.",
                ],
            },
            Self::IdempotencyKeyMalformed => Page {
                title: "The idempotency key is malformed",
                happened: "The header `Idempotency-Key` is neither a quoted text nor a UUID; nothing \
                           was done.",
                causes: &[
                    "The quotes around the key are missing, or it has more than 255 characters.",
                    "The header is there twice.",
                ],
                repairs: &[
                    "Send `Idempotency-Key: \"order-4711\"`, with the quotes, or a bare UUID.",
                ],
            },
            Self::IdempotencyKeyReused => Page {
                title: "The idempotency key belongs to another request",
                happened: "A different request carried this `Idempotency-Key` before; nothing was done.",
                causes: &[
                    "The body or the address was changed and the key was not.",
                    "Keys are not unique: two orders share one.",
                ],
                repairs: &["Give each request a key of its own; keys are kept for a day."],
            },
            Self::Internal => Page {
                title: "The server made a mistake",
                happened: "Something went wrong that should not; the log has it under `request_id`.",
                causes: &["A defect of Outdial."],
                repairs: &[
                    "Read whether the call exists before you send it again.",
                    "Tell the operator the `request_id`.",
                ],
            },
            Self::InvalidRequest => Page {
                title: "The request has mistakes",
                happened: "Fields or parameters are wrong; `errors` names every one with what was \
                           found and what would be right. Nothing was done.",
                causes: &[
                    "`missing`: a field is needed and is not there.",
                    "`malformed`: a text is not of the form that its field asks for.",
                    "`too_long`: a text is longer than its field takes.",
                    "`out_of_range`: a value is too small, too large, or over already.",
                    "`wrong_type`: a number where a text is asked for, and the like.",
                    "`conflict`: two fields contradict each other.",
                    "`unknown`: no field of this name exists; perhaps it is misspelled.",
                ],
                repairs: &[
                    "Repair each field that `errors` points to, and send the request again.",
                ],
            },
            Self::LimitReached => Page {
                title: "There are as many as there may be",
                happened: "Your account has as many of these as an account may have; the detail \
                           says how many. Nothing was created.",
                causes: &["Webhook endpoints are created and never deleted."],
                repairs: &["Delete what you do not need any more."],
            },
            Self::MediaType => Page {
                title: "The body is of another kind",
                happened: "The body is not `application/json`.",
                causes: &["`Content-Type` is missing, or names a form or plain text."],
                repairs: &["Send `Content-Type: application/json` with a JSON body."],
            },
            Self::MethodNotAllowed => Page {
                title: "The address does not know this method",
                happened: "The address exists, but not for this method; `Allow` lists those it knows.",
                causes: &["GET was sent where POST is asked for, or the other way round."],
                repairs: &["Use one of the methods in `Allow`."],
            },
            Self::NameTaken => Page {
                title: "The name is taken",
                happened: "Your account has a campaign of this name already; nothing was changed.",
                causes: &["The campaign was created before, or by a call that named it."],
                repairs: &["Use the campaign that exists, or choose another name."],
            },
            Self::NodeAway => Page {
                title: "Another server has it and does not answer",
                happened: "Several servers share one database, and each keeps the recordings of its \
                           own calls. The one that has this recording does not answer at the \
                           moment; the detail says which, and when it was last heard.",
                causes: &[
                    "That server is down or being restarted, or the network to it is broken.",
                    "`api.advertise` of that server leads elsewhere, or clocks differ by minutes.",
                ],
                repairs: &[
                    "Ask again later: the recording is there again once that server is.",
                    "Where it never comes back, its recordings are gone with its disk.",
                ],
            },
            Self::NotFound => Page {
                title: "Nothing is there",
                happened: "The address, or the call or campaign in it, does not exist for your account.",
                causes: &[
                    "The id or the path is misspelled.",
                    "The call or campaign belongs to another account.",
                ],
                repairs: &["List your calls or campaigns and take the id from there."],
            },
            Self::RangeNotSatisfiable => Page {
                title: "That part is not there",
                happened: "`Range` asks for bytes behind the end; `Content-Range` says how many \
                           there are.",
                causes: &["A download that was complete already is taken up again."],
                repairs: &["Ask for a part that is there, or without `Range` for all."],
            },
            Self::RequestTimeout => Page {
                title: "The request did not arrive in time",
                happened: "The server waited for the rest of the request and gave up.",
                causes: &[
                    "The connection is slow or broke, or the body is shorter than announced.",
                ],
                repairs: &["Send the request again."],
            },
            Self::Throttled => Page {
                title: "Wrong keys too often",
                happened: "Too many requests from your address had no valid key.",
                causes: &["A revoked or mistyped key is tried again and again."],
                repairs: &["Repair the key, then try again after the seconds in `Retry-After`."],
            },
            Self::Unauthorized => Page {
                title: "No valid key",
                happened: "The request has no API key that the server knows.",
                causes: &[
                    "The header `Authorization: Bearer od_live_…` is missing or cut off.",
                    "The key was revoked, or belongs to another server.",
                ],
                repairs: &["Send the key as it was shown when it was created, or have one made."],
            },
            Self::Unavailable => Page {
                title: "The store is away",
                happened: "The server cannot read or write its store at the moment.",
                causes: &["The disk is full or failing."],
                repairs: &["Try again later; the operator sees the cause in the log."],
            },
            Self::UrlRefused => Page {
                title: "The server may not ask this address",
                happened: "`vxml_url` or `result_url` points where the server does not go.",
                causes: &[
                    "It names a private, local or reserved network, or a port kept for other things.",
                    "Its name has no address, or one of its addresses is of that kind.",
                ],
                repairs: &[
                    "Use an address that is reachable from the internet.",
                    "In your own network: let the operator allow it (`fetch.allow_private`).",
                ],
            },
            Self::UrlUnreachable => Page {
                title: "The address did not answer",
                happened: "A GET request to `vxml_url` or `result_url` was not answered with status \
                           200 in time, so the call was not taken in.",
                causes: &[
                    "The server there is down, slow, or answers GET with an error or a redirect.",
                    "Its certificate is not valid.",
                ],
                repairs: &["Let both addresses answer GET requests with status 200."],
            },
        }
    }
}

/// All of docs/errors.md.
pub fn document() -> String {
    let mut out = String::from(
        "# Problems\n\nEvery failed request to `/v1` is answered with a problem document (RFC 9457). \
         Its `code` is one of these\nand never changes its meaning; `type` is the address of the \
         section below on your own server.\nThis file is generated from the program's own table.\n\n",
    );
    for code in ProblemCode::ALL {
        out.push_str(&code.section());
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_written_by_its_name_and_leads_back() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
            assert_eq!(ProblemCode::from_name(code.name()), Some(code));
        }
    }

    #[test]
    fn every_code_has_a_page_with_causes_and_repairs() {
        for code in ProblemCode::ALL {
            let page = code.page();
            assert!(!page.causes.is_empty() && !page.repairs.is_empty(), "{}", code.name());
        }
    }

    /// docs/errors.md is this table; `UPDATE_GOLDEN=1` rewrites it.
    #[test]
    fn document_in_the_repository_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), document());
    }
}

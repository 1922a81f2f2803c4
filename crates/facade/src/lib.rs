//! What vendors call it: the only place that knows a vendor's words.
//!
//! One directory for each system, all with the same files: `request.rs` what they ask, `answer.rs`
//! what we answer, `callback.rs` what we send to their URLs, `words.rs` one table for each kind of
//! word. Time and time zone are arguments; nothing here reads a clock, a file or a socket.

pub mod aculab;
mod contract;
pub mod form;
pub mod fuse;
pub mod import;
pub mod list;
pub mod multipart;
pub mod native;
pub mod plum;
pub mod refusal;
mod rows;
mod web_url;
pub mod when;
mod xml;
pub mod zone;

use domain::application::Dialect;
use domain::attempt::Attempt;
use domain::contact::Contact;
use domain::detection::Detection;
use domain::event::Event;
use domain::number::Destination;
use domain::outcome::CalleeType;
use domain::webhook::{Reception, Schedule};

use url::Url;
use zone::Zone;

/// Whose words a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Facade {
    /// Our own JSON API.
    Native,
    /// Plum DEV Outbound.
    Plum,
    /// Plum Fuse.
    Fuse,
    /// Aculab Cloud.
    Aculab,
}

/// What is posted to a client's result URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultBody {
    /// Value of Content-Type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Facade {
    /// Every facade, for tables and tests.
    pub const ALL: [Self; 4] = [Self::Native, Self::Plum, Self::Fuse, Self::Aculab];

    /// The tag that is stored; never changed once released.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Native => Dialect(0),
            Self::Plum => Dialect(1),
            Self::Fuse => Dialect(2),
            Self::Aculab => Dialect(3),
        }
    }

    /// Its name in addresses of documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Plum => "plum",
            Self::Fuse => "fuse",
            Self::Aculab => "aculab",
        }
    }

    /// The facade of this tag; `None` where a newer program has stored it.
    pub fn of(dialect: Dialect) -> Option<Self> {
        Self::ALL.into_iter().find(|facade| facade.dialect() == dialect)
    }

    /// The form that the application's start page is posted when a call is answered.
    pub fn start_form(
        self,
        contact: &Contact,
        application_parameters: &str,
    ) -> Vec<(String, String)> {
        match self {
            // Its pages are told what every page of actions is told.
            Self::Aculab => Vec::new(),
            Self::Fuse => fuse::callback::start_form(contact),
            Self::Native => native::callback::start_form(contact),
            Self::Plum => plum::callback::start_form(contact, application_parameters),
        }
    }

    /// Whether results tell what happened to the contact, event by event.
    pub const fn tells_events(self) -> bool {
        matches!(self, Self::Aculab | Self::Fuse | Self::Native)
    }

    /// Whether the addresses of a request are asked by GET, and must answer 200, before anything is
    /// queued for them.
    ///
    /// Fuse does not say so, and pages of its clients that take results by POST alone answer 405.
    pub const fn asks_before_queueing(self) -> bool {
        match self {
            // Aculab asks its pages when a call is answered, and not before.
            Self::Aculab | Self::Fuse => false,
            Self::Native | Self::Plum => true,
        }
    }

    /// What the result URL is posted when a contact has ended; dates by the clock of `zone`.
    ///
    /// The same at every delivery. `events` are the contact's own, oldest first, where
    /// [`Facade::tells_events`] asks for them, and so are `attempts`.
    pub fn result(
        self,
        contact: &Contact,
        events: &[Event],
        attempts: &[Attempt],
        zone: &Zone,
    ) -> ResultBody {
        match self {
            Self::Aculab => ResultBody {
                content_type: "application/json",
                body: aculab::callback::result(contact, events, attempts),
            },
            Self::Fuse => ResultBody {
                content_type: "application/json",
                body: fuse::callback::result(contact, events),
            },
            Self::Native => ResultBody {
                content_type: "application/json",
                body: native::callback::result(contact, events),
            },
            Self::Plum => {
                let fields = plum::callback::result_form(contact, zone);
                let pairs = fields.iter().map(|field| (field.0.as_str(), field.1.as_str()));
                ResultBody {
                    content_type: "application/x-www-form-urlencoded",
                    body: form::encode(pairs),
                }
            }
        }
    }

    /// Where a result is got, with what is told in the query; `None`: it is posted.
    pub fn got(self, url: &Url, body: &str) -> Option<Url> {
        match self {
            Self::Aculab => aculab::callback::got(url, body),
            Self::Fuse | Self::Native | Self::Plum => None,
        }
    }

    /// What this answer of the result URL says of the result.
    pub fn reception(self, status: u16, body: &[u8]) -> Reception {
        let taken = match self {
            Self::Aculab => aculab::callback::accepted(status),
            Self::Fuse => fuse::callback::accepted(status),
            Self::Native => native::callback::accepted(status),
            Self::Plum => plum::callback::accepted(status, body),
        };
        match status {
            _ if taken => Reception::Taken,
            // RFC 9110 §15.5.11: gone, and likely for good.
            410 => Reception::Gone,
            _ => Reception::Refused,
        }
    }

    /// When a result that was not taken is posted again.
    pub const fn schedule(self) -> Schedule {
        match self {
            Self::Native => Schedule::Standard,
            Self::Aculab | Self::Fuse | Self::Plum => Schedule::Legacy,
        }
    }

    /// Whether results are signed.
    pub const fn signs(self) -> bool {
        match self {
            Self::Native => true,
            Self::Aculab | Self::Fuse | Self::Plum => false,
        }
    }

    /// Whether it is found out who answered, where neither request nor campaign says.
    ///
    /// Fuse has no switch for it: its scripts find the type after four seconds, always.
    pub const fn usual_detection(self) -> Detection {
        match self {
            Self::Fuse => plum::words::detection(true),
            Self::Aculab | Self::Native | Self::Plum => Detection::Off,
        }
    }

    /// Whom a call is to, as a script is told.
    pub fn remote_uri(self, destination: &Destination) -> String {
        match (self, destination.room()) {
            // Nobody else's calls are to conferences.
            (Self::Aculab, Some(_)) => aculab::words::address(destination),
            _ => format!("tel:{}", destination.dialed()),
        }
    }

    /// Who answered, as a script is told; `None`: not yet known.
    pub const fn session_callee_type(self, callee_type: Option<CalleeType>) -> &'static str {
        match self {
            Self::Aculab => aculab::words::far_end_type(callee_type),
            Self::Fuse => fuse::words::session_callee_type(callee_type),
            Self::Native => native::words::session_callee_type(callee_type),
            Self::Plum => plum::words::session_callee_type(callee_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_facade_is_found_by_its_tag_and_no_other_tag_is() {
        assert!(Facade::ALL.iter().all(|facade| Facade::of(facade.dialect()) == Some(*facade)));
        assert_eq!(Facade::of(Dialect(200)), None);
    }

    #[test]
    fn server_that_is_gone_says_so_by_410_in_every_facade() {
        for facade in Facade::ALL {
            assert_eq!(facade.reception(410, b"completed"), Reception::Gone);
            assert_eq!(facade.reception(200, b"completed"), Reception::Taken);
            assert_eq!(facade.reception(302, b"completed"), Reception::Refused);
        }
    }
}

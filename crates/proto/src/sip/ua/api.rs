//! What engine and user agent say to each other: settings, inputs, effects.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::abandon::DialogSeed;
use super::referring::Referral;
use crate::sip::auth::Credentials;
use crate::sip::flow::{Flow, Target, Transport};
use crate::sip::framer::Frame;
use crate::sip::identity::CallIdentity;
use crate::sip::register::RegisterResult;
use crate::sip::timers::Timer;
use crate::sip::uri::{Host, Uri};
use crate::sip::value::{NameAddr, Reason};

/// Which call; the engine's own number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(pub i64);

/// Which trunk; the engine's own number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrunkKey(pub i64);

/// What a user agent is told once.
#[derive(Clone, Debug)]
pub struct UaConfig {
    /// Where far ends reach us, by transport.
    pub contacts: Contacts,
    /// Key of the identities on disk: recognises our calls after a restart.
    pub identity_key: [u8; 32],
    /// What one user agent holds and takes at most.
    pub limits: Limits,
    /// Session interval that we ask for, in seconds (RFC 4028); `None` leaves it to the far end.
    pub session_expires_s: Option<u32>,
    /// Written as User-Agent and Server; `None` writes neither. Name no version.
    pub user_agent: Option<String>,
}

/// The addresses that we write into Via and Contact.
#[derive(Clone, Debug, Default)]
pub struct Contacts {
    /// Without it no trunk is called over UDP.
    pub udp: Option<HostPort>,
    /// Without it no trunk is called over TCP.
    pub tcp: Option<HostPort>,
    /// Without it no trunk is called over TLS.
    pub tls: Option<HostPort>,
}

impl Contacts {
    /// Where far ends reach us by this transport.
    pub const fn of(&self, transport: Transport) -> Option<&HostPort> {
        match transport {
            Transport::Udp => self.udp.as_ref(),
            Transport::Tcp => self.tcp.as_ref(),
            Transport::Tls => self.tls.as_ref(),
        }
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address.
    pub host: Host,
    /// Port.
    pub port: u16,
}

/// What one user agent holds and takes at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls at once; further ones end as [`EndedBy::NotSent`].
    pub calls_max: usize,
    /// Our own timers' repetitions per second; further ones are left out, so that a network that
    /// stood still is not met with all repetitions at once.
    pub resends_per_s: u32,
    /// Messages that one trunk address may send at once, on top of its rate.
    pub source_burst: u32,
    /// Messages per second that one trunk address may send; further ones are dropped unread.
    pub source_rate_per_s: u32,
    /// Transactions at once, each side, lingering ones included.
    pub transactions_max: usize,
    /// Trunks at once.
    pub trunks_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_max: 10_000,
            resends_per_s: 5_000,
            source_burst: 20_000,
            source_rate_per_s: 20_000,
            // A call leaves three transactions behind for 32 s: room for 2,500 calls a second.
            transactions_max: 250_000,
            trunks_max: 1_000,
        }
    }
}

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// Cancels what an earlier life may have dialed and nobody answered: every INVITE that it may
    /// have sent. None is sent now, and nothing is told of it.
    Abandon(Box<Invite>),
    /// Hangs up what was answered in an earlier life; nothing is told of it.
    AbandonDialog {
        /// By which trunk.
        trunk: TrunkKey,
        /// As [`Effect::Answered`] had it.
        seed: DialogSeed,
    },
    /// Accepts what was [`Effect::Offered`].
    Answer {
        /// Which call.
        call: CallKey,
        /// Our answer, or our offer where the far end had none.
        sdp: Bytes,
    },
    /// The deadline has come; everything that is due happens. Other inputs fire no timers.
    Expired(Timer),
    /// A flow does not work.
    FlowFailed {
        /// Which flow.
        flow: Flow,
        /// In which way.
        failure: FlowFailure,
    },
    /// A [`Framer`](crate::sip::framer::Framer) cut this from a connection.
    Framed {
        /// Which connection.
        flow: Flow,
        /// What came.
        frame: Box<Frame>,
    },
    /// Ends a call: CANCEL before the answer, BYE after it.
    HangUp {
        /// Which call.
        call: CallKey,
        /// Told to the far end (RFC 3326).
        reason: Option<Reason>,
    },
    /// Dials.
    Invite(Box<Invite>),
    /// Asks every address of a trunk whether it lives.
    Probe {
        /// Which trunk.
        trunk: TrunkKey,
    },
    /// A datagram, or one whole message from a connection.
    Received {
        /// Where it came from.
        flow: Flow,
        /// Its octets.
        data: Bytes,
    },
    /// Asks the far end of an answered call to call somebody else in our place (RFC 3515).
    Refer {
        /// Which call.
        call: CallKey,
        /// Whom.
        to: Uri,
    },
    /// Asks the far end of an answered call to take our place in another one: to call the far end
    /// of that call with Replaces (RFC 3891, RFC 5589 §7). Refused with status 0, and nothing sent,
    /// unless both are up by the same trunk and both far ends have said that they know Replaces.
    ReferInPlaceOf {
        /// Which call's far end is asked.
        call: CallKey,
        /// Which call it is to replace.
        other: CallKey,
    },
    /// Registers with a trunk and stays registered.
    Register {
        /// Which trunk.
        trunk: TrunkKey,
        /// The address of record: its host is the registrar's domain.
        aor: Uri,
        /// Seconds to ask for.
        expires_s: u32,
    },
    /// Refuses what was [`Effect::Offered`]; the call goes on as it was.
    Reject {
        /// Which call.
        call: CallKey,
        /// From 400 to 699, else 488 is sent.
        status: u16,
    },
    /// Sets or replaces a trunk; one without targets and sources is forgotten.
    Trunk {
        /// Which trunk.
        trunk: TrunkKey,
        /// Its addresses, best first.
        targets: Vec<Target>,
        /// Addresses that it sends from besides.
        sources: Vec<IpAddr>,
        /// What it may challenge us for.
        credentials: Option<Credentials>,
    },
    /// Ends a registration.
    Unregister {
        /// Which trunk.
        trunk: TrunkKey,
    },
}

/// In which way a flow does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowFailure {
    /// A connection was closed; what was sent last may have arrived.
    Closed,
    /// Refused, no route, ICMP unreachable, no TLS: nothing that was sent last has arrived.
    Unreachable,
}

/// What to dial.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Our number for the call; must be free.
    pub call: CallKey,
    /// By which trunk.
    pub trunk: TrunkKey,
    /// Whom: Request-URI and To.
    pub to: Uri,
    /// Who calls: From; its tag is replaced.
    pub from: NameAddr,
    /// Whether the callee may see who calls.
    pub caller_id: CallerId,
    /// Call-ID, From tag and branch, derived from the attempt on disk.
    pub identity: CallIdentity,
    /// Our SDP offer.
    pub offer: Bytes,
    /// Further headers; those that the user agent writes itself are left out.
    pub headers: Vec<(String, String)>,
}

/// Whether the callee may see who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerId {
    /// The number is shown.
    Shown,
    /// RFC 3323 and 3325: an anonymous From, `Privacy: id`, and the number for the trunk only,
    /// as P-Preferred-Identity unless the headers bring a P-Asserted-Identity.
    Withheld,
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The ACK of our [`Input::Answer`] arrived; after an empty offer it has the far end's answer.
    Acked {
        /// Which call.
        call: CallKey,
        /// The far end's answer to our offer.
        sdp: Option<Bytes>,
    },
    /// Somebody answered.
    Answered {
        /// Which call.
        call: CallKey,
        /// The far end's answer; without one in the 2xx, the one that came before it.
        sdp: Option<Bytes>,
        /// What a later life needs to hang up, should this one end before the call does.
        seed: Option<DialogSeed>,
    },
    /// The call is over: exactly one per [`Input::Invite`], and the last of that call.
    Ended {
        /// Which call.
        call: CallKey,
        /// How.
        end: End,
    },
    /// The far end wants to change the session: reply with `Answer` or `Reject` within 8 s.
    Offered {
        /// Which call.
        call: CallKey,
        /// Its offer; `None` asks for ours.
        sdp: Option<Bytes>,
    },
    /// A call of an earlier life was answered only now; it was ended with ACK and BYE.
    Orphan {
        /// The attempt that its identity names.
        attempt: i64,
    },
    /// What a probe found, once for each address.
    Probed {
        /// Which trunk.
        trunk: TrunkKey,
        /// Which address.
        target: Target,
        /// What it found.
        result: ProbeResult,
    },
    /// A provisional response.
    Progress {
        /// Which call.
        call: CallKey,
        /// 100 to 199.
        status: u16,
        /// Early media's SDP.
        sdp: Option<Bytes>,
        /// Which early dialog: forks have different ones.
        tag: Option<Box<str>>,
        /// The telephone network's cause, which announcements come with.
        q850: Option<u8>,
    },
    /// How a referral came out: one for each [`Input::Refer`] and [`Input::ReferInPlaceOf`], unless
    /// the call ends before.
    Referred {
        /// Which call.
        call: CallKey,
        /// How.
        result: Referral,
    },
    /// Our refresh of the session was answered with this SDP; mostly the same as before.
    Refreshed {
        /// Which call.
        call: CallKey,
        /// The far end's answer.
        sdp: Bytes,
    },
    /// What became of a registration.
    Registered {
        /// Which trunk.
        trunk: TrunkKey,
        /// What.
        result: RegisterResult,
    },
    /// Puts a message on the wire, opening a connection where there is none.
    Send {
        /// Where to.
        flow: Flow,
        /// The name that the peer's certificate must have, where we connect to it.
        server_name: Option<Arc<str>>,
        /// The message.
        data: Bytes,
    },
    /// The first INVITE of the call is in the [`Effect::Send`] before this.
    Sent {
        /// Which call.
        call: CallKey,
    },
    /// The offer under way was taken back; a reply to it would come too late.
    Withdrawn {
        /// Which call.
        call: CallKey,
    },
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Who or what ended it.
    pub by: EndedBy,
    /// The final status of the INVITE: 200 where somebody answered, `None` where none came.
    pub status: Option<u16>,
    /// The telephone network's cause, as far as the far end told it.
    pub q850: Option<u8>,
    /// The far end's words, or ours where it said nothing.
    pub text: Box<str>,
    /// What the far end asked to wait, in seconds.
    pub retry_after_s: Option<u32>,
}

/// Who or what ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The far end: a final response other than 2xx, or BYE.
    Far,
    /// No INVITE was sent: unknown trunk, no address, a limit.
    NotSent,
    /// Nobody answered the INVITE, or the session expired, or our answer was not acknowledged.
    Timeout,
    /// The connection closed behind the INVITE; it may have arrived.
    Transport,
    /// No address of the trunk took the INVITE: nobody was rung.
    Unreachable,
    /// We: `HangUp`.
    Us,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// It answered.
    Alive {
        /// With this status.
        status: u16,
        /// After so long.
        round_trip: Duration,
    },
    /// It did not answer (`None`), or said that it cannot work: 408 or 503.
    Down {
        /// With this status.
        status: Option<u16>,
    },
}

/// What was dropped or left out, for metrics. Numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages dropped unread because their source sent too many.
    pub floods: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Repetitions left out because there were too many.
    pub resends_suppressed: u64,
    /// Requests of trunks dropped because the tables were full.
    pub requests_shed: u64,
    /// Requests and responses dropped because no trunk has their source address.
    pub strangers: u64,
    /// Responses dropped because nothing of ours waits for them.
    pub unmatched: u64,
}

//! What two ends agreed on for one stream; SDP's result in RTP's words.

use std::net::SocketAddr;

use crate::rtp::CLOCK_HZ;
use crate::rtp::codec::Codec;
use crate::rtp::source::Learning;

/// What was agreed, by the first answer or by a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Where the far end wants its sound: `c=` and the port of `m=`. An unspecified address or
    /// port 0 puts us on hold (RFC 3264 §8.4).
    pub remote: SocketAddr,
    /// Where it wants reports: `a=rtcp`, else the port above (RFC 3605); `None` sends none.
    /// Ignored with `rtcp_mux`.
    pub remote_rtcp: Option<SocketAddr>,
    /// Whether reports share the port (RFC 5761).
    pub rtcp_mux: bool,
    /// Who may speak.
    pub direction: Direction,
    /// What we send.
    pub codec: Codec,
    /// The payload type the far end wants it in.
    pub payload_type: u8,
    /// The payload type in which it takes telephone events; `None` if it takes none.
    pub telephone_event: Option<u8>,
    /// The clock in which their durations are told, in ticks a second.
    pub event_clock_hz: u32,
    /// Whether the far end makes use of what a frame tells of the one before (RFC 7587 §6.1).
    pub expects_loss: bool,
    /// What we said we take.
    pub receive: ReceiveTypes,
    /// Whether another source than `remote` may be learned.
    pub learning: Learning,
}

/// The payload types that we said we take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveTypes {
    /// G.722.
    pub g722: Option<u8>,
    /// Opus.
    pub opus: Option<u8>,
    /// A-law.
    pub pcma: Option<u8>,
    /// Mu-law.
    pub pcmu: Option<u8>,
    /// Telephone events at 8 kHz (RFC 4733).
    pub telephone_event: Option<u8>,
    /// The same at 48 kHz, beside Opus.
    pub telephone_event_48: Option<u8>,
}

/// Who may speak, seen from here (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Nobody.
    Inactive,
    /// Only they.
    ReceiveOnly,
    /// Both.
    SendReceive,
    /// Only we.
    SendOnly,
}

impl Direction {
    /// Whether we may speak.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }

    /// Whether they may speak.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }
}

/// What a payload type carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Audio(Codec),
    /// RFC 3389: tells of noise in silence; taken note of, not played.
    ComfortNoise,
    /// With the clock of its durations.
    TelephoneEvent(u32),
}

/// Static payload type of comfort noise (RFC 3389 §4); senders use it unasked.
const COMFORT_NOISE: u8 = 13;

impl ReceiveTypes {
    /// Both laws under their static types, and telephone events under `telephone_event`.
    pub const fn g711(telephone_event: Option<u8>) -> Self {
        Self {
            g722: None,
            opus: None,
            pcma: Some(Codec::Pcma.payload_type()),
            pcmu: Some(Codec::Pcmu.payload_type()),
            telephone_event,
            telephone_event_48: None,
        }
    }

    /// The payload type of a codec; `None` where it is not taken.
    pub const fn of(&self, codec: Codec) -> Option<u8> {
        match codec {
            Codec::G722 => self.g722,
            Codec::Opus => self.opus,
            Codec::Pcma => self.pcma,
            Codec::Pcmu => self.pcmu,
        }
    }

    /// The same, to be set.
    pub const fn of_mut(&mut self, codec: Codec) -> &mut Option<u8> {
        match codec {
            Codec::G722 => &mut self.g722,
            Codec::Opus => &mut self.opus,
            Codec::Pcma => &mut self.pcma,
            Codec::Pcmu => &mut self.pcmu,
        }
    }

    /// What a packet with this type carries; `None` if it was not agreed on.
    pub(super) fn kind(&self, payload_type: u8) -> Option<Kind> {
        let is = |agreed: Option<u8>| agreed == Some(payload_type);
        if let Some(codec) = Codec::ALL.into_iter().find(|codec| is(self.of(*codec))) {
            Some(Kind::Audio(codec))
        } else if is(self.telephone_event) {
            Some(Kind::TelephoneEvent(CLOCK_HZ))
        } else if is(self.telephone_event_48) {
            Some(Kind::TelephoneEvent(Codec::Opus.clock_hz()))
        } else if payload_type == COMFORT_NOISE {
            Some(Kind::ComfortNoise)
        } else {
            None
        }
    }
}

impl Terms {
    /// Terms for one codec under its static payload type, both ways, with RTCP on the next port.
    pub const fn new(remote: SocketAddr, codec: Codec, telephone_event: Option<u8>) -> Self {
        Self {
            remote,
            remote_rtcp: match remote.port().checked_add(1) {
                Some(port) => Some(SocketAddr::new(remote.ip(), port)),
                None => None,
            },
            rtcp_mux: false,
            direction: Direction::SendReceive,
            codec,
            payload_type: codec.payload_type(),
            telephone_event,
            event_clock_hz: CLOCK_HZ,
            expects_loss: false,
            receive: ReceiveTypes::g711(telephone_event),
            learning: Learning::FirstPackets,
        }
    }

    /// Whether there is somewhere to send to and leave to do so.
    pub(super) fn may_send(&self) -> bool {
        self.direction.sends() && self.is_reachable()
    }

    /// Whether the far end named a place; an unspecified one is the old way of holding.
    pub(super) fn is_reachable(&self) -> bool {
        !self.remote.ip().is_unspecified() && self.remote.port() != 0
    }
}

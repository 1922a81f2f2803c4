//! What one call agrees on: our offers and answers, theirs, and what follows for the sound.
//!
//! RFC 3264 for one audio stream over RTP/AVP, or over RTP/SAVP with keys in the description (RFC
//! 4568): one or the other, never both. What the far end offers besides is refused with
//! port 0 and keeps its place. A [`Negotiation`] changes only when something was agreed; an offer
//! or answer that cannot be agreed on leaves it, and the sound, as they were.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::address::{AddressError, AddressPolicy, check_media_address};
use super::description::{Attribute, Connection, Description, Media, Origin, direction_name};
use super::parse::SdpError;
use crate::rtp::source::Learning;
use crate::rtp::{CLOCK_HZ, Codec, Direction, FRAME_MS, ReceiveTypes, Terms};
use crate::srtp::keys::CryptoLine;
use crate::srtp::{MasterKey, Protection, Suite};

/// Payload type of telephone events in our offers; the one that most equipment uses.
const TELEPHONE_EVENT_TYPE: u8 = 101;
/// The same of telephone events by Opus's clock (RFC 4733 §2.1).
const TELEPHONE_EVENT_48_TYPE: u8 = 110;
/// Events that we take: the sixteen keys and the hook flash (RFC 4733 §3.2).
const TELEPHONE_EVENTS: &str = "0-16";
const TELEPHONE_EVENT: &str = "telephone-event";
/// What we say of Opus (RFC 7587 §6.1): we hear and speak at the telephone's rate, with one
/// channel, and make use of what a frame tells of the one before.
const OPUS_PARAMETERS: &str =
    "maxplaybackrate=8000;sprop-maxcapturerate=8000;stereo=0;sprop-stereo=0;useinbandfec=1";
/// Clocks of telephone events that we know, in ticks per second.
const EVENT_CLOCKS_HZ: [u32; 2] = [CLOCK_HZ, 48_000];

/// What a call's negotiation is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the far end reaches our RTP port; written into `c=` and `m=`.
    pub local: SocketAddr,
    /// Names the session in `o=`; to be different for every call.
    pub session_id: u64,
    /// What we speak, best first; at least one.
    pub codecs: Vec<Codec>,
    /// Where sound may go.
    pub policy: AddressPolicy,
    /// Whether sound is protected.
    pub privacy: Privacy,
}

/// Whether sound is protected. What is asked for is insisted on: a call whose far end does
/// otherwise has no sound rather than sound that others hear.
#[derive(Clone, Debug)]
pub enum Privacy {
    /// RTP as it is.
    Plain,
    /// SRTP with these keys of ours, one for each of [`Suite::ALL`]. Only where the signalling is
    /// encrypted, since it carries the keys.
    Srtp([MasterKey; Suite::ALL.len()]),
}

/// What was agreed for the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Where the far end takes sound. An unspecified address puts us on hold: nothing is sent.
    pub remote_rtp: SocketAddr,
    /// Where it takes reports; `None` where there is no such port.
    pub remote_rtcp: Option<SocketAddr>,
    /// What we send.
    pub codec: Codec,
    /// The payload type in which the far end wants it.
    pub payload_type: u8,
    /// The payload type in which it takes telephone events; `None` if it takes none.
    pub telephone_event: Option<u8>,
    /// The clock in which it is told how long they last, in ticks per second.
    pub event_clock_hz: u32,
    /// Whether the far end makes use of what a frame of Opus tells of the one before.
    pub expects_loss: bool,
    /// The payload types that we said we take.
    pub receive: ReceiveTypes,
    /// Who may speak, seen from here.
    pub direction: Direction,
    /// Length of the packets that the far end would like, in milliseconds; 20 where it is silent.
    pub ptime_ms: u16,
}

impl Stream {
    /// The same in the words of [`crate::rtp`].
    pub const fn terms(&self, learning: Learning) -> Terms {
        Terms {
            remote: self.remote_rtp,
            remote_rtcp: self.remote_rtcp,
            rtcp_mux: false,
            direction: self.direction,
            codec: self.codec,
            payload_type: self.payload_type,
            telephone_event: self.telephone_event,
            event_clock_hz: self.event_clock_hz,
            expects_loss: self.expects_loss,
            receive: self.receive,
            learning,
        }
    }
}

/// Why nothing was agreed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// Sound may not go where the far end wants it. The far end repairs it.
    #[error("sound may not go there")]
    Address(#[source] AddressError),
    /// One of us speaks IPv4 and the other IPv6. Whoever set our address repairs it.
    #[error("far end takes sound at {theirs}, we are at {ours}")]
    Family {
        /// Where it takes sound.
        theirs: IpAddr,
        /// Where we do.
        ours: IpAddr,
    },
    /// The description cannot be read. The far end repairs it.
    #[error("description is malformed")]
    Malformed(#[source] SdpError),
    /// The far end names a host; we ask for no names that others make up.
    #[error("far end takes sound at the name {0:?}, expected an address")]
    NamedAddress(String),
    /// There is no open audio medium over the profile that we speak. The trunk's settings, or the
    /// far end's, repair it.
    #[error("there is no open audio medium over {profile}")]
    NoAudio {
        /// `RTP/AVP` or `RTP/SAVP`.
        profile: &'static str,
    },
    /// The far end speaks nothing that we speak. Other codecs in the settings repair it.
    #[error("no common codec, the far end has {0}")]
    NoCommonCodec(String),
    /// The far end names no key for its sound, or none for a suite that we offered.
    #[error("far end names no key that can be used, expected a=crypto as in RFC 4568")]
    NoKey,
    /// The far end does not say where it takes sound.
    #[error("there is no c= line")]
    NoConnection,
    /// An answer came although we sent no description.
    #[error("answer came without an offer")]
    NothingOffered,
    /// The far end refuses our audio with port 0.
    #[error("far end refuses audio")]
    Refused,
}

impl NegotiationError {
    /// The status that refuses an offer: 400 where it cannot be read, else 488.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            _ => 488,
        }
    }
}

/// One medium's place in the descriptions of a session; it is kept for good.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Ours.
    Audio,
    /// Something that we refuse.
    Refused { kind: String, protocol: String, format: String },
}

/// The offers and answers of one call.
#[derive(Clone, Debug)]
pub struct Negotiation {
    settings: Settings,
    /// The description that we sent last.
    ours: Option<Description>,
    places: Vec<Place>,
    /// The payload types that telephone events have in this session, one for each clock.
    event_types: [u8; EVENT_CLOCKS_HZ.len()],
    /// How the stream is protected, where it is.
    protection: Option<Protection>,
    stream: Option<Stream>,
}

impl Negotiation {
    /// Nothing is agreed yet.
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            ours: None,
            places: Vec::new(),
            event_types: [TELEPHONE_EVENT_TYPE, TELEPHONE_EVENT_48_TYPE],
            protection: None,
            stream: None,
        }
    }

    /// What is agreed at present.
    pub const fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    /// How the sound that is agreed on is protected; `None` where it is not.
    pub const fn protection(&self) -> Option<&Protection> {
        self.protection.as_ref()
    }

    /// Our offer: for the INVITE, or for a re-INVITE of the far end that has none.
    ///
    /// A later one offers everything again and keeps each medium in its place (RFC 3264 §8).
    pub fn offer(&mut self) -> Bytes {
        if self.places.is_empty() {
            self.places.push(Place::Audio);
        }
        let codecs = &self.settings.codecs;
        // Events at 8 kHz are for all: whoever takes Opus may know no others.
        let has_events = [true, codecs.contains(&Codec::Opus)];
        let codecs = codecs.iter().map(|codec| (*codec, codec.payload_type()));
        let codecs: Vec<(Codec, u8)> = codecs.collect();
        let mut audio = self.audio(&codecs, has_events, Direction::SendReceive);
        audio.attributes.extend(self.settings.privacy.lines().iter().map(crypto));
        let media = self.places.iter().map(|place| place.media(&audio)).collect();
        self.send(media)
    }

    /// Takes the far end's answer to what we sent last.
    ///
    /// May come more than once for one offer: with early media, from several forks, and after a
    /// refresh of the session, in which our last description is sent again.
    pub fn answered(&mut self, answer: &[u8]) -> Result<Stream, NegotiationError> {
        let ours = self.ours.as_ref().ok_or(NegotiationError::NothingOffered)?;
        let at = ours.media.iter().position(|media| media.port != 0);
        let at = at.ok_or(NegotiationError::NothingOffered)?;
        let theirs = Description::parse(answer).map_err(NegotiationError::Malformed)?;
        let media = theirs.media.get(at).ok_or_else(|| self.no_audio())?;
        match media {
            Media { port: 0, .. } => return Err(NegotiationError::Refused),
            media if !self.is_audio(media) => return Err(self.no_audio()),
            _ => {}
        }
        let protection = match &self.settings.privacy {
            Privacy::Plain => None,
            Privacy::Srtp(_) => Some(accepted(&ours.media[at], media)?),
        };
        let receive = receive_types(&ours.media[at]);
        let can = |codec| receive.of(codec).is_some();
        let (codec, payload_type) = first_codec(media, can)?;
        let offered = ours.direction_of(&ours.media[at]);
        let stream = self.stream_to(&theirs, media, codec, payload_type, receive, offered)?;
        self.protection = protection;
        self.stream = Some(stream);
        Ok(stream)
    }

    /// Answers the far end's offer; the answer's text and what follows for the sound.
    ///
    /// The first codec of the offer that we speak is taken, and it alone, so that neither end
    /// changes it unasked. An error refuses the offer with [`NegotiationError::status`].
    pub fn answer(&mut self, offer: &[u8]) -> Result<(Bytes, Stream), NegotiationError> {
        let theirs = Description::parse(offer).map_err(NegotiationError::Malformed)?;
        let open = |media: &&Media| self.is_audio(media) && media.port != 0;
        let can = |codec| self.settings.codecs.contains(&codec);
        let mut found = Err(self.no_audio());
        for (at, media) in theirs.media.iter().enumerate().filter(|(_, media)| open(media)) {
            found = first_codec(media, can).map(|codec| (at, media, codec));
            if found.is_ok() {
                break;
            }
        }
        let (at, media, (codec, payload_type)) = found?;
        let agreed = self.settings.privacy.accept(media)?;
        let mut receive = ReceiveTypes::default();
        *receive.of_mut(codec) = Some(payload_type);
        // One kind of events is enough: by the codec's clock, else by the telephone's.
        let events = event_type(media, codec.clock_hz()).map(|number| (number, codec.clock_hz()));
        let events = events.or_else(|| Some((event_type(media, CLOCK_HZ)?, CLOCK_HZ)));
        match events {
            Some((number, CLOCK_HZ)) => receive.telephone_event = Some(number),
            Some((number, _)) => receive.telephone_event_48 = Some(number),
            None => {}
        }
        let wanted = Direction::SendReceive;
        let stream = self.stream_to(&theirs, media, codec, payload_type, receive, wanted)?;

        let has_events = [receive.telephone_event, receive.telephone_event_48];
        for (ours, theirs) in self.event_types.iter_mut().zip(has_events) {
            *ours = theirs.unwrap_or(*ours);
        }
        self.places = theirs
            .media
            .iter()
            .enumerate()
            .map(|(other, media)| if other == at { Place::Audio } else { Place::refused(media) })
            .collect();
        let has_events = has_events.map(|number| number.is_some());
        let mut audio = self.audio(&[(codec, payload_type)], has_events, stream.direction);
        audio.attributes.extend(agreed.iter().map(|(line, _)| crypto(line)));
        let media = self.places.iter().map(|place| place.media(&audio)).collect();
        self.protection = agreed.map(|(_, protection)| protection);
        self.stream = Some(stream);
        Ok((self.send(media), stream))
    }

    /// What the far end's description means for the sound.
    fn stream_to(
        &self,
        theirs: &Description,
        media: &Media,
        codec: Codec,
        payload_type: u8,
        receive: ReceiveTypes,
        wanted: Direction,
    ) -> Result<Stream, NegotiationError> {
        let (remote_rtp, is_held) = self.remote(theirs, media)?;
        let allowed = reversed(theirs.direction_of(media));
        // RFC 3264 §8.4: to 0.0.0.0, which once meant hold, nothing is sent.
        let sends = allowed.sends() && wanted.sends() && !is_held;
        let receives = allowed.receives() && wanted.receives();
        let (telephone_event, event_clock_hz) = events_to(media, codec, &receive);
        Ok(Stream {
            remote_rtp,
            remote_rtcp: remote_rtcp(media, remote_rtp),
            codec,
            payload_type,
            telephone_event,
            event_clock_hz,
            expects_loss: codec == Codec::Opus
                && media.parameter(payload_type, "useinbandfec") == Some("1"),
            receive,
            direction: direction(sends, receives),
            ptime_ms: media.ptime_ms().unwrap_or(FRAME_MS_U16),
        })
    }

    /// Where the far end takes sound, and whether that is nowhere: hold by `0.0.0.0`.
    fn remote(
        &self,
        theirs: &Description,
        media: &Media,
    ) -> Result<(SocketAddr, bool), NegotiationError> {
        let ip = match theirs.connection_of(media) {
            Some(Connection::Ip(ip)) => *ip,
            Some(Connection::Name(name)) => {
                return Err(NegotiationError::NamedAddress(name.clone()));
            }
            None => return Err(NegotiationError::NoConnection),
        };
        let address = SocketAddr::new(ip, media.port);
        if ip.is_unspecified() {
            return Ok((address, true));
        }
        let address = check_media_address(address, self.settings.policy)
            .map_err(NegotiationError::Address)?;
        let ours = self.settings.local;
        if address == ours {
            return Err(NegotiationError::Address(AddressError::Ourselves(address)));
        }
        let (theirs, ours) = (address.ip(), ours.ip().to_canonical());
        if theirs.is_ipv4() != ours.is_ipv4() {
            return Err(NegotiationError::Family { theirs, ours });
        }
        Ok((address, false))
    }

    /// Whether a medium is one that we speak; a feedback profile without its feedback is the same.
    fn is_audio(&self, media: &Media) -> bool {
        let profile = media.protocol.strip_suffix('F').unwrap_or(&media.protocol);
        media.kind == "audio" && profile == self.settings.privacy.profile()
    }

    const fn no_audio(&self) -> NegotiationError {
        NegotiationError::NoAudio { profile: self.settings.privacy.profile() }
    }

    /// Our audio medium.
    fn audio(
        &self,
        codecs: &[(Codec, u8)],
        has_events: [bool; EVENT_CLOCKS_HZ.len()],
        direction: Direction,
    ) -> Media {
        let mut formats: Vec<String> =
            codecs.iter().map(|(_, number)| number.to_string()).collect();
        let mut attributes: Vec<Attribute> = Vec::new();
        for (codec, number) in codecs {
            attributes.push(Attribute::new("rtpmap", rtpmap(*codec, *number)));
            if *codec == Codec::Opus {
                attributes.push(Attribute::new("fmtp", format!("{number} {OPUS_PARAMETERS}")));
            }
        }
        let events = self.event_types.iter().zip(EVENT_CLOCKS_HZ).zip(has_events);
        for ((number, clock), _) in events.filter(|(_, has)| *has) {
            formats.push(number.to_string());
            let map = format!("{number} {TELEPHONE_EVENT}/{clock}");
            attributes.push(Attribute::new("rtpmap", map));
            attributes.push(Attribute::new("fmtp", format!("{number} {TELEPHONE_EVENTS}")));
        }
        attributes.push(Attribute::new("ptime", FRAME_MS.to_string()));
        attributes.push(Attribute::flag(direction_name(direction)));
        Media {
            kind: "audio".into(),
            port: self.settings.local.port(),
            protocol: self.settings.privacy.profile().into(),
            formats,
            connection: None,
            attributes,
        }
    }

    /// The text of our next description; its version grows only where something changed.
    fn send(&mut self, media: Vec<Media>) -> Bytes {
        let Settings { local, session_id, .. } = &self.settings;
        let version_before = self.ours.as_ref().map(|ours| ours.origin.version.clone());
        let mut next = Description {
            origin: Origin {
                username: "-".into(),
                session_id: session_id.to_string(),
                version: version_before.unwrap_or_else(|| "1".into()),
                address: local.ip().to_string(),
            },
            name: "-".into(),
            connection: Some(Connection::Ip(local.ip())),
            attributes: Vec::new(),
            media,
        };
        if self.ours.as_ref().is_some_and(|ours| *ours != next) {
            let version: u64 = next.origin.version.parse().unwrap_or(0);
            next.origin.version = (version + 1).to_string();
        }
        let text = next.to_string();
        self.ours = Some(next);
        text.into()
    }
}

impl Place {
    fn refused(media: &Media) -> Self {
        Self::Refused {
            kind: media.kind.clone(),
            protocol: media.protocol.clone(),
            format: media.formats.first().cloned().unwrap_or_default(),
        }
    }

    fn media(&self, audio: &Media) -> Media {
        match self {
            Self::Audio => audio.clone(),
            Self::Refused { kind, protocol, format } => Media {
                kind: kind.clone(),
                port: 0,
                protocol: protocol.clone(),
                formats: vec![format.clone()],
                connection: None,
                attributes: Vec::new(),
            },
        }
    }
}

/// The length of our packets in the type that descriptions use.
#[expect(clippy::cast_possible_truncation, reason = "20 fits")]
const FRAME_MS_U16: u16 = FRAME_MS as u16;

impl Privacy {
    const fn profile(&self) -> &'static str {
        match self {
            Self::Plain => "RTP/AVP",
            Self::Srtp(_) => "RTP/SAVP",
        }
    }

    /// What our offers say: a line for each suite, with a key of its own.
    fn lines(&self) -> Vec<CryptoLine> {
        match self {
            Self::Plain => Vec::new(),
            Self::Srtp(keys) => (1..)
                .zip(Suite::ALL)
                .zip(keys)
                .map(|((tag, suite), key)| CryptoLine { tag, suite, key: key.clone() })
                .collect(),
        }
    }

    /// Chooses the first line of an offer that can be used; our line for the answer.
    fn accept(
        &self,
        offered: &Media,
    ) -> Result<Option<(CryptoLine, Protection)>, NegotiationError> {
        if matches!(self, Self::Plain) {
            return Ok(None);
        }
        let theirs = CryptoLine::read_all(offered.values("crypto"));
        let theirs = theirs.into_iter().next().ok_or(NegotiationError::NoKey)?;
        let ours = self.lines().into_iter().find(|line| line.suite == theirs.suite);
        let ours = ours.ok_or(NegotiationError::NoKey)?;
        let protection =
            Protection { suite: ours.suite, ours: ours.key.clone(), theirs: theirs.key };
        Ok(Some((CryptoLine { tag: theirs.tag, ..ours }, protection)))
    }
}

/// What an answer's line accepts of those that we sent (RFC 4568 §5.1.2).
fn accepted(ours: &Media, answer: &Media) -> Result<Protection, NegotiationError> {
    let ours = CryptoLine::read_all(ours.values("crypto"));
    let theirs = CryptoLine::read_all(answer.values("crypto"));
    let pair = theirs.into_iter().find_map(|theirs| {
        let same = |ours: &&CryptoLine| ours.tag == theirs.tag && ours.suite == theirs.suite;
        ours.iter().find(same).map(|ours| (ours.key.clone(), theirs))
    });
    let (ours, theirs) = pair.ok_or(NegotiationError::NoKey)?;
    Ok(Protection { suite: theirs.suite, ours, theirs: theirs.key })
}

fn crypto(line: &CryptoLine) -> Attribute {
    Attribute::new("crypto", line.to_value())
}

/// The first codec of a medium that we can, under the medium's payload type.
fn first_codec(
    media: &Media,
    can: impl Fn(Codec) -> bool,
) -> Result<(Codec, u8), NegotiationError> {
    let mut names = Vec::new();
    for format in &media.formats {
        let Some(encoding) = media.encoding(format) else {
            names.push(format.clone());
            continue;
        };
        let is = |codec: &Codec| encoding.is_with(codec.name(), codec.clock_hz(), codec.channels());
        let codec = Codec::ALL.into_iter().find(is);
        match (codec.filter(|codec| can(*codec)), payload_type(format)) {
            (Some(codec), Some(payload_type)) => return Ok((codec, payload_type)),
            _ => names.push(encoding.name.to_owned()),
        }
    }
    Err(NegotiationError::NoCommonCodec(names.join(" ")))
}

/// The payload type in which a medium has telephone events by that clock.
fn event_type(media: &Media, clock_hz: u32) -> Option<u8> {
    let is_event = |format: &&String| {
        media.encoding(format).is_some_and(|encoding| encoding.is(TELEPHONE_EVENT, clock_hz))
    };
    media.formats.iter().find(is_event).and_then(|format| payload_type(format))
}

/// The payload type in which telephone events are sent beside `codec`, and their clock: the
/// codec's own (RFC 4733 §2.1), else the telephone's, which is all that many know.
fn events_to(media: &Media, codec: Codec, receive: &ReceiveTypes) -> (Option<u8>, u32) {
    let ours = [receive.telephone_event, receive.telephone_event_48];
    let known = |clock: u32| {
        let is_ours =
            ours.iter().zip(EVENT_CLOCKS_HZ).any(|(ours, hz)| ours.is_some() && hz == clock);
        event_type(media, clock).filter(|_| is_ours)
    };
    match known(codec.clock_hz()) {
        Some(number) => (Some(number), codec.clock_hz()),
        None => (known(CLOCK_HZ), CLOCK_HZ),
    }
}

/// What a payload type stands for, as it is written.
fn rtpmap(codec: Codec, number: u8) -> String {
    let channels = if codec.channels() == 1 { "" } else { "/2" };
    format!("{number} {}/{}{channels}", codec.name(), codec.clock_hz())
}

/// A payload type of RTP: 0 to 127.
fn payload_type(format: &str) -> Option<u8> {
    format.parse().ok().filter(|number| *number < 128)
}

/// What a description of ours says that we take.
fn receive_types(media: &Media) -> ReceiveTypes {
    let under = |codec: Codec| first_codec(media, |other| other == codec).ok().map(|found| found.1);
    let mut receive = ReceiveTypes {
        telephone_event: event_type(media, CLOCK_HZ),
        telephone_event_48: event_type(media, Codec::Opus.clock_hz()),
        ..ReceiveTypes::default()
    };
    for codec in Codec::ALL {
        *receive.of_mut(codec) = under(codec);
    }
    receive
}

/// Where reports go: `a=rtcp`, else the next port. Another host than the sound's is not believed.
fn remote_rtcp(media: &Media, rtp: SocketAddr) -> Option<SocketAddr> {
    let port = match media.rtcp() {
        Some((port, None)) => Some(port),
        Some((port, Some(address))) if address.to_canonical() == rtp.ip() => Some(port),
        Some(_) | None => rtp.port().checked_add(1),
    };
    port.filter(|port| *port >= super::address::MEDIA_PORT_MIN)
        .map(|port| SocketAddr::new(rtp.ip(), port))
}

/// What the other end's direction is from here.
const fn reversed(direction: Direction) -> Direction {
    match direction {
        Direction::ReceiveOnly => Direction::SendOnly,
        Direction::SendOnly => Direction::ReceiveOnly,
        Direction::Inactive | Direction::SendReceive => direction,
    }
}

const fn direction(sends: bool, receives: bool) -> Direction {
    match (sends, receives) {
        (false, false) => Direction::Inactive,
        (false, true) => Direction::ReceiveOnly,
        (true, false) => Direction::SendOnly,
        (true, true) => Direction::SendReceive,
    }
}

#[cfg(test)]
#[path = "offer_answer_tests.rs"]
mod tests;

//! Messages from a stream, however it is cut: TCP and TLS (RFC 3261 §18.3, RFC 5626 §3.5.1).
//!
//! [`Framer::feed`] one piece, then [`Framer::poll`] until `None`.

use super::header::HeaderError;
use super::message::Message;
use super::name::Name;
use super::parse::{
    Fault, MESSAGE_BYTES_MAX, ParseError, as_text, find_head_end, read_head, set_body,
};

/// What a stream brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// The end of a message cannot be known: the stream is to be closed, and says no more.
    Broken(ParseError),
    /// A message was refused; the stream goes on behind it.
    Invalid(ParseError),
    /// A message.
    Message(Message),
    /// The far end asks whether we live: `CR LF CR LF`, to be answered with `CR LF`.
    Ping,
    /// A single `CR LF`: the answer to our ping, or the first half of a ping.
    Pong,
}

/// Cuts a stream into messages. Holds at most one unfinished message.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Octets at the buffer's start that are done with.
    taken: usize,
    /// Octets behind those in which no empty line ends.
    searched: usize,
    head: Option<PendingBody>,
    line_breaks: usize,
    is_broken: bool,
}

/// A head that waits for its body.
#[derive(Debug)]
struct PendingBody {
    message: Result<Message, ParseError>,
    head_length: usize,
    body_length: usize,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of the stream, of any length.
    pub fn feed(&mut self, piece: &[u8]) {
        if self.is_broken {
            return;
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// What the stream has brought, oldest first.
    pub fn poll(&mut self) -> Option<Frame> {
        if self.is_broken {
            return None;
        }
        if self.head.is_none() {
            if let Some(frame) = self.take_line_break() {
                return Some(frame);
            }
            match self.take_head() {
                Ok(Some(head)) => self.head = Some(head),
                Ok(None) => return None,
                Err(error) => {
                    self.is_broken = true;
                    self.buffer = Vec::new();
                    return Some(Frame::Broken(error));
                }
            }
        }
        self.take_message()
    }

    /// Whether the stream stands between two messages, so that its silence is no fault.
    pub fn is_between_messages(&self) -> bool {
        self.head.is_none() && self.buffer.len() == self.taken
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    fn take_line_break(&mut self) -> Option<Frame> {
        if !self.rest().starts_with(b"\r\n") {
            return None;
        }
        self.taken += 2;
        self.line_breaks += 1;
        Some(if self.line_breaks.is_multiple_of(2) { Frame::Ping } else { Frame::Pong })
    }

    fn take_head(&mut self) -> Result<Option<PendingBody>, ParseError> {
        let rest = &self.buffer[self.taken..];
        // The empty line may have begun in what was searched before.
        let Some(head_length) = find_head_end(rest, self.searched.saturating_sub(3)) else {
            self.searched = rest.len();
            return match rest.len() {
                octets if octets > MESSAGE_BYTES_MAX => Err(too_long(rest, octets)),
                _ => Ok(None),
            };
        };
        self.searched = 0;
        self.line_breaks = 0;
        let octets = &rest[..head_length];
        if head_length > MESSAGE_BYTES_MAX {
            return Err(too_long(octets, head_length));
        }
        let head = read_head(octets)?;
        let Some(body_length) = head.content_length else {
            // RFC 3261 §20.14: on a stream nothing else tells where the body ends.
            let fault = Fault::Header(HeaderError::Missing(Name::ContentLength));
            return Err(ParseError::of_head(fault, &as_text(octets)));
        };
        let octets_total = head_length.saturating_add(body_length);
        if octets_total > MESSAGE_BYTES_MAX {
            return Err(too_long(octets, octets_total));
        }
        Ok(Some(PendingBody { message: head.message, head_length, body_length }))
    }

    fn take_message(&mut self) -> Option<Frame> {
        let head = self.head.take()?;
        let end = head.head_length + head.body_length;
        if self.rest().len() < end {
            self.head = Some(head);
            return None;
        }
        let body = self.taken + head.head_length..self.taken + end;
        self.taken += end;
        Some(match head.message {
            Ok(mut message) => {
                set_body(&mut message, &self.buffer[body]);
                Frame::Message(message)
            }
            Err(error) => Frame::Invalid(error),
        })
    }
}

fn too_long(octets: &[u8], total: usize) -> ParseError {
    let head = as_text(&octets[..octets.len().min(MESSAGE_BYTES_MAX)]);
    ParseError::of_head(Fault::MessageTooLong { octets: total }, &head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Method;
    use proptest::prelude::*;

    const OPTIONS: &str = "OPTIONS sip:a@h SIP/2.0\r\n\
        Via: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\
        From: <sip:b@h>;tag=1\r\n\
        To: <sip:a@h>\r\n\
        Call-ID: c1\r\n\
        CSeq: 1 OPTIONS\r\n";

    fn message(rest: &str) -> String {
        format!("{OPTIONS}{rest}")
    }

    fn feed(framer: &mut Framer, text: &str) -> Vec<String> {
        framer.feed(text.as_bytes());
        let frames = std::iter::from_fn(|| framer.poll());
        frames.map(|frame| describe(&frame)).collect()
    }

    fn describe(frame: &Frame) -> String {
        match frame {
            Frame::Broken(error) => format!("broken: {}", error.fault),
            Frame::Invalid(error) => format!("invalid: {}", error.fault),
            Frame::Message(message) => String::from_utf8_lossy(message.body()).into_owned(),
            Frame::Ping => "ping".into(),
            Frame::Pong => "pong".into(),
        }
    }

    #[test]
    fn messages_back_to_back_come_one_by_one() {
        let text = message("Content-Length: 3\r\n\r\none") + &message("l:\r\n  3\r\n\r\ntwo");
        assert_eq!(feed(&mut Framer::new(), &text), ["one", "two"]);
    }

    #[test]
    fn stream_that_comes_octet_by_octet_gives_the_same() {
        let text = format!("\r\n\r\n{}\r\n", message("Content-Length: 4\r\n\r\n\r\n\r\n"));
        let mut framer = Framer::new();
        let mut frames = Vec::new();
        for sign in text.split_inclusive(|_| true) {
            frames.extend(feed(&mut framer, sign));
        }
        assert_eq!(frames, ["pong", "ping", "\r\n\r\n", "pong"]);
        assert!(framer.is_between_messages());
    }

    #[test]
    fn message_without_its_body_waits_for_it() {
        let mut framer = Framer::new();
        assert!(feed(&mut framer, &message("Content-Length: 3\r\n\r\non")).is_empty());
        assert!(!framer.is_between_messages());
        assert_eq!(feed(&mut framer, "e"), ["one"]);
    }

    #[test]
    fn refused_message_does_not_end_the_stream() {
        let bad = message("To: <sip:again@h>\r\nContent-Length: 2\r\n\r\n..");
        let good = message("Content-Length: 2\r\n\r\nok");
        assert_eq!(
            feed(&mut Framer::new(), &(bad + &good)),
            ["invalid: To appears more than once", "ok"]
        );
    }

    #[test]
    fn stream_whose_messages_cannot_be_told_apart_ends() {
        let endless = [
            ("\r\n", "Content-Length is missing"),
            (
                "Content-Length: -1\r\n\r\n",
                "Content-Length is malformed, expected octets as digits",
            ),
            ("Content-Length: 1\r\nl: 1\r\n\r\n", "Content-Length appears more than once"),
            ("No header\r\n\r\n", "expected a header's name and a colon"),
            (
                "Content-Length: 65536\r\n\r\n",
                "message of 65690 octets or more, at most 65536 are \
                                                taken",
            ),
            (
                "Content-Length: 99999999999999999999999\r\n\r\n",
                "message of 18446744073709551615 octets or more, at most 65536 are taken",
            ),
        ];
        for (rest, expected) in endless {
            let mut framer = Framer::new();
            assert_eq!(feed(&mut framer, &message(rest)), [format!("broken: {expected}")]);
            assert!(feed(&mut framer, &message("Content-Length: 0\r\n\r\n")).is_empty());
        }
    }

    #[test]
    fn message_that_never_ends_is_cut_off_at_the_limit() {
        let mut framer = Framer::new();
        let piece = "X: 1234567890\r\n".repeat(100);
        let mut frames = feed(&mut framer, OPTIONS);
        for _ in 0..100 {
            frames.extend(feed(&mut framer, &piece));
            assert!(framer.buffer.len() <= MESSAGE_BYTES_MAX + piece.len());
        }
        assert_eq!(frames.len(), 1);
        assert!(frames[0].starts_with("broken: message of 6"), "{}", frames[0]);
    }

    #[test]
    fn broken_stream_still_has_an_answer_for_its_sender() {
        let mut framer = Framer::new();
        framer.feed(message("Content-Length: -1\r\n\r\n").as_bytes());
        let Some(Frame::Broken(error)) = framer.poll() else { panic!("stream is sound") };
        assert_eq!(error.reply().unwrap().headers.cseq().unwrap().1, Method::Options);
    }

    proptest! {
        #[test]
        fn any_octets_in_any_pieces_never_panic(
            pieces in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..40),
                    Just(b"\r\n\r\n".to_vec()),
                    Just(OPTIONS.as_bytes().to_vec()),
                    Just(b"Content-Length: 7\r\n\r\n".to_vec()),
                ],
                0..12,
            ),
        ) {
            let mut framer = Framer::new();
            for piece in pieces {
                framer.feed(&piece);
                while framer.poll().is_some() {}
            }
        }

        #[test]
        fn cuts_make_no_difference(cuts in proptest::collection::vec(0..400_usize, 0..8)) {
            let text = message("Content-Length: 3\r\n\r\none")
                + "\r\n\r\n"
                + &message("Content-Length: 0\r\nTo: x\r\n\r\n")
                + &message("Content-Length: 3\r\n\r\ntwo");
            let whole = feed(&mut Framer::new(), &text);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut framer = Framer::new();
            let mut frames = Vec::new();
            let mut start = 0;
            for end in cuts.into_iter().chain([text.len()]) {
                frames.extend(feed(&mut framer, &text[start..end]));
                start = end;
            }
            prop_assert_eq!(frames, whole);
        }
    }
}

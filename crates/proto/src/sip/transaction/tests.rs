//! Every arrow of the four diagrams: RFC 3261 figures 5 to 8, with RFC 6026 figures 1 and 2.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::sip::testing::start;
use crate::sip::timers::{PATIENCE, T4, Timer};
use crate::sip::uri::Uri;

fn invite() -> Request {
    let uri = Uri::parse("sip:bo@b.example").unwrap();
    let mut invite = Request::new(Method::Invite, uri);
    let headers = &mut invite.headers;
    headers.push(Name::Via, "SIP/2.0/UDP a.example;branch=z9hG4bK1;rport");
    headers.push(Name::Route, "<sip:p.example;lr>");
    headers.push(Name::From, "<sip:al@a.example>;tag=f");
    headers.push(Name::To, "<sip:bo@b.example>");
    headers.push(Name::CallId, "c1");
    headers.push(Name::CSeq, "3 INVITE");
    headers.push(Name::Contact, "<sip:al@a.example>");
    invite.set_body("application/sdp", "v=0\r\n");
    invite
}

fn response(status: u16) -> Response {
    Response::to_request(&invite(), status, "x", Some("t"))
}

/// One machine of the four, driven in virtual time and told as text.
trait Machine {
    fn poll(&mut self) -> Option<Effect>;
    fn deadline(&self) -> Option<(Instant, Timer)>;
    fn expire(&mut self, now: Instant, timer: Timer);

    /// The first line of what is sent, `up`, or how it ended; the deadline behind the bar.
    fn told(&mut self, start: Instant) -> String {
        let mut told = String::new();
        while let Some(effect) = self.poll() {
            let text = match effect {
                Effect::Deliver => "up".to_owned(),
                Effect::Resend(bytes) => format!("again {}", first_word(&bytes)),
                Effect::Send(bytes) => format!("send {}", first_word(&bytes)),
                Effect::Terminated(finish) => format!("{finish:?}"),
            };
            write!(told, "{text} ").unwrap();
        }
        match self.deadline() {
            Some((at, timer)) => {
                let ms = at.duration_since(start).as_millis();
                write!(told, "| {timer:?} at {ms}").unwrap();
            }
            None => told.push('|'),
        }
        told
    }

    /// Lets time pass until the machine waits for nothing, and tells what came and when.
    fn run(&mut self, start: Instant) -> String {
        let mut told = String::new();
        while let Some((at, timer)) = self.deadline() {
            self.expire(at, timer);
            while let Some(effect) = self.poll() {
                let text = match effect {
                    Effect::Terminated(finish) => format!("{finish:?}"),
                    Effect::Resend(_) => String::new(),
                    other => panic!("a timer made {other:?}"),
                };
                let ms = at.duration_since(start).as_millis();
                write!(told, "{timer:?}{ms}{text} ").unwrap();
            }
        }
        told.trim_end().to_owned()
    }
}

fn first_word(bytes: &Bytes) -> &str {
    let text = std::str::from_utf8(bytes).unwrap();
    let line = text.lines().next().unwrap();
    line.strip_prefix("SIP/2.0 ").unwrap_or(line).split(' ').next().unwrap()
}

macro_rules! machine {
    ($machine:ty, $module:ident) => {
        impl Machine for $machine {
            fn poll(&mut self) -> Option<Effect> {
                Self::poll(self)
            }
            fn deadline(&self) -> Option<(Instant, Timer)> {
                Self::deadline(self)
            }
            fn expire(&mut self, now: Instant, timer: Timer) {
                self.handle(now, $module::Input::Expired(timer));
            }
        }
    };
}

machine!(ClientInvite, client_invite);
machine!(Client, client);
machine!(ServerInvite, server_invite);
machine!(Server, server);

mod client_invite_diagram {
    use super::*;

    fn new(transport: Transport) -> (ClientInvite, Instant) {
        let t = start();
        let mut machine = ClientInvite::new(t, &invite(), transport);
        let told = machine.told(t);
        assert!(told.starts_with("send INVITE | "), "{told}");
        (machine, t)
    }

    fn receive(machine: &mut ClientInvite, t: Instant, status: u16) -> String {
        machine.handle(t, client_invite::Input::Response(&response(status)));
        machine.told(t)
    }

    #[test]
    fn invite_is_repeated_in_doubling_pauses_and_given_up_after_32_seconds() {
        let (mut machine, t) = new(Transport::Udp);
        assert_eq!(machine.run(t), "A500 A1500 A3500 A7500 A15500 A31500 B32000Timeout");
    }

    #[test]
    fn invite_on_a_connection_is_sent_once() {
        for transport in [Transport::Tcp, Transport::Tls] {
            let (mut machine, t) = new(transport);
            assert_eq!(machine.run(t), "B32000Timeout");
        }
    }

    #[test]
    fn transport_failure_ends_a_calling_invite() {
        let (mut machine, t) = new(Transport::Tcp);
        machine.handle(t, client_invite::Input::TransportFailed);
        assert_eq!(machine.told(t), "Transport |");
    }

    #[test]
    fn provisional_response_stops_both_timers() {
        let (mut machine, t) = new(Transport::Udp);
        assert!(machine.is_calling() && !machine.is_proceeding());
        assert_eq!(receive(&mut machine, t, 100), "up |");
        assert_eq!(receive(&mut machine, t, 180), "up |");
        assert!(machine.is_proceeding() && machine.is_open());
        // The connection may close: the answer can come over another one.
        machine.handle(t, client_invite::Input::TransportFailed);
        assert_eq!(machine.told(t), "|");
    }

    #[test]
    fn success_is_passed_up_again_and_again_for_32_seconds() {
        for before in [None, Some(100), Some(183)] {
            let (mut machine, t) = new(Transport::Udp);
            before.map(|status| receive(&mut machine, t, status));
            assert_eq!(receive(&mut machine, t, 200), "up | M at 32000");
            assert_eq!(receive(&mut machine, t, 200), "up | M at 32000");
            // What comes late is not passed up.
            assert_eq!(receive(&mut machine, t, 180), "| M at 32000");
            assert_eq!(receive(&mut machine, t, 486), "| M at 32000");
            assert!(!machine.is_open());
            assert_eq!(machine.run(t), "M32000Done");
        }
    }

    #[test]
    fn refusal_is_acknowledged_each_time_and_passed_up_once() {
        for before in [None, Some(180)] {
            let (mut machine, t) = new(Transport::Udp);
            before.map(|status| receive(&mut machine, t, status));
            assert_eq!(receive(&mut machine, t, 486), "send ACK up | D at 32000");
            assert_eq!(receive(&mut machine, t, 486), "send ACK | D at 32000");
            assert_eq!(receive(&mut machine, t, 180), "| D at 32000");
            assert_eq!(receive(&mut machine, t, 200), "| D at 32000");
            assert_eq!(machine.run(t), "D32000Done");
        }
    }

    #[test]
    fn refusal_on_a_connection_ends_the_transaction_at_once() {
        let (mut machine, t) = new(Transport::Tls);
        assert_eq!(receive(&mut machine, t, 603), "send ACK up Done |");
        assert_eq!(receive(&mut machine, t, 603), "|");
    }

    #[test]
    fn transport_failure_ends_a_refused_invite_quietly() {
        let (mut machine, t) = new(Transport::Udp);
        receive(&mut machine, t, 486);
        machine.handle(t, client_invite::Input::TransportFailed);
        assert_eq!(machine.told(t), "Done |");
    }

    #[test]
    fn endless_refusals_are_acknowledged_a_bounded_number_of_times() {
        let (mut machine, t) = new(Transport::Udp);
        receive(&mut machine, t, 486);
        let told: String = (0..1_000).map(|_| receive(&mut machine, t, 486)).collect();
        assert_eq!(told.matches("send ACK").count(), usize::from(REPEATS_MAX));
    }

    #[test]
    fn ack_of_a_refusal_is_made_of_the_invite_and_the_to_of_the_response() {
        let (mut machine, t) = new(Transport::Udp);
        machine.handle(t, client_invite::Input::Response(&response(404)));
        let Some(Effect::Send(ack)) = machine.poll() else { panic!("no ACK") };
        assert_eq!(
            String::from_utf8(ack.to_vec()).unwrap(),
            "ACK sip:bo@b.example SIP/2.0\r\n\
             Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;rport\r\n\
             Max-Forwards: 70\r\n\
             Route: <sip:p.example;lr>\r\n\
             From: <sip:al@a.example>;tag=f\r\n\
             To: <sip:bo@b.example>;tag=t\r\n\
             Call-ID: c1\r\n\
             CSeq: 3 ACK\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn cancel_is_made_of_the_invite_with_its_branch_and_its_to() {
        let (machine, _) = new(Transport::Udp);
        let reason = Reason::sip(200, "Call completed elsewhere");
        let cancel = cancel(machine.skeleton().unwrap(), Some(&reason));
        assert_eq!(
            String::from_utf8(cancel.to_bytes()).unwrap(),
            "CANCEL sip:bo@b.example SIP/2.0\r\n\
             Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;rport\r\n\
             Max-Forwards: 70\r\n\
             Route: <sip:p.example;lr>\r\n\
             From: <sip:al@a.example>;tag=f\r\n\
             To: <sip:bo@b.example>\r\n\
             Call-ID: c1\r\n\
             CSeq: 3 CANCEL\r\n\
             Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn canceled_invite_gets_32_seconds_to_end() {
        let (mut machine, t) = new(Transport::Udp);
        receive(&mut machine, t, 180);
        machine.handle(t, client_invite::Input::Canceled);
        assert_eq!(machine.told(t), "| Canceled at 32000");
        assert!(!machine.is_proceeding() && machine.is_open());
        assert_eq!(receive(&mut machine, t, 180), "up | Canceled at 32000");
        assert_eq!(machine.run(t), "Canceled32000Timeout");
        let (mut machine, t) = new(Transport::Udp);
        receive(&mut machine, t, 180);
        machine.handle(t, client_invite::Input::Canceled);
        machine.told(t);
        assert_eq!(receive(&mut machine, t, 487), "send ACK up | D at 32000");
    }

    #[test]
    fn nothing_is_said_after_the_end() {
        let (mut machine, t) = new(Transport::Udp);
        machine.run(t);
        for status in [100, 200, 486] {
            assert_eq!(receive(&mut machine, t, status), "|");
        }
        for timer in [Timer::A, Timer::B, Timer::D, Timer::M, Timer::Canceled] {
            machine.handle(t, client_invite::Input::Expired(timer));
            assert_eq!(machine.told(t), "|");
        }
    }

    #[test]
    fn lingering_transaction_is_small() {
        let (mut machine, t) = new(Transport::Udp);
        receive(&mut machine, t, 200);
        assert!(machine.skeleton().is_none());
        assert!(size_of::<ClientInvite>() <= 288, "{} octets", size_of::<ClientInvite>());
    }
}

mod client_diagram {
    use super::*;

    fn new(transport: Transport) -> (Client, Instant) {
        let t = start();
        let mut machine = Client::new(t, Bytes::from_static(b"BYE sip:b SIP/2.0\r\n"), transport);
        let told = machine.told(t);
        assert!(told.starts_with("send BYE | "), "{told}");
        (machine, t)
    }

    fn receive(machine: &mut Client, t: Instant, status: u16) -> String {
        machine.handle(t, client::Input::Response(status));
        machine.told(t)
    }

    #[test]
    fn request_is_repeated_up_to_every_4_seconds_and_given_up_after_32() {
        let (mut machine, t) = new(Transport::Udp);
        assert_eq!(
            machine.run(t),
            "E500 E1500 E3500 E7500 E11500 E15500 E19500 E23500 E27500 E31500 F32000Timeout"
        );
    }

    #[test]
    fn request_on_a_connection_is_sent_once() {
        let (mut machine, t) = new(Transport::Tcp);
        assert_eq!(machine.run(t), "F32000Timeout");
    }

    #[test]
    fn provisional_response_slows_the_repetition_down() {
        let (mut machine, t) = new(Transport::Udp);
        assert_eq!(receive(&mut machine, t, 100), "up | E at 500");
        assert_eq!(receive(&mut machine, t, 100), "up | E at 500");
        assert_eq!(
            machine.run(t),
            "E500 E4500 E8500 E12500 E16500 E20500 E24500 E28500 F32000Timeout"
        );
    }

    #[test]
    fn transport_failure_ends_a_request_under_way() {
        for before in [None, Some(100)] {
            let (mut machine, t) = new(Transport::Udp);
            before.map(|status| receive(&mut machine, t, status));
            machine.handle(t, client::Input::TransportFailed);
            assert_eq!(machine.told(t), "Transport |");
        }
    }

    #[test]
    fn final_response_is_passed_up_once() {
        for (before, status) in [(None, 200), (Some(100), 200), (None, 481), (Some(100), 699)] {
            let (mut machine, t) = new(Transport::Udp);
            before.map(|status| receive(&mut machine, t, status));
            assert_eq!(receive(&mut machine, t, status), "up | K at 5000");
            assert_eq!(receive(&mut machine, t, status), "| K at 5000");
            machine.handle(t, client::Input::TransportFailed);
            assert_eq!(machine.told(t), "| K at 5000");
            assert!(!machine.is_open());
            assert_eq!(machine.run(t), "K5000Done");
            assert_eq!(receive(&mut machine, t, status), "|");
        }
    }

    #[test]
    fn final_response_on_a_connection_ends_the_transaction_at_once() {
        let (mut machine, t) = new(Transport::Tls);
        assert_eq!(receive(&mut machine, t, 200), "up Done |");
    }
}

mod server_invite_diagram {
    use super::*;

    fn respond(machine: &mut ServerInvite, t: Instant, status: u16) -> String {
        let message = Bytes::from(response(status).to_bytes());
        machine.handle(t, server_invite::Input::Respond(status, message));
        machine.told(t)
    }

    fn feed(machine: &mut ServerInvite, t: Instant, input: server_invite::Input) -> String {
        machine.handle(t, input);
        machine.told(t)
    }

    #[test]
    fn repeated_invite_gets_the_last_provisional_response() {
        let (mut machine, t) = (ServerInvite::new(Transport::Udp), start());
        assert_eq!(feed(&mut machine, t, server_invite::Input::Repeated), "|");
        assert_eq!(respond(&mut machine, t, 100), "send 100 |");
        assert_eq!(respond(&mut machine, t, 183), "send 183 |");
        assert_eq!(feed(&mut machine, t, server_invite::Input::Repeated), "send 183 |");
        assert!(machine.is_open());
    }

    #[test]
    fn refusal_is_repeated_until_given_up() {
        let (mut machine, t) = (ServerInvite::new(Transport::Udp), start());
        assert_eq!(respond(&mut machine, t, 488), "send 488 | G at 500");
        assert_eq!(
            machine.run(t),
            "G500 G1500 G3500 G7500 G11500 G15500 G19500 G23500 G27500 G31500 H32000Timeout"
        );
    }

    #[test]
    fn refusal_on_a_connection_waits_for_its_ack_only() {
        let (mut machine, t) = (ServerInvite::new(Transport::Tcp), start());
        assert_eq!(respond(&mut machine, t, 488), "send 488 | H at 32000");
        assert_eq!(feed(&mut machine, t, server_invite::Input::Ack), "Done |");
    }

    #[test]
    fn acknowledged_refusal_absorbs_for_5_seconds() {
        let (mut machine, t) = (ServerInvite::new(Transport::Udp), start());
        respond(&mut machine, t, 488);
        assert_eq!(feed(&mut machine, t, server_invite::Input::Repeated), "send 488 | G at 500");
        assert_eq!(feed(&mut machine, t, server_invite::Input::Ack), "| I at 5000");
        assert_eq!(feed(&mut machine, t, server_invite::Input::Ack), "| I at 5000");
        assert_eq!(feed(&mut machine, t, server_invite::Input::Repeated), "| I at 5000");
        assert_eq!(respond(&mut machine, t, 200), "| I at 5000");
        assert_eq!(machine.run(t), "I5000Done");
    }

    #[test]
    fn accepted_invite_absorbs_repetitions_and_passes_the_ack_up() {
        let (mut machine, t) = (ServerInvite::new(Transport::Udp), start());
        assert_eq!(respond(&mut machine, t, 200), "send 200 | L at 32000");
        assert_eq!(feed(&mut machine, t, server_invite::Input::Repeated), "| L at 32000");
        assert_eq!(respond(&mut machine, t, 200), "again 200 | L at 32000");
        assert_eq!(respond(&mut machine, t, 488), "| L at 32000");
        assert_eq!(feed(&mut machine, t, server_invite::Input::Ack), "up | L at 32000");
        assert_eq!(machine.run(t), "L32000Done");
    }

    #[test]
    fn transport_failure_ends_what_is_not_accepted() {
        for (status, told) in [(180, "Transport |"), (500, "Transport |"), (200, "| L at 32000")] {
            let (mut machine, t) = (ServerInvite::new(Transport::Udp), start());
            respond(&mut machine, t, status);
            assert_eq!(feed(&mut machine, t, server_invite::Input::TransportFailed), told);
        }
    }

    #[test]
    fn endless_repetitions_are_answered_a_bounded_number_of_times() {
        let (mut machine, t) = (ServerInvite::new(Transport::Udp), start());
        respond(&mut machine, t, 488);
        let told: String =
            (0..999).map(|_| feed(&mut machine, t, server_invite::Input::Repeated)).collect();
        assert_eq!(told.matches("send 488").count(), usize::from(REPEATS_MAX));
    }
}

mod server_diagram {
    use super::*;

    fn respond(machine: &mut Server, t: Instant, status: u16) -> String {
        let message = Bytes::from(response(status).to_bytes());
        machine.handle(t, server::Input::Respond(status, message));
        machine.told(t)
    }

    fn feed(machine: &mut Server, t: Instant, input: server::Input) -> String {
        machine.handle(t, input);
        machine.told(t)
    }

    #[test]
    fn request_is_answered_once_and_repeated_answers_follow_repeated_requests() {
        let (mut machine, t) = (Server::new(Transport::Udp), start());
        assert_eq!(feed(&mut machine, t, server::Input::Repeated), "|");
        assert_eq!(respond(&mut machine, t, 200), "send 200 | J at 32000");
        assert_eq!(feed(&mut machine, t, server::Input::Repeated), "send 200 | J at 32000");
        assert_eq!(respond(&mut machine, t, 500), "| J at 32000");
        assert_eq!(machine.run(t), "J32000Done");
        assert_eq!(feed(&mut machine, t, server::Input::Repeated), "|");
    }

    #[test]
    fn provisional_response_is_repeated_until_the_final_one() {
        let (mut machine, t) = (Server::new(Transport::Udp), start());
        assert_eq!(respond(&mut machine, t, 100), "send 100 |");
        assert_eq!(feed(&mut machine, t, server::Input::Repeated), "send 100 |");
        assert_eq!(respond(&mut machine, t, 182), "send 182 |");
        assert!(machine.is_open());
        assert_eq!(respond(&mut machine, t, 405), "send 405 | J at 32000");
        assert!(!machine.is_open());
    }

    #[test]
    fn answer_on_a_connection_ends_the_transaction_at_once() {
        let (mut machine, t) = (Server::new(Transport::Tcp), start());
        assert_eq!(respond(&mut machine, t, 200), "send 200 Done |");
    }

    #[test]
    fn transport_failure_ends_the_transaction_once_something_was_sent() {
        for (status, told) in [(None, "|"), (Some(100), "Transport |"), (Some(200), "Transport |")]
        {
            let (mut machine, t) = (Server::new(Transport::Udp), start());
            status.map(|status| respond(&mut machine, t, status));
            assert_eq!(feed(&mut machine, t, server::Input::TransportFailed), told);
        }
    }

    #[test]
    fn endless_repetitions_are_answered_a_bounded_number_of_times() {
        let (mut machine, t) = (Server::new(Transport::Udp), start());
        respond(&mut machine, t, 200);
        let told: String =
            (0..999).map(|_| feed(&mut machine, t, server::Input::Repeated)).collect();
        assert_eq!(told.matches("send 200").count(), usize::from(REPEATS_MAX));
    }

    #[test]
    fn constants_are_those_of_the_rfc() {
        assert_eq!((PATIENCE, T4), (Duration::from_secs(32), Duration::from_secs(5)));
    }
}

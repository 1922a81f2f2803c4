//! A stream of RTP and RTCP datagrams into one session: any bytes, in any order.

#![no_main]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use proto::rtp::packet::{Packet, is_rtcp};
use proto::rtp::{FRAME_SAMPLES, Frame, Input, Session};

fuzz_target!(|bytes: &[u8]| {
    let from: SocketAddr = (Ipv4Addr::LOCALHOST, 4_000).into();
    let setup = fuzzing::rtp_setup(from);
    let begun = setup.now;
    let mut session = Session::new(setup);
    let mut frame: Frame = [0; FRAME_SAMPLES];
    let mut rest = bytes;
    let mut now = begun;
    for _ in 0..200 {
        // A byte of length, then a datagram.
        let Some((length, after)) = rest.split_first() else { break };
        let (datagram, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        Packet::parse(datagram).ok();
        let input = if is_rtcp(datagram) {
            Input::Control { from, bytes: datagram }
        } else {
            Input::Datagram { from, bytes: datagram }
        };
        session.handle(now, input);
        while session.poll().is_some() {}
        session.hear(&mut frame);
        session.send_frame(now, Some(&frame[..]));
        now += Duration::from_millis(20);
        if let Some((at, timer)) = session.deadline().filter(|(at, _)| *at <= now) {
            session.handle(at.max(now), Input::Expired(timer));
        }
    }
});

//! Session descriptions: read, offered to us, and given as the answer to our offer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::sdp::{Description, Negotiation};

fuzz_target!(|octets: &[u8]| {
    let Ok(description) = Description::parse(octets) else { return };
    for media in &description.media {
        description.connection_of(media);
        description.direction_of(media);
    }
    let mut answering = Negotiation::new(fuzzing::sdp_settings());
    if let Ok((answer, _)) = answering.answer(octets) {
        Description::parse(&answer).expect("our answer can be read");
    }
    let mut offering = Negotiation::new(fuzzing::sdp_settings());
    offering.offer();
    offering.answered(octets).ok();
});

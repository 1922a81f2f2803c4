//! SRTP of one stream: between its sockets and its protocol machine, which knows only RTP.

use proto::srtp::{OVERHEAD_BYTES_MAX, Opener, Protection, Sealer};

/// Longest packet that we send, with what protects it.
const SEALED_BYTES_MAX: usize = 1_500 + OVERHEAD_BYTES_MAX;

/// Protection both ways, or none.
#[derive(Default)]
pub(super) struct Privacy(Option<Box<Contexts>>);

struct Contexts {
    agreed: Protection,
    sealer: Sealer,
    opener: Opener,
    sealed: [u8; SEALED_BYTES_MAX],
}

impl Privacy {
    /// What holds from now on. A key that stays goes on counting where it was.
    pub(super) fn agree(&mut self, agreed: Option<Protection>) {
        let Some(agreed) = agreed else {
            self.0 = None;
            return;
        };
        let before = self.0.take().filter(|before| before.agreed.suite == agreed.suite);
        self.0 = Some(match before {
            Some(before) if before.agreed == agreed => before,
            Some(mut before) if before.agreed.ours == agreed.ours => {
                before.opener = Opener::new(agreed.suite, &agreed.theirs);
                before.agreed = agreed;
                before
            }
            _ => Box::new(Contexts {
                sealer: Sealer::new(agreed.suite, &agreed.ours),
                opener: Opener::new(agreed.suite, &agreed.theirs),
                sealed: [0; SEALED_BYTES_MAX],
                agreed,
            }),
        });
    }

    /// A packet of sound as it is sent; `None` for one that cannot be protected.
    pub(super) fn seal<'a>(&'a mut self, packet: &'a [u8]) -> Option<&'a [u8]> {
        match &mut self.0 {
            None => Some(packet),
            Some(contexts) => {
                let length = contexts.sealer.seal(packet, &mut contexts.sealed)?;
                Some(&contexts.sealed[..length])
            }
        }
    }

    /// The same for a report.
    pub(super) fn seal_report<'a>(&'a mut self, packet: &'a [u8]) -> Option<&'a [u8]> {
        match &mut self.0 {
            None => Some(packet),
            Some(contexts) => {
                let length = contexts.sealer.seal_report(packet, &mut contexts.sealed)?;
                Some(&contexts.sealed[..length])
            }
        }
    }

    /// A packet of sound as its maker meant it; `None` for one that is not the far end's.
    pub(super) fn open<'a>(&mut self, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
        let length = match &mut self.0 {
            None => datagram.len(),
            Some(contexts) => contexts.opener.open(datagram).ok()?,
        };
        Some(&datagram[..length])
    }

    /// The same for a report.
    pub(super) fn open_report<'a>(&mut self, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
        let length = match &mut self.0 {
            None => datagram.len(),
            Some(contexts) => contexts.opener.open_report(datagram).ok()?,
        };
        Some(&datagram[..length])
    }
}

#[cfg(test)]
mod tests {
    use proto::srtp::keys::MASTER_BYTES;
    use proto::srtp::{MasterKey, Suite};

    use super::*;

    fn protection(ours: u8, theirs: u8) -> Option<Protection> {
        let key = |byte| MasterKey::new([byte; MASTER_BYTES]);
        let suite = Suite::AesCm128HmacSha1_80;
        Some(Protection { suite, ours: key(ours), theirs: key(theirs) })
    }

    fn packet(sequence: u8) -> Vec<u8> {
        let mut packet = vec![0x80, 0, 0, sequence, 0, 0, 0, 0, 1, 2, 3, 4];
        packet.extend([7; 160]);
        packet
    }

    /// Sends a packet from one to the other.
    fn passes(from: &mut Privacy, to: &mut Privacy, sequence: u8) -> bool {
        let mut datagram = from.seal(&packet(sequence)).unwrap().to_vec();
        to.open(&mut datagram) == Some(&packet(sequence))
    }

    #[test]
    fn terms_that_stay_do_not_let_a_packet_in_twice() {
        let (mut us, mut them) = (Privacy::default(), Privacy::default());
        us.agree(protection(1, 2));
        them.agree(protection(2, 1));
        let sealed = us.seal(&packet(1)).unwrap().to_vec();
        assert!(them.open(&mut sealed.clone()).is_some());
        them.agree(protection(2, 1));
        assert!(them.open(&mut sealed.clone()).is_none());
        assert!(passes(&mut us, &mut them, 2));
    }

    #[test]
    fn far_end_may_change_its_key_and_ours_goes_on() {
        let (mut us, mut them) = (Privacy::default(), Privacy::default());
        us.agree(protection(1, 2));
        them.agree(protection(2, 1));
        assert!(passes(&mut them, &mut us, 1));
        us.agree(protection(1, 3));
        assert!(!passes(&mut them, &mut us, 2));
        them.agree(protection(3, 1));
        assert!(passes(&mut them, &mut us, 3));
        assert!(passes(&mut us, &mut them, 4));
    }

    #[test]
    fn without_protection_packets_stay_as_they_are() {
        let (mut us, mut them) = (Privacy::default(), Privacy::default());
        us.agree(protection(1, 2));
        us.agree(None);
        assert_eq!(us.seal(&packet(1)), Some(&*packet(1)));
        assert!(passes(&mut us, &mut them, 2));
    }
}

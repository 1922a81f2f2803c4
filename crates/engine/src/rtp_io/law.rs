//! The same two laws under the names of protocol and sound.

use media::g711::Law;
use proto::rtp::Codec;

/// The law in which a codec's sound is made and waits here.
pub(crate) const fn law(codec: Codec) -> Law {
    match codec.companded() {
        Codec::Pcma => Law::A,
        _ => Law::Mu,
    }
}

/// The codec of a law.
pub(crate) const fn codec(law: Law) -> Codec {
    match law {
        Law::A => Codec::Pcma,
        Law::Mu => Codec::Pcmu,
    }
}

//! The same two laws under the names of protocol and sound.

use media::g711::Law;
use proto::rtp::Codec;

/// What a codec means as sound.
pub(crate) const fn law(codec: Codec) -> Law {
    match codec {
        Codec::Pcma => Law::A,
        Codec::Pcmu => Law::Mu,
    }
}

/// The codec of a law.
pub(crate) const fn codec(law: Law) -> Codec {
    match law {
        Law::A => Codec::Pcma,
        Law::Mu => Codec::Pcmu,
    }
}

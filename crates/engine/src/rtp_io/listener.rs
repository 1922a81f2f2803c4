//! Who hears what the far end says: nobody, or one closure on the media thread.

use proto::rtp::{FRAME_SAMPLES, Popped};

/// 20 ms of what the far end says, out of the jitter buffer.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// Whether it was said so, made up for a lost packet, or nothing was said.
    pub popped: Popped,
    /// The samples, 16 bits linear at 8 kHz.
    pub samples: &'a [i16; FRAME_SAMPLES],
}

/// Called on the media thread every 20 ms, exactly, whether or not packets come.
///
/// It must neither wait nor take long: it shares 20 ms with a thousand other streams.
pub type Listener = Box<dyn FnMut(Heard<'_>) + Send>;

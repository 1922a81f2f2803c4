//! Who goes first where cores are short: audio, which cannot wait, before all that can.
//!
//! With four busy threads beside it on two cores, a media thread of ordinary priority gets a third
//! of a core and is late by hundreds of milliseconds; with this one it is late by a few.

/// Niceness of media threads: some nine times the share of an ordinary thread.
const NICENESS_MEDIA: i32 = -10;
/// Niceness of threads that stand back: a third of the share of an ordinary one.
const NICENESS_OTHERS: i32 = 5;

/// Lets this thread go before others of the program, where the system permits it.
pub fn go_first() {
    // On Linux, `None` is the calling thread, not its process.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS_MEDIA) {
        tracing::info!(
            %error,
            "audio runs at ordinary priority; CAP_SYS_NICE, or LimitNICE=-10 in the unit, lets it \
             go first on a busy machine"
        );
    }
}

/// Lets this thread stand back behind media threads, for runtimes to call in each of theirs.
///
/// Needs no permission, and so helps where raising the media threads is not permitted.
pub fn stand_back() {
    // A program that was started with less precedence keeps it. Being nicer is always permitted;
    // where it is not, all go on as equals.
    if rustix::process::getpriority_process(None).is_ok_and(|niceness| niceness < NICENESS_OTHERS) {
        let _ = rustix::process::setpriority_process(None, NICENESS_OTHERS);
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn precedence_is_of_one_thread_and_not_of_the_others() {
        let before = getpriority_process(None).unwrap();
        let other = std::thread::spawn(|| {
            stand_back();
            getpriority_process(None).unwrap()
        });
        assert_eq!(other.join().unwrap(), NICENESS_OTHERS.max(before));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }

    #[test]
    fn media_thread_goes_first_or_stays_as_it_was() {
        let before = getpriority_process(None).unwrap();
        let media = std::thread::spawn(|| {
            go_first();
            getpriority_process(None).unwrap()
        });
        let niceness = media.join().unwrap();
        assert!(niceness == NICENESS_MEDIA || niceness == before, "{niceness}");
    }
}

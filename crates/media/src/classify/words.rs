//! Words that only machines say, where a recogniser hears the call as well.

/// What a machine that said these words is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// An answering machine or a voicemail.
    Machine,
    /// A machine that asks who calls, on behalf of a person who reads along.
    CallScreener,
}

/// A screener asks for a name and a reason, and says that somebody may come.
const SCREENER: &[&str] = &[
    "your name and reason",
    "record your name",
    "name and the reason for your call",
    "reason for calling",
    "screening service",
    "before i try to connect",
    "person is available",
    "who you are and why you're calling",
    "name and why",
    "say who's calling and why",
    "grund ihres anrufs",
    "le motif de votre appel",
    "motivo de su llamada",
    "motivo de tu llamada",
    "motivo da sua chamada",
    "motivo della chiamata",
];

/// What voicemails say besides [`SPOTTED`], in the languages of most of them.
const VOICEMAIL: &[&str] = &[
    "at the tone",
    "at the beep",
    "leave a message",
    "leave me a message",
    "leave your name",
    "voicemail",
    "voice mail",
    "mailbox",
    "is not available",
    "is unavailable",
    "not available to take your call",
    "can't take your call",
    "cannot take your call",
    "can't come to the phone",
    "nach dem signalton",
    "nach dem piepton",
    "nach dem ton",
    "hinterlassen sie",
    "nicht erreichbar",
    "anrufbeantworter",
    "apres le bip",
    "après le bip",
    "apres le signal",
    "après le signal",
    "laissez un message",
    "laissez-moi un message",
    "messagerie",
    "repondeur",
    "répondeur",
    "despues de la senal",
    "después de la señal",
    "despues del tono",
    "después del tono",
    "deje su mensaje",
    "deje un mensaje",
    "buzon de voz",
    "buzón de voz",
    "dopo il segnale",
    "lasciate un messaggio",
    "segreteria",
    "apos o sinal",
    "após o sinal",
    "deixe sua mensagem",
    "deixe a sua mensagem",
    "caixa postal",
    "correio de voz",
    "na de piep",
    "na de toon",
    "laat een bericht",
    "po sygnale",
    "poczta glosowa",
    "poczta głosowa",
];

/// Phrases to listen for, where a recogniser looks for phrases: English ones of announcements,
/// menus, voicemails and screeners, at least nine sounds long, since shorter ones are heard in
/// anything. What people at a switchboard say as well is not among them, such as "thank you for
/// calling" or "one moment please".
pub const SPOTTED: &[&str] = &[
    "after the beep",
    "after the signal",
    "after the tone",
    "agents are busy",
    "agents are currently",
    "all circuits are busy",
    "are currently closed",
    "been disconnected",
    "before i try to connect",
    "call is important",
    "calls are important",
    "cannot be completed",
    "cannot be connected",
    "cannot complete",
    "circuits are busy now",
    "completed as dialed",
    "dial the extension",
    "during the hours",
    "enter the extension",
    "following options",
    "for more information",
    "hello and welcome",
    "is currently unavailable",
    "is not answering",
    "is switched off",
    "is turned off",
    "leave your message",
    "lines are busy",
    "listen carefully",
    "mailbox is full",
    "may be recorded",
    "menu options",
    "mobile customer",
    "name and reason for calling",
    "name and why",
    "next available",
    "no longer in service",
    "not accepting calls",
    "not in service",
    "number you are calling",
    "number you called",
    "number you dialed",
    "number you have",
    "office hours are",
    "office is closed",
    "our business hours",
    "out of service",
    "outside of business hours",
    "outside our office",
    "person at extension",
    "person is available",
    "please enter",
    "please leave a message",
    "please leave your",
    "please stay on the line",
    "please try again",
    "please wait while",
    "press any key",
    "press one for",
    "press one to",
    "press the pound",
    "press two for",
    "press two to",
    "press zero for",
    "press zero to",
    "record your message",
    "record your name",
    "remain on the line",
    "representatives are",
    "screening service",
    "temporarily out of",
    "the number you",
    "the subscriber",
    "this call will be recorded",
    "try again later",
    "try your call again",
    "voice mail system",
    "voice mailbox",
    "voice messaging",
    "while i connect",
    "while we connect",
    "will be recorded",
    "you have called",
    "you have dialed",
    "you have reached",
    "you've reached",
    "your call again later",
    "your name and reason",
    "your party's extension",
];

/// Longest piece of text that is looked through, in bytes: what a call says in its first minute.
const TEXT_BYTES_MAX: usize = 4_096;

/// Who says these words, if they tell it.
pub(crate) fn speaker(text: &str) -> Option<Speaker> {
    let end = (0..=text.len().min(TEXT_BYTES_MAX)).rev().find(|at| text.is_char_boundary(*at));
    let lower = text[..end.unwrap_or(0)].to_lowercase();
    let text: String = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if says(SCREENER) {
        return Some(Speaker::CallScreener);
    }
    (says(VOICEMAIL) || says(SPOTTED)).then_some(Speaker::Machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_voicemails_and_screeners_are_known_and_words_of_people_are_not() {
        let cases = [
            ("Hi, if you record your name and reason for calling,", Some(Speaker::CallScreener)),
            ("Please leave  your\nmessage after the tone", Some(Speaker::Machine)),
            ("Bitte sprechen Sie NACH DEM TON", Some(Speaker::Machine)),
            ("all circuits are busy now", Some(Speaker::Machine)),
            ("hello, who is this?", None),
            ("Yes, speaking", None),
            ("", None),
        ];
        for (text, speaker_expected) in cases {
            assert_eq!(speaker(text), speaker_expected, "{text}");
        }
    }

    #[test]
    fn phrases_that_are_listened_for_are_sorted_and_their_speakers_are_known() {
        assert!(SPOTTED.is_sorted_by(|one, other| one < other));
        let screeners = SPOTTED.iter().filter(|it| speaker(it) == Some(Speaker::CallScreener));
        assert_eq!(screeners.count(), 7);
        assert!(SPOTTED.iter().all(|phrase| speaker(phrase).is_some()));
        assert!(VOICEMAIL.iter().all(|phrase| !SPOTTED.contains(phrase)), "each is in one list");
    }

    #[test]
    fn long_text_is_cut_between_letters() {
        assert_eq!(speaker(&"é".repeat(5_000)), None);
    }
}

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
    "record your name and reason",
    "say your name and reason",
    "state your name and reason",
    "name and the reason for your call",
    "name and reason for calling",
    "reason for calling",
    "using a screening service",
    "screening service from google",
    "before i try to connect you",
    "i'll see if this person is available",
    "see if this person is available",
    "who you are and why you're calling",
    "say who's calling and why",
    "grund ihres anrufs",
    "le motif de votre appel",
    "motivo de su llamada",
    "motivo de tu llamada",
    "motivo da sua chamada",
    "motivo della chiamata",
];

/// What voicemails say, in the languages of most of them.
const VOICEMAIL: &[&str] = &[
    "after the beep",
    "after the tone",
    "at the tone",
    "at the beep",
    "leave a message",
    "leave me a message",
    "leave your message",
    "leave your name",
    "record your message",
    "voicemail",
    "voice mail",
    "mailbox",
    "is not available",
    "is unavailable",
    "not available to take your call",
    "can't take your call",
    "cannot take your call",
    "can't come to the phone",
    "you have reached",
    "you've reached",
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
    says(VOICEMAIL).then_some(Speaker::Machine)
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
            ("hello, who is this?", None),
            ("Yes, speaking", None),
            ("", None),
        ];
        for (text, speaker_expected) in cases {
            assert_eq!(speaker(text), speaker_expected, "{text}");
        }
    }

    #[test]
    fn long_text_is_cut_between_letters() {
        assert_eq!(speaker(&"é".repeat(5_000)), None);
    }
}

//! Recognition by the real program, of words that the real synthesizer speaks.

use std::sync::Arc;

use media::sound::{Hint, Limits, Sound};
use script::srgs::{self, Given, Library, Linked};

use super::*;
use crate::program::run;

fn recognizer(dir: &std::path::Path) -> Recognizer {
    let model = "/usr/share/pocketsphinx/model/en-us";
    let sphinx = PocketSphinx::new("pocketsphinx_batch", model, dir.join("recognizer"));
    Recognizer::new(Adapter::PocketSphinx(sphinx), 2)
}

/// What the synthesizer that scripts speak with says.
async fn spoken(text: &str) -> Vec<i16> {
    let options = ["--stdin", "--stdout", "-s", "140", "-v", "en-us+f3"];
    synthesized("espeak-ng", &options, text).await
}

/// What a synthesizer made of recordings says, which is nearer to what machines speak with.
async fn voiced(text: &str) -> Vec<i16> {
    let options = ["-voice", "rms", "-t", text, "-o", "/dev/stdout"];
    synthesized("flite", &options, "").await
}

/// What a program makes of its input, as a telephone hears it, with quiet around it.
async fn synthesized(program: &str, options: &[&str], input: &str) -> Vec<i16> {
    let program = std::path::Path::new(program);
    let wav = run(program, options, input.as_bytes(), 1 << 20, None).await.unwrap();
    let sound = Sound::read(&wav, Hint::None, &Limits::default()).unwrap();
    let sound = sound.at_rate(8_000).unwrap();
    let quiet = vec![0_i16; 2_400];
    [&quiet[..], sound.samples(), &quiet[..]].concat()
}

/// What comes of it on a machine that may have much else to do: who was too slow is asked again.
async fn in_the_end<T>(ask: impl AsyncFn() -> Result<T, RecognizerError>) -> T {
    for _ in 0..10 {
        match ask().await {
            Err(RecognizerError::Slow(_)) => {}
            done => return done.unwrap(),
        }
    }
    panic!("the recognizer was too slow ten times");
}

/// What a recognizer makes of what the synthesizer says.
async fn understood(
    recognizer: &Recognizer,
    grammar: &Arc<Grammar>,
    text: &str,
) -> Vec<Hypothesis> {
    let sound = spoken(text).await;
    in_the_end(async || recognizer.recognize(&[Arc::clone(grammar)], &sound).await).await
}

fn grammar(words: &str) -> Arc<Grammar> {
    grammar_in(words, "en-US")
}

fn grammar_in(words: &str, language: &str) -> Arc<Grammar> {
    let items: String = words.split('|').map(|item| format!("<item>{item}</item>")).collect();
    let text = format!(
        "<grammar xmlns=\"http://www.w3.org/2001/06/grammar\" version=\"1.0\" mode=\"voice\" \
         root=\"r\" xml:lang=\"{language}\"><rule id=\"r\"><one-of>{items}</one-of></rule></grammar>"
    );
    let given = Given { url: None, media_type: "", embedded: false, bytes_max: 1 << 20 };
    let draft = Arc::new(srgs::read(&text, &given).unwrap());
    match srgs::link(&draft, None, &Library::default(), 10_000).unwrap() {
        Linked::Ready(grammar) => Arc::from(grammar),
        Linked::Needs(needed) => panic!("{needed:?}"),
    }
}

#[tokio::test]
async fn words_of_a_grammar_are_recognized_and_others_are_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let recognizer = recognizer(dir.path());
    recognizer.check().await.unwrap();
    let cities = grammar("new york|chicago|operator|yes please");
    for words in ["new york", "chicago", "operator"] {
        let found = understood(&recognizer, &cities, words).await;
        assert_eq!(found.first().map(|best| best.words.as_str()), Some(words));
        assert!(found[0].confidence >= 0.5, "{found:?}");
    }
    for words in ["hello my friend", "can you repeat that please", "umbrella", "who is calling"] {
        let found = understood(&recognizer, &cities, words).await;
        assert!(found.iter().all(|one| one.confidence < 0.5), "{words}");
    }
    let other = understood(&recognizer, &grammar("yes"), "hello my friend").await;
    let best = other.first().map_or(0.0, |best| best.confidence);
    assert!(best < 0.5, "{best}");
    let left = std::fs::read_dir(dir.path().join("recognizer")).unwrap().count();
    assert_eq!(left, 1, "nothing is left behind but the name of standard input");
}

#[tokio::test]
async fn silence_and_words_that_nobody_can_say_are_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let recognizer = recognizer(dir.path());
    recognizer.check().await.unwrap();
    let yes_no = [grammar("yes|no")];
    let silence = in_the_end(async || recognizer.recognize(&yes_no, &[0; 8_000]).await).await;
    assert!(silence.iter().all(|one| one.confidence < 0.95), "{silence:?}");
    assert_eq!(understood(&recognizer, &grammar("xyzzyq"), "yes").await, []);
    assert_eq!(recognizer.recognize(&[], &spoken("yes").await).await.unwrap(), []);
}

#[tokio::test]
async fn recognizer_that_is_missing_or_off_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let sphinx = |program: &str, model: &str| {
        let sphinx = PocketSphinx::new(program, model, dir.path().join("r"));
        Recognizer::new(Adapter::PocketSphinx(sphinx), 1)
    };
    let model = "/usr/share/pocketsphinx/model/en-us";
    let missing = sphinx("/no/such/program", model).check().await.unwrap_err().to_string();
    assert!(missing.contains("apt-get install pocketsphinx"), "{missing}");
    let missing = sphinx("true", "/no/such/model").check().await.unwrap_err().to_string();
    assert!(missing.contains("/no/such/model"), "{missing}");
    let off = Recognizer::new(Adapter::Off, 1);
    assert!(matches!(off.check().await, Err(RecognizerError::Off)));
    let (own, foreign) = (grammar("yes"), grammar_in("oui", "fr-FR"));
    assert!(matches!(off.admit([&own].into_iter(), None), Err(ListenError::NoResource(_))));
    let on = sphinx("true", model);
    let admit = |grammars: &[&Arc<Grammar>], language| {
        on.admit(grammars.iter().copied(), language).map_err(|error| error.to_string())
    };
    // What a grammar says of itself counts, whatever the page is in.
    assert_eq!(admit(&[&own], Some("fr-FR")), Ok(()));
    assert!(admit(&[&own, &foreign], Some("en-GB")).is_err_and(|error| error.contains("fr-FR")));
    assert!(admit(&[&own; 99], None).is_err_and(|error| error.contains("at most")));
}

#[tokio::test]
async fn phrases_of_machines_are_spotted_and_what_people_say_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let recognizer = recognizer(dir.path());
    recognizer.check().await.unwrap();
    let machines = [
        ("please leave a message after the tone", "after the tone"),
        ("please try your call again later", "try your call again"),
        ("if you record your name and reason for calling", "your name and reason"),
        ("using a screening service from google", "screening service"),
    ];
    for (said, phrase) in machines {
        let sound = voiced(said).await;
        let found = in_the_end(async || recognizer.spot(&sound).await).await;
        assert!(found.contains(&phrase), "{said}: {found:?}");
    }
    let people =
        ["hello", "peter miller speaking", "yes who is this please", "hello this is the bakery"];
    for said in people {
        for sound in [voiced(said).await, spoken(said).await] {
            let found = in_the_end(async || recognizer.spot(&sound).await).await;
            assert!(found.is_empty(), "{said}: {found:?}");
        }
    }
    assert!(recognizer.spot(&[]).await.unwrap().is_empty());
    assert!(recognizer.spot(&[0; 8_000]).await.unwrap().is_empty());
    let off = Recognizer::new(Adapter::Off, 1);
    assert!(matches!(off.spot(&[0; 8_000]).await, Err(RecognizerError::Off)));
}

//! Markup on its way to the synthesizer: what it understands passes, everything else is its text.
//!
//! The script has made it well-formed, and has cut sounds, pauses and marks out of it. What is
//! guarded here is a program in C: known elements with few and short attributes, not too deep, and
//! nothing that it would take for a command of its own.

/// Elements that the synthesizer is given, with the attributes that matter (SSML 1.0 §3).
const KNOWN: [(&str, &[&str]); 12] = [
    ("desc", &[]),
    ("emphasis", &["level"]),
    ("p", &["xml:lang"]),
    ("paragraph", &["xml:lang"]),
    ("phoneme", &["alphabet", "ph"]),
    ("prosody", &["contour", "duration", "pitch", "range", "rate", "volume"]),
    ("s", &["xml:lang"]),
    ("say-as", &["detail", "format", "interpret-as"]),
    ("sentence", &["xml:lang"]),
    ("sub", &["alias"]),
    ("voice", &["age", "gender", "name", "variant", "xml:lang"]),
    ("w", &[]),
];
/// Elements inside each other that are passed; the program has a stack of some twenty.
const DEPTH_MAX: usize = 12;
/// Longest value of an attribute, in characters; only what is said instead may be longer.
const VALUE_CHARS_MAX: usize = 100;
const ALIAS_CHARS_MAX: usize = 1_000;
/// Slowest and fastest that is passed, in percent: at a hundredth, a word takes minutes.
const RATE_PERCENT: std::ops::RangeInclusive<f64> = 20.0..=400.0;

/// The inside of a `<speak>` as the synthesizer may see it, a `<speak>` around it; `None` where
/// it is no markup that can be followed, so that the plain text must do.
pub(super) fn guarded(ssml: &str) -> Option<String> {
    let mut out = String::with_capacity(ssml.len() + 32);
    // Names of elements that stand open, and whether they were passed.
    let mut open: Vec<(&str, bool)> = Vec::new();
    let mut rest = ssml;
    out.push_str("<speak>");
    while let Some(at) = rest.find('<') {
        text(&rest[..at], &mut out);
        let end = at + rest[at..].find('>')?;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let (opened, passed) = open.pop()?;
            if opened != name.trim() {
                return None;
            }
            if passed {
                out.push_str("</");
                out.push_str(opened);
                out.push('>');
            }
            continue;
        }
        let is_empty = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let name = tag.split_whitespace().next()?;
        let known = KNOWN.iter().find(|(known, _)| *known == name);
        let passed = known.filter(|_| open.len() < DEPTH_MAX && !is_empty);
        if let Some((name, attributes)) = passed {
            out.push('<');
            out.push_str(name);
            pass_attributes(&tag[name.len()..], attributes, &mut out)?;
            out.push('>');
        }
        if !is_empty {
            open.push((name, passed.is_some()));
        }
    }
    text(rest, &mut out);
    out.push_str("</speak>");
    open.is_empty().then_some(out)
}

/// Character data, without control characters and the program's own `[[phonemes]]`.
fn text(text: &str, out: &mut String) {
    let mut last = out.chars().next_back().unwrap_or_default();
    for sign in text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }) {
        if (sign, last) == ('[', '[') {
            out.push(' ');
        }
        out.push(sign);
        last = sign;
    }
}

/// `a="b" c='d'`: those that are known and sane, each in double quotes.
fn pass_attributes(mut rest: &str, known: &[&str], out: &mut String) -> Option<()> {
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(());
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, after) = after[1..].split_once(quote)?;
        rest = after;
        let name = name.trim();
        let chars_max = if name == "alias" { ALIAS_CHARS_MAX } else { VALUE_CHARS_MAX };
        let fits = value.chars().count() <= chars_max && (name != "rate" || is_sane(value));
        if known.contains(&name) && fits {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            text(&value.replace('"', "&quot;"), out);
            out.push('"');
        }
    }
}

/// Whether a rate can be listened to: `slow`, `80%`, `+20%`, `1.5`.
fn is_sane(rate: &str) -> bool {
    let rate = rate.trim();
    let Some(number) = rate.strip_suffix('%') else {
        return rate
            .parse::<f64>()
            .map_or(rate.len() < 10, |times| RATE_PERCENT.contains(&(times * 100.0)));
    };
    let is_relative = number.starts_with(['+', '-']);
    let percent = number.parse::<f64>().unwrap_or(f64::NAN);
    RATE_PERCENT.contains(&if is_relative { 100.0 + percent } else { percent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(ssml: &str) -> Option<String> {
        let guarded = guarded(ssml)?;
        let inside = guarded.strip_prefix("<speak>")?.strip_suffix("</speak>")?;
        Some(inside.to_owned())
    }

    #[test]
    fn what_the_synthesizer_understands_passes() {
        for ssml in [
            "plain &amp; simple",
            "<say-as interpret-as=\"digits\">123</say-as> and <emphasis>now</emphasis>",
            "<prosody rate=\"80%\" pitch=\"+10%\" volume=\"loud\">x</prosody>",
            "<p><s xml:lang=\"de\">Guten <sub alias=\"Tag\">T.</sub></s></p>",
            "<voice gender=\"female\">she</voice>",
        ] {
            assert_eq!(inside(ssml).as_deref(), Some(ssml));
        }
    }

    #[test]
    fn what_it_does_not_understand_is_its_text() {
        assert_eq!(inside("<a href='x'>b</a> <audio src='file:/etc/passwd'/>c").unwrap(), "b c");
        let attributes = "<s onclick=\"x\" xml:lang='en' >y</s>";
        assert_eq!(inside(attributes).unwrap(), "<s xml:lang=\"en\">y</s>");
        assert_eq!(
            inside("<sub alias='say \"x\"'>y</sub>").unwrap(),
            "<sub alias=\"say &quot;x&quot;\">y</sub>"
        );
    }

    #[test]
    fn commands_and_absurd_values_do_not_pass() {
        assert_eq!(inside("[[[h@l'oU]] \u{1}+9S").unwrap(), "[ [ [h@l'oU]]  +9S");
        for rate in ["1%", "-99%", "0.001", "100000%", "NaN%", "1e9", "-1"] {
            let ssml = format!("<prosody rate='{rate}'>x</prosody>");
            assert_eq!(inside(&ssml).unwrap(), "<prosody>x</prosody>", "{rate}");
        }
        let long = format!("<voice name='{}'>x</voice>", "n".repeat(1_000));
        assert_eq!(inside(&long).unwrap(), "<voice>x</voice>");
    }

    #[test]
    fn deep_markup_is_cut_off_and_broken_markup_not_followed() {
        let deep = format!("{}x{}", "<s>".repeat(10_000), "</s>".repeat(10_000));
        let passed = inside(&deep).unwrap();
        assert_eq!(passed.matches("<s>").count(), DEPTH_MAX);
        assert_eq!(passed.matches("</s>").count(), DEPTH_MAX);
        for broken in
            ["<", "<s>", "</s>", "<s></p>", "<s a>x</s>", "<s a=b>x</s>", "< >x", "a<s b='"]
        {
            assert_eq!(inside(broken), None, "{broken}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        let parts = ["<", ">", "s", "/", "=", "'", "\"", " ", "prosody", "rate", "é", "[", "&"];
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut ssml = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ssml.push_str(parts[(seed >> 33) as usize % parts.len()]);
            }
            guarded(&ssml);
        }
    }
}

//! The builtin grammars for keys: boolean, date, digits, currency, number, phone, time
//! (VoiceXML 2.0 App. P).

use super::super::fault::Fault;
use super::super::value::Value;
use super::network::{Network, Over, State};
use super::{Grammar, Interpretation, Mode, is_key};

/// Which builtin type, where that says how the keys are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The key that means yes.
    Boolean { yes: char },
    /// `*` is the decimal point.
    Decimal,
    /// As it was keyed.
    Digits,
    /// `*` comes before an extension.
    Phone,
    /// `hhmm`, with a letter behind that says what is known about the half of the day.
    Time,
}

/// Most digits that a builtin may ask for.
const DIGITS_MAX: u32 = 1_000;
const DIGITS: &str = "0123456789";

/// The grammar of a builtin type with its parameters, as `digits?minlength=3;maxlength=5`.
pub(crate) fn builtin(kind: &str) -> Result<Grammar, Fault> {
    let (name, given) = kind.trim().split_once('?').unwrap_or((kind.trim(), ""));
    let mut parameters = Vec::new();
    for pair in given.split([';', '&']).filter(|pair| !pair.trim().is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.push((key.trim(), value.trim()));
    }
    let mut network = Network::default();
    let rule = network.add_rule(name);
    let start = network.start(rule);
    let (end, kind) = match name {
        "boolean" => boolean(&mut network, start, &parameters)?,
        "currency" | "number" => (decimal(&mut network, start), Kind::Decimal),
        "date" => (date(&mut network, start), Kind::Digits),
        "digits" => (digits(&mut network, start, &parameters)?, Kind::Digits),
        "phone" => (phone(&mut network, start), Kind::Phone),
        "time" => (time(&mut network, start), Kind::Time),
        _ => {
            let message = format!(
                "there is no builtin type {name}; there are boolean, currency, date, digits, \
                 number, phone and time"
            );
            return Err(Fault::unsupported("builtin", message));
        }
    };
    network.finish(rule, end);
    network.settle(rule);
    Ok(Grammar { mode: Mode::Dtmf, network, meaning: Interpretation::Builtin(kind) })
}

/// What keys mean to a builtin type.
pub(super) fn interpret(kind: Kind, keys: &str) -> Value {
    match kind {
        Kind::Boolean { yes } => Value::Bool(keys.starts_with(yes)),
        Kind::Decimal => Value::text(keys.replace('*', ".")),
        Kind::Digits => Value::text(keys),
        Kind::Phone => Value::text(keys.replace('*', "x")),
        Kind::Time => {
            let hour: u32 = keys.get(..2).and_then(|hour| hour.parse().ok()).unwrap_or(0);
            // Keys cannot tell morning from afternoon; only these hours need no telling.
            let half = if (1..=12).contains(&hour) { '?' } else { 'h' };
            Value::text(format!("{keys}{half}"))
        }
    }
}

type Parameters<'p> = [(&'p str, &'p str)];

fn parameter<'p>(parameters: &Parameters<'p>, name: &str) -> Option<&'p str> {
    let found = parameters.iter().find(|(key, _)| *key == name);
    found.map(|(_, value)| *value)
}

fn boolean(
    network: &mut Network,
    start: State,
    parameters: &Parameters<'_>,
) -> Result<(State, Kind), Fault> {
    let key = |name: &str, default: char| {
        let given = parameter(parameters, name).unwrap_or_default();
        let mut keys = given.chars();
        match (keys.next(), keys.next()) {
            (None, _) => Ok(default),
            (Some(key), None) if is_key(key) => Ok(key),
            _ => Err(Fault::bad_fetch(format!("boolean?{name}={given}: one key is wanted"))),
        }
    };
    let (yes, no) = (key("y", '1')?, key("n", '2')?);
    if yes == no {
        return Err(Fault::bad_fetch(format!("boolean?y={yes};n={no}: the keys must differ")));
    }
    Ok((network.one_of(start, &format!("{yes}{no}")), Kind::Boolean { yes }))
}

fn digits(
    network: &mut Network,
    start: State,
    parameters: &Parameters<'_>,
) -> Result<State, Fault> {
    let number = |name: &str| match parameter(parameters, name) {
        None => Ok(None),
        Some(text) => match text.parse::<u32>() {
            Ok(number) if number <= DIGITS_MAX => Ok(Some(number)),
            _ => {
                let message =
                    format!("digits?{name}={text}: a number up to {DIGITS_MAX} is wanted");
                Err(Fault::bad_fetch(message))
            }
        },
    };
    let length = number("length")?;
    let least = number("minlength")?.or(length).unwrap_or(1);
    let most = number("maxlength")?.or(length);
    let exact = length.is_none_or(|length| length == least && Some(length) == most);
    if !exact || most.is_some_and(|most| most < least || most == 0) {
        let message = "digits: minlength, maxlength and length contradict each other";
        return Err(Fault::bad_fetch(message));
    }
    let mut at = start;
    for _ in 0..least {
        at = network.one_of(at, DIGITS);
    }
    Ok(match most {
        None => some_digits(network, at),
        Some(most) => {
            let end = network.step(at, Over::Nothing);
            for _ in least..most {
                at = network.one_of(at, DIGITS);
                network.join(at, Over::Nothing, end);
            }
            end
        }
    })
}

/// Any number of digits, none too.
fn some_digits(network: &mut Network, from: State) -> State {
    let at = network.step(from, Over::Nothing);
    let after = network.one_of(at, DIGITS);
    network.join(after, Over::Nothing, at);
    at
}

/// Digits with at most one point, which is the star: `12`, `12*5`, `*5`.
fn decimal(network: &mut Network, start: State) -> State {
    let end = network.state();
    let first = network.one_of(start, DIGITS);
    let whole = some_digits(network, first);
    network.join(whole, Over::Nothing, end);
    let point = network.token(whole, "*");
    let bare_point = network.token(start, "*");
    network.join(bare_point, Over::Nothing, point);
    let fraction = network.one_of(point, DIGITS);
    let fraction = some_digits(network, fraction);
    network.join(fraction, Over::Nothing, end);
    end
}

/// `yyyymmdd`.
fn date(network: &mut Network, start: State) -> State {
    let mut at = start;
    for _ in 0..4 {
        at = network.one_of(at, DIGITS);
    }
    at = two_digits(network, at, &[("0", "123456789"), ("1", "012")]);
    two_digits(network, at, &[("0", "123456789"), ("12", DIGITS), ("3", "01")])
}

/// `hhmm`.
fn time(network: &mut Network, start: State) -> State {
    let at = two_digits(network, start, &[("01", DIGITS), ("2", "0123")]);
    two_digits(network, at, &[("012345", DIGITS)])
}

fn two_digits(network: &mut Network, from: State, pairs: &[(&str, &str)]) -> State {
    let end = network.state();
    for (first, second) in pairs {
        let at = network.one_of(from, first);
        let at = network.one_of(at, second);
        network.join(at, Over::Nothing, end);
    }
    end
}

/// Digits, and digits of an extension behind a star.
fn phone(network: &mut Network, start: State) -> State {
    let first = network.one_of(start, DIGITS);
    let number = some_digits(network, first);
    let end = network.step(number, Over::Nothing);
    let star = network.token(number, "*");
    let extension = network.one_of(star, DIGITS);
    let extension = some_digits(network, extension);
    network.join(extension, Over::Nothing, end);
    end
}

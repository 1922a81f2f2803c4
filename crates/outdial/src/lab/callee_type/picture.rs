//! A picture of one recording: its waveform, the timing of its speech, and the verdict over time.

use std::fmt::Write as _;
use std::time::Duration;

use media::classify::{Effect, FEATURE_NAMES, MODEL, Verdict, observe};

/// Width and height of the picture, and what is left free on the left, in pixels.
const WIDTH: f32 = 1_200.0;
const HEIGHT: f32 = 560.0;
const LEFT: f32 = 90.0;
/// Where each strip begins and ends, from above, in pixels.
const WAVE: (f32, f32) = (50.0, 190.0);
const TIMING: (f32, f32) = (210.0, 340.0);
const CHANCE: (f32, f32) = (360.0, 480.0);
/// Longest time that the timing's strip shows, in seconds.
const TIMING_MAX_S: f32 = 8.0;
/// Features that are drawn: their place among the features, and a colour.
const DRAWN: [(usize, &str); 3] = [(1, "#1b6ca8"), (2, "#c05020"), (3, "#3a8a3a")];

/// The picture as SVG.
pub(super) fn draw(name: &str, samples: &[i16], said: &[(Duration, Effect)]) -> String {
    let length_s = (samples.len() as f32 / media::RATE_HZ as f32).max(0.1);
    let x = |seconds: f32| LEFT + (WIDTH - LEFT - 20.0) * (seconds / length_s).clamp(0.0, 1.0);
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>\n",
        escape(name)
    );
    axes(&mut svg, length_s, x);
    wave(&mut svg, samples, x);
    let seen = observe(samples, Duration::from_millis(20));
    for (nth, (feature, colour)) in DRAWN.iter().enumerate() {
        let points: Vec<(f32, f32)> = seen
            .iter()
            .map(|(at, features)| (x(at.as_secs_f32()), features[*feature] / TIMING_MAX_S))
            .collect();
        curve(&mut svg, &points, TIMING, colour);
        let y = TIMING.0 + 14.0 + 16.0 * nth as f32;
        label(&mut svg, 8.0, y, colour, FEATURE_NAMES[*feature]);
    }
    let points: Vec<(f32, f32)> =
        seen.iter().map(|(at, features)| (x(at.as_secs_f32()), MODEL.machine(features))).collect();
    curve(&mut svg, &points, CHANCE, "#7a2f8f");
    label(&mut svg, 8.0, CHANCE.0 + 14.0, "#7a2f8f", "chance of");
    label(&mut svg, 8.0, CHANCE.0 + 30.0, "#7a2f8f", "a machine");
    for (nth, (at, effect)) in said.iter().enumerate() {
        mark(&mut svg, x(at.as_secs_f32()), nth, effect);
    }
    svg.push_str("</svg>\n");
    svg
}

fn axes(svg: &mut String, length_s: f32, x: impl Fn(f32) -> f32) {
    for (top, bottom) in [WAVE, TIMING, CHANCE] {
        let (width, height) = (WIDTH - LEFT - 20.0, bottom - top);
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
             fill=\"#f6f6f6\" stroke=\"#cccccc\"/>"
        );
    }
    // About ten marks, at whole seconds.
    let step = (length_s / 10.0).ceil().max(1.0);
    for nth in 0..=(length_s / step) as u32 {
        let seconds = nth as f32 * step;
        label(svg, x(seconds) - 6.0, CHANCE.1 + 16.0, "#666666", &format!("{seconds:.0} s"));
    }
}

fn wave(svg: &mut String, samples: &[i16], x: impl Fn(f32) -> f32) {
    let (middle, half) = ((WAVE.0 + WAVE.1) / 2.0, (WAVE.1 - WAVE.0) / 2.0);
    // One column a pixel, from the least to the largest sample.
    let part = (samples.len() / (WIDTH - LEFT) as usize).max(1);
    let mut path = String::new();
    for (nth, column) in samples.chunks(part).enumerate() {
        let at = x((nth * part) as f32 / media::RATE_HZ as f32);
        let y = |sample: Option<&i16>| {
            middle - half * f32::from(sample.copied().unwrap_or_default()) / 32_768.0
        };
        let (low, high) = (y(column.iter().min()), y(column.iter().max()));
        let _ = write!(path, "M{at:.1} {low:.1}V{high:.1}");
    }
    let _ = writeln!(svg, "<path d=\"{path}\" stroke=\"#444444\" fill=\"none\"/>");
}

fn curve(svg: &mut String, points: &[(f32, f32)], (top, bottom): (f32, f32), colour: &str) {
    let mut line = String::new();
    for (x, share) in points {
        let y = bottom - (bottom - top) * share.clamp(0.0, 1.0);
        let _ = write!(line, "{x:.1},{y:.1} ");
    }
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" stroke=\"{colour}\" stroke-width=\"1.5\" fill=\"none\"/>",
        line.trim_end()
    );
}

fn mark(svg: &mut String, x: f32, nth: usize, effect: &Effect) {
    let said = |word: &str, verdict: &Verdict| {
        format!("{word}{} {:.2}", verdict.callee.name(), verdict.probability)
    };
    let (colour, text) = match effect {
        Effect::BeepEnded { .. } => ("#999900", "beep ended".to_owned()),
        Effect::BeepStarted { hz, .. } => ("#999900", format!("beep {hz:.0} Hz")),
        Effect::Confirmed(verdict) => ("#000000", said("firm: ", verdict)),
        Effect::Decided(verdict) => ("#000000", said("", verdict)),
        Effect::Finished(verdict) => ("#888888", said("end: ", verdict)),
        Effect::GreetingEnded { .. } => ("#1b6ca8", "greeting ended".to_owned()),
        Effect::Quiet { .. } => ("#888888", "quiet".to_owned()),
        Effect::WordsWanted { .. } => ("#888888", "words".to_owned()),
        Effect::Revised { verdict, .. } => ("#cc0000", said("revised: ", verdict)),
    };
    let _ = writeln!(
        svg,
        "<path d=\"M{x:.1} {}V{}\" stroke=\"{colour}\" stroke-dasharray=\"3 3\"/>",
        WAVE.0, CHANCE.1
    );
    // Words that would lie on each other go below each other, and back into the picture.
    let y = CHANCE.1 + 34.0 + 13.0 * (nth % 4) as f32;
    label(svg, x.min(WIDTH - 160.0), y, colour, &text);
}

fn label(svg: &mut String, x: f32, y: f32, colour: &str, text: &str) {
    let text = escape(text);
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{text}</text>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use media::classify::Callee;

    use super::*;

    #[test]
    fn a_picture_shows_wave_timing_chance_and_verdict() {
        let samples: Vec<i16> =
            (0..16_000).map(|at| if at % 80 < 40 { 3_000 } else { -3_000 }).collect();
        let verdict = Verdict {
            callee: Callee::Human,
            probability: 0.9,
            at: Duration::from_secs(1),
            is_firm: false,
        };
        let svg = draw("<a & b>", &samples, &[(Duration::from_secs(1), Effect::Decided(verdict))]);
        for part in ["&lt;a &amp; b&gt;", "<path d=\"M", "polyline", "human 0.90", "pause_s"] {
            assert!(svg.contains(part), "{part}");
        }
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn nothing_can_be_drawn_as_well() {
        assert!(draw("", &[], &[]).ends_with("</svg>\n"));
    }
}

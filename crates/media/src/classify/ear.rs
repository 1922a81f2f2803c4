//! All detectors on one spectrum: frames in, what was heard out.

use super::beep::{Beep, BeepDetector};
use super::cadence::{Cadence, CadenceDetector};
use super::fax::FaxDetector;
use super::sit::{SitCode, SitDetector};
use super::spectrum::{HOP_SAMPLES, HOPS_A_FRAME, Hop, Spectrum};
use super::steady::Steady;
use super::voice_activity::VoiceActivity;

/// Voice after which a tone may be a machine's beep rather than the network's, in hops.
const VOICE_BEFORE_BEEP_HOPS: u32 = 25;
/// Most that one hop can bring.
const FINDINGS_MAX: usize = 6;

/// Something that was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Finding {
    Beep(Beep),
    Cadence(Cadence),
    Fax,
    Sit(SitCode),
}

/// What one frame brought, in order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Findings {
    all: [Option<Finding>; FINDINGS_MAX * HOPS_A_FRAME],
    count: usize,
}

impl Findings {
    fn push(&mut self, finding: Option<Finding>) {
        if finding.is_some()
            && let Some(slot) = self.all.get_mut(self.count)
        {
            *slot = finding;
            self.count += 1;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Finding> + '_ {
        self.all.iter().copied().map_while(|finding| finding)
    }
}

/// One hop as the model of speech sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) hop: Hop,
    pub(crate) is_voice: bool,
    /// A steady tone sounds.
    pub(crate) is_tone: bool,
}

/// All detectors of one call.
#[derive(Clone, Debug)]
pub(crate) struct Ear {
    spectrum: Spectrum,
    steady: Steady,
    sit: SitDetector,
    fax: FaxDetector,
    cadence: CadenceDetector,
    beep: BeepDetector,
    voice: VoiceActivity,
    /// Hops heard so far.
    pub(crate) hops: u32,
    voice_hops: u32,
}

impl Ear {
    pub(crate) fn new() -> Self {
        Self {
            spectrum: Spectrum::new(),
            steady: Steady::default(),
            sit: SitDetector::default(),
            fax: FaxDetector::default(),
            cadence: CadenceDetector::default(),
            beep: BeepDetector::default(),
            voice: VoiceActivity::new(),
            hops: 0,
            voice_hops: 0,
        }
    }

    /// Whether a beep sounds.
    pub(crate) const fn is_beeping(&self) -> bool {
        self.beep.is_active()
    }

    /// Whether a tone that comes and goes sounds, or may be in its pause.
    pub(crate) fn awaits_tone(&self) -> bool {
        self.cadence.is_awaited(self.hops)
    }

    /// The next 20 ms.
    pub(crate) fn hear(&mut self, frame: &[i16]) -> (Findings, [Moment; HOPS_A_FRAME]) {
        let mut findings = Findings::default();
        let moments = std::array::from_fn(|nth| {
            let from = (nth * HOP_SAMPLES).min(frame.len());
            let until = (from + HOP_SAMPLES).min(frame.len());
            self.hop(&frame[from..until], &mut findings)
        });
        (findings, moments)
    }

    fn hop(&mut self, samples: &[i16], findings: &mut Findings) -> Moment {
        let hop = self.spectrum.next(samples);
        let at = self.hops;
        self.hops = self.hops.saturating_add(1);
        let is_voice = self.voice.next(&hop);
        let is_after_voice = self.voice_hops >= VOICE_BEFORE_BEEP_HOPS;
        if let Some(run) = self.steady.next(at, &hop) {
            self.sit.ended(&run);
            findings.push(self.beep.ended(&run).map(Finding::Beep));
            let is_fax = self.fax.ended(&run, is_after_voice);
            findings.push(is_fax.then_some(Finding::Fax));
        }
        let sounding = self.steady.sounding();
        if let Some(run) = sounding {
            let may_be_sit = self.sit.is_candidate(run);
            findings.push(self.sit.sounding(run).map(Finding::Sit));
            findings.push(self.fax.sounding(run).then_some(Finding::Fax));
            let beep = self.beep.sounding(at, run, is_after_voice, may_be_sit);
            findings.push(beep.map(Finding::Beep));
        }
        findings.push(self.fax.data(&hop, sounding).then_some(Finding::Fax));
        let is_tone = sounding.is_some_and(|run| run.unbroken >= 6);
        // A second tone with a lost frame in it is no beep, and may be the network's all the same.
        let is_going_on = sounding.is_some() || self.cadence.is_awaited(at);
        findings.push(self.beep.passed(at, is_going_on).map(Finding::Beep));
        if let Some(cadence) = self.cadence.next(at, &hop) {
            self.beep.forget();
            findings.push(Some(Finding::Cadence(cadence)));
        }
        if is_voice && sounding.is_none() {
            self.voice_hops += 1;
        }
        let is_tone = is_tone || self.cadence.is_tone(at) || self.cadence.is_ring(&hop);
        Moment { hop, is_voice, is_tone }
    }
}

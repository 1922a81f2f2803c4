//! How much one call may use of everything, and the count of what it has used.

use std::time::Duration;

use super::fault::Fault;

/// What one call may use; exceeding it ends the call with a `Problem` that names the limit.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Documents fetched, roots included, without a second for the callee in between; a script that
    /// jumps between pages for ever ends here.
    pub documents_max: u32,
    /// Documents fetched in a call, whatever the callee does in between.
    pub pages_max: u32,
    /// Form items visited and dialogs entered without input from the callee in between.
    pub jumps_max: u32,
    /// Statements executed without input in between.
    pub statements_max: u32,
    /// Expressions evaluated without input in between.
    pub evaluations_max: u32,
    /// Events handled without input in between; a handler that throws what it catches ends here.
    pub events_max: u32,
    /// Subdialogs inside each other.
    pub subdialogs_max: usize,
    /// Scripts, grammars and data fetched without a second for the callee in between.
    pub resources_max: u32,
    /// Scripts, grammars and data fetched in a call.
    pub call_resources_max: u32,
    /// Bytes of `<log>` and `Problem` text without a second for the callee in between.
    pub log_bytes_max: usize,
    /// Bytes of `<log>` and `Problem` text of a call; later ones are not told, the call goes on.
    pub call_log_bytes_max: usize,
    /// Prompts waiting to be played.
    pub prompts_max: usize,
    /// Bytes of text in prompts waiting to be played.
    pub prompt_bytes_max: usize,
    /// Bytes of text in variables while no ECMAScript engine runs; with one, its memory counts.
    pub variable_bytes_max: usize,
    /// Keys that are kept while the script is busy; later ones are dropped, the call goes on.
    pub keys_max: usize,
    /// Bytes of one document, grammar or script.
    pub document_bytes_max: usize,
    /// States of all grammars of one page, compiled; repeats multiply.
    pub grammar_states_max: usize,
    /// Bytes of all values of one `<submit>` or `<exit>`.
    pub submit_bytes_max: usize,
    /// Bytes that the ECMAScript engine may hold.
    pub script_memory_max_bytes: usize,
    /// Bytes of stack for the ECMAScript engine; the thread must have twice that free.
    pub script_stack_max_bytes: usize,
    /// Interrupt ticks of one evaluation; one tick is some 10,000 loop turns or calls.
    pub evaluation_ticks_max: u32,
    /// Interrupt ticks of all evaluations of a call.
    pub call_ticks_max: u32,
    /// Reads a steadily growing time, best the thread's processor time. Without one only ticks
    /// count, which bounds work but not time: this crate has no clock of its own.
    pub stopwatch: Option<fn() -> Duration>,
    /// Time of one evaluation, by the stopwatch.
    pub evaluation_time_max: Duration,
    /// Time of all evaluations of a call, by the stopwatch.
    pub call_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            documents_max: 50,
            pages_max: 1_000,
            jumps_max: 1_000,
            statements_max: 20_000,
            evaluations_max: 20_000,
            events_max: 100,
            subdialogs_max: 32,
            resources_max: 100,
            call_resources_max: 5_000,
            log_bytes_max: 64 * 1024,
            call_log_bytes_max: 1024 * 1024,
            prompts_max: 500,
            prompt_bytes_max: 256 * 1024,
            variable_bytes_max: 1024 * 1024,
            keys_max: 100,
            document_bytes_max: 1024 * 1024,
            grammar_states_max: 20_000,
            submit_bytes_max: 1024 * 1024,
            script_memory_max_bytes: 16 * 1024 * 1024,
            script_stack_max_bytes: 256 * 1024,
            // Measured: an empty loop makes 50 ticks in a millisecond, a busy one 5.
            evaluation_ticks_max: 2_000,
            call_ticks_max: 20_000,
            stopwatch: None,
            evaluation_time_max: Duration::from_millis(200),
            call_time_max: Duration::from_secs(2),
        }
    }
}

/// Deepest nesting of elements; our own recursion goes no deeper than this.
pub(crate) const DEPTH_MAX: usize = 64;
/// Elements, texts and comments of one document.
pub(crate) const NODES_MAX: usize = 20_000;
/// Attributes of one element; the XML reader compares each with each.
pub(crate) const ATTRIBUTES_MAX: usize = 64;

/// Prefixes of namespaces that one document declares; the XML reader copies all that hold at an
/// element that declares one more.
pub(crate) const PREFIXES_MAX: usize = 100;

/// What a call has used so far.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    documents: u32,
    pages: u32,
    resources: u32,
    call_resources: u32,
    jumps: u32,
    statements: u32,
    events: u32,
    log_bytes: usize,
    call_log_bytes: usize,
}

/// What becomes of a line for the application's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It is told.
    Told,
    /// There is no room for it, and it is the first such one.
    FirstLost,
    Lost,
}

/// Time for the callee, heard or speaking, after which a script is not running away: what is
/// fetched and logged is counted anew. Bombs that play nothing or wait for nothing stay below it.
pub(crate) const ATTENTION: Duration = Duration::from_secs(1);

impl Usage {
    /// The callee did something: what is counted between inputs starts again.
    pub(crate) fn input(&mut self) {
        self.jumps = 0;
        self.statements = 0;
        self.events = 0;
        self.attended();
    }

    /// The callee did something, or had [`ATTENTION`]: what is fetched and logged is counted anew.
    pub(crate) fn attended(&mut self) {
        self.documents = 0;
        self.resources = 0;
        self.log_bytes = 0;
    }

    pub(crate) fn document(&mut self, limits: &Limits) -> Result<(), Fault> {
        count(&mut self.pages, limits.pages_max, "pages_max", "documents fetched in a call")?;
        let what = "documents fetched without a second for the callee in between";
        count(&mut self.documents, limits.documents_max, "documents_max", what)
    }

    pub(crate) fn resource(&mut self, limits: &Limits) -> Result<(), Fault> {
        let what = "scripts, grammars and data fetched in a call";
        count(&mut self.call_resources, limits.call_resources_max, "call_resources_max", what)?;
        let what = "scripts, grammars and data fetched without a second for the callee in between";
        count(&mut self.resources, limits.resources_max, "resources_max", what)
    }

    pub(crate) fn jump(&mut self, limits: &Limits) -> Result<(), Fault> {
        let what = "form items visited without input from the callee";
        count(&mut self.jumps, limits.jumps_max, "jumps_max", what)
    }

    pub(crate) fn statement(&mut self, limits: &Limits) -> Result<(), Fault> {
        let what = "statements executed without input from the callee";
        count(&mut self.statements, limits.statements_max, "statements_max", what)
    }

    pub(crate) fn event(&mut self, limits: &Limits) -> Result<(), Fault> {
        let what = "events without input from the callee";
        count(&mut self.events, limits.events_max, "events_max", what)
    }

    pub(crate) fn log(&mut self, bytes: usize, limits: &Limits) -> Result<Line, Fault> {
        self.log_bytes = self.log_bytes.saturating_add(bytes);
        let max = limits.log_bytes_max;
        if self.log_bytes > max {
            return Err(Fault::limit(
                "log_bytes_max",
                format_args!(
                    "more than {max} bytes logged without a second for the callee in between"
                ),
            ));
        }
        let before = self.call_log_bytes;
        self.call_log_bytes = before.saturating_add(bytes);
        let max = limits.call_log_bytes_max;
        Ok(match (before > max, self.call_log_bytes > max) {
            (_, false) => Line::Told,
            (false, true) => Line::FirstLost,
            (true, true) => Line::Lost,
        })
    }
}

fn count(used: &mut u32, max: u32, name: &str, what: &str) -> Result<(), Fault> {
    *used = used.saturating_add(1);
    if *used > max {
        return Err(Fault::limit(name, format_args!("more than {max} {what}")));
    }
    Ok(())
}

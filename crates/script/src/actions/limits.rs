//! How much one call may use of pages and actions, and the count of what it has used.

/// What one call may use; exceeding it ends the call with a `Problem` that names the limit.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Pages asked for in a call; each may take a server's time.
    pub pages_max: u32,
    /// Pages that are told something in a call and whose answer changes nothing: each utterance
    /// that is written down is one, and a long call has many.
    pub notices_max: u32,
    /// Pages in a row of which the callee noticed nothing: pages that send to each other end here.
    pub jumps_max: u32,
    /// Actions begun in a call.
    pub actions_max: u32,
    /// Actions of one page.
    pub page_actions_max: usize,
    /// Bytes of one page.
    pub page_bytes_max: usize,
    /// Things to play in one list, and lists of messages.
    pub list_max: usize,
    /// Bytes of a token: it is stored with the call's history.
    pub token_bytes_max: usize,
    /// Keys that are kept while nobody asks for them; later ones are dropped, the call goes on.
    pub keys_max: usize,
    /// Bytes of `Problem` text; later ones are not told any more.
    pub problem_bytes_max: usize,
    /// States of the grammar of one action, compiled.
    pub grammar_states_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages_max: 1_000,
            notices_max: 5_000,
            jumps_max: 20,
            actions_max: 5_000,
            page_actions_max: 100,
            page_bytes_max: 256 * 1024,
            list_max: 100,
            token_bytes_max: 1_000,
            keys_max: 100,
            problem_bytes_max: 64 * 1024,
            grammar_states_max: 20_000,
        }
    }
}

/// What a call has used so far.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pages: u32,
    notices: u32,
    jumps: u32,
    actions: u32,
    problem_bytes: usize,
}

impl Usage {
    /// The callee heard or did something: what is counted in between starts again.
    pub(super) fn noticed(&mut self) {
        self.jumps = 0;
    }

    pub(super) fn page(&mut self, limits: &Limits) -> Result<(), String> {
        self.jumps = self.jumps.saturating_add(1);
        count(&mut self.pages, limits.pages_max, "pages_max", "pages asked for in a call")?;
        if self.jumps > limits.jumps_max {
            let max = limits.jumps_max;
            return Err(format!(
                "more than {max} pages in a row of which the callee notices nothing (jumps_max)"
            ));
        }
        Ok(())
    }

    /// Somebody is told something; nothing can go round by that.
    pub(super) fn notice(&mut self, limits: &Limits) -> Result<(), String> {
        count(&mut self.notices, limits.notices_max, "notices_max", "notices in a call")
    }

    pub(super) fn action(&mut self, limits: &Limits) -> Result<(), String> {
        count(&mut self.actions, limits.actions_max, "actions_max", "actions in a call")
    }

    /// Whether a problem may still be told.
    pub(super) fn problem(&mut self, bytes: usize, limits: &Limits) -> bool {
        self.problem_bytes = self.problem_bytes.saturating_add(bytes);
        self.problem_bytes <= limits.problem_bytes_max
    }
}

fn count(used: &mut u32, max: u32, name: &str, what: &str) -> Result<(), String> {
    *used = used.saturating_add(1);
    if *used > max { Err(format!("more than {max} {what} ({name})")) } else { Ok(()) }
}

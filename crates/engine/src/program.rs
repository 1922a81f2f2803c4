//! Runs a program of the system: bytes in, bytes out; no shell, bounded, and killed with who waits.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// What a process may use; it is killed, or fails, beyond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Seconds of a core.
    pub(crate) cpu_s: u64,
    /// Bytes of address space.
    pub(crate) memory_bytes: u64,
}

/// Why a program gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It ended with an error. Its message names what to repair.
    #[error("{program} failed: {detail}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended, and what it said last.
        detail: String,
    },
    /// It is not installed or may not be run. The operator repairs it.
    #[error("{program} cannot be run ({detail})")]
    Missing {
        /// The program.
        program: String,
        /// What the system said.
        detail: String,
    },
    /// It said more than anybody wants to hear.
    #[error("{program} gave more than {bytes_max} bytes")]
    TooLong {
        /// The program.
        program: String,
        /// What would have been taken.
        bytes_max: usize,
    },
}

/// How much of a program's complaints is worth telling.
const COMPLAINT_BYTES_MAX: usize = 500;
/// Where programs are looked for; their environment is ours to choose, not the operator's shell's.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Runs a program, feeds it and reads what it says; dropped, the program is killed.
pub(crate) async fn run(
    program: &Path,
    options: &[&str],
    input: &[u8],
    output_bytes_max: usize,
    limits: Option<Limits>,
) -> Result<Vec<u8>, ProgramError> {
    run_from(program, options, (Stdio::piped(), input), output_bytes_max, limits).await
}

/// As [`run`], for a program that wants to know all of its input before it begins: it finds a file
/// on its standard input, in memory alone.
pub(crate) async fn run_on_file(
    program: &Path,
    options: &[&str],
    input: &[u8],
    output_bytes_max: usize,
    limits: Option<Limits>,
) -> Result<Vec<u8>, ProgramError> {
    let file = memory_file(input).map_err(|error| ProgramError::Failed {
        program: program.display().to_string(),
        detail: format!("its input cannot be kept: {error}"),
    })?;
    run_from(program, options, (Stdio::from(file), &[]), output_bytes_max, limits).await
}

/// A file that is on no disk and goes with who has it open.
fn memory_file(content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

async fn run_from(
    program: &Path,
    options: &[&str],
    (stdin, input): (Stdio, &[u8]),
    output_bytes_max: usize,
    limits: Option<Limits>,
) -> Result<Vec<u8>, ProgramError> {
    let name = || program.display().to_string();
    let failed = |detail: String| ProgramError::Failed { program: name(), detail };
    let mut child = spawn(program, options, stdin)
        .map_err(|error| ProgramError::Missing { program: name(), detail: error.to_string() })?;
    if let Some(limits) = limits {
        limit(&child, limits).map_err(|error| failed(format!("no limits can be set: {error}")))?;
    }
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program that ends without reading its input says why on its way out.
            let _ = stdin.write_all(input).await;
        }
    };
    let ((), output, complaint) = tokio::join!(
        feed,
        read_bounded(stdout, output_bytes_max.saturating_add(1)),
        read_complaint(stderr),
    );
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.len() > output_bytes_max {
        return Err(ProgramError::TooLong { program: name(), bytes_max: output_bytes_max });
    }
    let status = child.wait().await.map_err(|error| failed(error.to_string()))?;
    if status.success() {
        return Ok(output);
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let last = complaint.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(failed(format!("{status} {}", last.trim()).trim_end().to_owned()))
}

/// Starts the program with nothing of our environment but a search path.
fn spawn(program: &Path, options: &[&str], stdin: Stdio) -> io::Result<Child> {
    Command::new(program)
        .args(options)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .current_dir("/")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Bounds a process that has just begun, and has used next to nothing yet.
fn limit(child: &Child, limits: Limits) -> io::Result<()> {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // It is over already.
    let Some(id) = id else {
        return Ok(());
    };
    let bounds = [(Resource::Cpu, limits.cpu_s), (Resource::As, limits.memory_bytes)];
    for (resource, most) in bounds {
        let bound = Rlimit { current: Some(most), maximum: Some(most) };
        match prlimit(Some(id), resource, bound) {
            // It is over already.
            Ok(_) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads at most so many bytes, then closes the pipe, so that who writes more is told.
async fn read_bounded<R>(pipe: Option<R>, bytes_max: usize) -> io::Result<Vec<u8>>
where
    R: AsyncReadExt + Unpin,
{
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(bytes_max as u64).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Reads the beginning of what the program complains of, and lets it complain on unheard.
async fn read_complaint<R>(pipe: Option<R>) -> Vec<u8>
where
    R: AsyncReadExt + Unpin,
{
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What cannot be read is not told; the exit status is.
        let _ = (&mut pipe).take(COMPLAINT_BYTES_MAX as u64).read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn process_that_takes_too_much_is_ended() {
        let shell = Path::new("sh");
        let limits = Limits { cpu_s: 1, memory_bytes: 1 << 30 };
        let endless = run(shell, &["-c", "cat; while :; do :; done"], b"", 10, Some(limits)).await;
        assert!(matches!(endless, Err(ProgramError::Failed { .. })), "{endless:?}");
        let said = run(shell, &["-c", "cat"], b"hello", 10, Some(limits)).await;
        assert_eq!(said.unwrap(), b"hello");
    }

    #[tokio::test]
    async fn output_without_end_and_a_missing_program_are_told() {
        let endless = run(Path::new("yes"), &[], b"", 100, None).await;
        assert!(matches!(endless, Err(ProgramError::TooLong { bytes_max: 100, .. })));
        let missing = run(Path::new("/no/such/program"), &[], b"", 100, None).await;
        assert!(matches!(missing, Err(ProgramError::Missing { .. })));
    }
}

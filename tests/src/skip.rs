//! What a test needs that a machine may lack.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Says that a test is skipped, and why: on stderr itself, past the harness, which shows
/// nothing of tests that pass.
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program of the machine, if it has it.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .chain(["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The words that run what follows them as an ordinary user: none where the tests
/// run as one, and nothing at all where the machine cannot.
pub fn as_somebody() -> Option<Vec<String>> {
    if !is_root() {
        return Some(Vec::new());
    }
    let setpriv = on_path("setpriv")?;
    let words = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    Some([setpriv.to_str()?].into_iter().chain(words).map(str::to_owned).collect())
}

/// The words that run what follows them on a kernel without openat2; nothing where
/// strace is missing or may not trace.
pub fn openat2_can_be_refused() -> Option<Vec<String>> {
    static WORDS: OnceLock<Option<Vec<String>>> = OnceLock::new();
    WORDS.get_or_init(probe).clone()
}

fn probe() -> Option<Vec<String>> {
    let strace = on_path("strace")?;
    let words =
        ["-f", "-qq", "-o", "/dev/null", "-e", "trace=openat2", "-e", "inject=openat2:error=ENOSYS", "--seccomp-bpf"];
    let words: Vec<String> = [strace.to_str()?].into_iter().chain(words).map(str::to_owned).collect();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success()).then_some(words)
}

//! Runs the program and stops it before each call that may change a disk: to count them,
//! to kill it there, or to let one of them fail.
//!
//! strace can do the same for the nth call of one name in one thread. Here the calls of
//! all threads are counted together, in the order in which they are made, and an `openat`
//! counts only when it makes or empties a file: so that a sweep from the first call to the
//! last leaves no moment out.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::calls::{self, Kind};
use crate::output::Output;

/// One system call that is about to be made.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// What it does to a disk.
    pub kind: Kind,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// The path of the file or folder, as far as one can see; of a rename both names.
    pub on: String,
    /// The thread that makes it.
    pub thread: i32,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.name, self.on)
    }
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is made.
    Go,
    /// It is not made: the process is killed first.
    Kill,
    /// The process gets this signal, and goes on with the call.
    Signal(Signal),
    /// It is not made, and the program is told this error.
    Fail(Errno),
    /// It is made with half of its length, at least one byte.
    Half,
}

/// The words that a traced program is run by: it begins when it is told to.
pub(crate) const WAITING: [&str; 3] = ["/bin/sh", "-c", "read -r go && exec \"$0\" \"$@\" </dev/null"];

/// Whether this machine's calls can be read and changed.
pub fn can_trace() -> bool {
    cfg!(target_arch = "x86_64")
}

/// Runs a command that waits as [`WAITING`] does; `act` says what happens to each of its calls.
#[expect(clippy::zombie_processes, reason = "the tracer waits for it")]
pub(crate) fn run(mut command: Command, shown: String, act: &mut dyn FnMut(&Call) -> Act) -> Output {
    let mut out = tempfile::tempfile().unwrap();
    let mut err = tempfile::tempfile().unwrap();
    command.stdin(Stdio::piped()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    let leader = Pid::from_raw(child.id().cast_signed());
    let options = ptrace::Options::PTRACE_O_TRACESYSGOOD
        | ptrace::Options::PTRACE_O_TRACECLONE
        | ptrace::Options::PTRACE_O_TRACEEXEC
        | ptrace::Options::PTRACE_O_EXITKILL;
    ptrace::seize(leader, options).unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let status = Tracer { leader, act, pending: HashMap::new(), is_begun: false }.follow();
    let read = |file: &mut File| {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let (out, err) = (read(&mut out), read(&mut err));
    Output::new(shown, status, &out, &err)
}

struct Tracer<'a> {
    leader: Pid,
    act: &'a mut dyn FnMut(&Call) -> Act,
    /// Threads in a call that is not made, and what they will be told.
    pending: HashMap<Pid, Errno>,
    /// Whether the program itself runs, and no longer the shell.
    is_begun: bool,
}

impl Tracer<'_> {
    fn follow(mut self) -> ExitStatus {
        loop {
            // Only what this thread has started: other tests wait for their own.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            let status = match waitpid(Pid::from_raw(-1), Some(flags)) {
                Err(Errno::EINTR) => continue,
                other => other.unwrap(),
            };
            match status {
                WaitStatus::Exited(process, code) if process == self.leader => return ExitStatus::from_raw(code << 8),
                WaitStatus::Signaled(process, signal, _) if process == self.leader => {
                    return ExitStatus::from_raw(signal as i32);
                }
                WaitStatus::PtraceSyscall(thread) => self.at_call(thread),
                WaitStatus::PtraceEvent(thread, _, event) => {
                    self.is_begun |= event == nix::libc::PTRACE_EVENT_EXEC;
                    go_on(thread, None);
                }
                WaitStatus::Stopped(thread, signal) => go_on(thread, Some(signal)),
                _ => {}
            }
        }
    }

    fn at_call(&mut self, thread: Pid) {
        match ptrace::syscall_info(thread) {
            Ok(info) if info.op == nix::libc::PTRACE_SYSCALL_INFO_ENTRY && self.is_begun => {
                let Some(call) = call_of(thread) else { return go_on(thread, None) };
                let act = (self.act)(&call);
                self.carry_out(thread, &call, act);
            }
            Ok(info) if info.op == nix::libc::PTRACE_SYSCALL_INFO_EXIT => {
                if let Some(error) = self.pending.remove(&thread) {
                    registers::answer(thread, error);
                }
                go_on(thread, None);
            }
            _ => go_on(thread, None),
        }
    }

    fn carry_out(&mut self, thread: Pid, call: &Call, act: Act) {
        match act {
            Act::Go => {}
            // A thread that has a deadly signal waiting makes no call any more.
            Act::Kill => return kill(self.leader, Signal::SIGKILL).unwrap(),
            Act::Signal(signal) => kill(self.leader, signal).unwrap(),
            Act::Fail(error) => {
                registers::skip(thread);
                self.pending.insert(thread, error);
            }
            Act::Half => registers::set_length(thread, (call.arguments[2] / 2).max(1)),
        }
        go_on(thread, None);
    }
}

/// A thread that is gone meanwhile was killed with its process.
fn go_on(thread: Pid, signal: Option<Signal>) {
    match ptrace::syscall(thread, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("cannot resume {thread}: {error}"),
    }
}

fn call_of(thread: Pid) -> Option<Call> {
    let (number, arguments) = registers::call(thread)?;
    let known = calls::known(number, &arguments)?;
    let on = match known.at {
        calls::At::Handle => handle(thread, arguments[0]),
        calls::At::Path(path) => text(thread, arguments[path]),
        calls::At::Below(folder, path) => below(thread, arguments[folder], arguments[path]),
        calls::At::Two([a, b, c, d]) => {
            let from = below(thread, arguments[a], arguments[b]);
            format!("{from} -> {}", below(thread, arguments[c], arguments[d]))
        }
    };
    // What is shown, and memory, are no disk.
    let is_disk = on.starts_with('/') && !on.starts_with("/memfd:") && !on.starts_with("/dev/pts");
    let is_shown = matches!(known.at, calls::At::Handle) && arguments[0] <= 2;
    (is_disk && !is_shown).then_some(Call {
        name: known.name,
        kind: known.kind,
        arguments,
        on,
        thread: thread.as_raw(),
    })
}

fn handle(thread: Pid, number: u64) -> String {
    let link = format!("/proc/{thread}/fd/{}", number & 0xffff_ffff);
    std::fs::read_link(link).map_or_else(|_| "/?".to_owned(), |path| path.display().to_string())
}

fn below(thread: Pid, folder: u64, path: u64) -> String {
    let path = text(thread, path);
    match (folder & 0xffff_ffff) as u32 as i32 {
        _ if path.starts_with('/') => path,
        nix::libc::AT_FDCWD => format!("/cwd/{path}"),
        _ => format!("{}/{path}", handle(thread, folder)),
    }
}

fn text(thread: Pid, address: u64) -> String {
    let mut bytes = vec![0; 4096];
    let read = File::open(format!("/proc/{thread}/mem")).and_then(|memory| memory.read_at(&mut bytes, address));
    let Ok(length) = read else { return "?".to_owned() };
    let end = bytes[..length].iter().position(|byte| *byte == 0).unwrap_or(length);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(target_arch = "x86_64")]
mod registers {
    use nix::errno::Errno;
    use nix::sys::ptrace;
    use nix::unistd::Pid;

    /// The number of the call that a thread is about to make, and its arguments.
    pub(super) fn call(thread: Pid) -> Option<(i64, [u64; 6])> {
        let r = ptrace::getregs(thread).ok()?;
        Some((r.orig_rax.cast_signed(), [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9]))
    }

    fn change(thread: Pid, change: impl FnOnce(&mut nix::libc::user_regs_struct)) {
        let Ok(mut registers) = ptrace::getregs(thread) else { return };
        change(&mut registers);
        let _ = ptrace::setregs(thread, registers);
    }

    /// The call is not made.
    pub(super) fn skip(thread: Pid) {
        change(thread, |registers| registers.orig_rax = u64::MAX);
    }

    /// What a call that was not made has answered.
    pub(super) fn answer(thread: Pid, error: Errno) {
        change(thread, |registers| registers.rax = (-i64::from(error as i32)).cast_unsigned());
    }

    /// The third argument, which is the length of what is written or read.
    pub(super) fn set_length(thread: Pid, length: u64) {
        change(thread, |registers| registers.rdx = length);
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod registers {
    use nix::errno::Errno;
    use nix::unistd::Pid;

    pub(super) fn call(_: Pid) -> Option<(i64, [u64; 6])> {
        None
    }
    pub(super) fn skip(_: Pid) {}
    pub(super) fn answer(_: Pid, _: Errno) {}
    pub(super) fn set_length(_: Pid, _: u64) {}
}

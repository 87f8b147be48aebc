//! System calls that another process is made to make: what it may do is tried in its place, thread by thread.

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A thread that stands still in a system call, until this is dropped.
#[derive(Debug)]
pub struct Inside {
    thread: Pid,
    before: nix::libc::user_regs_struct,
}

/// An argument of a call.
#[derive(Debug, Clone, Copy)]
pub enum Argument<'a> {
    /// A number.
    Number(i64),
    /// Bytes in the memory of the process.
    Bytes(&'a [u8]),
}

/// What `syscall` is in the machine's code.
const SYSCALL: i64 = 0x050f;

impl Inside {
    /// Stops a thread of another process where it waits in a system call; why not, where that may not be.
    pub fn stop(thread: i32) -> Result<Self, String> {
        let thread = Pid::from_raw(thread);
        for _ in 0..100 {
            ptrace::attach(thread).map_err(|error| format!("cannot trace thread {thread}: {error}"))?;
            wait(thread, Signal::SIGSTOP);
            let before = ptrace::getregs(thread).unwrap();
            let inside = Self { thread, before };
            let code = ptrace::read(thread, (before.rip - 2) as ptrace::AddressType).unwrap();
            if code & 0xffff == SYSCALL {
                return Ok(inside);
            }
            // It computes just now.
            drop(inside);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Err(format!("thread {thread} waits in no system call"))
    }

    /// Makes a call; what it answers, an error as a negative number.
    pub fn call(&self, number: i64, arguments: &[Argument<'_>]) -> i64 {
        let mut registers = self.before;
        // Below what the thread has on its stack.
        let mut free = (self.before.rsp - 8192) & !7;
        let mut values = [0; 6];
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = match argument {
                Argument::Number(number) => number.cast_unsigned(),
                Argument::Bytes(bytes) => {
                    let at = free;
                    free += self.put(at, bytes);
                    at
                }
            };
        }
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = values;
        (registers.rax, registers.rip) = (number.cast_unsigned(), self.before.rip - 2);
        // The call that it waits in is not begun again meanwhile.
        registers.orig_rax = u64::MAX;
        ptrace::setregs(self.thread, registers).unwrap();
        ptrace::step(self.thread, None).unwrap();
        wait(self.thread, Signal::SIGTRAP);
        ptrace::getregs(self.thread).unwrap().rax.cast_signed()
    }

    fn put(&self, at: u64, bytes: &[u8]) -> u64 {
        // A text ends with a zero.
        let words = bytes.len() / 8 + 1;
        for word in 0..words {
            let mut part = [0; 8];
            let rest = &bytes[(word * 8).min(bytes.len())..];
            let length = rest.len().min(8);
            part[..length].copy_from_slice(&rest[..length]);
            let address = (at + word as u64 * 8) as ptrace::AddressType;
            ptrace::write(self.thread, address, i64::from_ne_bytes(part)).unwrap();
        }
        words as u64 * 8
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = ptrace::setregs(self.thread, self.before);
        let _ = ptrace::detach(self.thread, None);
    }
}

fn wait(thread: Pid, signal: Signal) {
    let status = waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
    assert_eq!(status, WaitStatus::Stopped(thread, signal));
}

//! What a worker gives up before it loads anything, in this order: its user, new privileges,
//! capabilities, files, system calls, memory. A kernel that lacks one of these is told of, and the rest is done.

use std::io;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, Scope,
};
use rustix::process::{Gid, Resource, Rlimit, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};
use seccompiler::SeccompCmpOp;

use crate::plugin::limits::{HANDLES, MEMORY};
use crate::seccomp::{self, Calls, when};

/// The first of the users that a worker becomes one of, and how many there are: systemd gives the same
/// ones to services for as long as they run.
const USERS: (u32, u32) = (61_184, 4336);
/// The user where a container knows none of those.
const NOBODY: u32 = 65_534;

/// What may be read: libraries, the resolver's files, certificates, time zones.
const READABLE: [&str; 26] = [
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/usr/share/zoneinfo",
    "/etc/ca-certificates",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki",
    "/etc/ld.so.cache",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/run/systemd/resolve",
    "/dev/urandom",
];

/// Gives up everything that a fetch source does not need. Returns what could not be given up.
pub(super) fn confine(readable: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut try_to = |what: &str, outcome: Result<(), String>| {
        if let Err(problem) = outcome {
            kept.push(format!("{what}: {problem}"));
        }
    };
    let text = |error: rustix::io::Errno| io::Error::from(error).to_string();
    if rustix::process::geteuid().is_root() {
        try_to("the user", another_user().map_err(text));
    }
    try_to("new privileges", rustix::thread::set_no_new_privs(true).map_err(text));
    try_to("capabilities", no_capabilities().map_err(text));
    try_to("files", only_these_files(readable));
    try_to("limits", limits().map_err(text));
    try_to("system calls", fewer_calls());
    kept
}

/// One that no other process of this machine is likely to be.
fn another_user() -> rustix::io::Result<()> {
    let own = USERS.0 + rustix::process::getpid().as_raw_nonzero().get().unsigned_abs() % USERS.1;
    become_user(own).or_else(|_| become_user(NOBODY))
}

/// The process has one thread here, so that the kernel's calls, which are a thread's, are enough.
fn become_user(number: u32) -> rustix::io::Result<()> {
    let (user, group) = (Uid::from_raw(number), Gid::from_raw(number));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)
}

fn no_capabilities() -> rustix::io::Result<()> {
    // Old kernels have no ambient set.
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

fn only_these_files(readable: &[String]) -> Result<(), String> {
    let abi = ABI::V6;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let enforced = || -> Result<RulesetStatus, landlock::RulesetError> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?;
        for path in READABLE.iter().map(PathBuf::from).chain(readable.iter().map(PathBuf::from)) {
            // What is not there needs no right.
            let Ok(handle) = PathFd::new(&path) else { continue };
            let rights = if path.is_dir() { read } else { AccessFs::ReadFile.into() };
            rules = rules.add_rule(PathBeneath::new(handle, rights))?;
        }
        if let Ok(null) = PathFd::new("/dev/null") {
            rules = rules.add_rule(PathBeneath::new(null, AccessFs::ReadFile | AccessFs::WriteFile))?;
        }
        Ok(rules.restrict_self()?.ruleset)
    };
    match enforced().map_err(|error| error.to_string())? {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => Err("this kernel's Landlock has not all of it".to_owned()),
        RulesetStatus::NotEnforced => Err("this kernel has no Landlock".to_owned()),
    }
}

fn limits() -> rustix::io::Result<()> {
    let set = |what, most| {
        let most = Some(most);
        rustix::process::setrlimit(what, Rlimit { current: most, maximum: most })
    };
    set(Resource::Core, 0)?;
    set(Resource::Fsize, 0)?;
    set(Resource::Data, MEMORY)?;
    set(Resource::Nofile, HANDLES)
}

/// Calls that start programs, reach into other processes or the kernel, or change what a program sees of the system.
const FORBIDDEN: [i64; 46] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_setpriority,
    libc::SYS_sched_setscheduler,
];

/// An error where each of these calls is made; it does not end the process.
fn fewer_calls() -> Result<(), String> {
    let own = u64::from(rustix::process::getpid().as_raw_nonzero().get().unsigned_abs());
    let mut rules: Calls = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    rules.extend([(libc::SYS_fork, Vec::new()), (libc::SYS_vfork, Vec::new())]);
    let other = |value: i32| (0, SeccompCmpOp::Ne, u64::from(value.unsigned_abs()));
    // No sockets of this machine: over them other programs could be made to do what this one may not.
    let families = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(other);
    rules.insert(libc::SYS_socket, vec![when(&families)?]);
    rules.insert(libc::SYS_kill, vec![when(&[(0, SeccompCmpOp::Ne, own)])?]);
    rules.insert(libc::SYS_tgkill, vec![when(&[(0, SeccompCmpOp::Ne, own)])?]);
    // A thread, yes; another process, no.
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    rules.insert(libc::SYS_clone, vec![when(&[(0, SeccompCmpOp::MaskedEq(thread), 0)])?]);
    // The flags of clone3 lie in memory, where no filter can look: whoever makes threads then uses clone.
    let unknown = Calls::from([(libc::SYS_clone3, Vec::new())]);
    seccomp::refuse(unknown, libc::ENOSYS)?;
    seccomp::refuse(rules, libc::EPERM)
}

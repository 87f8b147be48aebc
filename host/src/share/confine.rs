//! What a server gives up once its ports and folders are open: root, every capability, new privileges, the
//! file system but for two folders, and the system calls that would lead anywhere else (N34).
//!
//! Everything here holds for the calling thread and for those that it starts: it is called before there
//! are others. What the kernel cannot do is told and does not stop the server; that root was given up does.

use std::os::fd::AsFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, Scope,
};
use packets_hook_runtime::folder::Folder;
use rustix::fs::{Gid, Uid};
use rustix::process::{geteuid, getgid, getpid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use seccompiler::{SeccompCmpOp, TargetArch};

use crate::error::{Context, Error, Result};
use crate::given;
use crate::seccomp::{self, Calls, when};

/// The user that root becomes, where the machine has it.
const USER: &str = "packets";
/// Where it has not: the one who owns nothing.
const NOBODY: u32 = 65534;
/// The file of users; a real one has some kB.
const MAX_USERS: u64 = 1 << 20;

/// Gives up everything but reading below these folders. What was given up, for `status`.
///
/// # Errors
/// Root could not be given up.
pub(crate) fn confine(readable: &[&Folder]) -> Result<Vec<String>> {
    let mut done = Vec::new();
    if geteuid().is_root() {
        let (user, group) = user();
        become_user(user, group)?;
        done.push(format!("user {}", user.as_raw()));
    }
    drop_capabilities(&mut done);
    let mut told = |what: &str, outcome: Result<bool, String>| {
        done.push(match outcome {
            Ok(true) => what.to_owned(),
            Ok(false) => format!("no {what}: the kernel has none"),
            Err(problem) => format!("no {what}: {problem}"),
        });
    };
    told("new privileges", set_no_new_privs(true).map(|()| true).map_err(|error| error.to_string()));
    told("landlock", landlock(readable).map_err(|error| error.to_string()));
    told("seccomp", fewer_calls());
    Ok(done)
}

/// The user and group of the name, else nobody.
fn user() -> (Uid, Gid) {
    let users = given::read_text("/etc/passwd".as_ref(), MAX_USERS).unwrap_or_default();
    let found = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (user, group) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        (fields[0] == USER && user != 0 && group != 0).then_some((user, group))
    });
    let (user, group) = found.unwrap_or((NOBODY, NOBODY));
    (Uid::from_raw(user), Gid::from_raw(group))
}

fn become_user(user: Uid, group: Gid) -> Result<()> {
    let named = || format!("cannot become user {}", user.as_raw());
    // While the thread may still do that.
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
    set_thread_groups(&[]).context(named)?;
    set_thread_res_gid(group, group, group).context(named)?;
    set_thread_res_uid(user, user, user).context(named)?;
    // The kernel must refuse the way back.
    if geteuid().is_root() || getgid().is_root() || set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_ok() {
        return Err(Error::storage(named()).caused_by("root could be had again"));
    }
    Ok(())
}

fn drop_capabilities(done: &mut Vec<String>) {
    let _ = clear_ambient_capability_set();
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    // A service manager may have taken them away, and with them the call that does it.
    match set_capabilities(None, none) {
        Err(error) if capabilities(None) != Ok(none) => done.push(format!("capabilities: {error}")),
        _ => done.push("no capabilities".to_owned()),
    }
}

/// Nothing of the file system but reading below these folders, no connection to anybody, no port but those that are open.
fn landlock(readable: &[&Folder]) -> Result<bool, landlock::RulesetError> {
    let abi = ABI::V6;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    for folder in readable {
        ruleset = ruleset.add_rule(PathBeneath::new(folder.as_fd(), AccessFs::from_read(abi) & !AccessFs::Execute))?;
    }
    Ok(ruleset.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}

/// System calls that a server of files has no use for.
const REFUSED: [i64; 50] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_connect,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
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
    libc::SYS_personality,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
];

/// The older ways to another process, where the machine has them.
#[cfg(target_arch = "x86_64")]
const FORKS: [i64; 2] = [libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const FORKS: [i64; 0] = [];

/// All sockets are open by now, so none is made, named or connected any more, and none sends to where it is not
/// connected by the short way of TCP. A thread may be begun, and no process. A connection of a client is accepted.
fn fewer_calls() -> Result<bool, String> {
    if TargetArch::try_from(std::env::consts::ARCH).is_err() {
        return Ok(false);
    }
    let mut refused: Calls = REFUSED.iter().chain(&FORKS).map(|call| (*call, Vec::new())).collect();
    let own = u64::from(getpid().as_raw_nonzero().get().unsigned_abs());
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        refused.insert(call, vec![when(&[(0, SeccompCmpOp::Ne, own)])?]);
    }
    let set = |flag: i32| (SeccompCmpOp::MaskedEq(u64::from(flag.unsigned_abs())), u64::from(flag.unsigned_abs()));
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        let (is_set, flag) = set(libc::MSG_FASTOPEN);
        refused.insert(call, vec![when(&[(flags, is_set, flag)])?]);
    }
    let (is_thread, _) = set(libc::CLONE_THREAD);
    refused.insert(libc::SYS_clone, vec![when(&[(0, is_thread, 0)])?]);
    // Nobody types into the terminal from which it was begun.
    let typing = [libc::TIOCSTI, libc::TIOCLINUX].map(|what| when(&[(1, SeccompCmpOp::Eq, what & 0xffff_ffff)]));
    refused.insert(libc::SYS_ioctl, typing.into_iter().collect::<Result<_, _>>()?);
    // What clone3 is to do is in memory, which no filter sees; told that there is no such call, the C library uses clone.
    seccomp::refuse(refused, libc::EPERM)?;
    seccomp::refuse(Calls::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?;
    Ok(true)
}

//! System calls that a process gives up, a server and a plugin's worker alike (seccomp).

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter, sock_filter,
};

/// Calls, each with the rules of which one must hold; a call without rules is meant whatever its arguments are.
pub(crate) type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// From here on these calls are this error, for the calling thread and those that it begins.
///
/// # Errors
/// Why it is not so, in one line.
pub(crate) fn refuse(calls: Calls, error: i32) -> Result<(), String> {
    let machine = std::env::consts::ARCH.try_into().map_err(|error| format!("{error}"))?;
    let action = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, action, machine);
    let program: BpfProgram = filter.and_then(TryInto::try_into).map_err(|error| error.to_string())?;
    let whole: BpfProgram = other_numbers().into_iter().chain(program).collect();
    apply_filter(&whole).map_err(|error| error.to_string())
}

/// A rule that holds where each of these arguments is as it says.
///
/// # Errors
/// There is no such argument.
pub(crate) fn when(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, String> {
    let condition = |(argument, operator, value): &(u8, SeccompCmpOp, u64)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    };
    let conditions: Result<Vec<_>, _> = conditions.iter().map(condition).collect();
    conditions.and_then(SeccompRule::new).map_err(|error| error.to_string())
}

/// A kernel of x86_64 may know each call by a second number, from 2 to the 30 on (x32): the filter would take it for
/// another call. Nothing here is built for those.
#[cfg(target_arch = "x86_64")]
fn other_numbers() -> Vec<sock_filter> {
    const LOAD: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const ERROR: u32 = 0x0005_0000;
    vec![
        sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_AT_LEAST, jt: 0, jf: 1, k: 1 << 30 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: ERROR | libc::EPERM.unsigned_abs() },
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn other_numbers() -> Vec<sock_filter> {
    Vec::new()
}

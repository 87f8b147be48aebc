//! C35: what a kernel or a file system does not know, each time it is asked for it.

use std::time::Instant;

use nix::errno::Errno;
use packets_tests::crash::{
    Act, Call, Kind, Points, Reference, Scene, Tally, Verdict, assert_none, can_trace, is_writing, recovers_once, tool,
};
use packets_tests::skip;

/// Something that is lacking: the calls that ask for it, and what they are told.
struct Lacking {
    name: &'static str,
    asks: fn(&Call) -> bool,
    error: Errno,
}

const EXCHANGE: u64 = 2;
const NOREPLACE: u64 = 1;

const ALL: [Lacking; 8] = [
    Lacking { name: "RENAME_EXCHANGE", asks: |call| renames(call, EXCHANGE), error: Errno::EINVAL },
    Lacking { name: "RENAME_NOREPLACE", asks: |call| renames(call, NOREPLACE), error: Errno::EINVAL },
    Lacking { name: "flags of renameat2", asks: |call| renames(call, u64::MAX), error: Errno::EINVAL },
    Lacking { name: "renameat2", asks: |call| call.name == "renameat2", error: Errno::ENOSYS },
    Lacking { name: "O_TMPFILE", asks: makes_nameless, error: Errno::EOPNOTSUPP },
    Lacking { name: "fallocate", asks: |call| call.name == "fallocate", error: Errno::EOPNOTSUPP },
    Lacking { name: "syncfs", asks: |call| call.name == "syncfs", error: Errno::ENOSYS },
    Lacking { name: "openat2", asks: |call| call.name == "openat2", error: Errno::ENOSYS },
];

fn renames(call: &Call, flags: u64) -> bool {
    call.name == "renameat2" && call.arguments[4] & 0xffff_ffff & flags != 0
}

fn makes_nameless(call: &Call) -> bool {
    let flags = (call.arguments[2] & 0xffff_ffff) as i32;
    call.name == "openat" && flags & nix::libc::O_TMPFILE == nix::libc::O_TMPFILE
}

impl Lacking {
    fn act(&self, call: &Call) -> Act {
        if (self.asks)(call) { Act::Fail(self.error) } else { Act::Go }
    }

    /// The command does what it does elsewhere.
    fn works(&self, scene: &Scene, reference: &Reference) -> Result<usize, String> {
        let stage = scene.stage();
        let mut count = 0;
        let output = stage.run(&mut |call| {
            count += usize::from(is_writing(call));
            self.act(call)
        });
        match reference.judge(&stage) {
            Verdict::New if output.code == 0 => Ok(count),
            verdict => Err(format!("{} without {}: {verdict:?}, {output}", scene.name, self.name)),
        }
    }

    /// Killed there, and recovered on the same machine.
    fn killed(&self, scene: &Scene, reference: &Reference, point: usize, tally: &mut Tally) {
        let stage = scene.stage();
        let (mut seen, mut struck) = (0, None);
        stage.run(&mut |call| {
            seen += usize::from(is_writing(call));
            if seen == point && struck.is_none() {
                struck = Some(call.clone());
                return Act::Kill;
            }
            self.act(call)
        });
        let Some(call) = struck else { return };
        let recovery = stage.environment().run_traced(&["recover", "--json", "--no-wait"], &mut |call| self.act(call));
        let look = || {
            if recovery.code != 0 {
                return Err(format!("recovery fails: {recovery}"));
            }
            let verdict = reference.judge(&stage);
            recovers_once(&stage).map(|()| verdict)
        };
        tally.names.insert(call.name);
        let at = format!("{} without {}, killed before call {point}, {call}", scene.name, self.name);
        tally.count(&at, look().unwrap_or_else(Verdict::Torn));
    }
}

fn sweep(scene: &Scene) {
    if !can_trace() {
        return skip("no program's calls can be changed on this machine");
    }
    let reference = Reference::make(scene.stage());
    let mut failures = Vec::new();
    for lacking in &ALL {
        let began = Instant::now();
        let count = match lacking.works(scene, &reference) {
            Ok(count) => count,
            Err(why) => {
                failures.push(why);
                continue;
            }
        };
        let step = if Points::are_all() { 1 } else { 19 };
        let mut tally = Tally::default();
        for point in (count * 3 / 10..=count).step_by(step) {
            lacking.killed(scene, &reference, point, &mut tally);
        }
        failures.extend(tally.failures(&format!("kill {} without {}", scene.name, lacking.name), began));
    }
    assert_none(&failures);
}

#[test]
fn c35_install() {
    sweep(&tool::scene_install());
}

#[test]
fn c35_upgrade() {
    sweep(&tool::scene_upgrade());
}

#[test]
fn c35_remove() {
    sweep(&tool::scene_remove());
}

#[test]
fn c35_undo() {
    sweep(&tool::scene_undo());
}

#[test]
fn c35_the_flags_are_told_apart() {
    let call = |flags| Call {
        name: "renameat2",
        kind: Kind::Changes,
        arguments: [3, 0, 4, 0, flags, 0],
        on: String::new(),
        thread: 1,
    };
    assert!(renames(&call(EXCHANGE), EXCHANGE) && !renames(&call(NOREPLACE), EXCHANGE));
    assert!(!renames(&call(0), u64::MAX));
}

//! A disk that fails in the middle: back to where it was, exit 7, and nothing is locked.

use packets_tests::{Output, Package, TestEnvironment, on_path, skip};

/// The outcome of an installation of `package` during which the nth call fails; none where strace is missing.
fn failing(environment: &mut TestEnvironment, package: &Package, call: &str, fault: &str, nth: u32) -> Option<Output> {
    let Some(strace) = on_path("strace") else {
        skip("needs strace");
        return None;
    };
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={fault}:when={nth}"));
    let words = [strace.to_str().unwrap(), "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    environment.run_by(words.map(str::to_owned).into());
    let output = environment.install(package);
    environment.run_by(Vec::new());
    Some(output)
}

fn release(version: &str) -> Package {
    let hook = format!(
        "local out = io.open('/usr/share/doc/tool', 'w') out:write('doc {version}') out:close() \
         os.symlink(path_join(data_dir, 'tool'), '/usr/bin/tool')"
    );
    Package::program("tool", version).install(&hook)
}

#[test]
fn c12_every_rename_that_can_fail() {
    for fault in ["EIO", "ENOSPC"] {
        let mut met = 0;
        for nth in 1..40 {
            let mut environment = TestEnvironment::new();
            environment.prime();
            environment.install(&release("1")).ok();
            environment.put("opt/packets/tool/own/file", "mine\n");
            let before = environment.system();
            let Some(output) = failing(&mut environment, &release("2"), "renameat2", fault, nth) else { return };
            if output.code == 0 {
                break;
            }
            met += 1;
            assert_eq!(output.code, 7, "{output}");
            before.assert_same(&environment.system(), &format!("{fault} at {nth}"));
            environment.run(&["recover"]).ok().says("nothing was cut off");
            environment.install(&release("2")).ok();
            assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 2\n");
            assert_eq!(environment.read("opt/packets/tool/own/file"), "mine\n");
        }
        assert!(met >= 6, "{met}");
    }
}

#[test]
fn c09_c12_a_hook_that_looks_at_nothing_makes_no_empty_file() {
    for fault in ["ENOSPC", "EIO", "EROFS"] {
        let mut environment = TestEnvironment::new();
        environment.prime();
        environment.install(&release("1")).ok();
        let before = environment.system();
        let Some(output) = failing(&mut environment, &release("2"), "pwrite64", fault, 2) else { return };
        output.fails(7).says("the staged view failed");
        before.assert_same(&environment.system(), fault);
        environment.run(&["recover"]).ok().says("nothing was cut off");
    }
}

#[test]
fn c10_no_inode_at_any_point_leaves_nothing() {
    for nth in 1..40 {
        let mut environment = TestEnvironment::new();
        environment.prime();
        environment.install(&release("1")).ok();
        environment.run(&["cache", "clean"]).ok();
        let before = environment.system();
        let Some(output) = failing(&mut environment, &release("2"), "mkdirat", "ENOSPC", nth) else { return };
        if output.code == 0 {
            return;
        }
        assert_eq!(output.code, 7, "{nth}: {output}");
        before.assert_same(&environment.system(), &format!("the folder {nth}"));
        let left: Vec<_> = std::fs::read_dir(environment.at("opt/packets/.packets")).unwrap().collect();
        assert!(left.is_empty(), "{nth}: {left:?}");
        environment.run(&["recover"]).ok().says("nothing was cut off");
    }
    panic!("no end was found");
}

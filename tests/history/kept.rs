//! What is kept for `undo`, for how long, and how it is freed.

use packets_tests::{Package, Snapshot, TestEnvironment, on_path, skip};

fn kept(environment: &TestEnvironment) -> Vec<serde_json::Value> {
    let stored = environment.run(&["cache", "list", "--json"]).ok().json();
    stored["transactions"].as_array().unwrap().clone()
}

fn staging(environment: &TestEnvironment) -> Vec<String> {
    Snapshot::of(&environment.at("opt/packets/.packets")).paths()
}

fn configured(history: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.prime();
    let config = environment.read("etc/packets/config.toml").replace("[History]\nkeep = 10\ndays = 30\n", "");
    environment.put("etc/packets/config.toml", &format!("{config}\n[History]\n{history}\n"));
    environment.run(&["cache", "clean"]).ok();
    environment
}

#[test]
fn the_last_ones_are_kept() {
    let environment = configured("keep = 2");
    for version in ["1", "2", "3", "4"] {
        environment.install(&Package::program("tool", version)).ok();
    }
    let kept = kept(&environment);
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|one| one["size"].as_u64().unwrap() > 0), "{kept:?}");
    let history = environment.run(&["history", "--json"]).ok().json();
    let can: Vec<bool> = history.as_array().unwrap().iter().map(|past| past["can_undo"].as_bool().unwrap()).collect();
    assert_eq!(can[..4], [true, true, false, false]);
    let id = history[2]["id"].as_str().unwrap();
    environment.run(&["undo"]).ok();
    environment.run(&["undo"]).fails(1).says("no longer kept").says("[History]");
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 3\n");
    environment.refused(1, || environment.run(&["undo", id]));
}

#[test]
fn nothing_is_kept_where_the_config_says_so() {
    let environment = configured("keep = 0");
    environment.install(&Package::program("tool", "1")).ok();
    environment.install(&Package::program("tool", "2")).ok();
    environment.run(&["remove", "tool"]).ok();
    assert_eq!(staging(&environment), [""; 0]);
    assert!(kept(&environment).is_empty());
}

#[test]
fn c32_age_is_told_by_the_clock_and_order_is_not() {
    let at = |environment: &TestEnvironment, when: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new("faketime");
        let program = environment.command();
        command.arg(when).arg(program.get_program()).arg("--root").arg(environment.root()).arg("--yes").args(arguments);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", environment.place().join("tmp"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    if std::process::Command::new("faketime").arg("--version").output().is_err() {
        packets_tests::skip("needs faketime");
        return;
    }
    let environment = configured("keep = 9\ndays = 2");
    let folder = |version: &str| {
        Package::program("tool", version).write(&environment.work().join(version)).display().to_string()
    };
    at(&environment, "2020-01-10 12:00:00", &["install", &folder("1")]);
    at(&environment, "2020-01-11 12:00:00", &["install", &folder("2")]);
    assert_eq!(kept(&environment).len(), 2);
    at(&environment, "2020-01-13 11:00:00", &["install", &folder("3")]);
    assert_eq!(kept(&environment).len(), 2, "the first is too old");
    // A clock that went back makes nothing old, and the order stays.
    at(&environment, "2019-06-01 12:00:00", &["install", &folder("4")]);
    assert_eq!(kept(&environment).len(), 3);
    environment.run(&["undo"]).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 3\n");
}

#[test]
fn clean_shows_and_frees_it() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.install(&Package::program("tool", "1").bytes("large", &[7; 100_000])).ok();
    environment.install(&Package::program("tool", "2")).ok();
    let before = environment.everything();
    environment.run(&["cache", "clean", "--dry-run"]).ok().prints("displaced by install");
    before.assert_same(&environment.everything(), "a dry run");
    let freed = environment.run(&["cache", "clean", "--json"]).ok().json();
    assert_eq!(freed["freed"], true);
    let sizes: u64 = freed["transactions"].as_array().unwrap().iter().map(|one| one["size"].as_u64().unwrap()).sum();
    assert!(sizes > 100_000, "{freed}");
    assert_eq!(staging(&environment), [""; 0]);
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 2\n");
    environment.run(&["undo"]).fails(1).says("no longer kept");
}

#[test]
fn files_of_the_administrator_are_never_freed() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.install(&Package::program("tool", "1")).ok();
    environment.put("opt/packets/tool/data/mine", "mine\n");
    let removed = environment.run(&["remove", "tool", "--json"]).ok().json();
    let now = removed["kept"][0]["now"].as_str().unwrap().to_owned();
    assert_eq!(environment.read(&now), "mine\n");
    environment.run(&["cache", "clean"]).ok().says("files of yours");
    assert_eq!(environment.read(&now), "mine\n");
    let left: Vec<String> = staging(&environment).into_iter().filter(|path| !path.ends_with('/')).collect();
    assert_eq!(left.len(), 1, "only that: {left:?}");
}

#[test]
fn what_is_half_freed_cannot_be_undone_and_is_freed_later() {
    let Some(strace) = on_path("strace") else {
        skip("needs strace");
        return;
    };
    for nth in [1, 2, 3, 4, 5, 6, 7, 8] {
        let mut environment = TestEnvironment::new();
        environment.prime();
        environment.run(&["cache", "clean"]).ok();
        let large = (0..5).fold(Package::program("tool", "1"), |package, at| package.data(&format!("f{at}"), "x"));
        environment.install(&large).ok();
        environment.install(&Package::program("tool", "2")).ok();
        let inject = format!("inject=unlinkat:signal=KILL:when={nth}");
        let words = [strace.to_str().unwrap(), "-f", "-qq", "-o", "/dev/null", "-e", "trace=unlinkat", "-e", &inject];
        environment.run_by(words.map(str::to_owned).into());
        assert_eq!(environment.run(&["cache", "clean"]).code, 137, "{nth}");
        environment.run_by(Vec::new());
        let history = environment.run(&["history", "--json"]).ok().json();
        let first = history[0]["can_undo"].as_bool().unwrap();
        match first {
            // It came to the other transaction first, of which nothing is kept.
            true => environment.run(&["undo"]).ok(),
            false => environment.run(&["undo"]).fails(1).says("no longer kept"),
        };
        environment.run(&["cache", "clean"]).ok();
        assert_eq!(staging(&environment), [""; 0], "{nth}");
    }
}

/// The cache with these keys of `[Config]`, after a file of each age (in days) came to it and a package from a repository.
fn left_in_cache(keys: &[(&str, &str)], ages: &[i64], then: &dyn Fn(&TestEnvironment)) -> Vec<String> {
    let environment = TestEnvironment::new();
    environment.prime();
    Package::program("tool", "1").file(&environment.repo());
    environment.run_plain(&["index", environment.repo().to_str().unwrap()]).ok();
    for (key, value) in keys {
        environment.run(&["config", "set", key, value]).ok();
    }
    let cache = environment.at("var/cache/packets");
    std::fs::create_dir_all(cache.join("folder.pkt.tar.zst")).unwrap();
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    for age in ages {
        // Half a day to either side of what is asked for, so that the clock of the run does not matter.
        let file = std::fs::File::create(cache.join(format!("{age}.pkt.tar.zst"))).unwrap();
        let now = std::time::SystemTime::now();
        let time = if *age < 0 { now + day * 400 } else { now - day * u32::try_from(*age).unwrap() - day / 2 };
        file.set_modified(time).unwrap();
        let other = std::fs::File::create(cache.join(format!("{age}.note"))).unwrap();
        other.set_modified(time).unwrap();
    }
    then(&environment);
    assert!(ages.iter().all(|age| cache.join(format!("{age}.note")).exists()), "what is no package is nobody's");
    assert!(cache.join("folder.pkt.tar.zst").exists());
    let left = |age: &&i64| cache.join(format!("{age}.pkt.tar.zst")).exists();
    ages.iter().filter(left).map(ToString::to_string).collect()
}

#[test]
fn package_files_are_deleted_when_they_are_as_old_as_the_config_says() {
    let (whether, days) = ("Config.dayToDeleteCacheDir", "Config.daysToDelete");
    let ages = [-1, 0, 2, 3, 400];
    let install = |environment: &TestEnvironment| {
        environment.run_with_repo(&["install", "tool"]).ok();
        assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
    };
    let sync =
        |environment: &TestEnvironment| drop(environment.run(&["sync", environment.repo().to_str().unwrap()]).ok());
    for then in [&install as &dyn Fn(&TestEnvironment), &sync] {
        let all = ["-1", "0", "2", "3", "400"];
        assert_eq!(left_in_cache(&[], &ages, then), all, "by default nothing goes");
        assert_eq!(left_in_cache(&[(days, "3")], &ages, then), all, "the days alone say nothing");
        assert_eq!(left_in_cache(&[(whether, "true")], &ages, then), all, "-1: never");
        let three = [(whether, "true"), (days, "3")];
        assert_eq!(left_in_cache(&three, &ages, then), ["-1", "0", "2"], "a clock that was ahead makes nothing old");
        assert_eq!(left_in_cache(&[(whether, "true"), (days, "0")], &ages, then), ["-1"]);
        let longest = i64::MAX.to_string();
        assert_eq!(left_in_cache(&[(whether, "true"), (days, &longest)], &ages, then), all);
    }
}

#[test]
fn old_package_files_stay_where_nothing_happens() {
    let keys = [("Config.dayToDeleteCacheDir", "true"), ("Config.daysToDelete", "1")];
    let look = |environment: &TestEnvironment| {
        environment.run(&["sync", "--dry-run", environment.repo().to_str().unwrap()]).ok();
        environment.run_with_repo(&["install", "tool", "--dry-run"]).ok();
        environment.run_with_repo(&["install", "nothing"]).fails(1);
        environment.run(&["list"]).ok();
    };
    assert_eq!(left_in_cache(&keys, &[0, 9], &look), ["0", "9"]);
}

#[test]
fn what_somebody_deleted_of_it_is_missed() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.install(&Package::program("tool", "1")).ok();
    environment.install(&Package::program("tool", "2")).ok();
    let id = environment.run(&["history", "--json"]).ok().json()[0]["id"].as_str().unwrap().to_owned();
    std::fs::remove_file(environment.at(&format!("opt/packets/.packets/{id}/old/tool/data/name"))).unwrap();
    environment.refused(1, || environment.run(&["undo"])).says("no longer kept whole").says("/data/name");
}

#[test]
fn a_damaged_journal_stops_no_other() {
    let environment = TestEnvironment::new();
    environment.prime();
    for version in ["1", "2", "3"] {
        environment.install(&Package::program("tool", version)).ok();
    }
    let id = environment.run(&["history", "--json"]).ok().json()[1]["id"].as_str().unwrap().to_owned();
    std::fs::write(environment.at(&format!("var/lib/packets/history/{id}")), "damaged\n").unwrap();
    environment.run(&["cache", "list"]).ok();
    environment.run(&["cache", "clean"]).fails(5).says("does not verify").says("var/lib/packets/quarantine");
    environment.run(&["cache", "clean"]).ok();
    assert!(kept(&environment).is_empty());
    assert_eq!(
        Snapshot::of(&environment.at("opt/packets/.packets"))
            .paths()
            .iter()
            .filter(|path| path.matches('/').count() == 1 && path.ends_with('/'))
            .count(),
        1,
        "only what nobody can tell"
    );
}

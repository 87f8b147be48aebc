use std::collections::BTreeSet;
use std::time::Duration;

use packets_plugin_api::conformance::storage::MemoryFormat;
use packets_plugin_api::ident::{Digest, Family};
use packets_plugin_api::storage::{IndexEntry, InstalledPackage, Reason, StorageFormat as _};
use proptest::prelude::*;

use super::super::tests::{candidate, installed, name};
use super::super::{Answers, Candidate, Known, Wanted, find_goal};
use super::*;

/// A candidate with other bytes than anything that is installed.
fn other(text: &str, requires: &[&str]) -> Candidate {
    Candidate { digest: Some(Digest::from_bytes([2; 32])), ..candidate(text, requires) }
}

trait Make: Sized {
    fn conflicts(self, with: &[&str]) -> Self;
    fn provides(self, names: &[&str]) -> Self;
    fn release(self, alias: &str, serial: u64) -> Self;
}

macro_rules! make {
    ($type:ty) => {
        impl Make for $type {
            fn conflicts(mut self, with: &[&str]) -> Self {
                self.conflicts = with.iter().map(|text| text.parse().unwrap()).collect();
                self
            }
            fn provides(mut self, names: &[&str]) -> Self {
                self.provides = names.iter().map(|text| name(text)).collect();
                self
            }
            fn release(mut self, alias: &str, serial: u64) -> Self {
                self.alias = Some(name(alias));
                self.family = alias.parse().unwrap();
                self.serial = serial;
                self
            }
        }
    };
}
make!(Candidate);
make!(InstalledPackage);

fn needed(package: InstalledPackage) -> InstalledPackage {
    InstalledPackage { reason: Reason::Needed, ..package }
}

fn resolve_with(
    limits: Limits,
    goals: &[&str],
    known: &[Candidate],
    installed: &[InstalledPackage],
) -> Result<Resolution> {
    let known = Known { loose: known.to_vec(), ..Known::default() };
    let goals: Vec<Candidate> =
        goals.iter().map(|goal| find_goal(&name(goal), &known, &Wanted::Highest)).collect::<Result<_>>()?;
    let leaving = goals.iter().map(|goal| goal.name.clone()).collect();
    Solver { limits }.resolve(&Problem { command: "install", goals, installed, leaving, kept: Vec::new() }, &known)
}

fn resolve(goals: &[&str], known: &[Candidate], installed: &[InstalledPackage]) -> Result<Resolution> {
    resolve_with(Limits::default(), goals, known, installed)
}

fn names(resolution: &Resolution) -> Vec<&str> {
    resolution.chosen.iter().map(|one| one.candidate.name.as_str()).collect()
}

#[track_caller]
fn solved(goals: &[&str], known: &[Candidate], installed: &[InstalledPackage], expected: &[&str]) {
    let first = resolve(goals, known, installed).unwrap_or_else(|error| panic!("{}", text(&error)));
    assert_eq!(names(&first), expected);
    assert_eq!(resolve(goals, known, installed).unwrap(), first, "the same problem, the same answer");
}

/// An error with its causes and hints, a line each.
fn text(error: &Error) -> String {
    let causes = error.causes().iter().map(|cause| format!("\n  {cause}"));
    let hints = error.hints().iter().map(|hint| format!("\n  hint: {hint}"));
    causes.chain(hints).fold(error.message().to_owned(), |text, line| text + &line)
}

#[track_caller]
fn refused(goals: &[&str], known: &[Candidate], installed: &[InstalledPackage], expected: &str) {
    let error = resolve(goals, known, installed).unwrap_err();
    assert_eq!(text(&error), expected);
    assert_eq!(text(&resolve(goals, known, installed).unwrap_err()), expected, "in the same words");
}

#[test]
fn needs_come_first_and_only_where_missing() {
    let known = [candidate("a", &["b", "c"]), candidate("b", &["d"]), candidate("c", &["d"]), candidate("d", &[])];
    solved(&["a"], &known, &[], &["d", "b", "c", "a"]);
    solved(&["a"], &known, &[installed("d", &[])], &["b", "c", "a"]);
    solved(&["c", "b"], &known, &[], &["d", "c", "b"]);
}

#[test]
fn versions_alternatives_and_what_is_provided() {
    let known = [
        candidate("a", &["exim | mail"]),
        candidate("postfix", &[]).provides(&["mail"]),
        candidate("b", &["lib>=1.10 | nothing"]),
        candidate("lib-9", &[]).release("lib", 1),
        Candidate { version: "1.10".parse().unwrap(), ..candidate("lib-10", &[]).release("lib", 2) },
        candidate("c", &["mail=1"]),
    ];
    solved(&["a"], &known, &[], &["postfix", "a"]);
    solved(&["b"], &known, &[], &["lib-10", "b"]);
    refused(
        &["c"],
        &known,
        &[],
        "cannot install c: it needs mail=1, and no known package is that\n\
         \x20 hint: known is postfix 1\n\
         \x20 hint: `packets sync` fetches the newest index",
    );
}

#[test]
fn what_is_installed_is_preferred_then_the_order_of_alternatives_then_the_newest() {
    let known = [
        candidate("user", &["x | y"]),
        candidate("x", &[]),
        candidate("y", &[]),
        candidate("go-user", &["go"]),
        candidate("go1.23", &[]).release("go", 1),
        candidate("go1.24", &[]).release("go", 2),
    ];
    solved(&["user"], &known, &[], &["x", "user"]);
    solved(&["user"], &known, &[installed("y", &[])], &["user"]);
    solved(&["user", "y"], &known, &[], &["y", "user"]);
    solved(&["go-user"], &known, &[], &["go1.24", "go-user"]);
    solved(&["go-user"], &known, &[installed("go1.23", &[]).release("go", 1)], &["go-user"]);
}

#[test]
fn it_goes_back_where_the_first_choice_does_not_work() {
    let known = [
        candidate("top", &["x | y", "z"]),
        candidate("x", &["gone"]),
        candidate("y", &["deep"]),
        candidate("deep", &["left | right"]),
        candidate("left", &[]).conflicts(&["z"]),
        candidate("right", &[]),
        candidate("z", &[]),
    ];
    let found = resolve(&["top"], &known, &[]).unwrap();
    assert_eq!(names(&found), ["right", "deep", "y", "z", "top"]);
}

#[test]
fn a_newer_release_takes_an_installed_ones_place_only_where_it_must() {
    let known = [other("lib=2", &[]), candidate("old-app", &["lib"]), candidate("new-app", &["lib>=2"])];
    let stands = [installed("lib=1", &[]), installed("user", &["lib"])];
    solved(&["old-app"], &known, &stands, &["old-app"]);
    solved(&["new-app"], &known, &stands, &["lib", "new-app"]);
    let strict = [installed("lib=1", &[]), installed("user", &["lib=1"])];
    refused(
        &["new-app"],
        &known,
        &strict,
        "cannot install new-app: lib 2 would take the place of the installed lib 1\n\
         \x20 new-app 1 needs lib>=2\n\
         \x20 the installed user 1 needs lib=1\n\
         \x20 hint: `packets remove user` makes room",
    );
}

#[test]
fn releases_of_other_names_upgrade_what_only_came_along() {
    let known = [
        candidate("app", &["lib>=2"]),
        other("lib-2=2", &[]).release("lib", 2),
        other("lib-1=1", &[]).release("lib", 1),
    ];
    let old = installed("lib-1=1", &[]).release("lib", 1);
    let user = installed("user", &["lib"]);
    let found = resolve(&["app"], &known, &[needed(old.clone()), user.clone()]).unwrap();
    assert_eq!((names(&found), &found.replaced[..]), (vec!["lib-2", "app"], &[(name("lib-1"), name("lib-2"))][..]));
    // What was asked for stays beside the newer one, and so does what somebody still needs.
    let found = resolve(&["app"], &known, &[old.clone(), user]).unwrap();
    assert_eq!((names(&found), &found.replaced[..]), (vec!["lib-2", "app"], &[][..]));
    let strict = installed("user", &["lib<2"]);
    let found = resolve(&["app"], &known, &[needed(old.clone()), strict]).unwrap();
    assert_eq!((names(&found), &found.replaced[..]), (vec!["lib-2", "app"], &[][..]));
    // Where both cannot stand, even one that was asked for gives way to a release of its family.
    let known = [known[0].clone(), known[1].clone().conflicts(&["lib<2"]), known[2].clone()];
    let found = resolve(&["app"], &known, &[old]).unwrap();
    assert_eq!((names(&found), &found.replaced[..]), (vec!["lib-2", "app"], &[(name("lib-1"), name("lib-2"))][..]));
}

#[test]
fn nothing_is_taken_back_to_an_older_release() {
    let known = [candidate("app", &["lib<2"]), other("lib=1", &[])];
    refused(
        &["app"],
        &known,
        &[installed("lib=2", &[])],
        "cannot install app: lib 1 is older than the installed lib 2\n\
         \x20 app 1 needs lib<2\n\
         \x20 hint: `packets sync` fetches the newest index",
    );
}

#[test]
fn conflicts_with_what_is_installed_are_refused_and_never_solved_by_a_removal() {
    let known = [candidate("a", &[]).conflicts(&["b"]), candidate("c", &["d"]), candidate("d", &[])];
    refused(
        &["a"],
        &known,
        &[installed("b", &[])],
        "cannot install a: a 1 conflicts with the installed b 1\n\
         \x20 hint: `packets remove b` makes room",
    );
    refused(
        &["c"],
        &known,
        &[installed("b", &[]).conflicts(&["d"])],
        "cannot install c: the installed b 1 conflicts with d 1\n\
         \x20 c 1 needs d\n\
         \x20 hint: `packets remove b` makes room",
    );
}

#[test]
fn refusals_tell_who_needs_what() {
    let known = [
        candidate("app", &["lib"]),
        candidate("lib", &["base"]),
        candidate("base", &["libfoo2"]),
        candidate("both", &["left", "right"]),
        candidate("left", &["one"]),
        candidate("right", &["two"]),
        candidate("one", &[]).conflicts(&["two"]),
        candidate("two", &[]),
        candidate("pick", &["x | y"]),
        candidate("x", &["missing"]),
        candidate("y", &[]).conflicts(&["z"]),
        candidate("z", &[]),
    ];
    refused(
        &["app"],
        &known,
        &[],
        "cannot install app: base 1 needs libfoo2, and no known package is that\n\
         \x20 app 1 needs lib\n\
         \x20 lib 1 needs base\n\
         \x20 hint: `packets sync` fetches the newest index",
    );
    refused(
        &["both"],
        &known,
        &[],
        "cannot install both: one 1 conflicts with two 1\n\
         \x20 both 1 needs left\n\
         \x20 both 1 needs right\n\
         \x20 left 1 needs one\n\
         \x20 right 1 needs two\n\
         \x20 hint: `packets sync` fetches the newest index",
    );
    refused(
        &["left", "right"],
        &known,
        &[],
        "cannot install left and right together: one 1 conflicts with two 1\n\
         \x20 left 1 needs one\n\
         \x20 right 1 needs two\n\
         \x20 hint: leave out one of them",
    );
    refused(
        &["pick", "z"],
        &known,
        &[],
        "cannot install pick and z together: what is needed does not go together\n\
         \x20 pick 1 needs x | y\n\
         \x20 x 1 needs missing, and no known package is that\n\
         \x20 y 1 conflicts with z 1\n\
         \x20 hint: `packets sync` fetches the newest index\n\
         \x20 hint: leave out z",
    );
}

#[test]
fn what_stays_loses_nothing() {
    let stands = [installed("b=1", &[]), installed("user", &["b=1"])];
    refused(
        &["b"],
        &[other("b=2", &[])],
        &stands,
        "cannot install b: the installed user 1 needs b=1, and nothing would be that any more\n\
         \x20 hint: `packets upgrade user` may bring a release that needs something else\n\
         \x20 hint: `packets remove user` makes room",
    );
    // What it lacks already it may go on lacking.
    let lacking = [installed("b=1", &[]), installed("user", &["gone"])];
    solved(&["b"], &[other("b=2", &[])], &lacking, &["b"]);
    // A newer release of the one that stays may make it possible.
    let known = [other("b=2", &[]), other("user=2", &["b"])];
    solved(&["b"], &known, &stands, &["b", "user"]);
}

#[test]
fn what_leaves_does_not_come_back() {
    let known = Known {
        loose: vec![candidate("go1", &[]).release("go", 1), candidate("go2", &[]).release("go", 2)],
        ..Known::default()
    };
    let stands = [installed("go1", &[]).release("go", 1), installed("app", &["go1"])];
    let problem = Problem {
        command: "install",
        goals: vec![known.loose[1].clone()],
        installed: &stands,
        leaving: vec![name("go1"), name("go2")],
        kept: Vec::new(),
    };
    let error = Solver::default().resolve(&problem, &known).unwrap_err();
    assert!(error.message().contains("the installed app 1 needs go1"), "{}", text(&error));
}

#[test]
fn m33_of_two_repositories_the_nearer_wins_whatever_the_versions() {
    let format = MemoryFormat::default();
    let row = IndexEntry { version: "99".parse().unwrap(), ..entry("lib") };
    format.write_index("index".as_ref(), &[row]).unwrap();
    let index = Some(format.open_index("index".as_ref()).unwrap());
    let known = Known { loose: vec![candidate("lib=1", &[]), candidate("app", &["lib"])], index, ..Known::default() };
    let goals = vec![find_goal(&name("app"), &known, &Wanted::Refuse).unwrap()];
    let problem = Problem { command: "install", goals, installed: &[], leaving: Vec::new(), kept: Vec::new() };
    let found = Solver::default().resolve(&problem, &known).unwrap();
    assert_eq!(found.chosen[0].candidate.version.as_str(), "1", "M33");
}

fn entry(text: &str) -> IndexEntry {
    IndexEntry {
        name: name(text),
        alias: None,
        version: "1".parse().unwrap(),
        digest: Digest::from_bytes([3; 32]),
        description: String::new(),
        requires: Vec::new(),
        conflicts: Vec::new(),
        provides: Vec::new(),
        mirrors: Vec::new(),
        family: Family::none(),
        serial: 0,
        size: None,
        installed_size: None,
        arch: None,
    }
}

#[test]
fn m33_other_software_of_the_same_name_takes_no_place() {
    let known = [candidate("app", &["lib>=2"]), other("lib=2", &[]).release("foreign", 9)];
    refused(
        &["app"],
        &known,
        &[installed("lib=1", &[]).release("own", 1)],
        "cannot install app: lib 2 would take the place of the installed lib 1\n\
         \x20 app 1 needs lib>=2\n\
         \x20 hint: `packets sync` fetches the newest index",
    );
}

#[test]
fn m33_cycles_self_dependencies_and_self_conflicts() {
    let known = [
        candidate("a", &["b"]),
        candidate("b", &["c"]),
        candidate("c", &["a", "c"]),
        candidate("self", &["self>=1"]).conflicts(&["self"]).provides(&["own"]),
        candidate("own-foe", &[]).conflicts(&["own"]).provides(&["own"]),
        candidate("never", &["never>=2"]),
    ];
    solved(&["a"], &known, &[], &["c", "b", "a"]);
    solved(&["self"], &known, &[], &["self"]);
    solved(&["own-foe"], &known, &[], &["own-foe"]);
    refused(
        &["never"],
        &known,
        &[],
        "cannot install never: it needs never>=2, and no known package is that\n\
         \x20 hint: known is never 1\n\
         \x20 hint: `packets sync` fetches the newest index",
    );
}

#[test]
fn m33_a_chain_of_5000() {
    let link = |at: usize| match at {
        4999 => candidate("p4999", &[]),
        _ => candidate(&format!("p{at}"), &[&format!("p{}", at + 1)]),
    };
    let mut chain: Vec<Candidate> = (0..5000).map(link).collect();
    let found = resolve(&["p0"], &chain, &[]).unwrap();
    assert_eq!((found.chosen.len(), names(&found)[0], names(&found)[4999]), (5000, "p4999", "p0"));
    chain[4999] = candidate("p4999", &["gone"]);
    let error = resolve(&["p0"], &chain, &[]).unwrap_err();
    assert!(text(&error).starts_with("cannot install p0: p4999 1 needs gone, and no known package is that"));
    assert_eq!(error.causes().len(), super::super::limits::SENTENCES + 1, "M33: and no more than anybody reads");
}

/// Pigeons that each need one of the holes, of which each takes one.
fn pigeons(pigeons: usize, holes: usize) -> Vec<Candidate> {
    let mut known = Vec::new();
    for pigeon in 0..pigeons {
        let places: Vec<String> = (0..holes).map(|hole| format!("p{pigeon}h{hole}")).collect();
        known.push(candidate(&format!("p{pigeon}"), &[&places.join(" | ")]));
        for hole in 0..holes {
            let taken = format!("h{hole}");
            known.push(candidate(&format!("p{pigeon}h{hole}"), &[]).conflicts(&[&taken]).provides(&[&taken]));
        }
    }
    let all: Vec<String> = (0..pigeons).map(|pigeon| format!("p{pigeon}")).collect();
    known.push(candidate("all", &all.iter().map(String::as_str).collect::<Vec<_>>()));
    known
}

#[test]
fn m33_ten_pigeons_in_nine_holes_end_within_the_limits() {
    assert_eq!(resolve(&["all"], &pigeons(9, 9), &[]).unwrap().chosen.len(), 19);
    let few = resolve(&["all"], &pigeons(5, 4), &[]).unwrap_err();
    assert!(few.message().starts_with("cannot install all: "), "{}", text(&few));
    let ten = resolve(&["all"], &pigeons(10, 9), &[]).unwrap_err();
    assert!(ten.message().starts_with("cannot install all: ") && ten.causes().len() < 20, "M33 {}", text(&ten));
    let limits = Limits { steps: 500, ..Limits::default() };
    let many = resolve_with(limits, &["all"], &pigeons(10, 9), &[]).unwrap_err();
    assert_eq!(text(&many), text(&resolve_with(limits, &["all"], &pigeons(10, 9), &[]).unwrap_err()));
    assert!(text(&many).contains("given up after 500 steps"), "M33 {}", text(&many));
}

#[test]
fn m33_each_limit_ends_the_search() {
    let chain: Vec<Candidate> = (0..100).map(|at| candidate(&format!("p{at}"), &[&format!("p{}", at + 1)])).collect();
    let all = Limits::default();
    for (limits, says) in [
        (Limits { steps: 10, ..all }, "10 steps"),
        (Limits { time: Duration::ZERO, ..all }, "0 seconds"),
        (Limits { packages: 50, ..all }, "50 packages"),
        (Limits { links: 60, ..all }, "60 links"),
    ] {
        let error = resolve_with(limits, &["p0"], &chain, &[]).unwrap_err();
        assert!(text(&error).contains(says), "M33 {}", text(&error));
    }
}

#[test]
fn m33_a_search_that_needs_all_of_a_limit_ends_well() {
    let chain: Vec<Candidate> = (0..30).map(|at| candidate(&format!("p{at}"), &[&format!("p{}", at + 1)])).collect();
    let chain: Vec<Candidate> = chain.into_iter().chain([candidate("p30", &[])]).collect();
    let all = Limits::default();
    let with: [(&str, &dyn Fn(usize) -> Limits); 3] = [
        ("steps", &|most| Limits { steps: most as u64, ..all }),
        ("packages", &|packages| Limits { packages, ..all }),
        ("links", &|links| Limits { links, ..all }),
    ];
    for (what, limits) in with {
        let fits = |most: &usize| resolve_with(limits(*most), &["p0"], &chain, &[]).is_ok();
        let needed = (1..1000).find(fits).unwrap();
        assert!(needed >= 30 && fits(&(needed + 1)), "{what}: {needed}");
        let error = resolve_with(limits(needed - 1), &["p0"], &chain, &[]).unwrap_err();
        assert!(text(&error).contains(&format!("given up after {} {what}", needed - 1)), "{}", text(&error));
    }
}

#[test]
fn m33_as_many_sentences_as_anybody_reads() {
    let most = super::super::limits::SENTENCES;
    let sentences = |links: usize| {
        let link = |at: usize| candidate(&format!("p{at}"), &[&format!("p{}", at + 1)]);
        let chain: Vec<Candidate> = (0..links).map(link).collect();
        let error = resolve(&["p0"], &chain, &[]).unwrap_err();
        (error.causes().len(), text(&error).contains("more of the kind"))
    };
    // The message itself tells of the last link.
    assert_eq!(sentences(most + 1), (most, false));
    assert_eq!(sentences(most + 2), (most + 1, true), "and one that says how many there are besides");
}

#[test]
fn m33_providing_an_essential_name_takes_nothing_over() {
    let impostor = candidate("impostor", &[]).provides(&["packets", "libc"]);
    let impostor = Candidate { serial: 99, ..impostor };
    let known = [impostor, candidate("app", &["libc", "packets"]), candidate("libc", &[]), candidate("packets", &[])];
    solved(&["app"], &known, &[], &["libc", "packets", "app"]);
    solved(&["app"], &known, &[installed("packets", &[]), installed("libc", &[])], &["app"]);
    // An installed package never gives way to one that only provides its name.
    let known = [known[0].clone().conflicts(&["packets"]), candidate("app", &["impostor"])];
    refused(
        &["app"],
        &known,
        &[installed("packets", &[])],
        "cannot install app: impostor 1 conflicts with the installed packets 1\n\
         \x20 app 1 needs impostor\n\
         \x20 hint: `packets remove packets` makes room",
    );
}

#[derive(Debug, Clone)]
struct Universe {
    known: Vec<Candidate>,
    installed: Vec<InstalledPackage>,
    goals: Vec<usize>,
}

fn universe() -> impl Strategy<Value = Universe> {
    const COUNT: usize = 7;
    let text = || {
        let one = (0..COUNT + 1, 0..4_usize).prop_map(|(at, kind)| match kind {
            0 => format!("n{at}>=2"),
            1 => format!("v{}", at % 3),
            _ => format!("n{at}"),
        });
        proptest::collection::vec(one, 1..3).prop_map(|all| all.join(" | "))
    };
    let package = (
        proptest::collection::vec(text(), 0..3),
        proptest::collection::vec(text(), 0..2),
        proptest::option::of(0..3_usize),
        1..4_u32,
    );
    let goals = proptest::collection::vec(0..COUNT, 1..3);
    (proptest::collection::vec(package.clone(), COUNT), proptest::collection::vec(proptest::option::of(package), COUNT), goals)
        .prop_map(|(known, stands, goals)| {
            let build = |at: usize, (requires, conflicts, provides, version): &(Vec<String>, Vec<String>, Option<usize>, u32)| {
                let strs = |all: &[String]| all.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
                let base = other(&format!("n{at}={version}"), &[]);
                let provides: Vec<_> = provides.iter().map(|at| name(&format!("v{at}"))).collect();
                Candidate { requires: strs(requires), conflicts: strs(conflicts), provides, ..base }
            };
            let stand = |at: usize, one: &_| {
                let like = build(at, one);
                let base = installed(&format!("n{at}={}", like.version), &[]);
                InstalledPackage { requires: like.requires, conflicts: like.conflicts, provides: like.provides, ..base }
            };
            Universe {
                installed: stands.iter().enumerate().filter_map(|(at, one)| Some(stand(at, one.as_ref()?))).collect(),
                known: known.iter().enumerate().map(|(at, one)| build(at, one)).collect(),
                goals,
            }
        })
}

/// The packages of an outcome, as the rules of the resolver see them.
fn outcome<'u>(universe: &'u Universe, new: &BTreeSet<usize>) -> (Vec<&'u Candidate>, Vec<&'u InstalledPackage>) {
    let candidates: Vec<&Candidate> = new.iter().map(|at| &universe.known[*at]).collect();
    let staying = universe.installed.iter().filter(|old| !candidates.iter().any(|new| new.name == old.name)).collect();
    (candidates, staying)
}

fn is_whole(universe: &Universe, new: &BTreeSet<usize>) -> bool {
    let (candidates, staying) = outcome(universe, new);
    let met = |wanted: &_| {
        candidates.iter().any(|one| one.satisfies(wanted)) || staying.iter().any(|one| one.satisfies(wanted))
    };
    let was_met = |wanted: &_| universe.installed.iter().any(|one| one.satisfies(wanted));
    let goal = |at: &usize| universe.goals.contains(at);
    let older = |at: &usize| {
        let old = universe.installed.iter().find(|old| old.name == universe.known[*at].name);
        old.is_some_and(|old| universe.known[*at].version < old.version)
    };
    universe.goals.iter().all(|at| new.contains(at))
        && new.iter().all(|at| goal(at) || !older(at))
        && candidates.iter().all(|one| one.requires.iter().all(met))
        && staying.iter().all(|one| one.requires.iter().all(|wanted| met(wanted) || !was_met(wanted)))
        && candidates.iter().all(|one| {
            let hits = |wanted: &_| {
                candidates.iter().any(|two| two.name != one.name && two.satisfies(wanted))
                    || staying.iter().any(|two| two.satisfies(wanted))
            };
            !one.conflicts.iter().any(hits)
                && !staying.iter().any(|two| two.conflicts.iter().any(|wanted| one.satisfies(wanted)))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// It finds an answer exactly where trying all sets finds one, and the answer is whole.
    #[test]
    fn it_agrees_with_trying_everything(universe in universe()) {
        let goals: Vec<String> = universe.goals.iter().map(|at| format!("n{at}")).collect();
        let goals: Vec<&str> = goals.iter().map(String::as_str).collect();
        let answer = resolve(&goals, &universe.known, &universe.installed);
        let possible = (0..1_usize << universe.known.len())
            .map(|bits| (0..universe.known.len()).filter(|at| bits >> at & 1 == 1).collect::<BTreeSet<usize>>())
            .any(|set| is_whole(&universe, &set));
        match answer {
            Ok(found) => {
                let at = |name: &str| name[1..].parse::<usize>().unwrap();
                let set: BTreeSet<usize> = names(&found).into_iter().map(at).collect();
                prop_assert!(is_whole(&universe, &set), "{:?}", names(&found));
            }
            Err(error) => {
                prop_assert!(!possible, "{}", text(&error));
                prop_assert!(text(&error).contains("cannot install"), "{}", text(&error));
            }
        }
    }
}

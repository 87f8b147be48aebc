//! The solver against a search through all sets of packages.

use packets_host::error::ErrorKind;
use packets_host::plan::{Candidate, Known, Problem, Resolver, Solver, Source};
use packets_plugin_api::ident::{Digest, Family, PackageName};
use packets_plugin_api::requirement::{Constraint, Requirement};

/// Bytes as numbers; 0 behind their end.
struct Numbers<'a>(std::slice::Iter<'a, u8>);

impl Numbers<'_> {
    fn below(&mut self, end: u8) -> u8 {
        self.0.next().copied().unwrap_or(0) % end
    }
}

const MOST: u8 = 7;

fn package(at: u8) -> PackageName {
    format!("p{at}").parse().unwrap()
}

/// A name that some packages have, some provide, and some do neither.
fn requirement(numbers: &mut Numbers<'_>) -> Requirement {
    let mut texts = Vec::new();
    for _ in 0..=numbers.below(2) {
        let name = match numbers.below(MOST + 3) {
            at if at < MOST => format!("p{at}"),
            virtual_name => format!("v{virtual_name}"),
        };
        let sign = ["", "=", ">=", "<=", ">", "<"][usize::from(numbers.below(6))];
        let version = if sign.is_empty() { String::new() } else { (1 + numbers.below(3)).to_string() };
        texts.push(format!("{name}{sign}{version}"));
    }
    texts.join(" | ").parse().unwrap()
}

fn candidates(numbers: &mut Numbers<'_>) -> Vec<Candidate> {
    let count = 1 + numbers.below(MOST);
    let candidate = |at: u8| Candidate {
        name: package(at),
        alias: None,
        version: (1 + numbers.below(3)).to_string().parse().unwrap(),
        requires: (0..numbers.below(4)).map(|_| requirement(numbers)).collect(),
        conflicts: (0..numbers.below(3)).map(|_| requirement(numbers)).collect(),
        provides: (0..numbers.below(3)).map(|_| format!("v{}", MOST + numbers.below(3)).parse().unwrap()).collect(),
        family: Family::none(),
        serial: u64::from(at) + 1,
        arch: None,
        digest: Some(Digest::from_bytes([at; 32])),
        size: None,
        installed_size: None,
        description: String::new(),
        from: Source::Index(Vec::new()),
    };
    (0..count).map(candidate).collect()
}

fn answers(candidate: &Candidate, constraint: &Constraint) -> bool {
    candidate.name == constraint.name && constraint.admits(&candidate.version)
        || constraint.version.is_none() && candidate.provides.contains(&constraint.name)
}

/// Whether every package of the set (a bit each) has what it needs and none conflicts with another.
fn is_whole(all: &[Candidate], set: u32) -> bool {
    let of_set = || all.iter().enumerate().filter(move |(at, _)| set & (1 << at) != 0);
    let answered = |wanted: &Requirement, but: usize| {
        of_set().any(|(at, one)| at != but && wanted.alternatives().iter().any(|any| answers(one, any)))
    };
    of_set().all(|(at, one)| {
        one.requires.iter().all(|wanted| answered(wanted, usize::MAX))
            && one.conflicts.iter().all(|wanted| !answered(wanted, at))
    })
}

pub(super) fn solver(bytes: &[u8]) {
    let mut numbers = Numbers(bytes.iter());
    let all = candidates(&mut numbers);
    let goals = u32::from(numbers.below(u8::MAX)) % (1 << all.len());
    let goals = if goals == 0 { 1 } else { goals };
    let wanted: Vec<Candidate> =
        all.iter().enumerate().filter(|(at, _)| goals & (1 << at) != 0).map(|(_, one)| one.clone()).collect();
    let known = Known { loose: all.clone(), ..Known::default() };
    let leaving = wanted.iter().map(|one| one.name.clone()).collect();
    let problem = Problem { command: "install", goals: wanted, installed: &[], leaving, kept: Vec::new() };
    let exists = || (0..1_u32 << all.len()).any(|set| set & goals == goals && is_whole(&all, set));
    match Solver::default().resolve(&problem, &known) {
        Ok(resolution) => {
            let at = |name: &PackageName| all.iter().position(|one| one.name == *name).unwrap();
            let chosen = resolution.chosen.iter().map(|one| at(&one.candidate.name));
            let set = chosen.fold(0_u32, |set, at| set | 1 << at);
            assert_eq!(set.count_ones() as usize, resolution.chosen.len(), "each once");
            assert!(set & goals == goals && is_whole(&all, set), "{set:b} for {goals:b} of {all:#?}");
            let again = Solver::default().resolve(&problem, &known).expect("the same problem has an answer twice");
            assert_eq!(again, resolution);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Request, "{error}");
            assert!(!exists(), "refused, and there is an answer: {error}\n{goals:b} of {all:#?}");
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![3, 1, 1, 0, 1, 0, 0, 2, 0, 0, 0, 1],
        (0..120_u8).map(|at| at.wrapping_mul(37)).collect(),
        (0..60).collect(),
    ]
}

//! Transfers that broke off, in this run or an earlier one.

use super::*;

const HALF: usize = 80_000;

fn first_half() -> Vec<u8> {
    good()[..HALF].to_vec()
}

fn garbage(length: usize) -> Vec<u8> {
    vec![b'?'; length]
}

fn then(now: Behaviour, later: Behaviour) -> Behaviour {
    Behaviour::Then(Box::new(now), Box::new(later))
}

/// What an earlier run has left in the cache.
fn leave(bench: &Bench, bytes: &[u8]) {
    let path = bench.home.path().join(format!(".partial-{}", want(&[]).digest));
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn n18_a_broken_transfer_goes_on_where_it_broke() {
    let bench = Bench::new(&[("fake:a", then(Behaviour::Breaking(first_half()), Behaviour::Whole(good())))]);
    assert_eq!(content(&bench.fetch(&want(&["fake:a"])).unwrap()), good());
    assert_eq!(bench.openings(), ["a@0", "a@80000"]);
    assert_eq!((bench.log.count("retry"), bench.cached().len()), (1, 1));
    assert_eq!(bench.log.count(&format!("progress {}", good().len())), 1);
}

#[test]
fn n18_another_place_goes_on_where_one_broke() {
    for want in [want(&["fake:a", "fake:b"]), unsized_want(&["fake:a", "fake:b"])] {
        let bench = Bench::new(&[("fake:a", Behaviour::Breaking(first_half())), ("fake:b", Behaviour::Whole(good()))]);
        assert_eq!(content(&bench.fetch(&want).unwrap()), good());
        assert_eq!(bench.openings(), ["a@0", "b@80000"]);
    }
}

#[test]
fn n18_a_place_that_cannot_go_on_begins_anew() {
    let bench = Bench::new(&[("fake:a", Behaviour::Breaking(first_half())), ("fake:b", Behaviour::NoRange(good()))]);
    assert_eq!(content(&bench.fetch(&want(&["fake:a", "fake:b"])).unwrap()), good());
    assert_eq!(bench.openings(), ["a@0", "b@80000", "b@0"]);
    assert_eq!(bench.log.count("progress 0"), 1, "what came before counts no more");
}

#[test]
fn n10_a_poisoned_beginning_is_not_kept() {
    // It breaks off, so nobody knows yet what it gave; what another one adds is wrong with it.
    let poison = [garbage(1000), good()[1000..HALF].to_vec()].concat();
    for later in [Behaviour::Breaking(poison.clone()), Behaviour::Whole(poison.clone()), Behaviour::Endless(b'?')] {
        let bench = Bench::new(&[
            ("fake:liar", then(Behaviour::Breaking(poison.clone()), later)),
            ("fake:good", Behaviour::Whole(good())),
        ]);
        let fetched = bench.fetch(&want(&["fake:liar", "fake:good"])).unwrap();
        assert_eq!(content(&fetched), good());
        let openings = bench.openings();
        assert_eq!(openings[..2], ["liar@0", "good@80000"]);
        assert_eq!(openings.last().unwrap(), "good@0", "only what it gave itself: {openings:?}");
        assert!(openings.len() <= 5, "{openings:?}");
        assert_eq!(bench.cached().len(), 1);
    }
}

#[test]
fn n10_garbage_at_the_end_costs_one_transfer() {
    let mut liar = good();
    liar[158_000..].fill(b'?');
    let bench = Bench::new(&[("fake:liar", Behaviour::Whole(liar)), ("fake:good", Behaviour::Whole(good()))]);
    assert_eq!(content(&bench.fetch(&want(&["fake:liar", "fake:good"])).unwrap()), good());
    assert_eq!(bench.openings(), ["liar@0", "good@0"]);
}

#[test]
fn n10_two_liars_cannot_block_a_good_place() {
    let poison = Behaviour::Breaking(garbage(HALF));
    let bench = Bench::new(&[
        ("fake:one", poison.clone()),
        ("fake:two", poison),
        ("fake:good", then(Behaviour::Breaking(first_half()), Behaviour::Whole(good()))),
    ]);
    assert_eq!(content(&bench.fetch(&want(&["fake:one", "fake:two", "fake:good"])).unwrap()), good());
    assert!(bench.openings().len() <= 3 * bench.limits.tries as usize, "{:?}", bench.openings());
}

#[test]
fn c29_what_a_killed_run_left_is_hashed_and_continued() {
    let longer = [good(), vec![b'x']].concat();
    let poisoned = garbage(HALF);
    for (left, openings) in [
        (first_half(), vec!["a@80000"]),
        (Vec::new(), vec!["a@0"]),
        (poisoned, vec!["a@80000", "a@0"]),
        (longer, vec!["a@0"]),
        (garbage(good().len()), vec!["a@160000", "a@0"]),
    ] {
        let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
        leave(&bench, &left);
        let fetched = bench.fetch(&want(&["fake:a"])).unwrap();
        assert_eq!((fetched.source(), content(&fetched)), ("fake", good()));
        assert_eq!(bench.openings(), openings, "{} bytes were left", left.len());
        assert_eq!(bench.cached(), [Cache::file_name(&want(&[]).digest)]);
    }
}

#[test]
fn c29_what_was_complete_needs_no_place() {
    for want in [want(&["fake:a"]), unsized_want(&["fake:a"])] {
        let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
        leave(&bench, &good());
        let fetched = bench.fetch(&want).unwrap();
        assert_eq!((fetched.source(), content(&fetched)), ("cache", good()));
        assert!(bench.openings().is_empty());
        assert_eq!(bench.cached(), [Cache::file_name(&want.digest)]);
    }
}

#[test]
fn n18_what_was_left_is_longer_than_a_file_of_unknown_size() {
    let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
    leave(&bench, &[good(), garbage(10)].concat());
    assert_eq!(content(&bench.fetch(&unsized_want(&["fake:a"])).unwrap()), good());
    assert_eq!(bench.openings(), ["a@160010", "a@0"]);
}

#[test]
fn n18_a_run_that_failed_leaves_its_part_to_the_next() {
    let mut bench = Bench::new(&[("fake:a", Behaviour::Breaking(first_half()))]);
    bench.limits.tries = 1;
    assert_eq!(bench.fetch(&want(&["fake:a"])).unwrap_err().kind(), ErrorKind::Network);
    bench.fake.set("fake:a", Behaviour::Whole(good()));
    assert_eq!(content(&bench.fetch(&want(&["fake:a"])).unwrap()), good());
    assert_eq!(bench.openings(), ["a@0", "a@80000"]);
}

#[test]
fn m14_the_rest_is_bounded_by_what_is_missing() {
    let rest = good().len() - HALF;
    for (behaviour, fits) in [
        (Behaviour::Announcing(good(), rest as u64), true),
        (Behaviour::Announcing(good(), rest as u64 + 1), false),
        (Behaviour::Announcing(good(), rest as u64 - 1), false),
        (Behaviour::Announcing(good(), u64::MAX), false),
        (Behaviour::Unannounced([good(), garbage(1)].concat()), false),
        (Behaviour::Endless(b' '), false),
    ] {
        let bench = Bench::new(&[("fake:a", behaviour.clone())]);
        leave(&bench, &first_half());
        let outcome = bench.fetch(&want(&["fake:a"]));
        assert_eq!(outcome.is_ok(), fits, "{:.40}", format!("{behaviour:?}"));
    }
}

#[test]
fn n11_all_bytes_are_enough_whatever_comes_instead_of_the_end() {
    let bench = Bench::new(&[("fake:a", Behaviour::Breaking(good()))]);
    assert_eq!(content(&bench.fetch(&want(&["fake:a"])).unwrap()), good());
    assert_eq!(bench.openings(), ["a@0"]);
}

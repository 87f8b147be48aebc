//! Who has a place, and who makes room for a newcomer: so many of one address, and so many in all (N25, N27).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, getrlimit};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::line::{Line, Rest};
use crate::limits::{MAX_CONNECTIONS, MAX_CONNECTIONS_OF_ONE, WIDE_CONNECTIONS};

/// Handles that a server has open besides.
const OTHER_HANDLES: u64 = 32;

/// How many places there are: a connection needs a handle, and one for the file that it is given.
pub(super) fn places() -> usize {
    let handles = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let places = usize::try_from(handles.saturating_sub(OTHER_HANDLES) / 2).unwrap_or(MAX_CONNECTIONS);
    places.clamp(1, MAX_CONNECTIONS)
}

/// Who is connected.
pub(super) struct Guests {
    places: usize,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    next: u64,
    there: BTreeMap<u64, Place>,
}

struct Place {
    address: IpAddr,
    line: Arc<Line>,
    task: Option<AbortHandle>,
}

/// One connection; its place is free when this is dropped.
pub(super) struct Guest {
    guests: Arc<Guests>,
    number: u64,
    line: Arc<Line>,
}

impl Guest {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.guests.all().there.remove(&self.number);
    }
}

impl Guests {
    pub(super) fn new(places: usize) -> Self {
        Self { places, all: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(guests: &Arc<Self>, address: IpAddr, stream: TcpStream) -> Option<Guest> {
        let mut all = guests.all();
        let own = all.there.values().filter(|place| place.address == address).count();
        match choose(address, own, all.there.len(), guests.places, || all.seen()) {
            Choice::Free => {}
            Choice::Instead(number) => all.sends_away(number),
            Choice::None => return None,
        }
        let (number, line) = (all.next, Arc::new(Line::new(stream)));
        all.next += 1;
        all.there.insert(number, Place { address, line: line.clone(), task: None });
        // A few may have as much of the kernel's memory as they can use: what a long way needs to be full. Many may not.
        match all.there.len() {
            ..=WIDE_CONNECTIONS => {}
            many if many == WIDE_CONNECTIONS + 1 => all.there.values().for_each(|place| place.line.is_narrow()),
            _ => line.is_narrow(),
        }
        Some(Guest { guests: guests.clone(), number, line })
    }

    /// By this the guest is told to leave.
    pub(super) fn can_leave(&self, number: u64, task: AbortHandle) {
        if let Some(place) = self.all().there.get_mut(&number) {
            place.task = Some(task);
        }
    }

    /// Tells somebody to leave who is not given anything; whether there was somebody.
    pub(super) fn make_room(&self) -> bool {
        let mut all = self.all();
        let leaving = leaving(&all.seen(), 0).filter(|seen| matches!(seen.rest, Rest::Idle(_))).map(|seen| seen.number);
        leaving.is_some_and(|number| {
            all.sends_away(number);
            true
        })
    }
}

impl All {
    fn seen(&self) -> Vec<Seen> {
        let seen =
            |(number, place): (&u64, &Place)| Seen { number: *number, address: place.address, rest: place.line.rest() };
        self.there.iter().map(seen).collect()
    }

    fn sends_away(&mut self, number: u64) {
        if let Some(place) = self.there.remove(&number) {
            place.line.forget();
            if let Some(task) = place.task {
                task.abort();
            }
        }
    }
}

/// What is seen of somebody who is there.
#[derive(Debug, Clone, Copy)]
struct Seen {
    number: u64,
    address: IpAddr,
    rest: Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Free,
    /// The place of this one.
    Instead(u64),
    None,
}

/// The place that a newcomer gets, whose address has so many. The others are looked at only where one must leave.
fn choose(address: IpAddr, own: usize, all: usize, places: usize, seen: impl FnOnce() -> Vec<Seen>) -> Choice {
    let has_share = own >= MAX_CONNECTIONS_OF_ONE.min(places);
    if !has_share && all < places {
        return Choice::Free;
    }
    let mut there = seen();
    if has_share {
        there.retain(|seen| seen.address == address);
    }
    let leaving = leaving(&there, if has_share { 0 } else { own });
    leaving.map_or(Choice::None, |seen| Choice::Instead(seen.number))
}

/// Who can best be done without, of the address that has most; no address loses a place to one that has as many.
fn leaving(there: &[Seen], own: usize) -> Option<&Seen> {
    let mut counts = BTreeMap::<IpAddr, usize>::new();
    for seen in there {
        *counts.entry(seen.address).or_default() += 1;
    }
    let order = |seen: &&Seen| {
        let use_made = match seen.rest {
            Rest::Idle(_) => 0,
            Rest::Slow(_) => 1,
            Rest::Paced(_) | Rest::Busy => 2,
        };
        (use_made, usize::MAX - counts[&seen.address], seen.rest, seen.number)
    };
    there.iter().filter(|seen| seen.rest != Rest::Busy && counts[&seen.address] > own).min_by_key(order)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::limits::SEND_BUFFER;

    fn address(number: usize) -> IpAddr {
        IpAddr::from([10, 0, 0, u8::try_from(number).unwrap()])
    }

    /// So many of an address; each began a second before the next one.
    fn of(number: usize, count: usize, rest: fn(Instant) -> Rest, begun: Instant) -> Vec<Seen> {
        let seen = |at: usize| Seen {
            number: (number * 1000 + at) as u64,
            address: address(number),
            rest: rest(begun + Duration::from_secs(at as u64)),
        };
        (0..count).map(seen).collect()
    }

    fn busy(_: Instant) -> Rest {
        Rest::Busy
    }

    /// Everybody of so many addresses, each with all that it may have.
    fn full(rest: fn(Instant) -> Rest) -> Vec<Seen> {
        let addresses = 1..=MAX_CONNECTIONS / MAX_CONNECTIONS_OF_ONE;
        let begun = Instant::now();
        addresses.flat_map(|number| of(number, MAX_CONNECTIONS_OF_ONE, rest, begun)).collect()
    }

    fn chosen(there: &[Seen], number: usize) -> Choice {
        chosen_of(there, number, MAX_CONNECTIONS)
    }

    fn chosen_of(there: &[Seen], number: usize, places: usize) -> Choice {
        let own = there.iter().filter(|seen| seen.address == address(number)).count();
        choose(address(number), own, there.len(), places, || there.to_vec())
    }

    #[test]
    fn n25_n27_connections_up_to_a_bound_of_one_and_of_all() {
        let now = Instant::now();
        let mut there = of(1, MAX_CONNECTIONS_OF_ONE - 1, busy, now);
        assert_eq!(chosen(&there, 1), Choice::Free);
        there = of(1, MAX_CONNECTIONS_OF_ONE, busy, now);
        assert_eq!(chosen(&there, 1), Choice::None, "one address has its share");
        assert_eq!(chosen(&there, 2), Choice::Free, "another one does not suffer");
        there = full(busy);
        assert_eq!((there.len(), chosen(&there, 100)), (MAX_CONNECTIONS, Choice::None), "all places are taken");
        there.pop();
        assert_eq!(chosen(&there, 100), Choice::Free);
        assert_eq!(chosen_of(&[], 1, 1), Choice::Free);
        assert_eq!(chosen_of(&of(1, 1, busy, now), 1, 1), Choice::None, "where there is one place");
    }

    #[test]
    fn n26_a_few_have_what_their_way_needs_and_many_have_not() {
        let runtime = super::super::runtime().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let guests = Arc::new(Guests::new(MAX_CONNECTIONS));
            let (mut clients, mut there) = (Vec::new(), Vec::new());
            // The kernel counts twice what it was asked for.
            let narrow = |there: &[Guest]| there.iter().filter(|guest| guest.line().room() == 2 * SEND_BUFFER).count();
            for number in 1..=WIDE_CONNECTIONS + 2 {
                clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
                let (stream, _) = listener.accept().await.unwrap();
                there.push(Guests::enter(&guests, address(number), stream).unwrap());
                assert_eq!(narrow(&there), if number <= WIDE_CONNECTIONS { 0 } else { number }, "of {number}");
            }
        });
    }

    #[test]
    fn n25_who_does_nothing_for_longest_makes_room() {
        let there = full(Rest::Idle);
        assert_eq!(chosen(&there, 1), Choice::Instead(1000), "its own first one");
        assert_eq!(chosen(&there, 100), Choice::Instead(1000), "the first one of all");
        let mut mixed = full(busy);
        mixed[70].rest = Rest::Idle(Instant::now());
        assert_eq!(chosen(&mixed, 1), Choice::None, "of others it takes nothing");
        assert_eq!(chosen(&mixed, 100), Choice::Instead(mixed[70].number), "who is given something stays");
    }

    #[test]
    fn n26_who_takes_little_makes_room_after_all_who_do_nothing() {
        let mut there = full(Rest::Slow);
        assert_eq!(chosen(&there, 100), Choice::Instead(1000));
        let later = Instant::now() + Duration::from_secs(1000);
        there[200].rest = Rest::Idle(later);
        assert_eq!(chosen(&there, 100), Choice::Instead(there[200].number));
    }

    #[test]
    fn n27_the_slowest_makes_room_where_all_take_just_enough() {
        let mut there = full(|_| Rest::Paced(1 << 16));
        there[70].rest = Rest::Paced(40_000);
        assert_eq!(chosen(&there, 100), Choice::Instead(there[70].number));
        there[200].rest = Rest::Slow(Instant::now());
        assert_eq!(chosen(&there, 100), Choice::Instead(there[200].number), "after all who take less");
        // An address of its own for each, and one with two.
        let now = Instant::now();
        let mut there: Vec<Seen> = (1..=50).flat_map(|number| of(number, 1, |_| Rest::Paced(40_000), now)).collect();
        there[20].rest = Rest::Paced(39_000);
        assert_eq!(chosen_of(&there, 100, 50), Choice::Instead(there[20].number));
        there.extend(of(60, 2, |_| Rest::Paced(900_000), now));
        assert_eq!(chosen_of(&there, 100, 52), Choice::Instead(60_000), "who has most");
    }

    #[test]
    fn n25_the_address_with_most_makes_room() {
        let now = Instant::now();
        let (few, many) = (of(1, 2, Rest::Idle, now), of(2, 3, Rest::Idle, now + Duration::from_secs(60)));
        let there = [few, many].concat();
        let choose = |own| leaving(&there, own).map(|seen| seen.number);
        assert_eq!([choose(0), choose(2)], [Some(2000), Some(2000)]);
        assert_eq!(choose(3), None, "nobody has more than who comes");
    }
}

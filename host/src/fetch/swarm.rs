//! A file that several places give at once.
//!
//! The one that answered first goes on giving what it gives; others get parts further on, each as much as it can give
//! in a second, and whoever is free takes over a share of what a slower one still has. Of a small file a peer gives all,
//! unless it turns out to be slow: then the others join. One thread, this one, decides
//! and writes; each partner has one that asks and reads. What comes before its turn waits in [`Ahead`].
//! Whether the bytes are right is seen when all are there, by [`Download`].

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use packets_plugin_api::fetch::Opened;

use super::ahead::Ahead;
use super::buffers::Buffers;
use super::download::Download;
use super::hosts::Lent;
use super::limits::{HEAD_START, LEAST_PIECE, NEAR_DECENT, NEAR_REST, TOGETHER};
use super::pace::Pace;
use super::partner::{self, Message, News, Task};
use super::pieces::{Pieces, length_for, share_of};
use super::places::{Invited, Places};
use super::problem::Problem;
use super::transfer::{Floor, PROGRESS_STEP};

/// How often it is looked whether somebody is too slow, or can be invited.
const TICK: Duration = Duration::from_millis(50);
/// Messages that wait to be written.
const QUEUE: usize = 8;

/// How it ended, other than by our own disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All bytes have come.
    Whole,
    /// Nobody gives any more.
    Alone,
}

/// See the module.
pub(super) struct Swarm<'s, 'd, 'p> {
    download: &'s mut Download<'d>,
    places: &'s mut Places<'p>,
    progress: &'s mut dyn FnMut(u64),
    told: u64,
    size: u64,
    pieces: Pieces,
    ahead: Ahead,
    /// All that ever took part, by their numbers.
    partners: Vec<Partner>,
    /// Places that do not come back while others are there.
    dismissed: Vec<usize>,
    /// Whether others join, or only where the first one is slow.
    has_others: bool,
    /// Whether a place that is not near was left out since it gives no parts.
    far_gives_whole: bool,
    sender: SyncSender<Message>,
    receiver: Receiver<Message>,
    buffers: Buffers,
}

struct Partner {
    place: usize,
    joined: Instant,
    /// Bytes.
    given: u64,
    /// None where it takes no part any more.
    tasks: Option<Sender<Task>>,
    /// Held until it has nothing to read any more, or is too slow: that it hangs in a read for a while yet, where its place
    /// says nothing, is not waited for and is no transfer (N12).
    slot: Lent,
    is_busy: bool,
    /// Whether there was nothing for it to do.
    is_idle: bool,
    /// Where the task ends that it is at.
    end: Arc<AtomicU64>,
    /// How far it could go on without being asked again.
    reach: u64,
    pace: Pace,
    floor: Floor,
}

impl Partner {
    /// Bytes a second since it joined.
    fn mean(&self, now: Instant) -> f64 {
        self.given as f64 / now.saturating_duration_since(self.joined).as_secs_f64().max(1e-6)
    }
}

impl<'s, 'd, 'p> Swarm<'s, 'd, 'p> {
    /// Of what is missing of a download whose size is known. `progress` hears now and then how many bytes there are.
    pub(super) fn new(
        download: &'s mut Download<'d>,
        places: &'s mut Places<'p>,
        missing: Range<u64>,
        progress: &'s mut dyn FnMut(u64),
    ) -> Self {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        Self {
            ahead: Ahead::default(),
            download,
            places,
            progress,
            told: missing.start,
            size: missing.end,
            has_others: missing.end - missing.start > TOGETHER,
            far_gives_whole: false,
            pieces: Pieces::of(missing),
            partners: Vec::new(),
            dismissed: Vec::new(),
            sender,
            receiver,
            buffers: Buffers::default(),
        }
    }

    /// Beginning with one that gives all that is missing, until all has come or nobody gives any more.
    ///
    /// # Errors
    /// Only those of our own disk.
    pub(super) fn run(mut self, first: Invited, opened: Opened) -> Result<End, Problem> {
        self.join(first, Some(opened));
        let mut ticked = None;
        loop {
            if ticked.is_none_or(|ticked: Instant| ticked.elapsed() >= TICK) {
                ticked = Some(Instant::now());
                self.dismiss_the_slow();
                if self.wants_others() {
                    self.invite();
                    self.give_way();
                }
            }
            self.employ();
            if !self.partners.iter().any(|partner| partner.is_busy) || self.download.is_alone() {
                return Ok(End::Alone);
            }
            if let Ok(message) = self.receiver.recv_timeout(TICK) {
                self.hear(message)?;
            }
            if self.download.size() == self.size {
                (self.progress)(self.size);
                return Ok(End::Whole);
            }
        }
    }

    /// Whether others are to join: at once where much is missing, else when the first one turns out to be slow.
    fn wants_others(&mut self) -> bool {
        let Some(first) = self.partners.first().filter(|first| !self.has_others && first.tasks.is_some()) else {
            return self.has_others;
        };
        let now = Instant::now();
        let (speed, left) = (first.mean(now), self.left() as f64);
        let is_slow = left > speed * NEAR_REST.as_secs_f64() || first.pace.silent_for(now) >= NEAR_REST;
        if now.saturating_duration_since(first.joined) >= HEAD_START && is_slow {
            self.has_others = true;
            if speed < NEAR_DECENT as f64 {
                self.places.was_slow(first.place);
            }
        }
        self.has_others
    }

    /// Bytes that have not come.
    fn left(&self) -> u64 {
        self.size.saturating_sub(self.download.size() + self.ahead.size())
    }

    /// Slow peers alone, where somebody who is not near is left out for giving no parts: then that one gives all of it.
    fn give_way(&mut self) {
        if !self.far_gives_whole || self.taking_part().any(|partner| !self.places.is_near(partner.place)) {
            return;
        }
        let now = Instant::now();
        let speed: f64 = self.taking_part().map(|partner| partner.mean(now)).sum();
        if speed < NEAR_DECENT as f64 && self.left() as f64 > speed * NEAR_REST.as_secs_f64() {
            for number in
                (0..self.partners.len()).filter(|number| self.partners[*number].tasks.is_some()).collect::<Vec<_>>()
            {
                self.failed(number, Problem::TooSlow(speed as u64));
            }
        }
    }

    /// Lets others join as long as there is something to do.
    fn invite(&mut self) {
        while !self.download.is_alone() {
            let taking_part: Vec<usize> = self.taking_part().map(|partner| partner.place).collect();
            let Some(invited) = self.places.next_partner(&taking_part, &self.dismissed) else { return };
            self.join(invited, None);
        }
    }

    fn taking_part(&self) -> impl Iterator<Item = &Partner> {
        self.partners.iter().filter(|partner| partner.tasks.is_some())
    }

    /// One more partner; with what it gives already, it is at work.
    fn join(&mut self, invited: Invited, opened: Option<Opened>) {
        let Invited { place, source, candidate, slot } = invited;
        let (number, now) = (self.partners.len(), Instant::now());
        let (tasks, to_do) = mpsc::channel();
        let slot = Lent::new(slot);
        let (size, into, buffers) = (self.size, self.sender.clone(), self.buffers.clone());
        let partner = partner::Partner { number, source, candidate, size, into, buffers, slot: slot.clone() };
        if thread::Builder::new().name("fetch".to_owned()).spawn(move || partner.work(&to_do)).is_err() {
            // No thread to spare: one place at a time needs none.
            self.download.stay_alone();
            return;
        }
        let floor = Floor::new(self.places.slowest_for(place));
        self.partners.push(Partner {
            place,
            joined: now,
            given: 0,
            tasks: Some(tasks),
            slot,
            is_busy: false,
            is_idle: false,
            end: Arc::default(),
            reach: 0,
            pace: Pace::new(now),
            floor,
        });
        // One that is alone goes on to the end, and others take their shares of that.
        let most = if self.has_others { LEAST_PIECE } else { u64::MAX };
        if opened.is_some()
            && let Some(range) = self.pieces.assign(number, most)
        {
            self.send(number, range, opened);
        }
    }

    fn send(&mut self, number: usize, range: Range<u64>, opened: Option<Opened>) {
        let slowest = self.places.slowest_for(self.partners[number].place);
        let partner = &mut self.partners[number];
        partner.pace.begin(Instant::now());
        if std::mem::take(&mut partner.is_idle) {
            partner.floor = Floor::new(slowest);
        }
        (partner.is_busy, partner.reach, partner.end) = (true, 0, Arc::new(AtomicU64::new(range.end)));
        let task = Task { range, end: partner.end.clone(), opened };
        if partner.tasks.as_ref().is_none_or(|tasks| tasks.send(task).is_err()) {
            self.leave(number);
        }
    }

    /// Gives those something to do that have nothing.
    fn employ(&mut self) {
        let now = Instant::now();
        for number in 0..self.partners.len() {
            let partner = &self.partners[number];
            if partner.tasks.is_none() || partner.is_busy {
                continue;
            }
            let most = length_for(partner.pace.usual());
            let task = self.pieces.task(number).or_else(|| self.pieces.assign(number, most));
            match task.or_else(|| self.take_over(number, now)) {
                Some(range) => self.send(number, range, None),
                None => self.partners[number].is_idle = true,
            }
        }
    }

    /// A share of what that one has to give yet who would be the last to be ready.
    fn take_over(&mut self, number: usize, now: Instant) -> Option<Range<u64>> {
        let speed = |of: usize| self.partners[of].pace.speed(now);
        let time = |left: u64, of: usize| left as f64 / speed(of).unwrap_or(f64::MAX).max(f64::MIN_POSITIVE);
        let shares = self.pieces.tasks().map(|(of, task)| {
            let left = task.end - task.start;
            (of, left, share_of(left, speed(of), self.partners[number].pace.usual()))
        });
        let worth = shares.filter(|(_, _, share)| *share > 0);
        let (of, left, share) = worth.max_by(|one, other| time(one.1, one.0).total_cmp(&time(other.1, other.0)))?;
        let range = self.pieces.share(of, number, share)?;
        self.partners[of].end.store(range.start, Ordering::SeqCst);
        if share == left {
            let (place, is_silent) = (self.partners[of].place, self.partners[of].pace.is_silent());
            self.dismissed.push(place);
            self.leave(of);
            self.partners[of].slot.give_back();
            self.places.was_slow(place);
            if is_silent {
                self.places.was_silent(place);
            }
        }
        Some(range)
    }

    fn hear(&mut self, message: Message) -> Result<(), Problem> {
        let Message { partner: number, news } = message;
        let partner = &mut self.partners[number];
        if partner.tasks.is_none() {
            return Ok(());
        }
        match news {
            News::Opened(reach) => partner.reach = reach,
            News::Bytes(piece, length) => return self.came(number, piece, length),
            News::Done => {
                partner.is_busy = false;
                partner.pace.begin(Instant::now());
            }
            News::NoParts => self.gives_no_parts(number),
            News::Failed(problem) => self.failed(number, problem),
        }
        Ok(())
    }

    /// It can only begin anew. The one that answered first does that, alone, where the others are slower together.
    fn gives_no_parts(&mut self, number: usize) {
        let now = Instant::now();
        let speed = |partner: &Partner| partner.pace.speed(now).unwrap_or_default();
        let its = speed(&self.partners[number]);
        self.leave(number);
        let place = self.partners[number].place;
        self.dismissed.push(place);
        self.far_gives_whole |= !self.places.is_near(place);
        if number == 0 && self.taking_part().map(speed).sum::<f64>() < its {
            self.download.stay_alone();
        }
    }

    /// Bytes came: written where they belong, or kept until it is their turn.
    fn came(&mut self, number: usize, piece: Vec<u8>, length: usize) -> Result<(), Problem> {
        let Some(task) = self.pieces.task(number) else { return Ok(()) };
        let accepted = self.pieces.came(number, length as u64);
        let length = usize::try_from(accepted).unwrap_or_default();
        let partner = &mut self.partners[number];
        partner.given += accepted;
        partner.pace.came(accepted, Instant::now());
        self.places.went_on();
        // Whether it is too slow is looked at with every tick.
        let _ = partner.floor.passed(accepted);
        let place = partner.place;
        if task.start == self.download.size() {
            if let Err(error) = self.append(piece, length, place).and_then(|()| self.write_what_waits()) {
                return self.no_room(error);
            }
        } else if self.ahead.put(task.start, &piece[..length], place, || self.download.scratch()).is_err() {
            // What comes in order needs no second file.
            self.download.stay_alone();
            return Ok(());
        } else {
            self.buffers.give_back(piece);
        }
        self.pieces.written(self.download.size());
        self.go_on(number);
        let all = self.download.size() + self.ahead.size();
        if all.saturating_sub(self.told) >= PROGRESS_STEP {
            self.told = all;
            (self.progress)(all);
        }
        Ok(())
    }

    fn write_what_waits(&mut self) -> io::Result<()> {
        if self.ahead.size() == 0 {
            return Ok(());
        }
        loop {
            let mut room = self.buffers.take();
            let Some((length, giver)) = self.ahead.take(self.download.size(), &mut room)? else {
                self.buffers.give_back(room);
                return Ok(());
            };
            self.append(room, length, giver)?;
        }
    }

    fn append(&mut self, piece: Vec<u8>, length: usize, place: usize) -> io::Result<()> {
        let used = self.download.append(piece, length, place)?;
        used.into_iter().for_each(|used| self.buffers.give_back(used));
        Ok(())
    }

    /// Where there is none for both files there may be for one.
    fn no_room(&mut self, error: io::Error) -> Result<(), Problem> {
        if !self.ahead.was_used() {
            return Err(Problem::disk(error));
        }
        self.download.stay_alone();
        Ok(())
    }

    /// One whose place gives more than it was asked for need not be asked again, as long as what it gives waits.
    fn go_on(&mut self, number: usize) {
        let Some(task) = self.pieces.task(number) else { return };
        let partner = &self.partners[number];
        let more = partner.reach.saturating_sub(task.end).min(LEAST_PIECE);
        if more > 0
            && task.end - task.start < LEAST_PIECE
            && let Some(end) = self.pieces.extend(number, more)
        {
            partner.end.store(end, Ordering::SeqCst);
        }
    }

    fn dismiss_the_slow(&mut self) {
        for number in 0..self.partners.len() {
            if self.partners[number].tasks.is_none() || !self.partners[number].is_busy {
                continue;
            }
            let slowest = self.places.slowest_for(self.partners[number].place);
            let floor = &mut self.partners[number].floor;
            floor.must_be(slowest);
            if let Err(stopped) = floor.passed(0) {
                self.partners[number].slot.give_back();
                self.failed(number, stopped.into());
            }
        }
    }

    fn failed(&mut self, number: usize, problem: Problem) {
        self.leave(number);
        let Partner { place, given, .. } = self.partners[number];
        self.places.gave(place, given);
        self.places.failed(place, problem);
    }

    /// It takes no part any more; what it was to give waits.
    fn leave(&mut self, number: usize) {
        self.pieces.give_back(number);
        let partner = &mut self.partners[number];
        partner.end.store(0, Ordering::SeqCst);
        (partner.tasks, partner.is_busy) = (None, false);
    }
}

impl Drop for Swarm<'_, '_, '_> {
    fn drop(&mut self) {
        for number in 0..self.partners.len() {
            self.leave(number);
        }
    }
}

//! How far the work is while it lasts: bars at a terminal, and nothing anywhere else.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use packets_plugin_api::ident::PackageName;

use crate::report::Event;

/// What is done sooner than this shows no bar.
const DELAY: Duration = Duration::from_millis(100);
/// How often they are drawn anew.
const PERIOD: Duration = Duration::from_millis(100);
/// The same, a second.
const RATE: u8 = 10;
/// How often the curtain is tried to be drawn, within one period.
const TRIES: u32 = 10;
/// Where the size of a terminal is not known.
const WIDTH: u16 = 80;
/// Columns that stay free: a terminal echoes `^C` behind the bars, and must not go on to the next line with it.
const ECHO: u16 = 3;

const BYTES: &str = "{prefix:<9} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}";
const BYTES_OF_NOBODY_KNOWS: &str = "{prefix:<9} {bytes} {bytes_per_sec} {wide_msg}";
const COUNT: &str = "{prefix:<9} [{bar:24}] {pos}/{len} packages {wide_msg}";
const WORDS: &str = "{prefix:<9} {wide_msg}";

/// The bars, which are gone with this value.
#[derive(Debug)]
pub(super) struct Progress {
    bars: MultiProgress,
    shown: Arc<Shown>,
}

/// What the thread that draws them shares with the others.
#[derive(Debug, Default)]
struct Shown {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_drawn: bool,
    is_paused: bool,
    is_over: bool,
    fetching: Option<ProgressBar>,
    unpacking: Option<ProgressBar>,
    other: Option<ProgressBar>,
    /// The packages of the plan; none where no plan was told.
    packages: u64,
    files: HashMap<PackageName, Transfer>,
}

/// How far one file is.
#[derive(Debug, Clone, Copy, Default)]
struct Transfer {
    came: u64,
    size: Option<u64>,
    is_done: bool,
}

impl Progress {
    /// None where nobody would see them.
    pub(super) fn new() -> Option<Self> {
        let draws = std::env::var_os("TERM").is_some_and(|kind| !kind.is_empty() && kind != "dumb");
        let is_terminal = rustix::termios::isatty(rustix::stdio::stderr());
        let hidden = || MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        (draws && is_terminal).then(|| Self { bars: hidden(), shown: Arc::default() })
    }

    /// Writes a line between the bars.
    pub(super) fn write_between(&self, write: impl FnOnce()) {
        let is_paused = self.state().is_paused;
        if is_paused { write() } else { self.bars.suspend(write) }
    }

    /// Takes the bars away while somebody is asked.
    pub(super) fn paused<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.state().is_paused = true;
        let _ = self.bars.clear();
        let answer = ask();
        self.state().is_paused = false;
        answer
    }

    /// Takes them away: what they told of is over.
    pub(super) fn clear(&self) {
        self.state().clear_all();
    }

    /// Takes them away for good, from any thread; whoever holds them and does not let go keeps them.
    pub(super) fn curtain(&self) -> impl Fn() + Send + Sync + 'static {
        let shown = self.shown.clone();
        move || {
            for _ in 0..TRIES {
                if let Ok(mut state) = shown.state.try_lock() {
                    state.is_over = true;
                    return state.clear_all();
                }
                thread::sleep(PERIOD / TRIES);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shown.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what happened.
    pub(super) fn event(&self, event: &Event<'_>) {
        let mut state = self.state();
        // The work may still go on when the curtain has fallen.
        if state.is_over {
            return;
        }
        match event {
            Event::Planned { plan, .. } => state.packages = plan.installations().len() as u64,
            Event::FetchStarted { package, size } => {
                state.files.insert((*package).clone(), Transfer { size: *size, ..Transfer::default() });
                self.begin(&mut state);
                state.show_bytes(&self.bars);
            }
            Event::FetchProgress { package, bytes } => {
                if let Some(file) = state.files.get_mut(package) {
                    file.came = *bytes;
                }
                state.show_bytes(&self.bars);
            }
            Event::FetchDone { package, .. } => {
                state.finish(package);
                state.show_bytes(&self.bars);
            }
            Event::IndexProgress { bytes, size } => {
                self.begin(&mut state);
                let style = if size.is_some() { BYTES } else { BYTES_OF_NOBODY_KNOWS };
                let bar = bar(&mut state.other, &self.bars, "index", style);
                bar.set_length(size.unwrap_or(*bytes).max(*bytes));
                bar.set_position(*bytes);
            }
            Event::UnpackStarted { package } if state.packages > 0 => {
                self.begin(&mut state);
                let packages = state.packages;
                let bar = bar(&mut state.unpacking, &self.bars, "unpacking", COUNT);
                bar.set_length(packages);
                bar.set_message(package.to_string());
            }
            Event::Unpacked { .. } => state.unpacking.iter().for_each(|bar| bar.inc(1)),
            Event::HookStarted { package, kind } => {
                self.begin(&mut state);
                let bar = bar(&mut state.other, &self.bars, "hooks", WORDS);
                bar.set_message(format!("the {kind} hook of {package}"));
            }
            Event::Freeing { transaction } => {
                self.begin(&mut state);
                let bar = bar(&mut state.other, &self.bars, "history", WORDS);
                bar.set_message(format!("deleting what was kept of {transaction}"));
            }
            Event::Stage { .. } => state.clear_all(),
            _ => {}
        }
    }

    /// Begins to draw, after a while.
    fn begin(&self, state: &mut State) {
        if std::mem::replace(&mut state.is_drawn, true) {
            return;
        }
        let (shown, bars) = (self.shown.clone(), self.bars.clone());
        // Without a thread there are no bars, which is no reason to fail.
        let _ = thread::Builder::new().name("progress".to_owned()).spawn(move || draw(&shown, &bars));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut state = self.state();
        state.is_over = true;
        state.clear_all();
        self.shown.changed.notify_all();
    }
}

/// Draws the bars now and then, so that what stands still is seen too.
fn draw(shown: &Shown, bars: &MultiProgress) {
    let mut is_visible = false;
    let mut state = shown.state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let wait = if is_visible { PERIOD } else { DELAY };
        let waited = shown.changed.wait_timeout_while(state, wait, |state| !state.is_over);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.is_over {
            return;
        }
        if !is_visible {
            bars.set_draw_target(ProgressDrawTarget::term_like_with_hz(Box::new(Terminal), RATE));
            is_visible = true;
        }
        if !state.is_paused {
            state.bars().for_each(ProgressBar::tick);
        }
    }
}

impl State {
    fn bars(&self) -> impl Iterator<Item = &ProgressBar> {
        [&self.fetching, &self.unpacking, &self.other].into_iter().flatten()
    }

    fn clear_all(&mut self) {
        let all = [self.fetching.take(), self.unpacking.take(), self.other.take()];
        all.iter().flatten().for_each(ProgressBar::finish_and_clear);
    }

    /// A file that was there already, of which no byte came, counts for nothing.
    fn finish(&mut self, package: &PackageName) {
        if let Some(file) = self.files.get_mut(package).filter(|file| file.came > 0) {
            file.is_done = true;
        } else {
            self.files.remove(package);
        }
    }

    fn show_bytes(&mut self, bars: &MultiProgress) {
        if self.files.values().all(|file| file.is_done) {
            self.fetching.take().iter().for_each(ProgressBar::finish_and_clear);
            return;
        }
        let came: u64 = self.files.values().map(|file| file.came).fold(0, u64::saturating_add);
        let size = |file: &Transfer| file.size.or(file.is_done.then_some(file.came));
        let total = self.files.values().try_fold(0u64, |sum, file| Some(sum.saturating_add(size(file)?)));
        let style = if total.is_some() { BYTES } else { BYTES_OF_NOBODY_KNOWS };
        let mut names: Vec<&str> =
            self.files.iter().filter(|(_, file)| !file.is_done).map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let message = names.join(" ");
        let bar = bar(&mut self.fetching, bars, "fetching", style);
        bar.set_length(total.unwrap_or(came).max(came));
        bar.set_position(came);
        bar.set_message(message);
    }
}

/// The bar, made where there is none.
fn bar<'a>(
    place: &'a mut Option<ProgressBar>,
    bars: &MultiProgress,
    prefix: &'static str,
    style: &'static str,
) -> &'a ProgressBar {
    place.get_or_insert_with(|| {
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        bars.add(bar.with_style(style.progress_chars("=> ")).with_prefix(prefix))
    })
}

/// The terminal of stderr. What it cannot show is not shown: that it is gone must stop no work, and indicatif's own
/// one panics then.
#[derive(Debug)]
struct Terminal;

impl Terminal {
    fn put(text: &str) -> io::Result<()> {
        let _ = io::stderr().lock().write_all(text.as_bytes());
        Ok(())
    }

    /// So many steps, by this letter of the terminal's language.
    fn step(count: usize, letter: char) -> io::Result<()> {
        if count == 0 { Ok(()) } else { Self::put(&format!("\u{1b}[{count}{letter}")) }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr());
        let width = size.map(|size| size.ws_col).ok().filter(|width| *width > 0).unwrap_or(WIDTH);
        width.saturating_sub(ECHO).max(1)
    }
    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        Self::step(count, 'A')
    }
    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        Self::step(count, 'B')
    }
    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        Self::step(count, 'C')
    }
    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        Self::step(count, 'D')
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        Self::put(&format!("{text}\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        Self::put(text)
    }
    fn clear_line(&self) -> io::Result<()> {
        Self::put("\r\u{1b}[2K")
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

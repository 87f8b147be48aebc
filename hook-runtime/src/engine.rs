//! The sandbox: runs a script in the precompiled guest.
//!
//! One engine a process; a fresh store and instance for every hook, dropped
//! after it, so that nothing is left of one in the next (H07); `pool` says what
//! becomes of the memory. The guest runs as
//! a coroutine on a stack of its own: when it asks for something, or when its
//! time is to be looked at, it is suspended and the host goes on here. Ending a
//! hook means not to resume it, and nothing in it can catch that (H09).

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use packets_plugin_api::hook::{
    HookCall, HookError, HookErrorKind, HookLimits, HookLog, HookSource, HookUsage, StagedView,
};
use packets_wire::{self as wire, Bytes, Outcome, Start};
use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Caller, Config, Engine, Extern, InstancePre, Linker, Memory, ResourceLimiter, Store, Trap, TypedFunc};

use crate::configuration::configuration;
use crate::door::{Door, printable};
use crate::pool::Slot;
use crate::wasi::{self, Random};
use crate::{limits, pool, precompiled};

/// What all hooks of a process share.
struct Sandbox {
    engine: Engine,
    guest: InstancePre<Guest>,
}

/// The engine with the guest in it, made when it is first needed.
fn sandbox() -> Result<&'static Sandbox, HookError> {
    static SANDBOX: OnceLock<Result<Sandbox, String>> = OnceLock::new();
    let made = SANDBOX.get_or_init(|| make_sandbox().map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|error| {
        HookError::new(HookErrorKind::Sandbox, format!("the sandbox could not be set up: {}", printable(error, 200)))
    })
}

fn make_sandbox() -> wasmtime::Result<Sandbox> {
    let mut config = configuration();
    precompiled::run_in_place(&mut config);
    let mut with_slots = config.clone();
    pool::hold_memory(&mut with_slots);
    // Where the address space is bounded there may be no room for slots, but for one guest.
    sandbox_of(&with_slots).or_else(|_| sandbox_of(&config))
}

fn sandbox_of(config: &Config) -> wasmtime::Result<Sandbox> {
    let engine = Engine::new(config)?;
    let module = precompiled::guest(&engine)?;
    let mut linker = Linker::new(&engine);
    wasi::add(&mut linker)?;
    linker.func_wrap_async(wire::IMPORT_MODULE, wire::IMPORT_NAME, |caller, arguments| {
        Box::new(call(caller, arguments))
    })?;
    let guest = linker.instantiate_pre(&module)?;
    Ok(Sandbox { engine, guest })
}

/// The modules and names of all that the guest imports, in the order of the module.
///
/// # Errors
/// The sandbox could not be set up.
pub fn imports() -> Result<Vec<String>, HookError> {
    let module = sandbox()?.guest.module();
    Ok(module.imports().map(|import| format!("{} {}", import.module(), import.name())).collect())
}

/// The names of all that the guest exports.
///
/// # Errors
/// The sandbox could not be set up.
pub fn exports() -> Result<Vec<String>, HookError> {
    Ok(sandbox()?.guest.module().exports().map(|export| export.name().to_owned()).collect())
}

/// The state of one guest.
pub(crate) struct Guest {
    mail: Arc<Mail>,
    /// In seconds since 1970.
    pub(crate) time: u64,
    pub(crate) random: Random,
    /// What it wrote to its standard output and error.
    pub(crate) last_words: Vec<u8>,
    memory: MemoryLimit,
}

/// Ends a guest from inside a call.
#[derive(Debug)]
pub(crate) struct Stop(HookErrorKind, String);

impl Stop {
    pub(crate) fn gave_up() -> Self {
        Self(HookErrorKind::Sandbox, "the interpreter gave up".to_owned())
    }

    pub(crate) fn bad_pointer() -> Self {
        Self(HookErrorKind::Sandbox, "the guest named memory that it does not have".to_owned())
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for Stop {}

/// Bounds all memory of a guest together: its linear memory and what its exceptions take.
struct MemoryLimit {
    most: usize,
    used: usize,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.most {
            let message = format!("it used more than {} MiB of memory", self.most >> 20);
            return Err(Stop(HookErrorKind::Limit, message).into());
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > limits::TABLE {
            return Err(Stop(HookErrorKind::Limit, "its table of functions is full".to_owned()).into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}

/// What passes between a suspended guest and the host.
#[derive(Default)]
struct Mail(Mutex<Letter>);

#[derive(Default)]
enum Letter {
    #[default]
    None,
    Request(Vec<u8>),
    Response(Vec<u8>),
}

impl Mail {
    fn take(&self) -> Letter {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, letter: Letter) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = letter;
    }

    /// Suspends the guest until the host has answered.
    async fn ask(&self, request: Vec<u8>) -> Vec<u8> {
        self.put(Letter::Request(request));
        std::future::poll_fn(|_| match self.take() {
            Letter::Response(response) => Poll::Ready(response),
            other => {
                self.put(other);
                Poll::Pending
            }
        })
        .await
    }
}

/// The guest's own import. See [`wire`].
async fn call(mut caller: Caller<'_, Guest>, arguments: (u32, u32, u32, u32)) -> wasmtime::Result<i32> {
    let (request, length, response, capacity) = arguments;
    let (request, length) = (usize::try_from(request)?, usize::try_from(length)?);
    let (response, capacity) = (usize::try_from(response)?, usize::try_from(capacity)?);
    check_message(length)?;
    check_message(capacity)?;
    let memory = memory(&mut caller)?;
    let request = memory.data(&caller).get(request..request + length).ok_or_else(Stop::bad_pointer)?.to_vec();
    let mail = Arc::clone(&caller.data().mail);
    let answer = mail.ask(request).await;
    if answer.len() > capacity {
        return Err(Stop::bad_pointer().into());
    }
    memory.write(&mut caller, response, &answer).map_err(|_| Stop::bad_pointer())?;
    Ok(i32::try_from(answer.len())?)
}

/// Whether the guest may name so many bytes as one message, its own or the place for ours (H32).
fn check_message(length: usize) -> wasmtime::Result<()> {
    match length <= limits::MESSAGE {
        true => Ok(()),
        false => Err(Stop(HookErrorKind::Sandbox, "the guest sent a message of a wrong size".to_owned()).into()),
    }
}

/// The guest's memory.
pub(crate) fn memory(caller: &mut Caller<'_, Guest>) -> wasmtime::Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(Stop::bad_pointer().into()),
    }
}

/// Parses a script and runs nothing of it.
///
/// # Errors
/// [`HookErrorKind::Syntax`]; [`HookErrorKind::Limit`] where it is too large, or parsing it takes too much.
pub fn check(hook: &HookSource, limits: &HookLimits) -> Result<(), HookError> {
    let start = Start {
        script: hook.name.as_str(),
        text: Bytes(&hook.text),
        packages_dir: "",
        bin_dir: "",
        data_dir: "",
        seed: [0; 2],
    };
    enter("check", &start, (0, Random::new(0)), limits, None).map(|_| ())
}

/// Runs a script to its end. What it did is in `view`, whether it failed or not.
///
/// # Errors
/// Any kind; the message names the script, is escaped, and has at most about [`limits::ERROR_TEXT`] bytes.
pub fn run(
    hook: &HookSource,
    call: &HookCall,
    limits: &HookLimits,
    view: &mut dyn StagedView,
    log: &mut dyn HookLog,
) -> Result<HookUsage, HookError> {
    // An id is 16 hexadecimal digits.
    let mut random = Random::new(u64::from_str_radix(call.transaction.as_str(), 16).unwrap_or_default());
    let start = Start {
        script: hook.name.as_str(),
        text: Bytes(&hook.text),
        packages_dir: &call.packages_dir,
        bin_dir: &call.bin_dir,
        data_dir: &call.data_dir,
        seed: [random.next().cast_signed(), random.next().cast_signed()],
    };
    enter("run", &start, (call.time, random), limits, Some(Door::new(view, log)))
}

/// Calls one of the guest's two functions that take a [`Start`].
fn enter(
    function: &str,
    start: &Start<'_>,
    (time, random): (u64, Random),
    bounds: &HookLimits,
    mut door: Option<Door<'_>>,
) -> Result<HookUsage, HookError> {
    // Dropped last, when the store has given its memory back.
    let _slot = Slot::take();
    let began = Instant::now();
    let name = start.script;
    if u64::try_from(start.text.0.len()).is_ok_and(|length| length > limits::SCRIPT) {
        let message = format!("{name}: the script is larger than {} KiB", limits::SCRIPT >> 10);
        return Err(HookError::new(HookErrorKind::Limit, message));
    }
    let Some(input) = wire::encode(start, Vec::with_capacity(start.text.0.len() + 1024)) else {
        return Err(HookError::new(HookErrorKind::Sandbox, format!("{name}: the script could not be handed over")));
    };
    let sandbox = sandbox()?;
    let mail = Arc::new(Mail::default());
    let memory = MemoryLimit { most: usize::try_from(bounds.memory).unwrap_or(usize::MAX), used: 0 };
    let guest = Guest { mail: Arc::clone(&mail), time, random, last_words: Vec::new(), memory };
    let mut store = Store::new(&sandbox.engine, guest);
    store.limiter(|guest| &mut guest.memory);
    let fuelled = store.set_fuel(u64::MAX).and_then(|()| store.fuel_async_yield_interval(Some(limits::SLICE)));
    let ended = match fuelled {
        Ok(()) => drive(call_guest(sandbox, &mut store, function, &input), &mail, door.as_mut(), bounds, began),
        Err(error) => Err(End::Failed(error)),
    };
    let output =
        ended.map_err(|end| explain(end, name, door.as_ref().map_or(0, Door::line), &store.data().last_words))?;
    match wire::decode::<Outcome<'_>>(&output) {
        Some(Outcome::Done) => {
            let memory = u64::try_from(store.data().memory.used).unwrap_or(u64::MAX);
            Ok(HookUsage { wall: began.elapsed(), memory })
        }
        Some(Outcome::Syntax(message)) => {
            Err(HookError::new(HookErrorKind::Syntax, printable(message, limits::ERROR_TEXT)))
        }
        Some(Outcome::Failed(message)) => {
            Err(HookError::new(HookErrorKind::Script, printable(message, limits::ERROR_TEXT)))
        }
        None => Err(HookError::new(HookErrorKind::Sandbox, format!("{name}: the guest's result cannot be read"))),
    }
}

/// The whole life of a guest, as one future: its result, encoded.
async fn call_guest(
    sandbox: &Sandbox,
    store: &mut Store<Guest>,
    function: &str,
    input: &[u8],
) -> wasmtime::Result<Vec<u8>> {
    let instance = sandbox.guest.instantiate_async(&mut *store).await?;
    let memory = instance.get_memory(&mut *store, "memory").ok_or_else(Stop::bad_pointer)?;
    let buffer: TypedFunc<u32, u32> = instance.get_typed_func(&mut *store, "buffer")?;
    let function: TypedFunc<(), u64> = instance.get_typed_func(&mut *store, function)?;
    let place = buffer.call_async(&mut *store, u32::try_from(input.len())?).await?;
    memory.write(&mut *store, usize::try_from(place)?, input)?;
    let output = function.call_async(&mut *store, ()).await?;
    let (place, length) = (usize::try_from(output >> 32)?, usize::try_from(output & 0xffff_ffff)?);
    check_message(length)?;
    Ok(memory.data(&*store).get(place..place + length).ok_or_else(Stop::bad_pointer)?.to_vec())
}

/// Why a guest did not come to its end.
enum End {
    /// It was not resumed.
    Ended(HookError),
    /// It failed.
    Failed(wasmtime::Error),
}

/// Resumes the guest until it is done, answers it, and looks at its time in between.
fn drive(
    guest: impl Future<Output = wasmtime::Result<Vec<u8>>>,
    mail: &Mail,
    mut door: Option<&mut Door<'_>>,
    limits: &HookLimits,
    began: Instant,
) -> Result<Vec<u8>, End> {
    let mut guest = pin!(guest);
    let mut context = Context::from_waker(Waker::noop());
    let mut computed = Duration::ZERO;
    // The clock of a processor costs a system call: for the first hundredth of the limit that of the wall will do.
    let short = limits.cpu / 100;
    let limit = |what: String| End::Ended(HookError::new(HookErrorKind::Limit, what));
    loop {
        let state = if computed < short {
            let resumed = Instant::now();
            let state = guest.as_mut().poll(&mut context);
            // It may have been waiting for a processor for long.
            computed += resumed.elapsed().min(short);
            state
        } else {
            let resumed = processor_time();
            let state = guest.as_mut().poll(&mut context);
            computed += processor_time().saturating_sub(resumed);
            state
        };
        if let Poll::Ready(result) = state {
            return result.map_err(End::Failed);
        }
        if let Letter::Request(request) = mail.take() {
            let Some(door) = door.as_mut() else {
                return Err(End::Failed(Stop::gave_up().into()));
            };
            mail.put(Letter::Response(door.answer(&request).map_err(End::Ended)?));
        }
        if computed > limits.cpu {
            return Err(limit(format!("it computed for more than {:?}", limits.cpu)));
        }
        if began.elapsed() > limits.wall {
            return Err(limit(format!("it took longer than {:?}", limits.wall)));
        }
    }
}

/// The time for which this thread has computed.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// The end of a guest as an error for people: no addresses, no traces.
fn explain(end: End, name: &str, line: u32, last_words: &[u8]) -> HookError {
    let (kind, message) = match end {
        End::Ended(HookError { kind, message }) => (kind, message),
        End::Failed(error) => match (error.downcast_ref::<Stop>(), error.downcast_ref::<Trap>()) {
            (Some(Stop(kind, message)), _) => (*kind, message.clone()),
            (_, Some(Trap::StackOverflow)) => (HookErrorKind::Limit, "its stack is used up".to_owned()),
            (_, Some(Trap::AllocationTooLarge)) => (HookErrorKind::Limit, "its memory is used up".to_owned()),
            _ if error.is::<wasmtime::GcHeapOutOfMemory<()>>() => {
                (HookErrorKind::Limit, "its memory is used up".to_owned())
            }
            (_, Some(trap)) => (HookErrorKind::Sandbox, trap.to_string()),
            _ => (HookErrorKind::Sandbox, format!("{error:#}")),
        },
    };
    let words = String::from_utf8_lossy(last_words);
    let words = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let place = if line == 0 { String::new() } else { format!(" (its last call was in line {line})") };
    let said = if kind == HookErrorKind::Sandbox && !words.is_empty() { format!(": {words}") } else { String::new() };
    HookError::new(kind, printable(&format!("{name}: {message}{place}{said}"), limits::ERROR_TEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The guest that is built in breaks none of these bounds, and the program holds no compiler for one that would.

    #[test]
    fn h32_messages_up_to_a_bound() {
        for length in [0, limits::MESSAGE] {
            check_message(length).unwrap();
        }
        for length in [limits::MESSAGE + 1, usize::MAX] {
            let error = explain(End::Failed(check_message(length).unwrap_err()), "install.lua", 3, b"");
            assert_eq!(error.kind, HookErrorKind::Sandbox);
            assert_eq!(
                error.message,
                "install.lua: the guest sent a message of a wrong size (its last call was in line 3)"
            );
        }
    }

    #[test]
    fn h07_a_guest_that_wrote_everywhere_leaves_a_fresh_memory() {
        let sandbox = sandbox().unwrap();
        let _slots = [Slot::take(), Slot::take()];
        // What a guest starts with, and all pages of it overwritten, and some that it grew by.
        let life = || {
            let memory = MemoryLimit { most: 64 << 20, used: 0 };
            let guest = Guest { mail: Arc::default(), time: 0, random: Random::new(0), last_words: Vec::new(), memory };
            let mut store = Store::new(&sandbox.engine, guest);
            store.set_fuel(u64::MAX).unwrap();
            let instance = {
                let starting = pin!(sandbox.guest.instantiate_async(&mut store));
                match starting.poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(instance) => instance.unwrap(),
                    Poll::Pending => panic!("it waits for somebody"),
                }
            };
            let memory = instance.get_memory(&mut store, "memory").unwrap();
            let start = memory.data(&store).to_vec();
            memory.grow(&mut store, 32).unwrap();
            assert!(memory.data(&store)[start.len()..].iter().all(|byte| *byte == 0), "what it grows by is zero");
            memory.data_mut(&mut store).fill(0xa5);
            start
        };
        let first = life();
        assert!(first.iter().any(|byte| *byte != 0), "an image is there");
        for _ in 0..4 {
            assert!(life() == first, "something of the guest before is left");
        }
    }

    #[test]
    fn h10_memory_and_tables_up_to_a_bound() {
        let mut limit = MemoryLimit { most: 100, used: 0 };
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(limit.memory_growing(0, 40, None).unwrap(), "of two memories both count");
        let error = explain(End::Failed(limit.memory_growing(40, 41, None).unwrap_err()), "install.lua", 0, b"");
        assert_eq!(
            (error.kind, &*error.message),
            (HookErrorKind::Limit, "install.lua: it used more than 0 MiB of memory")
        );
        assert!(limit.table_growing(0, limits::TABLE, None).unwrap());
        let error = explain(End::Failed(limit.table_growing(0, limits::TABLE + 1, None).unwrap_err()), "x", 0, b"");
        assert_eq!((error.kind, &*error.message), (HookErrorKind::Limit, "x: its table of functions is full"));
        assert_eq!((limit.instances(), limit.tables(), limit.memories()), (1, 1, 1));
    }

    #[test]
    fn h14_last_words_are_shown_escaped_and_bounded() {
        let end = || End::Failed(Stop::gave_up().into());
        let said = |words: &[u8]| explain(end(), "install.lua", 0, words).message;
        assert_eq!(said(b" out of\x1b[2J\n\n luck \n"), "install.lua: the interpreter gave up: out of\\u{1b}[2J; luck");
        let most = said(&vec![b'\n'; limits::LAST_WORDS]);
        assert_eq!(most, "install.lua: the interpreter gave up");
        assert!(said(&vec![0x1b; limits::LAST_WORDS]).len() <= limits::ERROR_TEXT + 16);
    }
}

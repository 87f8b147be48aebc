//! The functions that the host calls.

use std::cell::RefCell;

use mlua::Lua;

use crate::api;
use crate::wire::{self, Outcome, Start};

thread_local! {
    /// The interpreter, made by `prepare` and part of the snapshot.
    static LUA: RefCell<Option<Lua>> = const { RefCell::new(None) };
    /// What the host wrote.
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// What the host reads.
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs the constructors of the C library, before `prepare`. With this export the
/// linker does not run them, and their destructors, around each call.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker makes this function; the host calls it once, first.
    unsafe { __wasm_call_ctors() }
}

/// Makes the interpreter. Called once, at build time.
#[unsafe(no_mangle)]
extern "C" fn prepare() {
    // At build time a panic is the right answer.
    let lua = api::interpreter().unwrap_or_else(|error| panic!("{error}"));
    LUA.set(Some(lua));
}

/// Room for `length` bytes of input.
#[unsafe(no_mangle)]
extern "C" fn buffer(length: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        input.clear();
        input.resize(length, 0);
        input.as_mut_ptr()
    })
}

/// Runs the script in the buffer.
#[unsafe(no_mangle)]
extern "C" fn run() -> u64 {
    answer(api::run)
}

/// Parses the script in the buffer.
#[unsafe(no_mangle)]
extern "C" fn check() -> u64 {
    answer(|lua, start| match api::parse(lua, start) {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure),
    })
}

fn answer(act: impl FnOnce(&Lua, &Start<'_>) -> Result<(), api::Failure>) -> u64 {
    let input = INPUT.take();
    let lua = LUA.with_borrow(Clone::clone);
    let (Some(lua), Some(start)) = (lua, wire::decode::<Start<'_>>(&input)) else {
        return 0;
    };
    let result = act(&lua, &start);
    let outcome = match &result {
        Ok(()) => Outcome::Done,
        Err(api::Failure::Syntax(message)) => Outcome::Syntax(message),
        Err(api::Failure::Script(message)) => Outcome::Failed(message),
    };
    let bytes = wire::encode(&outcome, Vec::new()).unwrap_or_default();
    OUTPUT.with_borrow_mut(|output| {
        *output = bytes;
        ((output.as_ptr() as u64) << 32) | output.len() as u64
    })
}

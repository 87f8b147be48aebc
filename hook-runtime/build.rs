//! Compiles the guest: runs its `prepare` once, takes a snapshot of its memory,
//! and translates the result into machine code. The program holds no compiler.
#![allow(clippy::disallowed_methods, reason = "a build script reads and writes files of the build")]

use std::error::Error;
use std::path::PathBuf;
use std::task::{Context, Poll, Waker};
use std::{env, fs, pin};

use wasmtime::{Caller, Engine, Extern, Linker, OptLevel, RegallocAlgorithm, Store};
use wasmtime_wizer::Wizer;

#[path = "src/configuration.rs"]
mod configuration;
#[path = "src/limits.rs"]
#[allow(dead_code, unreachable_pub, reason = "only the stack's size is used here")]
mod limits;

const GUEST: &str = "guest/guest.wasm";

fn main() -> Result<(), Box<dyn Error>> {
    for input in ["build.rs", GUEST, "src/configuration.rs", "src/limits.rs"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let guest = fs::read(GUEST)?;
    let output = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("guest.cwasm");

    let mut config = configuration::configuration();
    // Named even where it is the build machine, so that none of its processor's features are used.
    config.target(&env::var("TARGET")?)?;
    let prepared = snapshot(&guest)?;
    let code = Engine::new(&config)?.precompile_module(&prepared)?;
    fs::write(output, code)?;
    Ok(())
}

/// The guest after its `prepare`.
fn snapshot(guest: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    // This code runs once, so it is made quickly and runs slowly.
    let mut config = configuration::configuration();
    config.cranelift_opt_level(OptLevel::None).cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    let engine = Engine::new(&config)?;
    let mut store = Store::new(&engine, ());
    store.set_fuel(u64::MAX)?;
    let mut linker = Linker::new(&engine);
    add_imports(&mut linker)?;
    let mut wizer = Wizer::new();
    wizer.init_func("prepare");
    let snapshot = wizer.run(&mut store, guest, async |store, module| {
        linker.define_unknown_imports_as_traps(module)?;
        linker.instantiate_async(store, module).await
    });
    // Nothing in it waits.
    match pin::pin!(snapshot).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(snapshot) => Ok(snapshot?),
        Poll::Pending => Err("the guest's prepare waits for something".into()),
    }
}

/// What `prepare` may call: a clock that stands, random numbers that are none,
/// an empty environment. Anything else ends the build.
fn add_imports(linker: &mut Linker<()>) -> wasmtime::Result<()> {
    const WASI: &str = "wasi_snapshot_preview1";
    linker.func_wrap(WASI, "clock_time_get", |caller: Caller<'_, ()>, _: i32, _: i64, at: i32| zero(caller, at, 8))?;
    linker.func_wrap(WASI, "random_get", |caller: Caller<'_, ()>, at: i32, length: i32| zero(caller, at, length))?;
    linker.func_wrap(WASI, "environ_sizes_get", |mut caller: Caller<'_, ()>, count: i32, size: i32| {
        zero_in(&mut caller, count, 4)?;
        zero_in(&mut caller, size, 4)?;
        wasmtime::Result::Ok(0)
    })?;
    Ok(())
}

fn zero(mut caller: Caller<'_, ()>, at: i32, length: i32) -> wasmtime::Result<i32> {
    zero_in(&mut caller, at, length)?;
    Ok(0)
}

fn zero_in(caller: &mut Caller<'_, ()>, at: i32, length: i32) -> wasmtime::Result<()> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(wasmtime::Error::msg("the guest exports no memory"));
    };
    memory.write(caller, usize::try_from(at)?, &vec![0; usize::try_from(length)?])?;
    Ok(())
}

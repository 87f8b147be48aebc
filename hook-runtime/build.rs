//! Compiles the guest: runs its `prepare` once, takes a snapshot of its memory,
//! and translates the result into machine code. The program holds no compiler.
#![allow(clippy::disallowed_methods, reason = "a build script reads and writes files of the build")]

use std::error::Error;
use std::path::PathBuf;
use std::task::{Context, Poll, Waker};
use std::{env, fs, pin};

use wasmtime::{Caller, Engine, Extern, Instance, Linker, Module, OptLevel, RegallocAlgorithm, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

#[path = "src/configuration.rs"]
mod configuration;
#[path = "src/limits.rs"]
#[allow(dead_code, unreachable_pub, reason = "only the stack's size is used here")]
mod limits;

const GUEST: &str = "guest/guest.wasm";
/// What the guest does before its snapshot is taken: what a toolchain adds, and its own.
const INITIALIZE: &str = "_initialize";
const PREPARE: &str = "prepare";

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
    wizer.init_func(PREPARE);
    let snapshot = async {
        let (context, instrumented) = wizer.instrument(guest)?;
        let module = Module::new(&engine, instrumented)?;
        linker.define_unknown_imports_as_traps(&module)?;
        let instance = linker.instantiate_async(&mut store, &module).await?;
        for function in [INITIALIZE, PREPARE] {
            instance.get_typed_func::<(), ()>(&mut store, function)?.call_async(&mut store, ()).await?;
        }
        wizer.snapshot(&context, &mut Prepared { store, instance }).await
    };
    // Nothing in it waits.
    match pin::pin!(snapshot).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(snapshot) => Ok(snapshot?),
        Poll::Pending => Err("the guest's prepare waits for something".into()),
    }
}

/// The guest, once it is prepared, for wizer to read. Wizer's own is behind a feature that compiles wasmtime's cache and
/// component model too, for nothing.
struct Prepared {
    store: Store<()>,
    instance: Instance,
}

#[expect(clippy::expect_used, clippy::panic, reason = "the contract of wizer; it ends the build")]
impl InstanceState for Prepared {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        match self.instance.get_global(&mut self.store, name).expect("a global").get(&mut self.store) {
            Val::I32(value) => SnapshotVal::I32(value),
            Val::I64(value) => SnapshotVal::I64(value),
            Val::F32(bits) => SnapshotVal::F32(bits),
            Val::F64(bits) => SnapshotVal::F64(bits),
            Val::V128(value) => SnapshotVal::V128(value.as_u128()),
            other => panic!("a snapshot cannot hold {other:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        contents(self.instance.get_memory(&mut self.store, name).expect("a memory").data(&self.store));
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

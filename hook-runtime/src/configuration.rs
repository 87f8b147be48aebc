//! The engine's settings. The build script includes this file too, so that what
//! is compiled at build time and what runs it cannot disagree.

use wasmtime::{Collector, Config, WasmFeatures};

use crate::limits;

/// What the host needs of a guest's stack while it answers.
const HOST_STACK: usize = 512 << 10;

/// The settings of every engine that compiles or runs the guest.
///
/// Of WebAssembly only what the guest needs is on (H29): no threads, no 64-bit
/// memory, no second memory, no garbage collected types but exceptions.
pub(crate) fn configuration() -> Config {
    let mut config = Config::new();
    config.wasm_features(WasmFeatures::all(), false);
    config.wasm_features(
        WasmFeatures::MUTABLE_GLOBAL
            | WasmFeatures::SATURATING_FLOAT_TO_INT
            | WasmFeatures::SIGN_EXTENSION
            | WasmFeatures::REFERENCE_TYPES
            | WasmFeatures::MULTI_VALUE
            | WasmFeatures::BULK_MEMORY
            | WasmFeatures::FLOATS
            | WasmFeatures::EXCEPTIONS
            | WasmFeatures::GC_TYPES,
        true,
    );
    // Counts references: what a caught error leaves is freed at once or at the next collection.
    config.collector(Collector::DeferredReferenceCounting);
    // Counted instructions, so that a guest comes back to the host without a second thread (H09).
    config.consume_fuel(true);
    config.max_wasm_stack(limits::WASM_STACK);
    config.async_stack_size(limits::WASM_STACK + HOST_STACK);
    config.concurrency_support(false);
    // Addresses of the guest's code are nobody's business.
    config.wasm_backtrace_max_frames(None);
    config.generate_address_map(false);
    config
}

//! The memory that guests run in. It is mapped once and given from one guest to the next: mapping it anew for each
//! took three quarters of the time of a small hook. Between two guests the engine brings back every page that was
//! written, to what the guest's image says or to zeros, so that nothing of one is left for the next (H07).

use std::sync::{Condvar, Mutex, PoisonError};

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::limits;

/// Guests at a time. Hooks run one after the other; a second one is for who only checks a script meanwhile.
const SLOTS: u32 = 2;
/// Bytes of written pages that are brought back where they lie; more are given back to the system.
const KEPT: usize = 256 << 10;
/// The same of a stack, which no guest can read below its own frames: it is zeroed all the same.
const KEPT_STACK: usize = 16 << 10;

/// Makes the engines of this configuration hold their memory in slots.
pub(crate) fn hold_memory(config: &mut Config) {
    let mut pool = PoolingAllocationConfig::new();
    // A guest has a memory, and its exceptions have one of their own.
    pool.total_core_instances(SLOTS).total_memories(2 * SLOTS).total_tables(SLOTS);
    pool.total_stacks(SLOTS).total_gc_heaps(SLOTS);
    pool.table_elements(limits::TABLE);
    pool.linear_memory_keep_resident(KEPT).table_keep_resident(KEPT);
    // Where the kernel tells which pages were written, only those are looked at.
    pool.pagemap_scan(Enabled::Auto);
    pool.async_stack_keep_resident(KEPT_STACK);
    config.async_stack_zeroing(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
}

static TAKEN: Mutex<u32> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// The right to run a guest; the slot must be empty again before this is dropped.
pub(crate) struct Slot(());

impl Slot {
    /// Waits until there is a slot.
    pub(crate) fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = GIVEN_BACK.wait_while(taken, |taken| *taken >= SLOTS).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        GIVEN_BACK.notify_one();
    }
}

//! Bytes that mean harm, for all that reads bytes from outside: what the fuzzer found once, and
//! inputs that are nearly right. `tests/fuzz/run` looks for more.

mod finds;

//! The program `packets`, built with its tests: the same one call as host/src/main.rs.

fn main() -> std::process::ExitCode {
    packets_host::cli::main()
}

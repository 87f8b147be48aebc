//! The program `packets`.

fn main() -> std::process::ExitCode {
    packets_host::cli::main()
}

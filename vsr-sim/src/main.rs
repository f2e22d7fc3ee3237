//! The `vsr-sim` command.

fn main() -> std::process::ExitCode {
    vsr_sim::cli::main()
}

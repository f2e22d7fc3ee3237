//! The `vsr-sim` command.
fn main() {}

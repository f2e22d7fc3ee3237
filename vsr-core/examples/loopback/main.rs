//! Three replicas and a client over real sockets and real files, in one process: a thread a replica, a folder a replica, a file
//! a zone. Shows how little an embedder writes, and that what comes out of a replica survives its sudden end.
//!
//! ```text
//! cargo run -p vsr-core --example loopback
//! ```

mod group;

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    match group::story::run(&mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a program may say why it failed")]
fn complain(error: &io::Error) {
    eprintln!("loopback: {error}");
}

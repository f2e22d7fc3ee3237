//! Where the code under test panicked. The world catches a panic, but only the panic hook is told the place.

use std::panic::{self, PanicHookInfo};
use std::sync::Once;
#[expect(
    clippy::disallowed_types,
    reason = "the panic hook is global, and campaigns have threads"
)]
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// The threads on which a run goes on, and what has become of it.
#[expect(clippy::disallowed_types, reason = "the panic hook is global, and campaigns have threads")]
static RUNS: Mutex<Vec<Seen>> = Mutex::new(Vec::new());

static INSTALLED: Once = Once::new();

#[derive(Debug)]
struct Seen {
    thread: ThreadId,
    /// The place of the last panic of the code under test, and all that would have been said of it.
    panicked: Option<(String, String)>,
}

/// From now on a panic of the code under test says nothing by itself, and its place is kept for [`take`].
///
/// That is a panic of any code but the simulator's own on a thread on which a run goes on. All others speak as before.
pub fn install() {
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_kept(info) {
                before(info);
            }
        }));
    });
}

/// Keeps a panic if it is one of the code under test; answers whether it is.
fn is_kept(info: &PanicHookInfo<'_>) -> bool {
    let Some(location) = info.location() else { return false };
    let Some(file) = file_under_test(location.file()) else { return false };
    let place = format!("{file}:{}:{}", location.line(), location.column());
    of_this_thread(|seen| seen.panicked = Some((place, info.to_string()))).is_some()
}

/// Takes the place of this run's panic, if it was one of the code under test and [`install`] was called.
#[must_use]
pub fn take() -> Option<String> {
    of_this_thread(|seen| seen.panicked.take()).flatten().map(|(place, _)| place)
}

/// A run goes on for as long as this lives.
#[derive(Debug)]
pub(super) struct Running;

impl Running {
    pub(super) fn begin() -> Self {
        let seen = Seen { thread: thread::current().id(), panicked: None };
        RUNS.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        Self
    }
}

impl Drop for Running {
    #[expect(clippy::print_stderr, reason = "what the panic hook would have said, had it known")]
    fn drop(&mut self) {
        let me = thread::current().id();
        let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
        let place = runs.iter().rposition(|seen| seen.thread == me);
        let seen = place.map(|place| runs.swap_remove(place));
        drop(runs);
        // Nobody has caught it: it was no process that panicked, and it is to be heard.
        if let Some((_, told)) = seen.and_then(|seen| seen.panicked)
            && thread::panicking()
        {
            eprintln!("{told}");
        }
    }
}

/// Changes what is known of the run on this thread, if one goes on.
fn of_this_thread<T>(change: impl FnOnce(&mut Seen) -> T) -> Option<T> {
    let me = thread::current().id();
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    runs.iter_mut().rfind(|seen| seen.thread == me).map(change)
}

/// The file's path, within the workspace for our own replica, unless it is a file of the simulator.
fn file_under_test(file: &str) -> Option<&str> {
    let simulator = file!().strip_suffix("scenario/panics.rs").unwrap_or("vsr-sim/src/");
    if file.starts_with(simulator) {
        return None;
    }
    Some(file.find("vsr-core").map_or(file, |start| &file[start..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_under_test_is_silenced() {
        assert_eq!(file_under_test("/a/b/vsr-core/src/x.rs"), Some("vsr-core/src/x.rs"));
        assert_eq!(file_under_test("vsr-core/src/x.rs"), Some("vsr-core/src/x.rs"));
        assert_eq!(file_under_test("src/bank.rs"), Some("src/bank.rs"));
        assert_eq!(file_under_test(file!()), None);
    }

    #[test]
    fn a_panic_is_kept_only_while_a_run_goes_on_here() {
        assert_eq!(of_this_thread(|_| ()), None);
        let running = Running::begin();
        assert_eq!(
            of_this_thread(|seen| seen.panicked = Some(("a:1:1".into(), String::new()))),
            Some(())
        );
        assert_eq!(take().as_deref(), Some("a:1:1"));
        assert_eq!(take(), None);
        drop(running);
        assert_eq!(of_this_thread(|_| ()), None);
        // Were it kept for longer, the failing test of somebody else would say nothing.
    }
}

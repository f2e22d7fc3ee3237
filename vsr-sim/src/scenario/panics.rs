//! Where the code under test panicked. The world catches a panic, but only the panic hook is told the place.

use std::panic;
#[expect(
    clippy::disallowed_types,
    reason = "the panic hook is global, and campaigns have threads"
)]
use std::sync::Mutex;
use std::thread::{self, ThreadId};

/// The place of the last panic of each thread.
#[expect(clippy::disallowed_types, reason = "the panic hook is global, and campaigns have threads")]
static PLACES: Mutex<Vec<(ThreadId, String)>> = Mutex::new(Vec::new());

/// From now on a panic of the code under test says nothing by itself, and its place is kept for [`take`].
///
/// Panics of the simulator itself speak as before.
pub fn install() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let Some(location) = info.location() else { return before(info) };
        match place_under_test(location.file()) {
            Some(file) => {
                let place = format!("{file}:{}:{}", location.line(), location.column());
                if let Ok(mut places) = PLACES.lock() {
                    let me = thread::current().id();
                    places.retain(|(other, _)| *other != me);
                    places.push((me, place));
                }
            }
            None => before(info),
        }
    }));
}

/// The place of this thread's last panic, if it was one of the code under test and [`install`] was called.
#[must_use]
pub fn take() -> Option<String> {
    let mut places = PLACES.lock().ok()?;
    let me = thread::current().id();
    let place = places.iter().position(|(other, _)| *other == me)?;
    Some(places.swap_remove(place).1)
}

/// The file's path within the workspace, if it belongs to the code under test.
fn place_under_test(file: &str) -> Option<&str> {
    file.find("vsr-core").map(|start| &file[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_under_test_is_silenced() {
        assert_eq!(place_under_test("/a/b/vsr-core/src/x.rs"), Some("vsr-core/src/x.rs"));
        assert_eq!(place_under_test("vsr-core/src/x.rs"), Some("vsr-core/src/x.rs"));
        assert_eq!(place_under_test("vsr-sim/src/x.rs"), None);
    }
}

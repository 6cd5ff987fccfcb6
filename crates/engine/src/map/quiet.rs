//! Panics that are caught and reported as an error say nothing on standard error.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`; a panic inside it does not print its message. Panics of other threads and other code do.
pub(super) fn without_panic_message<T>(body: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                print(info);
            }
        }));
    });
    let before = IS_QUIET.replace(true);
    let result = body();
    IS_QUIET.set(before);
    result
}

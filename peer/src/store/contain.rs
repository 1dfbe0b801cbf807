//! redb takes what its pages say for granted where no checksum is looked at, and panics where that
//! makes no sense. A flipped bit on a disk is no defect of the program: it becomes an error here.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::StoreError;

thread_local! {
    /// Whether a panic of this thread becomes an error.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs what reads or writes the database; a panic in it means that the database is damaged. What
/// `run` was about to change in memory must not be used after an error.
pub(crate) fn contained<T, E: From<StoreError>>(
    run: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    HOOK.call_once(keep_silent_where_contained);
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    CONTAINED.set(outer);
    result.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("it makes no sense");
        let detail = text.lines().next().unwrap_or_default().to_owned();
        Err(StoreError::Damaged { detail }.into())
    })
}

/// Such a panic is no news for the terminal, but for the log. Any other one is told as before.
fn keep_silent_where_contained() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if CONTAINED.get() {
            tracing::debug!(%panic, "contained");
        } else {
            before(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::panic, reason = "that is what is contained")]
    fn a_panic_becomes_an_error_that_names_it() {
        let result: Result<(), StoreError> = contained(|| panic!("entered {}", "nonsense"));
        let error = result.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the database is damaged (entered nonsense)"
        );
        assert!(contained(|| Ok::<_, StoreError>(1)).is_ok());
    }
}

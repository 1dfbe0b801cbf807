//! redb takes what its pages say for granted where no checksum is looked at, and panics where that
//! makes no sense. A flipped bit on a disk is no defect of the program: it becomes an error here.
//!
//! That is not possible where what is dropped during the unwinding meets the same nonsense and panics
//! as well: Rust ends the process then, and all that can be done is to say why.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Once, OnceLock};

use super::StoreError;

thread_local! {
    /// Whether a panic of this thread becomes an error.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
    /// Whether one is on its way there.
    static UNWINDING: Cell<bool> = const { Cell::new(false) };
}

type LastWords = Box<dyn Fn(StoreError) + Send + Sync>;

static LAST_WORDS: OnceLock<LastWords> = OnceLock::new();

static HOOK: Once = Once::new();

/// What a program says before the process ends because of a panic that cannot be contained; it may
/// end it itself, in better order. The first call counts.
#[cfg(feature = "cli")]
pub(crate) fn before_abort(say: impl Fn(StoreError) + Send + Sync + 'static) {
    // A second one has nothing to add.
    let _ = LAST_WORDS.set(Box::new(say));
}

/// Whether a panic of this thread becomes an error.
#[cfg(feature = "tui")]
pub(crate) fn is_contained() -> bool {
    CONTAINED.get()
}

/// Runs what reads or writes the database; a panic in it means that the database is damaged. What
/// `run` was about to change in memory must not be used after an error.
pub(crate) fn contained<T, E: From<StoreError>>(
    run: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    HOOK.call_once(keep_silent_where_contained);
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    CONTAINED.set(outer);
    UNWINDING.set(false);
    result.unwrap_or_else(|panic| Err(damaged(&*panic).into()))
}

fn damaged(panic: &(dyn Any + Send)) -> StoreError {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it makes no sense");
    let detail = text.lines().next().unwrap_or_default().to_owned();
    StoreError::Damaged { detail }
}

/// Such a panic is no news for the terminal, but for the log. Any other one is told as before.
fn keep_silent_where_contained() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !CONTAINED.get() {
            return before(panic);
        }
        tracing::debug!(%panic, "contained");
        if UNWINDING.replace(true)
            && let Some(say) = LAST_WORDS.get()
        {
            say(damaged(panic.payload()));
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

    /// Panics when it is dropped.
    struct Nonsense;

    impl Drop for Nonsense {
        #[allow(clippy::panic, reason = "as a damaged database does")]
        fn drop(&mut self) {
            panic!("left nonsense");
        }
    }

    /// Run by the test below in a process of its own, because it ends that.
    #[test]
    #[ignore = "ends its process"]
    #[allow(clippy::panic, reason = "that is what is not contained")]
    fn a_panic_upon_a_panic() {
        before_abort(|error| {
            assert_eq!(error.to_string(), "the database is damaged (left nonsense)");
            std::process::exit(77)
        });
        let _: Result<(), StoreError> = contained(|| {
            let _nonsense = Nonsense;
            panic!("entered nonsense")
        });
    }

    #[test]
    fn regression_a_panic_upon_a_panic_has_last_words() {
        let name = "store::contain::tests::a_panic_upon_a_panic";
        let test = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new(test);
        let status = command
            .args(["--exact", "--ignored", name])
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(77));
    }
}

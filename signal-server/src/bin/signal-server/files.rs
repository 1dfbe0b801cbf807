//! The limit on open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many open files as this process may have: each connection and each TURN allocation is one.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    ) {
        tracing::warn!(%error, "cannot raise the limit on open files");
    }
}

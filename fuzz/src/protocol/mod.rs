//! What `tincan-protocol` reads.

mod frames;
mod identity;
mod invites;
mod links;
mod said;
mod sealing;
mod signaling;
mod urls;

pub use frames::{peer_frame, relay_reply, relay_request};
pub use identity::{device_cert, ids, phrase};
pub use invites::invite;
pub use links::{candidate, description, link_signal, sdp, statement};
pub use said::{content, envelope, payload};
pub use sealing::sealed_box;
pub use signaling::{client_message, server_message};
pub(crate) use urls::check_url;
pub use urls::{server_url, turn_url};

/// What the seeds are made with.
pub(crate) mod shared {
    pub(crate) use super::identity::{CERT, DEVICE_KEY};
    pub(crate) use super::links::{sdp_with, template};
    pub(crate) use super::sealing::{Counting, address_key};
}

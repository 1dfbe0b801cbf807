//! The list of targets.

use crate::seeds::{self, Seed};
use crate::{clients, core, link, mls, peer, protocol, servers};

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: also that of its corpus and its test.
    pub name: &'static str,
    /// Panics if a property does not hold for these bytes.
    pub run: fn(&[u8]),
    /// Inputs made by the real encoders.
    pub seeds: fn() -> Vec<Seed>,
}

/// Calls a macro with the names of all targets: for what has to be written once for each of them.
#[macro_export]
macro_rules! for_each_target {
    ($macro:ident) => {
        $macro! {
            protocol::invite,
            protocol::ids,
            protocol::server_url,
            protocol::turn_url,
            protocol::phrase,
            protocol::client_message,
            protocol::server_message,
            protocol::peer_frame,
            protocol::relay_request,
            protocol::relay_reply,
            protocol::content,
            protocol::payload,
            protocol::envelope,
            protocol::sdp,
            protocol::candidate,
            protocol::description,
            protocol::link_signal,
            protocol::statement,
            protocol::device_cert,
            protocol::sealed_box,
            core::session,
            link::link_session,
            link::link_candidates,
            servers::signal_session,
            servers::host_header,
            servers::turn_username,
            servers::relay_session,
            servers::turn,
            mls::mls_message,
            mls::mls_welcome,
            mls::key_package,
            clients::relay_client,
            clients::signal_client,
            peer::socket_command,
            peer::key_file,
        }
    };
}

macro_rules! list {
    ($($module:ident :: $name:ident),* $(,)?) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            run: $module::$name,
            seeds: seeds::$module::$name,
        }),*];
    };
}

for_each_target!(list);

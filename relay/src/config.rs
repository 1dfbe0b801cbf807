//! What a relay is opened with.

use std::path::PathBuf;

use tincan_protocol::origin::ServerUrl;

use crate::limits::RelayLimits;

/// What a relay is opened with.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The database's file. Its folder must exist; the file is made if it is missing.
    pub data: PathBuf,
    /// Quotas and bounds.
    pub limits: RelayLimits,
    /// The URL that clients use. Without it only clients that dial the server's own IP address are
    /// served, see [`OriginPolicy`](crate::OriginPolicy).
    pub public_url: Option<ServerUrl>,
}

impl RelayConfig {
    /// This database with the default limits and no public URL.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            limits: RelayLimits::default(),
            public_url: None,
        }
    }
}

//! Key packages: what others need to put this device into a group.
//!
//! A key package's secrets stay until it was used, or until no Welcome for it can come any more.
//! One of last resort may be used any number of times: a relay hands it out when the others have
//! run out. The price is that its secret is not gone after the first use.

use openmls::prelude::{KeyPackage, KeyPackageBundle, MlsMessageOut};
use openmls_traits::storage::StorageProvider;

use crate::LibraryError;
use crate::mls::Mls;
use crate::rows::Table;
use crate::storage::Provider;
use crate::suite;

/// How long after its end a key package's secrets are kept, ms. A Welcome made on its last day may
/// wait in a mailbox for up to 30 days.
const KEPT_AFTER_END_MS: u64 = 30 * 24 * 3600 * 1000;

/// Why no key package was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyPackageError {
    /// The MLS library failed.
    #[error("making a key package failed")]
    Library(#[source] LibraryError),
}

impl KeyPackageError {
    fn library(error: impl Into<LibraryError>) -> Self {
        Self::Library(error.into())
    }
}

impl Mls {
    /// Makes a key package; its secrets become rows. The bytes are an `MLSMessage`, about 2.8 KiB, good for twelve weeks by openmls' clock.
    ///
    /// # Errors
    /// [`KeyPackageError`] if the MLS library fails.
    pub fn create_key_package(&mut self, last_resort: bool) -> Result<Vec<u8>, KeyPackageError> {
        let mut builder = KeyPackage::builder()
            .key_package_lifetime(suite::lifetime())
            .leaf_node_capabilities(suite::capabilities());
        if last_resort {
            builder = builder.mark_as_last_resort();
        }
        let provider = Provider::new(&self.crypto, &self.rows);
        let bundle = builder
            .build(suite::SUITE, &provider, &self.signer, self.credential())
            .map_err(KeyPackageError::library)?;
        let message = MlsMessageOut::from(bundle.into_key_package());
        let bytes = message.to_bytes().map_err(KeyPackageError::library)?;
        let changes = provider.into_changes();
        self.rows.apply(changes);
        Ok(bytes)
    }

    /// Forgets the secrets of key packages that ended more than 30 days ago, and says of how many.
    /// Meant for about once a day: it reads all of them.
    ///
    /// # Errors
    /// [`KeyPackageError`] if a stored key package cannot be read.
    pub fn forget_ended_key_packages(&mut self, now_ms: u64) -> Result<usize, KeyPackageError> {
        let transaction = self.rows.begin();
        let mut forgotten = 0;
        for (_, value) in self.rows.table(Table::KeyPackage) {
            let bundle: KeyPackageBundle =
                serde_json::from_slice(value).map_err(KeyPackageError::library)?;
            let key_package = bundle.key_package();
            let end_ms = key_package.life_time().not_after().saturating_mul(1000);
            if end_ms.saturating_add(KEPT_AFTER_END_MS) < now_ms {
                let reference = key_package
                    .hash_ref(&self.crypto)
                    .map_err(KeyPackageError::library)?;
                transaction
                    .delete_key_package(&reference)
                    .map_err(KeyPackageError::library)?;
                forgotten += 1;
            }
        }
        let changes = transaction.into_changes();
        self.rows.apply(changes);
        Ok(forgotten)
    }
}

//! Addresses whose proof has been checked.

use tincan_protocol::SignalAddress;
use tincan_protocol::keys::BadSignature;
use tincan_protocol::origin::Origin;
use tincan_protocol::signal::{AddressProof, Nonce, check_login};

/// Addresses that a connection has proved. Made by checking proofs and in no other way, so the hub
/// cannot be told of an address that nobody proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven(Vec<SignalAddress>);

impl Proven {
    /// Checks all proofs against the connection's nonce and origin.
    ///
    /// # Errors
    /// [`BadSignature`] if one of them does not hold; then none counts.
    pub fn check(
        proofs: &[AddressProof],
        nonce: &Nonce,
        origin: &Origin,
    ) -> Result<Self, BadSignature> {
        let check =
            |proof: &AddressProof| check_login(proof, nonce, origin).map(|()| proof.address);
        proofs.iter().map(check).collect::<Result<_, _>>().map(Self)
    }

    /// The addresses, as they came.
    #[must_use]
    pub fn addresses(&self) -> &[SignalAddress] {
        &self.0
    }
}

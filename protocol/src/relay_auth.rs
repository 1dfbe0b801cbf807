//! How a connection to a relay proves that it may read a queue.

use crate::ids::QueueId;
use crate::keys::{BadSignature, QueueKey, SIGNATURE_LEN};
use crate::labels::Label;
use crate::origin::Origin;

/// Signs a relay's challenge for one queue. The origin is the one the client dialed.
#[must_use]
pub fn prove(key: &QueueKey, nonce: &[u8; 32], origin: &Origin) -> [u8; SIGNATURE_LEN] {
    key.sign(
        Label::RelayAuth,
        &[nonce, &origin.signed_bytes(), key.queue().as_bytes()],
    )
}

/// Checks what [`prove`] made.
///
/// # Errors
/// [`BadSignature`] if the proof was made for another nonce, origin or queue.
pub fn check(
    queue: &QueueId,
    nonce: &[u8; 32],
    origin: &Origin,
    proof: &[u8],
) -> Result<(), BadSignature> {
    queue.verify(
        Label::RelayAuth,
        &[nonce, &origin.signed_bytes(), queue.as_bytes()],
        proof,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_good_for_one_nonce_and_one_origin() {
        let key = QueueKey::from_seed(&[1; 32]);
        let here = Origin::from_host_header("relay.example.org");
        let proof = prove(&key, &[7; 32], &here);
        assert_eq!(check(&key.queue(), &[7; 32], &here, &proof), Ok(()));
        assert!(check(&key.queue(), &[8; 32], &here, &proof).is_err());
        assert!(
            check(
                &key.queue(),
                &[7; 32],
                &Origin::from_host_header("evil"),
                &proof
            )
            .is_err()
        );
    }
}

//! How a connection proves that it holds a signal address.
//!
//! The signature covers the server's nonce, the origin the client dialed, the protocol version and
//! the address: it is good for one connection to one server.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{Opaque, SIGNAL_VERSION};
use crate::ids::SignalAddress;
use crate::keys::{AddressKey, BadSignature};
use crate::labels::Label;
use crate::origin::Origin;

/// A server's challenge: 32 random bytes, base64url in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 32]);

/// An address with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressProof {
    /// The address.
    pub address: SignalAddress,
    /// 64 bytes, made by [`prove_login`].
    pub signature: Opaque,
}

/// Proves an address to the server that sent `nonce` and was dialed as `origin`.
#[must_use]
pub fn prove_login(key: &AddressKey, nonce: &Nonce, origin: &Origin) -> AddressProof {
    let address = key.address();
    let signature = key.sign(
        Label::SignalLogin,
        &[&signed_bytes(nonce, origin, &address)],
    );
    AddressProof {
        address,
        signature: Opaque(signature.to_vec()),
    }
}

/// Checks what [`prove_login`] made.
///
/// # Errors
/// [`BadSignature`] if the proof was made for another nonce, origin, version or address.
pub fn check_login(
    proof: &AddressProof,
    nonce: &Nonce,
    origin: &Origin,
) -> Result<(), BadSignature> {
    let signed = signed_bytes(nonce, origin, &proof.address);
    proof
        .address
        .verify(Label::SignalLogin, &[&signed], &proof.signature.0)
}

/// `nonce[32] | u16 length | origin | version u16 | address[32]`.
fn signed_bytes(nonce: &Nonce, origin: &Origin, address: &SignalAddress) -> Vec<u8> {
    let mut bytes = nonce.0.to_vec();
    bytes.extend_from_slice(&origin.signed_bytes());
    bytes.extend_from_slice(&SIGNAL_VERSION.to_be_bytes());
    bytes.extend_from_slice(address.as_bytes());
    bytes
}

impl Serialize for Nonce {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Opaque::deserialize(deserializer)?.0;
        let len = bytes.len();
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format!("nonce has {len} bytes instead of 32")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_good_for_one_nonce_origin_and_address() {
        let key = AddressKey::from_seed(&[1; 32]);
        let here = Origin::from_host_header("chat.example.org");
        let proof = prove_login(&key, &Nonce([7; 32]), &here);
        assert_eq!(check_login(&proof, &Nonce([7; 32]), &here), Ok(()));
        assert!(check_login(&proof, &Nonce([8; 32]), &here).is_err());
        assert!(check_login(&proof, &Nonce([7; 32]), &Origin::from_host_header("evil")).is_err());
        let mut stolen = proof;
        stolen.address = AddressKey::from_seed(&[2; 32]).address();
        assert!(check_login(&stolen, &Nonce([7; 32]), &here).is_err());
    }
}

//! STUN messages (RFC 8489) as the TURN server's door makes and checks them.
//!
//! The door authenticates every request itself, with nonces that need no memory. The protocol
//! machine behind it insists on a nonce of its own, so a request that passed is signed again for
//! the inside, and the answer signed again for the outside: [`sign_again`].

use std::net::SocketAddr;

use turn_server_proto::types::attribute::{
    AdditionalAddressFamily, ChannelNumber, EvenPort, ReservationToken, XorPeerAddress,
};
use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};
use turn_server_proto::types::stun::attribute::{
    AttributeType, ErrorCode, Fingerprint, MessageIntegrity, MessageIntegritySha256, Nonce,
    PasswordAlgorithm, PasswordAlgorithms, RawAttribute, Realm, Username, XorMappedAddress,
};
use turn_server_proto::types::stun::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageType, MessageWrite,
    MessageWriteExt, MessageWriteVec, Method, StunWriteError,
};
use turn_server_proto::types::stun::prelude::{Attribute, AttributeFromRaw, AttributeStaticType};

/// Capacity that fits every answer made here, bytes.
const ANSWER_CAPACITY: usize = 256;

/// Requests that the protocol machine may see. TCP allocations (RFC 6062) are not offered.
pub(super) fn is_turn_request(method: Method) -> bool {
    [ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND].contains(&method)
}

/// What a request says about who sent it.
pub(super) struct Claim {
    pub(super) username: String,
    pub(super) realm: String,
    pub(super) nonce: String,
}

/// How a request stands with authentication before anything is checked.
pub(super) enum Authentication {
    /// No MESSAGE-INTEGRITY: a first request.
    None,
    /// MESSAGE-INTEGRITY, but an attribute it needs is missing.
    Incomplete,
    /// To be checked.
    Claimed(Claim),
}

/// Reads USERNAME, REALM, NONCE and whether there is a MESSAGE-INTEGRITY.
pub(super) fn authentication(request: &Message<'_>) -> Authentication {
    if !request.has_attribute(MessageIntegrity::TYPE) {
        return Authentication::None;
    }
    let claim = (|| {
        Some(Claim {
            username: request.attribute::<Username>().ok()?.username().to_owned(),
            realm: request.attribute::<Realm>().ok()?.realm().to_owned(),
            nonce: request.attribute::<Nonce>().ok()?.nonce().to_owned(),
        })
    })();
    claim.map_or(Authentication::Incomplete, Authentication::Claimed)
}

/// The key of the long-term credential mechanism: MD5 of user, realm and password (RFC 8489, 18.5.1.1).
pub(super) fn long_term_key(username: &str, realm: &str, password: String) -> IntegrityKey {
    LongTermKeyCredentials::new(username.to_owned(), password, realm.to_owned())
        .make_key(IntegrityAlgorithm::Sha1)
}

/// Whether the request is signed with the key.
pub(super) fn is_signed_with(request: &Message<'_>, key: &IntegrityKey) -> bool {
    request.validate_integrity_with_key(key).is_ok()
}

/// All XOR-PEER-ADDRESS attributes; `None` if one cannot be read.
pub(super) fn peer_addresses(message: &Message<'_>) -> Option<Vec<SocketAddr>> {
    signed_attributes(message)
        .filter(|attribute| attribute.get_type() == XorPeerAddress::TYPE)
        .map(|attribute| {
            let peer = XorPeerAddress::from_raw_ref(&attribute).ok()?;
            Some(peer.addr(message.transaction_id()))
        })
        .collect()
}

/// The CHANNEL-NUMBER attribute.
pub(super) fn channel_number(message: &Message<'_>) -> Option<u16> {
    let attribute =
        signed_attributes(message).find(|attribute| attribute.get_type() == ChannelNumber::TYPE)?;
    Some(ChannelNumber::from_raw_ref(&attribute).ok()?.channel())
}

/// Whether an Allocate request wants a relayed address on an even port.
pub(super) fn wants_even_port(request: &Message<'_>) -> bool {
    request.has_attribute(EvenPort::TYPE)
}

/// Whether an Allocate request wants the next port kept for it, or uses one that was kept.
pub(super) fn reserves_port(request: &Message<'_>) -> bool {
    let keeps = request
        .attribute::<EvenPort>()
        .is_ok_and(|even| even.requested());
    keeps || request.has_attribute(ReservationToken::TYPE)
}

/// Answer to a Binding request: where it came from.
pub(super) fn binding_answer(request: &Message<'_>, from: SocketAddr) -> Option<Vec<u8>> {
    let mut answer =
        Message::builder_success(request, MessageWriteVec::with_capacity(ANSWER_CAPACITY));
    answer
        .add_attribute(&XorMappedAddress::new(from, request.transaction_id()))
        .ok()?;
    add_fingerprint_like(request, &mut answer).ok()?;
    Some(answer.finish())
}

/// 401 or 438 with what is needed to try again. Not signed: there is no user to sign for.
pub(super) fn challenge(
    request: &Message<'_>,
    code: u16,
    realm: &str,
    nonce: &str,
) -> Option<Vec<u8>> {
    let mut answer = error(request, code).ok()?;
    answer.add_attribute(&Realm::new(realm).ok()?).ok()?;
    answer.add_attribute(&Nonce::new(nonce).ok()?).ok()?;
    add_fingerprint_like(request, &mut answer).ok()?;
    Some(answer.finish())
}

/// An error; signed if a key is given.
pub(super) fn refusal(
    request: &Message<'_>,
    code: u16,
    key: Option<&IntegrityKey>,
) -> Option<Vec<u8>> {
    let mut answer = error(request, code).ok()?;
    if let Some(key) = key {
        answer
            .add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)
            .ok()?;
    }
    add_fingerprint_like(request, &mut answer).ok()?;
    Some(answer.finish())
}

fn error(request: &Message<'_>, code: u16) -> Result<MessageWriteVec, StunWriteError> {
    let mut answer =
        Message::builder_error(request, MessageWriteVec::with_capacity(ANSWER_CAPACITY));
    answer.add_attribute(&ErrorCode::builder(code).build()?)?;
    Ok(answer)
}

/// A first Allocate request, which the protocol machine answers with a nonce of its own.
pub(super) fn bare_allocate() -> Vec<u8> {
    Message::builder_request(ALLOCATE, MessageWriteVec::new()).finish()
}

/// The nonce in a message.
pub(super) fn nonce_of(message: &[u8]) -> Option<String> {
    Some(
        Message::from_bytes(message)
            .ok()?
            .attribute::<Nonce>()
            .ok()?
            .nonce()
            .to_owned(),
    )
}

/// The same message with another NONCE (or none), signed again.
///
/// Only what the original signature covered is taken over. ADDITIONAL-ADDRESS-FAMILY, which asks
/// for a second relayed address, is left out: a server may ignore it (RFC 8656, 7.2), and this one
/// relays in one address family only. In answers REALM is left out as well.
pub(super) fn sign_again(
    message: &Message<'_>,
    nonce: Option<&str>,
    key: &IntegrityKey,
    fingerprint: bool,
) -> Option<Vec<u8>> {
    let class_and_method = MessageType::from_class_method(message.class(), message.method());
    let capacity = message.as_bytes().len() + ANSWER_CAPACITY;
    let mut copy = Message::builder(
        class_and_method,
        message.transaction_id(),
        MessageWriteVec::with_capacity(capacity),
    );
    for attribute in signed_attributes(message) {
        let kind = attribute.get_type();
        let dropped = [
            Nonce::TYPE,
            PasswordAlgorithm::TYPE,
            PasswordAlgorithms::TYPE,
            AdditionalAddressFamily::TYPE,
        ];
        if dropped.contains(&kind) || (kind == Realm::TYPE && nonce.is_none()) {
            continue;
        }
        copy.add_attribute(&attribute).ok()?;
    }
    if let Some(nonce) = nonce {
        copy.add_attribute(&Nonce::new(nonce).ok()?).ok()?;
    }
    copy.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)
        .ok()?;
    if fingerprint {
        copy.add_fingerprint().ok()?;
    }
    Some(copy.finish())
}

/// Whether a message ends in a FINGERPRINT; answers then have one too.
pub(super) fn has_fingerprint(message: &Message<'_>) -> bool {
    message.has_attribute(Fingerprint::TYPE)
}

fn add_fingerprint_like(
    request: &Message<'_>,
    answer: &mut MessageWriteVec,
) -> Result<(), StunWriteError> {
    if has_fingerprint(request) {
        answer.add_fingerprint()
    } else {
        Ok(())
    }
}

/// The attributes before MESSAGE-INTEGRITY: what the signature covers.
fn signed_attributes<'a>(message: &'a Message<'_>) -> impl Iterator<Item = RawAttribute<'a>> {
    const END: [AttributeType; 3] = [
        MessageIntegrity::TYPE,
        MessageIntegritySha256::TYPE,
        Fingerprint::TYPE,
    ];
    message
        .iter_attributes()
        .map(|(_, attribute)| attribute)
        .take_while(|attribute| !END.contains(&attribute.get_type()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use turn_server_proto::types::stun::message::BINDING;

    fn from() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 9], 4242))
    }

    #[test]
    fn a_binding_answer_names_the_source() {
        let request = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
        let request = Message::from_bytes(&request).unwrap();
        let answer = binding_answer(&request, from()).unwrap();
        let answer = Message::from_bytes(&answer).unwrap();
        assert_eq!(
            answer
                .attribute::<XorMappedAddress>()
                .unwrap()
                .addr(request.transaction_id()),
            from()
        );
        assert!(!has_fingerprint(&answer));
    }

    #[test]
    fn signing_again_takes_over_what_was_signed_and_nothing_else() {
        let (outer, inner) = (
            long_term_key("u", "r", "p".to_owned()),
            long_term_key("u", "r", "q".to_owned()),
        );
        let mut request = Message::builder_request(CREATE_PERMISSION, MessageWriteVec::new());
        request
            .add_attribute(&XorPeerAddress::new(from(), request.transaction_id()))
            .unwrap();
        request.add_attribute(&Realm::new("r").unwrap()).unwrap();
        request
            .add_attribute(&Nonce::new("outer").unwrap())
            .unwrap();
        request
            .add_message_integrity_with_key(&outer, IntegrityAlgorithm::Sha1)
            .unwrap();
        let mut request = request.finish();
        // An attacker adds a peer behind the signature.
        let unsigned = RawAttribute::new(XorPeerAddress::TYPE, &[0; 8]).to_bytes();
        request.extend_from_slice(&unsigned);
        let len = u16::try_from(request.len() - 20).unwrap();
        request[2..4].copy_from_slice(&len.to_be_bytes());

        let request = Message::from_bytes(&request).unwrap();
        assert!(is_signed_with(&request, &outer));
        assert_eq!(peer_addresses(&request), Some(vec![from()]));
        let again = sign_again(&request, Some("inner"), &inner, false).unwrap();
        let again = Message::from_bytes(&again).unwrap();
        assert!(is_signed_with(&again, &inner) && !is_signed_with(&again, &outer));
        assert_eq!(again.attribute::<Nonce>().unwrap().nonce(), "inner");
        assert_eq!(
            again
                .iter_attributes()
                .filter(|(_, it)| it.get_type() == XorPeerAddress::TYPE)
                .count(),
            1
        );
        let answer = sign_again(&again, None, &outer, true).unwrap();
        let answer = Message::from_bytes(&answer).unwrap();
        assert!(!answer.has_attribute(Nonce::TYPE) && !answer.has_attribute(Realm::TYPE));
        assert!(has_fingerprint(&answer) && is_signed_with(&answer, &outer));
    }
}

//! What is said in a conversation: the contents inside a sealed payload.

use bytes::Bytes;
use prost::Message as _;

use crate::ack::SeqSet;
use crate::hlc::Hlc;
use crate::ids::{DeviceId, EnvelopeId, MsgId, QueueId, SignalAddress, WriteToken, WrongLength};
use crate::limits::{NAME_MAX, REQUEST_TEXT_MAX, RESEND_MAX, SIGNAL_SERVERS_MAX, TEXT_MAX};
use crate::origin::{ServerUrl, ServerUrlError};
use crate::wire;

/// The version this program writes.
pub const CONTENT_VERSION: u32 = 1;

/// One content: its place in the sender's sequence and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Chosen by the sender, kept when the content is sealed again.
    pub msg_id: MsgId,
    /// From 1 per (conversation, sender device); 0 for [`Body::Receipt`] and [`Body::Resend`].
    pub seq: u64,
    /// When the sender made it.
    pub hlc: Hlc,
    /// What it says.
    pub body: Body,
}

/// What a content says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// A text message.
    Text(String),
    /// What has been received and shown.
    Receipt(Receipt),
    /// Asks for something to be sealed again.
    Resend(Resend),
    /// How the sender's device is reached.
    Reach(Reach),
    /// The first content of a group made with an invite; said once more for each further invite that is
    /// used before there is an answer.
    ContactRequest(ContactRequest),
    /// The answer to it.
    ContactAccept(ContactAccept),
    /// Something a later version says. It is kept and not shown.
    Unknown,
}

/// How far both directions have come, as the sender of the receipt sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What has been received and shown, one for each device of the other side.
    pub acks: Vec<DeviceAck>,
    /// The sender's own messages up to and including this seq have been stored by the reader's device
    /// or relay, as far as the sender knows; 0 for none.
    pub stored_up_to: u64,
    /// Of these, up to where the sender knows them to be received.
    pub delivered_up_to: u64,
    /// And shown.
    pub read_up_to: u64,
}

/// What the sender of a receipt has of one device's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAck {
    /// Whose messages.
    pub device: DeviceId,
    /// Received durably.
    pub received: SeqSet,
    /// Shown to the person, up to and including; 0 for none.
    pub read_up_to: u64,
}

/// What should be sealed again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resend {
    /// Envelopes that arrived and could not be opened.
    pub env_ids: Vec<EnvelopeId>,
    /// Seqs that never arrived, both ends included.
    pub ranges: Vec<(u64, u64)>,
}

/// How a device is reached in one conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The relay with its mailbox.
    pub relay: ServerUrl,
    /// The mailbox.
    pub queue: QueueId,
    /// The right to deposit there.
    pub write_token: WriteToken,
    /// Where it listens for signals, at most [`SIGNAL_SERVERS_MAX`].
    pub signal_servers: Vec<ServerUrl>,
    /// Under which address.
    pub signal_address: SignalAddress,
}

/// "I would like to talk to you."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactRequest {
    /// What the sender calls themselves.
    pub name: String,
    /// At most [`REQUEST_TEXT_MAX`] bytes.
    pub text: String,
    /// Where the answer goes.
    pub reach: Reach,
}

/// "Let us talk."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactAccept {
    /// What the sender calls themselves.
    pub name: String,
    /// How they are reached.
    pub reach: Reach,
}

/// Why bytes are not a content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Not protobuf.
    #[error("content is malformed")]
    Malformed,
    /// A required field is missing.
    #[error("content lacks {field}")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// An identifier of the wrong length.
    #[error("content: {0}")]
    Length(#[from] WrongLength),
    /// A server's URL that cannot be one.
    #[error("content: {0}")]
    Url(#[from] ServerUrlError),
    /// A text above its limit.
    #[error("{what} has {len} bytes, at most {max} are allowed")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Length found, in bytes of UTF-8.
        len: usize,
        /// Length allowed, in bytes of UTF-8.
        max: usize,
    },
    /// A sequence number where none belongs, or none where one does.
    #[error("content of this kind cannot have seq {seq}")]
    Seq {
        /// The number found.
        seq: u64,
    },
}

impl Body {
    /// Whether it is sent on however old it is: what the program of the other side must learn, and no
    /// person would send again; and a request, because it is what whoever asks again still begins with.
    #[must_use]
    pub const fn outlasts_expiry(&self) -> bool {
        matches!(
            self,
            Self::Reach(_) | Self::ContactAccept(_) | Self::ContactRequest(_)
        )
    }

    /// Whether contents of this kind are numbered, acknowledged and delivered in order. The others
    /// replace what they said before, so that the newest is enough.
    #[must_use]
    pub const fn is_sequenced(&self) -> bool {
        !matches!(self, Self::Receipt(_) | Self::Resend(_))
    }
}

impl Content {
    /// Encodes the content.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let content = wire::Content {
            v: CONTENT_VERSION,
            msg_id: self.msg_id.as_bytes().to_vec(),
            seq: self.seq,
            hlc: self.hlc.as_u64(),
            log_index: 0,
            log_hash: Vec::new(),
            body: self.body.to_wire(),
        };
        content.encode_to_vec().into()
    }

    /// Reads a content and checks every limit.
    ///
    /// # Errors
    /// [`ContentError`]. A kind or field of a later version is no error.
    pub fn decode(bytes: &[u8]) -> Result<Self, ContentError> {
        let content = wire::Content::decode(bytes).map_err(|_| ContentError::Malformed)?;
        let msg_id = MsgId::from_slice(&content.msg_id).map_err(|_| WrongLength {
            what: "message id",
            len: content.msg_id.len(),
            expected: 16,
        })?;
        let body = Body::from_wire(content.body)?;
        let numbered = content.seq != 0;
        if content.seq == u64::MAX || (body != Body::Unknown && body.is_sequenced() != numbered) {
            return Err(ContentError::Seq { seq: content.seq });
        }
        Ok(Self {
            msg_id,
            seq: content.seq,
            hlc: Hlc::from_u64(content.hlc),
            body,
        })
    }
}

impl Body {
    fn to_wire(&self) -> Option<wire::content::Body> {
        use wire::content::Body as Wire;
        match self {
            Self::Text(text) => Some(Wire::Text(wire::Text { text: text.clone() })),
            Self::Receipt(receipt) => Some(Wire::Receipt(receipt.to_wire())),
            Self::Resend(resend) => Some(Wire::Resend(resend.to_wire())),
            Self::Reach(reach) => Some(Wire::Reach(reach.to_wire())),
            Self::ContactRequest(request) => Some(Wire::ContactRequest(wire::ContactRequest {
                name: request.name.clone(),
                text: request.text.clone(),
                reach: Some(request.reach.to_wire()),
            })),
            Self::ContactAccept(accept) => Some(Wire::ContactAccept(wire::ContactAccept {
                name: accept.name.clone(),
                reach: Some(accept.reach.to_wire()),
            })),
            Self::Unknown => None,
        }
    }

    fn from_wire(body: Option<wire::content::Body>) -> Result<Self, ContentError> {
        use wire::content::Body as Wire;
        match body {
            None => Ok(Self::Unknown),
            Some(Wire::Text(text)) => Ok(Self::Text(limited("text", text.text, TEXT_MAX)?)),
            Some(Wire::Receipt(receipt)) => Receipt::from_wire(&receipt).map(Self::Receipt),
            Some(Wire::Resend(resend)) => Resend::from_wire(&resend).map(Self::Resend),
            Some(Wire::Reach(reach)) => Reach::from_wire(reach).map(Self::Reach),
            Some(Wire::ContactRequest(request)) => Ok(Self::ContactRequest(ContactRequest {
                name: limited("name", request.name, NAME_MAX)?,
                text: limited("contact request", request.text, REQUEST_TEXT_MAX)?,
                reach: reach_field(request.reach)?,
            })),
            Some(Wire::ContactAccept(accept)) => Ok(Self::ContactAccept(ContactAccept {
                name: limited("name", accept.name, NAME_MAX)?,
                reach: reach_field(accept.reach)?,
            })),
        }
    }
}

impl Receipt {
    fn to_wire(&self) -> wire::Receipt {
        wire::Receipt {
            acks: self.acks.iter().map(DeviceAck::to_wire).collect(),
            stored_up_to: self.stored_up_to,
            delivered_up_to: self.delivered_up_to,
            read_up_to: self.read_up_to,
        }
    }

    fn from_wire(receipt: &wire::Receipt) -> Result<Self, ContentError> {
        let acks = receipt.acks.iter().map(DeviceAck::from_wire);
        Ok(Self {
            acks: acks.collect::<Result<_, _>>()?,
            // The last number is never given out.
            stored_up_to: receipt.stored_up_to.min(u64::MAX - 1),
            delivered_up_to: receipt.delivered_up_to,
            read_up_to: receipt.read_up_to,
        })
    }
}

impl DeviceAck {
    fn to_wire(&self) -> wire::DeviceAck {
        let (cumulative, ranges) = self.received.to_wire();
        wire::DeviceAck {
            device: self.device.to_vec(),
            cumulative,
            ranges,
            read_up_to: self.read_up_to,
        }
    }

    fn from_wire(ack: &wire::DeviceAck) -> Result<Self, ContentError> {
        Ok(Self {
            device: DeviceId::try_from(ack.device.as_slice())?,
            received: SeqSet::from_wire(ack.cumulative, &ack.ranges),
            read_up_to: ack.read_up_to,
        })
    }
}

impl Resend {
    fn to_wire(&self) -> wire::Resend {
        wire::Resend {
            env_ids: self.env_ids.iter().map(EnvelopeId::to_vec).collect(),
            ranges: self
                .ranges
                .iter()
                .map(|&(first, last)| wire::SeqRange { first, last })
                .collect(),
        }
    }

    fn from_wire(resend: &wire::Resend) -> Result<Self, ContentError> {
        let env_ids = resend
            .env_ids
            .iter()
            .take(RESEND_MAX)
            .map(|id| EnvelopeId::try_from(id.as_slice()));
        Ok(Self {
            env_ids: env_ids.collect::<Result<_, _>>()?,
            ranges: resend
                .ranges
                .iter()
                .take(RESEND_MAX)
                .filter(|range| {
                    range.first > 0 && range.first <= range.last && range.last < u64::MAX
                })
                .map(|range| (range.first, range.last))
                .collect(),
        })
    }
}

impl Reach {
    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> wire::Reach {
        wire::Reach {
            relay: self.relay.to_string(),
            queue: self.queue.to_vec(),
            write_token: self.write_token.to_vec(),
            signal_servers: self
                .signal_servers
                .iter()
                .map(ToString::to_string)
                .collect(),
            signal_address: self.signal_address.to_vec(),
        }
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// [`ContentError`] for wrong URLs and lengths. Servers beyond [`SIGNAL_SERVERS_MAX`] are left
    /// out.
    pub fn from_wire(reach: wire::Reach) -> Result<Self, ContentError> {
        Ok(Self {
            relay: ServerUrl::parse(&reach.relay)?,
            queue: QueueId::try_from(reach.queue.as_slice())?,
            write_token: WriteToken::try_from(reach.write_token.as_slice())?,
            signal_servers: reach
                .signal_servers
                .iter()
                .take(SIGNAL_SERVERS_MAX)
                .map(|url| ServerUrl::parse(url))
                .collect::<Result<_, _>>()?,
            signal_address: SignalAddress::try_from(reach.signal_address.as_slice())?,
        })
    }
}

fn reach_field(reach: Option<wire::Reach>) -> Result<Reach, ContentError> {
    Reach::from_wire(reach.ok_or(ContentError::Missing { field: "reach" })?)
}

fn limited(what: &'static str, text: String, max: usize) -> Result<String, ContentError> {
    let len = text.len();
    if len > max {
        return Err(ContentError::TooLong { what, len, max });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(seq: u64, body: Body) -> Content {
        Content {
            msg_id: MsgId::from_u128(1),
            seq,
            hlc: Hlc::from_u64(2),
            body,
        }
    }

    fn reach() -> Reach {
        Reach {
            relay: ServerUrl::parse("https://relay.example.org").unwrap(),
            queue: QueueId::from_bytes([1; 32]),
            write_token: WriteToken::from_bytes([2; 16]),
            signal_servers: vec![ServerUrl::parse("https://chat.example.org").unwrap()],
            signal_address: SignalAddress::from_bytes([3; 32]),
        }
    }

    #[test]
    fn a_text_is_pinned() {
        assert_eq!(
            hex::encode(content(3, Body::Text("hi".into())).encode()),
            "0801121000000000000000000000000000000001180320028201040a026869"
        );
    }

    #[test]
    fn every_kind_round_trips() {
        let received = SeqSet::up_to(4);
        let ack = DeviceAck {
            device: DeviceId::from_bytes([9; 32]),
            received,
            read_up_to: 2,
        };
        let resend = Resend {
            env_ids: vec![EnvelopeId::of(b"e")],
            ranges: vec![(3, 5)],
        };
        let request = ContactRequest {
            name: "Ann".into(),
            text: "it's me".into(),
            reach: reach(),
        };
        for (seq, body) in [
            (1, Body::Text("hi".into())),
            (
                0,
                Body::Receipt(Receipt {
                    acks: vec![ack],
                    stored_up_to: 7,
                    delivered_up_to: 5,
                    read_up_to: 3,
                }),
            ),
            (0, Body::Resend(resend)),
            (2, Body::Reach(reach())),
            (3, Body::ContactRequest(request)),
            (
                4,
                Body::ContactAccept(ContactAccept {
                    name: "Bob".into(),
                    reach: reach(),
                }),
            ),
        ] {
            let content = content(seq, body);
            assert_eq!(Content::decode(&content.encode()), Ok(content));
        }
    }

    #[test]
    fn a_kind_of_the_future_is_kept_as_unknown() {
        let mut bytes = content(7, Body::Unknown).encode().to_vec();
        bytes.extend_from_slice(&[0xfa, 0x07, 0x01, 0x00]); // field 127, one byte
        let read = Content::decode(&bytes).unwrap();
        assert_eq!((read.seq, read.body), (7, Body::Unknown));
    }

    #[test]
    fn what_the_other_program_must_learn_outlasts_its_time() {
        let request = ContactRequest {
            name: "Ann".into(),
            text: "it's me".into(),
            reach: reach(),
        };
        let accept = ContactAccept {
            name: "Bob".into(),
            reach: reach(),
        };
        for body in [
            Body::Reach(reach()),
            Body::ContactAccept(accept),
            Body::ContactRequest(request),
        ] {
            assert!(body.outlasts_expiry(), "{body:?}");
        }
        for body in [Body::Text("hi".into()), Body::Unknown] {
            assert!(!body.outlasts_expiry(), "{body:?}");
        }
    }

    #[test]
    fn numbers_that_are_never_given_out_are_not_taken() {
        let range = |first, last| wire::SeqRange { first, last };
        let resend = wire::Resend {
            env_ids: Vec::new(),
            ranges: vec![range(0, 3), range(5, 4), range(2, u64::MAX), range(3, 5)],
        };
        assert_eq!(Resend::from_wire(&resend).unwrap().ranges, [(3, 5)]);
        let receipt = wire::Receipt {
            stored_up_to: u64::MAX,
            ..wire::Receipt::default()
        };
        let receipt = Receipt::from_wire(&receipt).unwrap();
        assert_eq!(receipt.stored_up_to, u64::MAX - 1);
    }

    #[test]
    fn limits_hold_and_say_so() {
        let longest = content(1, Body::Text("x".repeat(TEXT_MAX)));
        assert_eq!(Content::decode(&longest.encode()), Ok(longest));
        let long = content(1, Body::Text("x".repeat(TEXT_MAX + 1)));
        let error = Content::decode(&long.encode()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "text has 16385 bytes, at most 16384 are allowed"
        );
    }

    #[test]
    fn a_text_has_a_seq_and_a_receipt_has_none() {
        let text = content(0, Body::Text("hi".into())).encode();
        assert_eq!(Content::decode(&text), Err(ContentError::Seq { seq: 0 }));
        let receipt = content(1, Body::Receipt(Receipt::default())).encode();
        assert_eq!(Content::decode(&receipt), Err(ContentError::Seq { seq: 1 }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Content::decode(&bytes);
        }

        #[test]
        fn texts_round_trip(seq in 1..u64::MAX, hlc: u64, id: u128, text in ".{0,200}") {
            let content = Content { msg_id: MsgId::from_u128(id), seq, hlc: Hlc::from_u64(hlc), body: Body::Text(text) };
            prop_assert_eq!(Content::decode(&content.encode()), Ok(content));
        }
    }
}

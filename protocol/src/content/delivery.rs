//! What is said about messages so that they arrive: receipts, and questions for what is missing.

use super::ContentError;
use crate::ack::SeqSet;
use crate::ids::{DeviceId, EnvelopeId};
use crate::limits::RESEND_MAX;
use crate::wire;

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

impl Receipt {
    pub(super) fn to_wire(&self) -> wire::Receipt {
        wire::Receipt {
            acks: self.acks.iter().map(DeviceAck::to_wire).collect(),
            stored_up_to: self.stored_up_to,
            delivered_up_to: self.delivered_up_to,
            read_up_to: self.read_up_to,
        }
    }

    pub(super) fn from_wire(receipt: &wire::Receipt) -> Result<Self, ContentError> {
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
    pub(super) fn to_wire(&self) -> wire::DeviceAck {
        let (cumulative, ranges) = self.received.to_wire();
        wire::DeviceAck {
            device: self.device.to_vec(),
            cumulative,
            ranges,
            read_up_to: self.read_up_to,
        }
    }

    pub(super) fn from_wire(ack: &wire::DeviceAck) -> Result<Self, ContentError> {
        Ok(Self {
            device: DeviceId::try_from(ack.device.as_slice())?,
            received: SeqSet::from_wire(ack.cumulative, &ack.ranges),
            read_up_to: ack.read_up_to,
        })
    }
}

impl Resend {
    pub(super) fn to_wire(&self) -> wire::Resend {
        wire::Resend {
            env_ids: self.env_ids.iter().map(EnvelopeId::to_vec).collect(),
            ranges: self
                .ranges
                .iter()
                .map(|&(first, last)| wire::SeqRange { first, last })
                .collect(),
        }
    }

    pub(super) fn from_wire(resend: &wire::Resend) -> Result<Self, ContentError> {
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

//! Protobuf frames.

use std::fmt::Debug;

use bytes::Bytes;
use tincan_protocol::wire::{Frame, PeerFrame, RelayReply, RelayRequest};

use crate::bounded::bounded;

/// Bytes that a frame may grow by when it is written again: protobuf writes an enum's negative number,
/// which five bytes can say, in ten.
const GROWTH: usize = 8;

/// Peer frames.
pub fn peer_frame(data: &[u8]) {
    frame::<PeerFrame>(data);
}

/// Requests to a relay.
pub fn relay_request(data: &[u8]) {
    frame::<RelayRequest>(data);
}

/// Replies of a relay.
pub fn relay_reply(data: &[u8]) {
    frame::<RelayReply>(data);
}

fn frame<F: Frame + PartialEq + Debug>(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let Ok(frame) = bounded(data.len(), || F::read(bytes)) else {
        return;
    };
    assert!(data.len() <= F::MAX, "read above its limit");
    let again = frame.write();
    assert!(again.len() <= data.len() + GROWTH, "grew by being written");
    if again.len() <= F::MAX {
        let reread = F::read(again.clone()).unwrap();
        assert_eq!(reread, frame);
        assert_eq!(reread.write(), again, "written in two ways");
    }
}

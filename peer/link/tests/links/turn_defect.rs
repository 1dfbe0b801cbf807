//! Whether `src/transport/runtime.rs` is still needed. It measures, so it is not run with the other
//! tests; run it when the WebRTC crate changes:
//!
//! ```text
//! cargo test -p tincan-link --test links -- turn_defect --ignored --nocapture
//! ```

// The sources themselves: they are no part of the crate's interface.
#[path = "../../src/transport/runtime.rs"]
#[allow(dead_code, reason = "a test uses its part")]
mod runtime;
#[path = "../../src/transport/socket.rs"]
#[allow(dead_code, reason = "a test uses its part")]
mod socket;
#[path = "../../src/transport/strangers.rs"]
#[allow(dead_code, reason = "a test uses its part")]
mod strangers;

use std::sync::Arc;
use std::time::Duration;

use webrtc::runtime::{Runtime, TokioRuntime};

use crate::support::coturn::Coturn;
use crate::support::raw_pair::RawPair;
use runtime::{PassRuntime, PathMode};

/// Between what the correction gives (below 1 ms) and the driver's timers (200 ms).
const LIMIT: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; see the module"]
async fn the_driver_still_holds_relayed_packets_back() {
    let coturn = Coturn::start();
    let server = coturn.ice_server();
    let plain = [(); 2].map(|()| Arc::new(TokioRuntime) as Arc<dyn Runtime>);
    let pair = RawPair::connect(Some(&server), plain, 0).await;
    let without = pair.round_trips(20).await[10];
    pair.close().await;
    let modes = [(); 2].map(|()| Arc::new(PathMode::connecting()));
    let corrected = modes
        .clone()
        .map(|mode| Arc::new(PassRuntime::new(mode)) as Arc<dyn Runtime>);
    let pair = RawPair::connect(Some(&server), corrected, 0).await;
    let with = pair.round_trips(20).await[10];
    modes.iter().for_each(|mode| mode.end_passes());
    pair.close().await;
    println!("round trip through TURN: {without:?}, with extra passes {with:?}");
    assert!(
        with < LIMIT,
        "the correction does not help any more: {with:?}"
    );
    assert!(
        without > LIMIT,
        "the driver is quick by itself ({without:?}): remove the extra passes"
    );
}

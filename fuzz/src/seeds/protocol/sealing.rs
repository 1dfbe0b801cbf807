//! Boxes for one address.

use tincan_protocol::sealed_box::seal;

use crate::protocol::shared::{Counting, address_key};
use crate::script::ScriptWriter;
use crate::seeds::{Seed, seed};

/// A box, and a plaintext that the target seals.
pub fn sealed_box() -> Vec<Seed> {
    let sealed = seal(&address_key().address(), b"offer", &mut Counting(0)).unwrap();
    let script = ScriptWriter::default().number(50).byte(1);
    let script = script
        .raw(address_key().address().as_bytes())
        .raw("plaintext");
    vec![seed("box", sealed), seed("plaintext", script.finish())]
}

//! Sealed boxes.

use crypto_box::aead::rand_core::{CryptoRng, Error, RngCore};
use tincan_protocol::SignalAddress;
use tincan_protocol::keys::AddressKey;
use tincan_protocol::sealed_box::{OVERHEAD, open, seal};

use crate::bounded::bounded;
use crate::script::Script;

/// A sealed box: any bytes; any bytes sealed, and then changed; any address.
pub fn sealed_box(data: &[u8]) {
    let key = address_key();
    if let Ok(plain) = bounded(data.len(), || open(&key, data)) {
        assert_eq!(plain.len() + OVERHEAD, data.len());
    }
    let mut script = Script::new(data);
    let (at, flip) = (script.number(), script.byte());
    let address = SignalAddress::from_bytes(script.array());
    let plain = script.rest();
    // Most bytes are no key, or nobody's; what matters is that the answer is an error and no panic.
    let _ = seal(&address, plain, &mut Counting(0));
    let mut sealed = seal(&key.address(), plain, &mut Counting(0)).unwrap();
    assert_eq!(sealed.len(), plain.len() + OVERHEAD);
    assert_eq!(open(&key, &sealed).as_deref(), Ok(plain));
    let at = usize::try_from(at).unwrap_or(usize::MAX) % sealed.len();
    sealed[at] ^= flip.max(1);
    assert!(open(&key, &sealed).is_err(), "byte {at} was changed");
    assert!(open(&AddressKey::from_seed(&[5; 32]), &sealed).is_err());
}

/// The address that boxes are sealed to.
pub(crate) fn address_key() -> AddressKey {
    AddressKey::from_seed(&[4; 32])
}

/// Counts instead of drawing, so that an input always does the same.
pub(crate) struct Counting(pub(crate) u8);

impl RngCore for Counting {
    fn next_u32(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(1);
        u32::from(self.0)
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32())
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        for byte in dest {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Counting {}

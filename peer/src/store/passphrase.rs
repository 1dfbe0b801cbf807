//! A key from a passphrase: Argon2id (RFC 9106).

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

/// What a guess costs. More memory, passes or lanes than these bounds is refused, so that a planted file cannot
/// eat the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    /// KiB.
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

impl Cost {
    /// 64 MiB, three passes and four lanes: RFC 9106, 4, second choice.
    pub(crate) const CHOSEN: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 4,
    };

    const MOST: Self = Self {
        memory_kib: 1024 * 1024,
        passes: 64,
        lanes: 64,
    };

    /// Takes about a second.
    pub(crate) fn derive(
        &self,
        passphrase: &str,
        salt: &[u8; 16],
    ) -> Result<Zeroizing<[u8; 32]>, argon2::Error> {
        let Self {
            memory_kib,
            passes,
            lanes,
        } = *self;
        let most = Self::MOST;
        if memory_kib > most.memory_kib {
            return Err(argon2::Error::MemoryTooMuch);
        }
        // The library has no name for too many passes.
        if passes > most.passes || lanes > most.lanes {
            return Err(argon2::Error::ThreadsTooMany);
        }
        let mut key = Zeroizing::new([0; 32]);
        let params = Params::new(memory_kib, passes, lanes, Some(32))?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
            passphrase.as_bytes(),
            salt,
            key.as_mut_slice(),
        )?;
        Ok(key)
    }
}

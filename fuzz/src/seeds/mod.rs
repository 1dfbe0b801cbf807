//! The first inputs of every target, made by the encoders that the programs use.

pub mod clients;
pub mod core;
pub mod link;
pub mod mls;
pub mod peer;
pub mod protocol;
pub mod servers;

/// One input.
#[derive(Clone, Debug)]
pub struct Seed {
    /// What it is; its file is called `seed-NAME`.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What a seed's file is called.
pub const PREFIX: &str = "seed-";

pub(crate) fn seed(name: &str, bytes: impl AsRef<[u8]>) -> Seed {
    Seed {
        name: name.to_owned(),
        bytes: bytes.as_ref().to_vec(),
    }
}

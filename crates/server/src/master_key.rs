//! The master key: what wraps the data keys of encrypted disks. It comes from outside and never lies in the data
//! directory; how it is exchanged for another one is in `rotation`.

mod keyring;
mod rotation;
mod source;
#[cfg(test)]
mod tests;

pub(crate) use keyring::MasterKey;
pub(crate) use keyring::{Keyring, MasterKeys};
pub(crate) use rotation::{MasterKeyRotation, Rotated};
pub(crate) use source::{Found, KeyText, MasterKeySource, make};

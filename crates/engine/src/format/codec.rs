//! Writing and reading little-endian fields.

use ashlar_volume::{ErrorKind, VolumeError};

pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    pub(super) fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// The bytes as an array. Its length is a constant of the format, which a golden test holds.
    pub(super) fn into_array<const N: usize>(self) -> [u8; N] {
        let mut array = [0; N];
        debug_assert_eq!(self.0.len(), N, "a record of fixed size");
        array.copy_from_slice(&self.0);
        array
    }
}

/// Takes fields off the front of a value. Anything unexpected is `Corrupt` and names the value.
pub(super) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    pub(super) fn error(&self, problem: &str) -> VolumeError {
        VolumeError::new(ErrorKind::Corrupt, format!("stored {}: {problem}", self.what))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], VolumeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.error("it is cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], VolumeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, VolumeError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, VolumeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, VolumeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, VolumeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Fields that this version does not use. Something in them was written by a newer one.
    pub(super) fn zeroes(&mut self, count: usize) -> Result<(), VolumeError> {
        if self.bytes(count)?.iter().any(|byte| *byte != 0) {
            return Err(self.error("a reserved field is in use: a newer build wrote it"));
        }
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), VolumeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error("it is too long")) }
    }
}

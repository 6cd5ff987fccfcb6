//! Random bytes from the operating system.

use ashlar_types::RandomSource;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::failure::Failure;

/// The operating system's source: good enough for keys.
#[derive(Debug)]
pub(crate) struct OsRandom(());

impl OsRandom {
    /// Proves that the source answers, so that [`fill`](RandomSource::fill) has no reason to fail later.
    pub(crate) fn open() -> Result<Self, Failure> {
        fill_from_system(&mut [0; 16])
            .map(|()| Self(()))
            .map_err(|error| Failure::internal("the operating system gives no random bytes", error))
    }
}

impl RandomSource for OsRandom {
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(error) = fill_from_system(buffer) {
            // Going on would hand out keys and ids that can be guessed.
            tracing::error!(%error, "the operating system gives no random bytes any more");
            std::process::abort();
        }
    }
}

fn fill_from_system(mut rest: &mut [u8]) -> Result<(), Errno> {
    while !rest.is_empty() {
        match getrandom(&mut *rest, GetRandomFlags::empty()) {
            Ok(filled) => rest = &mut rest[filled..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_buffers_are_filled_to_the_end() {
        let random = OsRandom::open().unwrap();
        let mut buffer = [0; 4096];
        random.fill(&mut buffer);
        assert!(buffer[4064..].iter().any(|byte| *byte != 0));
        assert_ne!(random.next_u64(), random.next_u64());
    }
}

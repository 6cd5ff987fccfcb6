//! How the allocator of the process shares memory between threads.
//!
//! glibc gives up to eight arenas to each processor, and none takes what another has free. A page of checksums that one worker
//! loads another lets go of, so with nine workers each arena grew to what one of them alone would need: 303 MiB and more
//! where `map_cache_mib` was 128, after half a minute of random writes over 40 GiB, and 155 with two arenas, where it stays.

#![allow(unsafe_code, reason = "a setting of the C library, which takes two numbers")]

/// The most arenas. Threads keep small pieces for themselves, so few ever wait for each other.
#[cfg(target_env = "gnu")]
const ARENAS_MAX: libc::c_int = 2;

/// Bounds what threads keep from each other; answers whether the allocator knows the setting. Call it before there are threads.
pub(crate) fn share_between_threads() -> bool {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` stores a number. glibc asks that no other thread allocates meanwhile for some settings; there is none yet,
    // and of this one it reads the number only when it makes an arena.
    return unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS_MAX) } == 1;
    #[cfg(not(target_env = "gnu"))]
    false
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_env = "gnu")]
    fn the_allocator_knows_the_setting() {
        assert!(super::share_between_threads());
    }
}

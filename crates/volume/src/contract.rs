//! The contract suite: every rule of the traits' documentation as a named test that any store can run.
//!
//! A crate with a store implements [`Subject`] and calls [`contract_tests!`](crate::contract_tests); each rule becomes
//! a test of its own name. A failing rule panics with what was expected.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these functions are tests: they report by panicking, and run in no program"
)]

mod changes;
mod concurrency;
mod device;
mod differential;
mod encryption;
mod fixture;
mod snapshot;
mod sparse;
mod store;

pub use changes::{
    changes_are_never_missed_while_snapshots_go, changes_are_told_block_by_block,
    changes_follow_clones_and_rollbacks, changes_obey_their_limits, changes_survive_deletions_in_between,
};
pub use concurrency::*;
pub use device::*;
pub use differential::*;
pub use encryption::*;
pub use snapshot::*;
pub use sparse::*;
pub use store::*;

use crate::VolumeStore;

/// A store under test: new, empty, with room for at least 256 MiB of blocks.
pub trait Subject {
    /// The store.
    fn store(&self) -> &dyn VolumeStore;

    /// Waits until the store has given back all space that comes back in the background.
    fn settle(&self) {}

    /// Closes the store in good order and opens it again. No device is open when the suite calls this.
    fn reopen(&mut self) {}
}

/// Declares one `#[test]` for each rule of the contract. The argument is an expression that makes a new
/// `contract::Subject` each time it is evaluated.
///
/// ```text
/// ashlar_volume::contract_tests!(TemporaryPool::new());
/// ```
#[macro_export]
macro_rules! contract_tests {
    ($subject:expr) => {
        $crate::contract_tests! { @each $subject;
            a_new_volume_reads_as_zeroes
            written_bytes_are_read_back_at_any_alignment
            try_read_gives_the_same_bytes_as_read
            try_write_writes_as_write_does
            neighbours_of_an_unaligned_write_keep_their_bytes
            ranges_beyond_the_end_are_refused_and_change_nothing
            ranges_of_no_bytes_do_nothing
            discard_zeroes_any_range_and_nothing_else
            both_zero_modes_zero_any_range_and_nothing_else
            extents_follow_whole_blocks
            extents_obey_their_limits
            a_second_device_sees_writes_of_the_first
            flush_succeeds_on_every_device
            sizes_that_are_not_blocks_are_refused
            names_are_unique_within_their_kind
            missing_names_are_not_found
            resize_is_idempotent_and_never_shrinks
            open_devices_see_growth
            open_devices_forbid_what_would_pull_the_ground_away
            a_device_counts_as_open_until_its_last_clone_is_dropped
            clear_makes_the_volume_zeroes_and_keeps_its_snapshots
            lists_name_what_exists
            a_snapshot_freezes_unflushed_writes
            a_snapshot_does_not_change_when_its_volume_does
            a_snapshot_device_is_read_only
            a_snapshot_keeps_the_size_it_was_taken_at
            a_clone_has_the_content_and_a_life_of_its_own
            a_clone_may_be_larger_but_not_smaller
            roll_back_brings_the_content_back_and_keeps_the_size
            roll_back_to_a_larger_snapshot_is_refused
            roll_back_to_a_snapshot_of_another_volume_works
            snapshots_of_several_volumes_are_all_or_none
            roll_back_of_several_volumes_is_all_or_none
            a_renamed_snapshot_is_the_same_under_another_name
            snapshots_outlive_their_volume
            deleting_a_snapshot_leaves_what_shares_its_blocks
            discarded_blocks_hide_the_ancestor
            extents_look_through_the_ancestors
            long_chains_read_right_after_deletions_in_any_order
            usage_counts_blocks_once_and_comes_back
            infos_count_the_blocks_of_their_own
            heirs_are_told_whatever_lineage_they_are_of
            changes_are_told_block_by_block
            changes_survive_deletions_in_between
            changes_follow_clones_and_rollbacks
            changes_obey_their_limits
            changes_are_never_missed_while_snapshots_go
            a_reopened_store_knows_everything
            encrypted_volumes_hold_what_was_written
            snapshots_and_clones_are_encrypted_as_their_volume
            encryption_never_changes
            encrypted_volumes_outlive_their_relatives
            parts_of_encrypted_blocks_do_not_undo_each_other
            writers_in_separate_ranges_do_not_disturb_each_other
            a_snapshot_under_writers_is_of_one_moment
            snapshots_of_several_volumes_are_of_one_moment
            growth_under_writers_loses_nothing
            stores_serve_many_volumes_at_once
            random_histories_match_the_model
            huge_sparse_volumes_match_the_model
        }
    };
    (@each $subject:expr; $($rule:ident)+) => {
        $(
            #[test]
            fn $rule() {
                $crate::contract::$rule(&mut $subject);
            }
        )+
    };
}

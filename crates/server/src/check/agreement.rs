//! Whether the records and a pool speak of the same disks and snapshots.

use std::collections::BTreeSet;

use ashlar_control::PoolExpectation;
use ashlar_volume::{VolumeId, VolumeSnapshotId};

/// What a pool holds.
#[derive(Debug, Default)]
pub(super) struct PoolNames {
    /// Its volumes.
    pub(super) volumes: BTreeSet<VolumeId>,
    /// Its snapshots.
    pub(super) snapshots: BTreeSet<VolumeSnapshotId>,
}

/// Every point where records and pool disagree, one sentence each. Empty: they agree.
pub(super) fn disagreements(records: &PoolExpectation, pool: &PoolNames) -> Vec<String> {
    let mut found = Vec::new();
    for disk in &records.volumes {
        if !pool.volumes.contains(disk) {
            found.push(format!("the disk {disk} is on record, but the pool has no volume for it"));
        }
    }
    for snapshot in &records.snapshots {
        if !pool.snapshots.contains(snapshot) {
            found.push(format!("the snapshot {snapshot} is on record, but the pool does not have it"));
        }
    }
    let known = |volume| records.volumes.contains(volume) || records.volumes_in_flux.contains(volume);
    for volume in &pool.volumes {
        if !known(volume) {
            found.push(format!("the pool has the volume {volume}, but there is no disk on record for it"));
        }
    }
    let known = |id| records.snapshots.contains(id) || records.snapshots_in_flux.contains(id);
    for snapshot in &pool.snapshots {
        if !known(snapshot) {
            found.push(format!("the pool has the snapshot {snapshot}, but it is not on record"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(number: u8) -> VolumeId {
        VolumeId::new(&format!("disk-0000000{number}")).unwrap()
    }

    fn snapshot(number: u8) -> VolumeSnapshotId {
        VolumeSnapshotId::new(&format!("snap-0000000{number}")).unwrap()
    }

    fn agreeing() -> (PoolExpectation, PoolNames) {
        (
            PoolExpectation {
                volumes: [disk(1), disk(2)].into(),
                snapshots: [snapshot(1)].into(),
                ..PoolExpectation::default()
            },
            PoolNames { volumes: [disk(1), disk(2)].into(), snapshots: [snapshot(1)].into() },
        )
    }

    #[test]
    fn agreement_is_clean() {
        let (records, pool) = agreeing();
        assert_eq!(disagreements(&records, &pool), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_on_either_side_is_named() {
        let (mut records, mut pool) = agreeing();
        records.volumes.insert(disk(3));
        records.snapshots.insert(snapshot(3));
        pool.volumes.insert(disk(4));
        pool.volumes.insert(VolumeId::new("stray").unwrap());
        pool.snapshots.insert(snapshot(4));
        let found = disagreements(&records, &pool);
        assert_eq!(found.len(), 5);
        for name in ["disk-00000003", "snap-00000003", "disk-00000004", "stray", "snap-00000004"] {
            assert_eq!(
                found.iter().filter(|message| message.contains(name)).count(),
                1,
                "{name} in {found:?}"
            );
        }
    }

    #[test]
    fn what_a_job_works_on_may_be_there_or_not() {
        let (mut records, mut pool) = agreeing();
        records.volumes_in_flux = [disk(3), disk(4)].into();
        records.snapshots_in_flux = [snapshot(3), snapshot(4)].into();
        pool.volumes.insert(disk(4));
        pool.snapshots.insert(snapshot(4));
        assert_eq!(disagreements(&records, &pool), Vec::<String>::new());
    }
}

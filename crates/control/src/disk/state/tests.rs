//! The life of a disk as a table: every state against every wish.

use ashlar_db::JobId;
use ashlar_types::{
    AccountUin, DiskChargeType, DiskState, DiskType, DiskUsage, InstanceId, ProjectId, SnapshotState,
    UnixMillis,
};

use super::*;

/// What a wish comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    /// The disk is in this state then.
    To(DiskState),
    /// Goes by itself; trying again helps.
    Later,
    /// Never in this state.
    Never,
}

use Answer::{Later, Never, To};
use DiskState::{Attached, Attaching, Detaching, Expanding, Rollbacking, ToRecycle, Unattached};

fn instance() -> InstanceId {
    "ins-00000001".parse().unwrap()
}

/// The machine of a disk of this state.
fn attachment(state: DiskState) -> Attachment {
    let state = match state {
        Attaching => AttachmentState::Arriving,
        Detaching => AttachmentState::Leaving,
        _ => AttachmentState::Inside,
    };
    Attachment { instance: instance(), state }
}

fn disk(state: DiskState) -> Disk {
    let inside = matches!(state, Attaching | Attached | Detaching);
    Disk {
        id: "disk-00000001".parse().unwrap(),
        account: AccountUin(1),
        zone: "ap-guangzhou-3".parse().unwrap(),
        project: ProjectId(0),
        name: "Unnamed".to_owned(),
        disk_type: DiskType::CloudPremium,
        usage: DiskUsage::DataDisk,
        charge_type: DiskChargeType::PostpaidByHour,
        renew_flag: None,
        period_months: None,
        deadline: None,
        size_gib: 10,
        lifecycle: Lifecycle::Live,
        state,
        shareable: false,
        attachments: if inside { vec![attachment(state)] } else { Vec::new() },
        last_instance: None,
        portable: true,
        delete_with_instance: false,
        delete_snapshot: false,
        source_snapshot: None,
        encrypt_type: None,
        throughput_performance_mib: 0,
        burst_performance: false,
        backup_quota: 0,
        migrating: false,
        migrate_percent: 0,
        rollback_percent: 0,
        error_prompt: String::new(),
        job: matches!(state, Attaching | Detaching | Expanding | Rollbacking).then_some(JobId(1)),
        created: UnixMillis(0),
    }
}

fn snapshot(state: SnapshotState) -> Snapshot {
    Snapshot {
        id: "snap-00000001".parse().unwrap(),
        account: AccountUin(1),
        zone: "ap-guangzhou-3".parse().unwrap(),
        project: ProjectId(0),
        disk: Some("disk-00000001".parse().unwrap()),
        is_instant: false,
        group: None,
        name: "Unnamed".to_owned(),
        lifecycle: Lifecycle::Live,
        state,
        percent: 100,
        size_gib: 10,
        held_bytes: 0,
        policy: None,
        promise: None,
        locked_until: None,
        usage: DiskUsage::DataDisk,
        encrypt_type: None,
        deadline: None,
        job: None,
        created: UnixMillis(0),
        modified: UnixMillis(0),
    }
}

fn answer(result: Result<Disk, DiskError>) -> Answer {
    match result {
        Ok(disk) => To(disk.state),
        Err(DiskError::Busy { .. } | DiskError::SnapshotCreating(_) | DiskError::Migrating(_)) => Later,
        Err(
            DiskError::NotFound(_)
            | DiskError::Expired(_)
            | DiskError::AttachedTo { .. }
            | DiskError::InstanceLimit { .. }
            | DiskError::SeveralInstances { .. }
            | DiskError::ShareableHasNoSnapshots(_)
            | DiskError::NotPortable(_)
            | DiskError::NotInInstance { .. }
            | DiskError::NotSupported { .. },
        ) => Never,
    }
}

/// Every wish of a client, in the order of the table's columns.
fn wishes(disk: &Disk) -> [Answer; 7] {
    let disk = || disk.clone();
    let terminated = begin_terminate(disk()).map(|termination| match termination {
        Termination::Recycle(disk) | Termination::Delete(disk) => disk,
    });
    let rolled_back = match begin_roll_back(disk(), snapshot(SnapshotState::Normal)) {
        Ok((disk, _)) => answer(Ok(disk)),
        Err(ControlError::Disk(error)) => answer(Err(error)),
        Err(other) => panic!("{other}"),
    };
    [
        answer(begin_attach(disk(), instance(), 2)),
        answer(begin_detach(disk(), None).map(|(disk, _)| disk)),
        answer(begin_resize(disk())),
        answer(begin_change_type(disk(), DiskType::CloudSsd)),
        answer(begin_snapshot(&disk()).map(|()| disk())),
        rolled_back,
        answer(terminated),
    ]
}

#[test]
fn every_state_answers_every_wish() {
    // attach, detach, resize, change type, snapshot, roll back, terminate
    let table: [(DiskState, [Answer; 7]); 7] = [
        (
            Unattached,
            [
                To(Attaching),
                Never,
                To(Expanding),
                To(Unattached),
                To(Unattached),
                To(Rollbacking),
                To(Unattached),
            ],
        ),
        (Attaching, [Later; 7]),
        (Attached, [Never, To(Detaching), To(Expanding), To(Attached), To(Attached), Never, Never]),
        (Detaching, [Later; 7]),
        (Expanding, [Later; 7]),
        (Rollbacking, [Later; 7]),
        (ToRecycle, [Never, Never, Never, Never, Never, Never, To(ToRecycle)]),
    ];
    assert_eq!(table.len(), DiskState::ALL.len());
    for (state, answers) in table {
        assert_eq!(wishes(&disk(state)), answers, "{state}");
    }
}

#[test]
fn a_disk_that_a_job_holds_refuses_every_wish() {
    for state in DiskState::ALL {
        let held = Disk { job: Some(JobId(1)), ..disk(*state) };
        assert_eq!(wishes(&held), [Later; 7], "{state}");
        let migrating = Disk { migrating: true, ..disk(*state) };
        assert_eq!(wishes(&migrating), [Later; 7], "{state}");
    }
}

#[test]
fn prepaid_disks_are_isolated_before_they_are_deleted() {
    let prepaid = Disk { charge_type: DiskChargeType::Prepaid, ..disk(Unattached) };
    let Ok(Termination::Recycle(recycled)) = begin_terminate(prepaid) else { panic!("not isolated") };
    assert_eq!((recycled.state, recycled.lifecycle), (ToRecycle, Lifecycle::Live));
    let Ok(Termination::Delete(deleted)) = begin_terminate(recycled) else { panic!("not deleted") };
    assert_eq!(deleted.lifecycle, Lifecycle::Deleting);
    let Ok(Termination::Delete(_)) = begin_terminate(disk(Unattached)) else { panic!("postpaid is kept") };
}

#[test]
fn a_disk_leaves_only_the_instance_it_is_in() {
    let other: InstanceId = "ins-00000002".parse().unwrap();
    let refused = begin_detach(disk(Attached), Some(other)).unwrap_err();
    assert_eq!(refused, DiskError::AttachedTo { disk: disk(Attached).id, instance: instance() });
    assert!(begin_detach(disk(Attached), Some(instance())).is_ok());
    let fixed = Disk { portable: false, ..disk(Attached) };
    assert_eq!(begin_detach(fixed, None), Err(DiskError::NotPortable(disk(Attached).id)));
}

#[test]
fn a_finished_wish_rests_where_it_belongs() {
    let attached = finish_attach(begin_attach(disk(Unattached), instance(), 2).unwrap(), None);
    assert_eq!((attached.state, attached.last_instance), (Attached, Some(instance())));
    let grown = finish_resize(begin_resize(attached.clone()).unwrap(), 20);
    assert_eq!((grown.state, grown.size_gib), (Attached, 20));
    let changed =
        finish_change_type(begin_change_type(grown, DiskType::CloudSsd).unwrap(), DiskType::CloudSsd);
    assert_eq!((changed.migrating, changed.migrate_percent), (false, 100));
    let left = leave_instance(begin_detach(changed, None).unwrap().0);
    assert_eq!((left.state, left.instance(), left.last_instance), (Unattached, None, Some(instance())));
}

#[test]
fn what_is_given_back_is_as_before_and_tells_why() {
    for (before, begun) in [
        (disk(Unattached), begin_attach(disk(Unattached), instance(), 2).unwrap()),
        (disk(Attached), begin_detach(disk(Attached), None).unwrap().0),
        (disk(Attached), begin_resize(disk(Attached)).unwrap()),
        (disk(Unattached), begin_resize(disk(Unattached)).unwrap()),
        (disk(Attached), begin_change_type(disk(Attached), DiskType::CloudSsd).unwrap()),
        (disk(Unattached), begin_roll_back(disk(Unattached), snapshot(SnapshotState::Normal)).unwrap().0),
    ] {
        let expected = Disk { error_prompt: "why".to_owned(), ..before };
        assert_eq!(give_back(begun, "why"), expected);
    }
}

#[test]
fn only_a_ready_snapshot_of_the_disk_that_fits_is_rolled_back() {
    for state in SnapshotState::ALL {
        let begun = begin_roll_back(disk(Unattached), snapshot(*state));
        assert_eq!(begun.is_ok(), *state == SnapshotState::Normal, "{state}");
    }
    let foreign =
        Snapshot { disk: Some("disk-00000002".parse().unwrap()), ..snapshot(SnapshotState::Normal) };
    let refused = begin_roll_back(disk(Unattached), foreign);
    assert!(matches!(refused, Err(ControlError::Snapshot(SnapshotError::OfOtherDisk { .. }))));
    let large = Snapshot { size_gib: 11, ..snapshot(SnapshotState::Normal) };
    let refused = begin_roll_back(disk(Unattached), large);
    assert!(matches!(refused, Err(ControlError::Snapshot(SnapshotError::SizeMismatch { .. }))));
}

#[test]
fn exports_are_rebuilt_for_disks_inside_machines_only() {
    let of = |attachment| {
        let states = DiskState::ALL.iter().copied();
        states.filter(|state| is_exported(*state, attachment)).collect::<Vec<_>>()
    };
    // A machine keeps a shareable disk while another gets it or gives it back.
    assert_eq!(of(AttachmentState::Inside), [Attaching, Attached, Detaching, Expanding]);
    assert_eq!((of(AttachmentState::Arriving), of(AttachmentState::Leaving)), (vec![], vec![]));
}

/// A shareable disk in so many instances, `ins-00000001` and on.
fn shared(count: u64) -> Disk {
    let inside = |number| Attachment { instance: machine(number), state: AttachmentState::Inside };
    let state = if count == 0 { Unattached } else { Attached };
    Disk { shareable: true, attachments: (1..=count).map(inside).collect(), ..disk(state) }
}

fn machine(number: u64) -> InstanceId {
    format!("ins-{number:08}").parse().unwrap()
}

#[test]
fn a_shareable_disk_comes_into_one_instance_after_the_other_and_leaves_the_one_named() {
    let id = shared(0).id;
    let begun = begin_attach(shared(1), machine(2), 2).unwrap();
    assert_eq!((begun.state, begun.attachments.len()), (Attaching, 2));
    assert_eq!(give_back(begun.clone(), ""), shared(1));
    let both = finish_attach(begun, Some(true));
    assert_eq!(
        (both.state, both.last_instance, both.delete_with_instance),
        (Attached, Some(machine(2)), true)
    );
    assert_eq!(both.attachments, shared(2).attachments);

    assert_eq!(
        begin_attach(shared(2), machine(3), 2),
        Err(DiskError::InstanceLimit { disk: id, at_most: 2 })
    );
    let refused = begin_attach(shared(2), machine(2), 9);
    assert_eq!(refused, Err(DiskError::AttachedTo { disk: id, instance: machine(2) }));
    assert_eq!(begin_detach(shared(2), None), Err(DiskError::SeveralInstances { disk: id, count: 2 }));
    let refused = begin_detach(shared(2), Some(machine(3)));
    assert_eq!(refused, Err(DiskError::AttachedTo { disk: id, instance: machine(1) }));

    let (leaving, from) = begin_detach(both, Some(machine(1))).unwrap();
    assert_eq!((leaving.state, from), (Detaching, machine(1)));
    assert_eq!(give_back(leaving.clone(), "").attachments, shared(2).attachments);
    let left = leave_instance(leaving);
    assert_eq!((left.state, left.instances().collect::<Vec<_>>()), (Attached, vec![machine(2)]));
    assert!(left.delete_with_instance, "it goes with the last instance");
    let out = leave_instance(begin_detach(left, None).unwrap().0);
    assert_eq!((out.state, out.attachments, out.delete_with_instance), (Unattached, vec![], false));
}

#[test]
fn a_shareable_disk_has_no_snapshots_and_is_not_initialized() {
    for count in 0..3 {
        let refused = begin_snapshot(&shared(count));
        assert_eq!(refused, Err(DiskError::ShareableHasNoSnapshots(shared(0).id)));
        assert_eq!(begin_backup(&shared(count)), Ok(()));
        assert!(matches!(begin_initialize(&shared(count)), Err(DiskError::NotSupported { .. })));
    }
    assert_eq!(begin_initialize(&disk(Unattached)), Ok(()));
}

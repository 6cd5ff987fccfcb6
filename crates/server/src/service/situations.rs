//! Documented error codes of situations that pass, and of storage that fails, over the whole wire: a pool is held in
//! the middle of a call, or refuses, and other calls meet it. No chance decides.
//!
//! `situations_in_process.json` has what is met here, by product and action; the end-to-end tests count it when they
//! look for documented codes that nobody meets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ashlar_api::Action;
use ashlar_control::{FIRST_ACCOUNT, NewInstance, Settings};
use ashlar_types::InstanceProduct;
use ashlar_volume::ErrorKind;
use serde_json::{Value, json};

use super::wire::{Wire, code_of};

const CBS: &str = "cbs";
const LIGHTHOUSE: &str = "lighthouse";

/// The wire, and what was met through it.
struct World {
    wire: Arc<Wire>,
    met: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

fn action(product: &str, name: &str) -> Action {
    let is_it = |action: &Action| action.spec().product == product && action.spec().name == name;
    Action::all().find(is_it).unwrap_or_else(|| panic!("{product} has no {name}"))
}

impl World {
    async fn new() -> Self {
        Self { wire: Arc::new(Wire::new(Settings::default()).await), met: BTreeMap::new() }
    }

    /// The same on a server that has nothing yet.
    async fn anew(self, settings: Settings) -> Self {
        Self { wire: Arc::new(Wire::new(settings).await), met: self.met }
    }

    async fn call(&self, product: &str, name: &str, request: &Value) -> Value {
        self.wire.call(&self.wire.owner, action(product, name), request).await
    }

    /// A call that succeeds; what stands at the pointer of its answer.
    async fn made(&self, product: &str, name: &str, request: Value, pointer: &str) -> String {
        let answer = self.call(product, name, &request).await;
        let id = answer.pointer(pointer).and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("{name}: {answer}")).to_owned()
    }

    /// A call that is refused with a code.
    async fn meets(&mut self, product: &str, name: &str, request: &Value, code: &str) {
        let answer = self.call(product, name, request).await;
        assert_eq!(code_of(&answer), code, "{product} {name}: {answer}");
        let actions = self.met.entry(product.to_owned()).or_default();
        actions.entry(name.to_owned()).or_default().insert(code.to_owned());
    }

    /// Begins a call and holds it at its first step in a pool.
    async fn hold(&self, product: &'static str, name: &'static str, request: Value) -> Held {
        // What makes something asks the pool for a free name first.
        let open = self.wire.pools.hold_after(usize::from(name.starts_with("Create")));
        let wire = Arc::clone(&self.wire);
        let call = tokio::spawn(async move { wire.call(&wire.owner, action(product, name), &request).await });
        self.is_held(name).await;
        Held { open, call }
    }

    async fn is_held(&self, name: &str) {
        let held = tokio::time::timeout(Duration::from_secs(60), self.wire.pools.held.notified()).await;
        held.unwrap_or_else(|_| panic!("{name} has not come to the pool"));
    }

    async fn add_machine(&self, product: InstanceProduct) -> String {
        let wanted = machine_of(product);
        let machine = self.wire.control.add_instance(FIRST_ACCOUNT, wanted).await.unwrap();
        crate::admin::shown_id(&machine)
    }
}

fn machine_of(product: InstanceProduct) -> NewInstance {
    NewInstance {
        zone: "ap-guangzhou-3".parse().unwrap(),
        name: None,
        id: None,
        ip_address: None,
        product,
        system_disk_gib: Some(10),
    }
}

/// A call that waits for a pool.
struct Held {
    open: std::sync::mpsc::Sender<()>,
    call: tokio::task::JoinHandle<Value>,
}

impl Held {
    /// Lets it go on; it succeeds.
    async fn release(self) {
        drop(self.open);
        let answer = self.call.await.unwrap();
        assert_eq!(code_of(&answer), "ok", "{answer}");
    }
}

/// The disk that the machine of an id of Lighthouse boots from, as block storage names it.
async fn system_disk(world: &World, machine: &str) -> String {
    let machine = machine.replace("lhins-", "ins-");
    let wanted = json!({"Filters": [{"Name": "instance-id", "Values": [machine]}]});
    world.made(CBS, "DescribeDisks", wanted, "/DiskSet/0/DiskId").await
}

async fn lighthouse(world: &mut World) {
    let machine = world.add_machine(InstanceProduct::Lighthouse).await;
    let disk = system_disk(world, &machine).await;
    let take = json!({"InstanceId": machine});
    let ready = world.made(LIGHTHOUSE, "CreateInstanceSnapshot", take.clone(), "/SnapshotId").await;
    let apply = json!({"InstanceId": machine, "SnapshotId": ready});
    let delete = json!({"SnapshotIds": [ready]});
    let unfinished = "UnsupportedOperation.DiskLatestOperationUnfinished";
    let state = "UnsupportedOperation.InvalidSnapshotState";

    let held = world.hold(LIGHTHOUSE, "CreateInstanceSnapshot", take.clone()).await;
    let creating = world.made(LIGHTHOUSE, "DescribeSnapshots", json!({}), "/SnapshotSet/0/SnapshotId").await;
    world.meets(LIGHTHOUSE, "CreateInstanceSnapshot", &take, unfinished).await;
    world.meets(LIGHTHOUSE, "ApplyInstanceSnapshot", &apply, unfinished).await;
    let apply_creating = json!({"InstanceId": machine, "SnapshotId": creating});
    world.meets(LIGHTHOUSE, "ApplyInstanceSnapshot", &apply_creating, state).await;
    world.meets(LIGHTHOUSE, "DeleteSnapshots", &json!({"SnapshotIds": [creating]}), state).await;
    held.release().await;

    let held = world.hold(LIGHTHOUSE, "ApplyInstanceSnapshot", apply.clone()).await;
    let seen = world.call(CBS, "DescribeDisks", &json!({"DiskIds": [disk]})).await;
    let (shown, attached) = (&seen["DiskSet"][0]["DiskState"], &seen["DiskSet"][0]["Attached"]);
    assert_eq!((shown, attached), (&json!("ROLLBACKING"), &json!(true)), "it stays in its machine: {seen}");
    world.meets(LIGHTHOUSE, "CreateInstanceSnapshot", &take, unfinished).await;
    world.meets(LIGHTHOUSE, "ApplyInstanceSnapshot", &apply, state).await;
    world.meets(LIGHTHOUSE, "DeleteSnapshots", &delete, state).await;
    world
        .meets(CBS, "CreateSnapshotGroup", &json!({"DiskIds": [disk]}), "ResourceInUse.DiskRollbacking")
        .await;
    held.release().await;

    world
        .made(CBS, "ModifyDiskBackupQuota", json!({"DiskId": disk, "DiskBackupQuota": 1}), "/RequestId")
        .await;
    let held = world.hold(CBS, "CreateDiskBackup", json!({"DiskId": disk})).await;
    world.meets(LIGHTHOUSE, "CreateInstanceSnapshot", &take, "UnsupportedOperation.DiskBusy").await;
    world.meets(LIGHTHOUSE, "ApplyInstanceSnapshot", &apply, "UnsupportedOperation.DiskBusy").await;
    held.release().await;

    let open = world.wire.pools.hold_after(1);
    let snapshot = ready.replace("lhsnap-", "snap-");
    let copy = json!({"SnapshotId": snapshot, "DestinationRegions": ["ap-beijing"]});
    world.made(CBS, "CopySnapshotCrossRegions", copy, "/RequestId").await;
    world.is_held("CopySnapshotCrossRegions").await;
    world.meets(LIGHTHOUSE, "DeleteSnapshots", &delete, "UnsupportedOperation.SnapshotBusy").await;
    drop(open);
}

/// A machine whose disk is on its way into it. How many calls for the pool come before that is tried.
async fn being_made(world: &World) -> (String, std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    for passing in 1..10 {
        let control = world.wire.control.clone();
        let open = world.wire.pools.hold_after(passing);
        let made = tokio::spawn(async move {
            control.add_instance(FIRST_ACCOUNT, machine_of(InstanceProduct::Lighthouse)).await.unwrap();
        });
        world.is_held("add_instance").await;
        let young = world.wire.control.list_instances(FIRST_ACCOUNT).await.unwrap().remove(0);
        if young.disk_count == 1 {
            return (crate::admin::shown_id(&young.instance), open, made);
        }
        drop(open);
        made.await.unwrap();
    }
    panic!("a new machine is never seen with a disk");
}

async fn machines_on_their_way(world: &mut World) {
    let gone = world.add_machine(InstanceProduct::Lighthouse).await;
    let snapshot =
        world.made(LIGHTHOUSE, "CreateInstanceSnapshot", json!({"InstanceId": gone}), "/SnapshotId").await;
    let (young, open, made) = being_made(world).await;
    let take = json!({"InstanceId": young});
    world
        .meets(LIGHTHOUSE, "CreateInstanceSnapshot", &take, "UnsupportedOperation.InvalidInstanceState")
        .await;
    let apply = json!({"InstanceId": young, "SnapshotId": snapshot});
    world.meets(LIGHTHOUSE, "ApplyInstanceSnapshot", &apply, "OperationDenied.InstanceCreating").await;
    drop(open);
    made.await.unwrap();

    let control = world.wire.control.clone();
    let open = world.wire.pools.hold_after(0);
    let id = gone.replace("lhins-", "ins-").parse().unwrap();
    let removed = tokio::spawn(async move { control.remove_instance(FIRST_ACCOUNT, id).await });
    world.is_held("remove_instance").await;
    let apply = json!({"InstanceId": gone, "SnapshotId": snapshot});
    world
        .meets(LIGHTHOUSE, "ApplyInstanceSnapshot", &apply, "UnsupportedOperation.InvalidInstanceState")
        .await;
    drop(open);
    removed.await.unwrap().unwrap();
}

async fn snapshots_being_taken(world: &mut World) {
    let code = "ResourceUnavailable.SnapshotCreating";
    let machine = world.add_machine(InstanceProduct::Cvm).await;
    let disk = system_disk(world, &machine).await;
    let held = world.hold(CBS, "CreateSnapshot", json!({"DiskId": disk})).await;
    world.meets(CBS, "CreateSnapshotGroup", &json!({"DiskIds": [disk]}), code).await;
    held.release().await;

    let disk = self::disk(world).await;
    let ready = world.made(CBS, "CreateSnapshot", json!({"DiskId": disk}), "/SnapshotId").await;
    let held = world.hold(CBS, "CreateSnapshot", json!({"DiskId": disk})).await;
    let creating = world.made(CBS, "DescribeSnapshots", json!({}), "/SnapshotSet/0/SnapshotId").await;
    for (name, request) in [
        ("ApplySnapshot", json!({"DiskId": disk, "SnapshotId": ready})),
        ("CreateDiskBackup", json!({"DiskId": disk})),
        ("CreateSnapshot", json!({"DiskId": disk})),
        ("DeleteSnapshots", json!({"SnapshotIds": [creating]})),
        ("ResizeDisk", json!({"DiskId": disk, "DiskSize": 30})),
    ] {
        world.meets(CBS, name, &request, code).await;
    }
    held.release().await;
}

/// A disk of 20 GiB that is paid by the hour.
async fn disk(world: &World) -> String {
    world.made(CBS, "CreateDisks", hourly(), "/DiskIdSet/0").await
}

fn hourly() -> Value {
    json!({"Placement": {"Zone": "ap-guangzhou-3"}, "DiskChargeType": "POSTPAID_BY_HOUR", "DiskType": "CLOUD_PREMIUM",
        "DiskSize": 20})
}

async fn pools_that_fail(world: &mut World) {
    let machine = world.add_machine(InstanceProduct::Cvm).await;
    let system = system_disk(world, &machine).await;
    let light = world.add_machine(InstanceProduct::Lighthouse).await;
    let ready = json!({"InstanceId": light});
    let ready = world.made(LIGHTHOUSE, "CreateInstanceSnapshot", ready, "/SnapshotId").await;
    let [growing, outside, inside] = [disk(world).await, disk(world).await, disk(world).await];
    world.made(CBS, "AttachDisks", json!({"DiskIds": [inside], "InstanceId": machine}), "/RequestId").await;
    let snapshot = world.made(CBS, "CreateSnapshot", json!({"DiskId": outside}), "/SnapshotId").await;

    *world.wire.pools.refusal.lock() = Some(ErrorKind::NoSpace);
    let full = "ResourceInsufficient";
    world.meets(CBS, "CreateDisks", &hourly(), full).await;
    world.meets(CBS, "ResizeDisk", &json!({"DiskId": growing, "DiskSize": 30}), full).await;
    world.meets(CBS, "ApplySnapshot", &json!({"DiskId": outside, "SnapshotId": snapshot}), full).await;

    *world.wire.pools.refusal.lock() = Some(ErrorKind::Io);
    let (failed, component) = ("InternalError.ResourceOpFailed", "InternalError.ComponentError");
    let copy = json!({"SnapshotId": snapshot, "DestinationRegions": ["ap-beijing"]});
    for (product, name, request, code) in [
        (CBS, "CreateDisks", hourly(), component),
        (CBS, "ResizeDisk", json!({"DiskId": growing, "DiskSize": 30}), component),
        (CBS, "CreateSnapshot", json!({"DiskId": growing}), failed),
        (CBS, "CopySnapshotCrossRegions", copy, component),
        (CBS, "CreateSnapshotGroup", json!({"DiskIds": [system, inside]}), component),
        (CBS, "AttachDisks", json!({"DiskIds": [growing], "InstanceId": machine}), failed),
        (CBS, "DetachDisks", json!({"DiskIds": [inside]}), failed),
        (
            LIGHTHOUSE,
            "ApplyInstanceSnapshot",
            json!({"InstanceId": light, "SnapshotId": ready}),
            "FailedOperation.SnapshotOperationFailed",
        ),
    ] {
        world.meets(product, name, &request, code).await;
    }
}

/// The database is gone under a server whose keys are still known.
async fn a_database_that_fails(world: &mut World) {
    let machine = world.add_machine(InstanceProduct::Cvm).await;
    let [one, inside] = [disk(world).await, disk(world).await];
    world.made(CBS, "AttachDisks", json!({"DiskIds": [inside], "InstanceId": machine}), "/RequestId").await;
    let policy = json!({"Policy": [{"Hour": [1], "DayOfWeek": [1]}]});
    let policy = world.made(CBS, "CreateAutoSnapshotPolicy", policy, "/AutoSnapshotPolicyId").await;
    world.wire.db.close().await;
    let month = json!({"Period": 1});
    let copy = json!({"AutoSnapshotPolicyIds": [policy], "TargetAccountUin": "100000000002"});
    let (component, query) = ("InternalError.ComponentError", "InternalError.FailQueryResource");
    for (product, name, request, code) in [
        (CBS, "AttachDisks", json!({"DiskIds": [one], "InstanceId": machine}), component),
        (CBS, "DetachDisks", json!({"DiskIds": [inside]}), component),
        (CBS, "CreateSnapshot", json!({"DiskId": one}), component),
        (CBS, "ModifyDiskAttributes", json!({"DiskIds": [one], "DiskName": "n"}), component),
        (CBS, "ModifyDiskBackupQuota", json!({"DiskId": one, "DiskBackupQuota": 1}), component),
        (CBS, "ModifyDisksChargeType", json!({"DiskIds": [one], "DiskChargePrepaid": month}), component),
        (CBS, "RenewDisk", json!({"DiskId": one, "DiskChargePrepaid": month}), component),
        (CBS, "TerminateDisks", json!({"DiskIds": [one]}), query),
        (CBS, "CopyAutoSnapshotPolicyCrossAccount", copy, query),
        (CBS, "DeleteAutoSnapshotPolicies", json!({"AutoSnapshotPolicyIds": [policy]}), "InternalError"),
        (
            "cwp",
            "DescribeMachineSnapshot",
            json!({"Quuids": ["a"], "Type": 1, "Limit": 10, "Offset": 0}),
            "InternalError.MainDBFail",
        ),
    ] {
        world.meets(product, name, &request, code).await;
    }
}

/// Somebody has the database, and does not let go of it.
async fn a_database_that_is_held(world: &mut World) {
    let machine = world.add_machine(InstanceProduct::Lighthouse).await;
    let held = world.wire.db.write().await.unwrap();
    // The wait for a turn is over as soon as there is nothing else to do.
    tokio::time::pause();
    let (take, code) = (json!({"InstanceId": machine}), "InternalError.GetSnapshotAllocQuotaLockError");
    world.meets(LIGHTHOUSE, "CreateInstanceSnapshot", &take, code).await;
    tokio::time::resume();
    drop(held);
}

async fn a_month_that_is_over(world: &mut World) {
    let prepaid = json!({"DiskChargeType": "PREPAID", "DiskChargePrepaid": {"Period": 1}});
    let mut wanted = hourly();
    wanted.as_object_mut().unwrap().extend(prepaid.as_object().unwrap().clone());
    let disk = world.made(CBS, "CreateDisks", wanted, "/DiskIdSet/0").await;
    world.wire.clock.advance_ms(32 * 24 * 60 * 60 * 1000);
    world.meets(CBS, "ResizeDisk", &json!({"DiskId": disk, "DiskSize": 30}), "InvalidDisk.Expire").await;
}

async fn codes_that_are_asked_for(world: &mut World) {
    world.wire.control.enrol_device(FIRST_ACCOUNT, None).await.unwrap();
    let (disk, snapshot, code) = ("disk-00000000", "snap-00000000", "UnauthorizedOperation.MFAExpired");
    let renewal = json!({"DiskIds": [disk], "RenewFlag": "NOTIFY_AND_AUTO_RENEW"});
    world.meets(CBS, "ApplySnapshot", &json!({"DiskId": disk, "SnapshotId": snapshot}), code).await;
    world.meets(CBS, "DeleteSnapshots", &json!({"SnapshotIds": [snapshot]}), code).await;
    world.meets(CBS, "DetachDisks", &json!({"DiskIds": [disk]}), code).await;
    world.meets(CBS, "ModifyDisksRenewFlag", &renewal, code).await;
}

async fn logs_that_are_off(world: &mut World) {
    let of = |name, id| json!({"Filters": [{"Name": name, "Values": [id]}]});
    let (disks, snapshots) = (of("disk-id", "disk-00000000"), of("snapshot-id", "snap-00000000"));
    world.meets(CBS, "DescribeDiskOperationLogs", &disks, "ActionOffline").await;
    world.meets(CBS, "DescribeSnapshotOperationLogs", &snapshots, "ActionOffline").await;
}

#[tokio::test]
async fn codes_of_passing_situations_and_failing_storage_are_met() {
    let mut world = World::new().await;
    lighthouse(&mut world).await;
    machines_on_their_way(&mut world).await;
    snapshots_being_taken(&mut world).await;
    a_database_that_is_held(&mut world).await;
    a_month_that_is_over(&mut world).await;
    codes_that_are_asked_for(&mut world).await;
    let mut world = world.anew(Settings::default()).await;
    pools_that_fail(&mut world).await;
    let mut world = world.anew(Settings::default()).await;
    a_database_that_fails(&mut world).await;
    let mut world = world.anew(Settings { operation_logs: false, ..Settings::default() }).await;
    logs_that_are_off(&mut world).await;

    let text = include_str!("../../../../tests/e2e/situations_in_process.json");
    let counted: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = serde_json::from_str(text).unwrap();
    assert_eq!(world.met, counted, "{}", serde_json::to_string_pretty(&world.met).unwrap());
}

//! `ashlar disk …`: both ends of the exchange.

use ashlar_control::{Control, ControlError, DiskReport, wire_time};
use ashlar_types::DiskId;
use serde::{Deserialize, Serialize};

use super::protocol::{AdminCommand, Answer};
use crate::cli::{AdminFlags, DiskCommand};

/// A disk, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DiskRecord {
    disk_id: String,
    account: u64,
    region: String,
    zone: String,
    project: u64,
    name: String,
    disk_type: String,
    size_gib: u64,
    state: String,
    /// Several machines may have it at once.
    shareable: bool,
    /// The machines that it is in, or on its way into or out of.
    instance_ids: Vec<String>,
    charge_type: String,
    deadline: Option<String>,
    renew_flag: Option<String>,
    /// What was paid in advance for time that lies ahead.
    paid_ahead: String,
    throughput_performance_mib: u64,
    burst_performance: bool,
    performance: PerformanceRecord,
    backup_quota: u64,
    snapshot_count: u64,
    snapshot_bytes: u64,
    created: String,
    error_prompt: String,
    tags: Vec<(String, String)>,
    auto_mount: Option<AutoMountRecord>,
}

/// How fast the disk is.
#[derive(Debug, Serialize, Deserialize)]
struct PerformanceRecord {
    /// Whether anything keeps it from being faster.
    enforced: bool,
    iops: u64,
    bytes_per_second: u64,
    burst_iops: Option<u64>,
    burst_bytes_per_second: Option<u64>,
}

/// What CreateDisks was told to mount.
#[derive(Debug, Serialize, Deserialize)]
struct AutoMountRecord {
    instance_id: String,
    mount_point: Option<String>,
    file_system_type: Option<String>,
    /// False: nothing here reaches into a machine yet.
    carried_out: bool,
}

/// The request of a command line.
pub(crate) fn request(command: DiskCommand) -> (AdminCommand, AdminFlags) {
    let DiskCommand::Show { id, admin } = command;
    (AdminCommand::ShowDisk { id: id.to_string() }, admin)
}

/// Does what is asked.
pub(crate) async fn show(control: &Control, id: DiskId) -> Result<Answer, ControlError> {
    Ok(Answer::Disk(Box::new(record(control.disk_report(id).await?))))
}

fn record(report: DiskReport) -> DiskRecord {
    let DiskReport { view, auto_mount, paid_ahead, performance, enforced } = report;
    let performance = PerformanceRecord {
        enforced,
        iops: performance.baseline.iops,
        bytes_per_second: performance.baseline.bytes_per_second,
        burst_iops: performance.burst.map(|burst| burst.iops),
        burst_bytes_per_second: performance.burst.map(|burst| burst.bytes_per_second),
    };
    let disk = view.disk;
    let instance_ids = disk.instances().map(|instance| instance.to_string()).collect();
    DiskRecord {
        disk_id: disk.id.to_string(),
        account: disk.account.0,
        region: disk.zone.region().to_string(),
        zone: disk.zone.to_string(),
        project: disk.project.0,
        name: disk.name,
        disk_type: disk.disk_type.to_string(),
        size_gib: disk.size_gib,
        state: disk.state.to_string(),
        shareable: disk.shareable,
        instance_ids,
        charge_type: disk.charge_type.to_string(),
        deadline: disk.deadline.map(wire_time),
        renew_flag: disk.renew_flag.map(|flag| flag.to_string()),
        paid_ahead: paid_ahead.to_string(),
        throughput_performance_mib: disk.throughput_performance_mib,
        burst_performance: disk.burst_performance,
        performance,
        backup_quota: disk.backup_quota,
        snapshot_count: view.snapshot_count,
        snapshot_bytes: view.snapshot_bytes,
        created: wire_time(disk.created),
        error_prompt: disk.error_prompt,
        tags: view.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        auto_mount: auto_mount.map(|mount| AutoMountRecord {
            instance_id: mount.instance.to_string(),
            mount_point: mount.mount_point,
            file_system_type: mount.file_system_type,
            carried_out: false,
        }),
    }
}

/// The answer for people: a line for each thing that there is something to say about.
pub(crate) fn to_text(disk: &DiskRecord) -> String {
    let mut lines = vec![
        format!("{}  {}  {} GiB  {}", disk.disk_id, disk.disk_type, disk.size_gib, disk.state),
        format!("name         {}", disk.name),
        format!("account      {} (project {})", disk.account, disk.project),
        format!("zone         {}", disk.zone),
        format!("created      {}", disk.created),
        format!("snapshots    {} ({} bytes)", disk.snapshot_count, disk.snapshot_bytes),
    ];
    let (speed, mib) = (&disk.performance, disk.performance.bytes_per_second >> 20);
    let kept = if speed.enforced { "enforced" } else { "not enforced" };
    lines.push(format!("performance  {} IOPS, {mib} MiB/s, {kept}", speed.iops));
    if disk.shareable {
        lines.push("shareable    several instances may have it at once".to_owned());
    }
    lines.extend(disk.instance_ids.iter().map(|instance| format!("instance     {instance}")));
    if let Some(deadline) = &disk.deadline {
        lines.push(format!("paid until   {deadline} ({} ahead)", disk.paid_ahead));
    }
    if let Some(mount) = &disk.auto_mount {
        let point = mount.mount_point.as_deref().unwrap_or("nowhere");
        lines.push(format!("auto mount   in {} on {point}: not carried out", mount.instance_id));
    }
    if !disk.error_prompt.is_empty() {
        lines.push(format!("last error   {}", disk.error_prompt));
    }
    lines.join("\n")
}

//! The log of operations: the calls.

use ashlar_api::DateTime;
use ashlar_api::cbs::{
    DescribeDiskOperationLogs, DescribeDiskOperationLogsResponse, DescribeSnapshotOperationLogs,
    DescribeSnapshotOperationLogsResponse, DiskOperationLog, Filter, SnapshotOperationLog,
};
use ashlar_control::{Caller, Control, DescribeOperationLogs, OperationLog};

use crate::service::{Handled, pack};

pub(super) async fn describe_disk_operation_logs(
    control: &Control,
    caller: &Caller,
    request: DescribeDiskOperationLogs,
) -> Handled<DescribeDiskOperationLogsResponse> {
    let DescribeDiskOperationLogs { filters, begin_time, end_time, offset, limit } = request;
    let wanted = wanted(filters, begin_time, end_time, offset, limit);
    let entries = control.describe_disk_operation_logs(caller, wanted).await?;
    let shown = |OperationLog { entry, word }| DiskOperationLog {
        operator: entry.operator.to_string(),
        operation: word.to_owned(),
        disk_id: entry.resource,
        operation_state: entry.state.to_string(),
        start_time: pack::date_time(entry.started),
        end_time: entry.ended.map(pack::date_time).into(),
    };
    Ok(DescribeDiskOperationLogsResponse { disk_operation_log_set: entries.into_iter().map(shown).collect() })
}

pub(super) async fn describe_snapshot_operation_logs(
    control: &Control,
    caller: &Caller,
    request: DescribeSnapshotOperationLogs,
) -> Handled<DescribeSnapshotOperationLogsResponse> {
    let DescribeSnapshotOperationLogs { filters, begin_time, end_time, offset, limit } = request;
    let wanted = wanted(filters, begin_time, end_time, offset, limit);
    let entries = control.describe_snapshot_operation_logs(caller, wanted).await?;
    let shown = |OperationLog { entry, word }| SnapshotOperationLog {
        operation_state: entry.state.to_string(),
        start_time: pack::date_time(entry.started),
        operator: entry.operator.to_string(),
        snapshot_id: entry.resource,
        operation: word.to_owned(),
        end_time: entry.ended.map(pack::date_time).into(),
    };
    let snapshot_operation_log_set = entries.into_iter().map(shown).collect();
    Ok(DescribeSnapshotOperationLogsResponse { snapshot_operation_log_set })
}

fn wanted(
    filters: Vec<Filter>,
    begin_time: Option<DateTime>,
    end_time: Option<DateTime>,
    offset: Option<u64>,
    limit: Option<u64>,
) -> DescribeOperationLogs {
    DescribeOperationLogs {
        filters: pack::filters(Some(filters)),
        begin: begin_time.map(|time| time.to_string()),
        end: end_time.map(|time| time.to_string()),
        offset,
        limit,
    }
}

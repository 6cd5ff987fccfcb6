//! Instances, as far as disks are concerned.

use ashlar_api::cbs::{AttachDetail, DescribeInstancesDiskNum, DescribeInstancesDiskNumResponse};
use ashlar_control::{Caller, Control};

use crate::service::Handled;

pub(super) async fn describe_instances_disk_num(
    control: &Control,
    caller: &Caller,
    request: DescribeInstancesDiskNum,
) -> Handled<DescribeInstancesDiskNumResponse> {
    let details = control.describe_instances_disk_num(caller, request.instance_ids).await?;
    let detail = |detail: ashlar_control::AttachDetail| AttachDetail {
        instance_id: detail.instance,
        attached_disk_count: detail.attached_disk_count,
        max_attach_count: detail.max_attach_count,
    };
    Ok(DescribeInstancesDiskNumResponse { attach_detail: details.into_iter().map(detail).collect() })
}

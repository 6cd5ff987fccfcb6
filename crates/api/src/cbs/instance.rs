//! Instances, as far as disks are concerned.

use ashlar_types::InstanceId;

use crate::model::model;

model! {
    /// Tells how many disks instances have and can take. Reference: `cbs/DescribeInstancesDiskNum`.
    pub struct DescribeInstancesDiskNum("DescribeInstancesDiskNumRequest"): input {
        /// The instances; at least one.
        pub instance_ids: Vec<InstanceId> = "InstanceIds",
    }

    /// The answer of [`DescribeInstancesDiskNum`].
    pub struct DescribeInstancesDiskNumResponse("DescribeInstancesDiskNumResponse"): output {
        /// One entry an instance.
        pub attach_detail: Vec<AttachDetail> = "AttachDetail",
    }

    /// The disks of one instance. Reference: `cbs/data-types`, `AttachDetail`.
    pub struct AttachDetail("AttachDetail"): output {
        /// The instance.
        pub instance_id: InstanceId = "InstanceId",
        /// How many data disks it has.
        pub attached_disk_count: u64 = "AttachedDiskCount",
        /// How many data disks it can have.
        pub max_attach_count: u64 = "MaxAttachCount",
    }
}

//! An API that only remembers its calls: one line an action.

use std::sync::{Arc, Mutex};

use ashlar_api::{ApiError, Caller, OrEmpty, cbs, cvm, cwp, lighthouse, sts, tag};
use ashlar_types::AccountUin;

/// What the API was called with: the caller's region, and the request as `Debug` shows it.
pub(crate) type Calls = Arc<Mutex<Vec<(String, String)>>>;

/// An API that remembers what it was called with, and answers with the least there is.
pub(crate) struct Recorder(Calls);

impl Recorder {
    pub(crate) fn new(calls: &Calls) -> Self {
        Self(Arc::clone(calls))
    }

    fn record(&self, caller: &Caller, request: &impl std::fmt::Debug) {
        assert_eq!(caller.account, AccountUin(100_000_000_001));
        self.0.lock().unwrap().push((caller.region.to_string(), format!("{request:?}")));
    }
}

/// Records the calls of one product. The lines stand in the order of the product's table.
macro_rules! recorded {
    ($api:ident of $module:ident { $($method:ident: $request:ident -> $response:ident $fields:tt,)+ }) => {
        impl $module::$api for Recorder {
            $(async fn $method(
                &self,
                caller: &Caller,
                request: $module::$request,
            ) -> Result<$module::$response, ApiError> {
                self.record(caller, &request);
                Ok($module::$response $fields)
            })+
        }
    };
}

recorded! {
    CbsApi of cbs {
        apply_disk_backup: ApplyDiskBackup -> ApplyDiskBackupResponse {},
        apply_snapshot: ApplySnapshot -> ApplySnapshotResponse {},
        apply_snapshot_group: ApplySnapshotGroup -> ApplySnapshotGroupResponse {},
        attach_disks: AttachDisks -> AttachDisksResponse {},
        bind_auto_snapshot_policy: BindAutoSnapshotPolicy -> BindAutoSnapshotPolicyResponse {},
        copy_auto_snapshot_policy_cross_account: CopyAutoSnapshotPolicyCrossAccount -> CopyAutoSnapshotPolicyCrossAccountResponse { auto_snapshot_policy_ids: Vec::new(), target_account_uin: String::new() },
        copy_snapshot_cross_regions: CopySnapshotCrossRegions -> CopySnapshotCrossRegionsResponse { snapshot_copy_result_set: Vec::new() },
        create_auto_snapshot_policy: CreateAutoSnapshotPolicy -> CreateAutoSnapshotPolicyResponse { auto_snapshot_policy_id: OrEmpty(None), next_trigger_time: OrEmpty(None) },
        create_disk_backup: CreateDiskBackup -> CreateDiskBackupResponse { disk_backup_id: "dbp-lzrg2pwi".parse().unwrap() },
        create_disks: CreateDisks -> CreateDisksResponse { disk_id_set: vec!["disk-lzrg2pwi".parse().unwrap()] },
        create_snapshot: CreateSnapshot -> CreateSnapshotResponse { snapshot_id: "snap-gybrif0z".parse().unwrap() },
        create_snapshot_group: CreateSnapshotGroup -> CreateSnapshotGroupResponse { snapshot_group_id: "csnap-oavcw09g".parse().unwrap() },
        delete_auto_snapshot_policies: DeleteAutoSnapshotPolicies -> DeleteAutoSnapshotPoliciesResponse {},
        delete_disk_backups: DeleteDiskBackups -> DeleteDiskBackupsResponse {},
        delete_snapshot_group: DeleteSnapshotGroup -> DeleteSnapshotGroupResponse {},
        delete_snapshots: DeleteSnapshots -> DeleteSnapshotsResponse {},
        describe_auto_snapshot_policies: DescribeAutoSnapshotPolicies -> DescribeAutoSnapshotPoliciesResponse { total_count: 0, auto_snapshot_policy_set: Vec::new() },
        describe_disk_associated_auto_snapshot_policy: DescribeDiskAssociatedAutoSnapshotPolicy -> DescribeDiskAssociatedAutoSnapshotPolicyResponse { total_count: 0, auto_snapshot_policy_set: Vec::new() },
        describe_disk_backups: DescribeDiskBackups -> DescribeDiskBackupsResponse { total_count: 0, disk_backup_set: Vec::new() },
        describe_disk_config_quota: DescribeDiskConfigQuota -> DescribeDiskConfigQuotaResponse { disk_config_set: Vec::new() },
        describe_disk_operation_logs: DescribeDiskOperationLogs -> DescribeDiskOperationLogsResponse { disk_operation_log_set: Vec::new() },
        describe_disks: DescribeDisks -> DescribeDisksResponse { total_count: 0, disk_set: Vec::new() },
        describe_instances_disk_num: DescribeInstancesDiskNum -> DescribeInstancesDiskNumResponse { attach_detail: Vec::new() },
        describe_snapshot_groups: DescribeSnapshotGroups -> DescribeSnapshotGroupsResponse { total_count: 0, snapshot_group_set: Vec::new() },
        describe_snapshot_operation_logs: DescribeSnapshotOperationLogs -> DescribeSnapshotOperationLogsResponse { snapshot_operation_log_set: Vec::new() },
        describe_snapshot_overview: DescribeSnapshotOverview -> DescribeSnapshotOverviewResponse { total_nums: 2, total_size: 1.5, free_quota: 0.0, real_trade_size: 1.5 },
        describe_snapshot_share_permission: DescribeSnapshotSharePermission -> DescribeSnapshotSharePermissionResponse { share_permission_set: Vec::new() },
        describe_snapshots: DescribeSnapshots -> DescribeSnapshotsResponse { total_count: 0, snapshot_set: Vec::new() },
        detach_disks: DetachDisks -> DetachDisksResponse {},
        get_snap_overview: GetSnapOverview -> GetSnapOverviewResponse {
            total_size: 1.5, real_trade_size: 1.5, free_quota: 0.0, total_nums: 2
        },
        initialize_disks: InitializeDisks -> InitializeDisksResponse {},
        inquire_price_modify_disk_backup_quota: InquirePriceModifyDiskBackupQuota -> InquirePriceModifyDiskBackupQuotaResponse { disk_price: price() },
        inquire_price_modify_disk_extra_performance: InquirePriceModifyDiskExtraPerformance -> InquirePriceModifyDiskExtraPerformanceResponse { disk_price: price() },
        inquiry_price_create_disks: InquiryPriceCreateDisks -> InquiryPriceCreateDisksResponse { disk_price: price() },
        inquiry_price_renew_disks: InquiryPriceRenewDisks -> InquiryPriceRenewDisksResponse { disk_price: prepay_price() },
        inquiry_price_resize_disk: InquiryPriceResizeDisk -> InquiryPriceResizeDiskResponse { disk_price: prepay_price() },
        modify_auto_snapshot_policy_attribute: ModifyAutoSnapshotPolicyAttribute -> ModifyAutoSnapshotPolicyAttributeResponse {},
        modify_disk_attributes: ModifyDiskAttributes -> ModifyDiskAttributesResponse {},
        modify_disk_backup_quota: ModifyDiskBackupQuota -> ModifyDiskBackupQuotaResponse {},
        modify_disk_extra_performance: ModifyDiskExtraPerformance -> ModifyDiskExtraPerformanceResponse {},
        modify_disks_charge_type: ModifyDisksChargeType -> ModifyDisksChargeTypeResponse {},
        modify_disks_renew_flag: ModifyDisksRenewFlag -> ModifyDisksRenewFlagResponse {},
        modify_snapshot_attribute: ModifySnapshotAttribute -> ModifySnapshotAttributeResponse {},
        modify_snapshots_share_permission: ModifySnapshotsSharePermission -> ModifySnapshotsSharePermissionResponse {},
        renew_disk: RenewDisk -> RenewDiskResponse {},
        resize_disk: ResizeDisk -> ResizeDiskResponse {},
        terminate_disks: TerminateDisks -> TerminateDisksResponse {},
        unbind_auto_snapshot_policy: UnbindAutoSnapshotPolicy -> UnbindAutoSnapshotPolicyResponse {},
    }
}

recorded! {
    CvmApi of cvm {
        create_image: CreateImage -> CreateImageResponse { image_id: OrEmpty(None) },
        delete_images: DeleteImages -> DeleteImagesResponse {},
        describe_images: DescribeImages -> DescribeImagesResponse { image_set: Vec::new(), total_count: 0 },
        describe_instances: DescribeInstances -> DescribeInstancesResponse { total_count: 0, instance_set: Vec::new() },
        describe_instances_status: DescribeInstancesStatus -> DescribeInstancesStatusResponse {
            total_count: 0, instance_status_set: Vec::new()
        },
        describe_regions: DescribeRegions -> DescribeRegionsResponse { total_count: 0, region_set: Vec::new() },
        describe_zones: DescribeZones -> DescribeZonesResponse { total_count: 0, zone_set: Vec::new() },
    }
}

recorded! {
    CwpApi of cwp {
        describe_machine_snapshot: DescribeMachineSnapshot -> DescribeMachineSnapshotResponse {
            list: Vec::new(), total_count: 0, snapshot_check: false
        },
    }
}

recorded! {
    LighthouseApi of lighthouse {
        apply_instance_snapshot: ApplyInstanceSnapshot -> ApplyInstanceSnapshotResponse {},
        create_instance_snapshot: CreateInstanceSnapshot -> CreateInstanceSnapshotResponse { snapshot_id: "lhsnap-nv6aqcv6".parse().unwrap() },
        delete_snapshots: DeleteSnapshots -> DeleteSnapshotsResponse {},
        describe_snapshots: DescribeSnapshots -> DescribeSnapshotsResponse { total_count: 0, snapshot_set: Vec::new() },
        modify_snapshot_attribute: ModifySnapshotAttribute -> ModifySnapshotAttributeResponse {},
    }
}

recorded! {
    StsApi of sts {
        assume_role: AssumeRole -> AssumeRoleResponse {
            credentials: credentials(), expired_time: 0, expiration: String::new()
        },
        get_caller_identity: GetCallerIdentity -> GetCallerIdentityResponse {
            arn: String::new(), account_id: String::new(), user_id: String::new(), principal_id: String::new(),
            kind: String::new(),
        },
        get_federation_token: GetFederationToken -> GetFederationTokenResponse {
            credentials: credentials(), expired_time: 0, expiration: String::new()
        },
    }
}

recorded! {
    TagApi of tag {
        describe_projects: DescribeProjects -> DescribeProjectsResponse { total: 0, projects: Vec::new() },
        describe_resource_tags_by_resource_ids: DescribeResourceTagsByResourceIds
            -> DescribeResourceTagsByResourceIdsResponse { total_count: 0, offset: 0, limit: 0, tags: Vec::new() },
        get_resources: GetResources -> GetResourcesResponse {
            pagination_token: String::new(), resource_tag_mapping_list: Vec::new()
        },
        modify_resource_tags: ModifyResourceTags -> ModifyResourceTagsResponse {},
    }
}

fn credentials() -> sts::Credentials {
    sts::Credentials { token: String::new(), tmp_secret_id: String::new(), tmp_secret_key: String::new() }
}

fn price() -> cbs::Price {
    cbs::Price {
        original_price: None,
        discount_price: None,
        unit_price: Some(0.04),
        charge_unit: Some("HOUR".to_owned()),
        unit_price_discount: Some(0.04),
        original_price_high: None,
        discount_price_high: None,
        unit_price_high: Some("0.042".to_owned()),
        unit_price_discount_high: Some("0.042".to_owned()),
    }
}

fn prepay_price() -> cbs::PrepayPrice {
    cbs::PrepayPrice {
        original_price: Some(800.0),
        discount_price: Some(800.0),
        unit_price: None,
        charge_unit: None,
        unit_price_discount: None,
        original_price_high: Some("800".to_owned()),
        discount_price_high: Some("800".to_owned()),
        unit_price_high: None,
        unit_price_discount_high: None,
        detail_prices: Vec::new(),
    }
}

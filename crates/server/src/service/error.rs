//! Which code on the wire a refusal of the rules becomes: the one table.
//!
//! Prefixes carry meaning: clients try again for minutes on `ResourceBusy`, `ResourceInUse.*` and
//! `ResourceUnavailable.*` (`.NotSupported` apart), so only what waiting can mend gets one of those.
//!
//! A refusal has several codes, the most telling first. An action answers with the first of them that the
//! reference lists for it or for all actions; where it lists none, with the first of all.

use ashlar_api::ErrorCode::{self, *};
use ashlar_api::{Action, ApiError};
use ashlar_control::{
    AccessError, ControlError, CopyError, DbErrorKind, DiskBackupError, DiskError, DiskWork, FilterIdKind,
    ImageError, InstanceError, JobErrorKind, LighthouseError, MoneyError, ParameterError, QuotaError,
    SessionError, ShareError, SnapshotError, SnapshotGroupError, SnapshotPolicyError, TagError,
};
use ashlar_types::{DiskState, SnapshotState};

/// The answer to a refused or failed call. The text is the rules' own; the cause stays with the operator.
pub(crate) fn answer(action: Action, error: ControlError) -> ApiError {
    let codes = codes(&error);
    let listed = codes.iter().find(|code| action.documents(**code));
    let code = listed.or(codes.first()).copied().unwrap_or(InternalError);
    let answer = ApiError::new(code, error.to_string());
    match error {
        ControlError::Db(cause) => answer.with_cause(cause),
        ControlError::Job(cause) => answer.with_cause(cause.detail),
        _ => answer,
    }
}

const fn codes(error: &ControlError) -> &'static [ErrorCode] {
    match error {
        ControlError::Parameter(error) => parameter(error),
        ControlError::Disk(error) => disk(error),
        ControlError::Snapshot(error) => snapshot(error),
        ControlError::SnapshotPolicy(error) => snapshot_policy(error),
        ControlError::Image(error) => image(error),
        ControlError::Tag(error) => tag(error),
        ControlError::Instance(error) => instance(error),
        ControlError::Lighthouse(error) => lighthouse(error),
        ControlError::Quota(error) => quota(error),
        ControlError::Access(error) => access(error),
        ControlError::Session(error) => session(error),
        // The administrative commands alone meet these.
        ControlError::Account(_) => &[UnsupportedOperation],
        ControlError::Money(MoneyError::InsufficientBalance { .. }) => &[InvalidAccountInsufficientBalance],
        ControlError::DiskBackup(error) => disk_backup(error),
        ControlError::Share(error) => share(error),
        ControlError::Copy(error) => copy(error),
        ControlError::SnapshotGroup(error) => snapshot_group(error),
        ControlError::Offline(_) => &[ActionOffline],
        ControlError::Job(error) => job(error.kind),
        ControlError::Db(error) => match error.kind() {
            // A new snapshot is counted while the database is held: who waits for that too long has no quota.
            DbErrorKind::Busy => {
                &[InternalErrorGetSnapshotAllocQuotaLockError, InternalErrorMainDBFail, InternalError]
            }
            _ => &[
                InternalErrorMainDBFail,
                InternalErrorFailQueryResource,
                InternalErrorComponentError,
                InternalError,
            ],
        },
    }
}

const fn parameter(error: &ParameterError) -> &'static [ErrorCode] {
    match error {
        ParameterError::Missing { .. } => &[MissingParameter],
        ParameterError::Invalid { .. } => &[InvalidParameterParamError, InvalidParameterValue],
        ParameterError::Excludes { .. } => &[InvalidParameterParameterConflict, InvalidParameterValue],
        ParameterError::Duplicated { .. } => &[InvalidParameterValueDuplicated, InvalidParameterValue],
        ParameterError::NameTooLong { .. } => {
            &[InvalidParameterValueSnapshotNameTooLong, InvalidParameterValue]
        }
        ParameterError::FilterId { kind: FilterIdKind::Instance, .. } => {
            &[InvalidParameterValueInstanceIdMalformed]
        }
        ParameterError::FilterId { kind: FilterIdKind::Disk, .. } => {
            &[InvalidParameterValueInvalidDiskIdMalformed]
        }
        ParameterError::FilterId { kind: FilterIdKind::Snapshot, .. } => {
            &[InvalidParameterValueSnapshotIdMalformed]
        }
        ParameterError::Malformed { .. } => &[InvalidParameter],
        ParameterError::LimitExceeded { .. } => {
            &[InvalidParameterValueLimitExceeded, InvalidParameterParamError, InvalidParameterValue]
        }
        ParameterError::UnknownFilter { .. } => {
            &[InvalidFilter, InvalidParameterInvalidFilterNotSupportedName]
        }
        ParameterError::NotOffered { .. } => &[UnsupportedOperation],
        ParameterError::ClientTokenReused { .. } => &[InvalidParameterInvalidClientToken],
        ParameterError::ProjectNotFound(_) => {
            &[InvalidParameterProjectIdNotExist, ResourceNotFoundNotFound, InvalidParameterValue]
        }
    }
}

const fn disk(error: &DiskError) -> &'static [ErrorCode] {
    match error {
        DiskError::NotFound(_) => &[InvalidDiskIdNotFound, ResourceNotFoundNotFound],
        DiskError::Busy { state: DiskState::Rollbacking, .. } => {
            &[ResourceInUseDiskRollbacking, ResourceBusy, InvalidDiskBusy, ResourceInUse]
        }
        DiskError::Busy { .. } => &[ResourceBusy, InvalidDiskBusy, ResourceInUse],
        DiskError::Expired(_) => &[InvalidDiskExpire, ResourceUnavailableNotSupported],
        DiskError::SnapshotCreating(_) => {
            &[ResourceUnavailableSnapshotCreating, ResourceBusy, InvalidDiskBusy, ResourceInUse]
        }
        DiskError::Migrating(_) => {
            &[ResourceInUseDiskMigrating, ResourceBusy, InvalidDiskBusy, ResourceInUse]
        }
        // `ResourceUnavailable.Attached` would make clients wait for a detach that nobody asked for.
        DiskError::AttachedTo { .. } | DiskError::NotSupported { .. } => {
            &[ResourceUnavailableNotSupported, InvalidDiskNotSupported]
        }
        DiskError::InstanceLimit { .. } => &[LimitExceededInstanceAttachedDisk],
        DiskError::SeveralInstances { .. } => &[MissingParameter],
        // There is a code for it that the reference lists for no action.
        DiskError::ShareableHasNoSnapshots(_) => {
            &[UnsupportedOperationShareDiskNotSupportSnap, InvalidDiskNotSupportSnapshot]
        }
        DiskError::NotInInstance { .. } => &[InvalidDiskNotSupported, ResourceUnavailableNotSupported],
        DiskError::NotPortable(_) => &[InvalidDiskNotPortable, InvalidDiskNotSupported],
    }
}

const fn snapshot(error: &SnapshotError) -> &'static [ErrorCode] {
    match error {
        SnapshotError::NotFound(_) => &[InvalidSnapshotIdNotFound],
        SnapshotError::Creating(_) => &[ResourceUnavailableSnapshotCreating, ResourceBusy, ResourceInUse],
        SnapshotError::Busy { .. } => &[ResourceBusy, ResourceInUse],
        SnapshotError::OfOtherDisk { .. } => &[InvalidParameterValue],
        SnapshotError::SizeMismatch { .. } => &[InvalidParameterDiskSizeNotMatch],
        SnapshotError::NotSupported { .. } => &[InvalidSnapshotNotSupported, InvalidParameterValue],
    }
}

const fn snapshot_policy(error: &SnapshotPolicyError) -> &'static [ErrorCode] {
    match error {
        SnapshotPolicyError::NotFound(_) => &[InvalidAutoSnapshotPolicyIdNotFound],
        SnapshotPolicyError::Isolated(_) => {
            &[UnsupportedOperationStateError, ResourceUnavailableNotSupported, UnsupportedOperation]
        }
        SnapshotPolicyError::AlreadyBound { .. } => &[InvalidDiskAlreadyBound],
        SnapshotPolicyError::BindLimit { .. } => {
            &[InvalidParameterValueBindDiskLimitExceeded, InvalidParameterValueLimitExceeded]
        }
        SnapshotPolicyError::DiskInRecycle(_) => &[InvalidDiskNotSupported],
    }
}

const fn image(error: &ImageError) -> &'static [ErrorCode] {
    match error {
        ImageError::NotFound(_) => &[InvalidImageIdNotFound],
        ImageError::NameTaken { .. } => &[InvalidImageNameDuplicate],
        ImageError::SnapshotNotFound(_) => &[InvalidParameterSnapshotNotFound],
        ImageError::NoSystemDisk => &[InvalidParameterSystemSnapshotNotFound],
        ImageError::TwoSystemDisks(_) => &[InvalidParameterDuplicateSystemSnapshots],
        ImageError::IdsAndFilters => &[InvalidParameterInvalidParameterCoexistImageIdsFilters],
        ImageError::Bound { .. } => &[UnsupportedOperationSnapshotHasBindedImage, UnsupportedOperation],
    }
}

const fn tag(error: &TagError) -> &'static [ErrorCode] {
    match error {
        TagError::ResourceName { .. } | TagError::NoSuchResource { .. } => {
            &[InvalidParameterValueResourceDescriptionError]
        }
        TagError::Service { .. } => &[InvalidParameterValueServiceTypeInvalid],
        TagError::Prefix { .. } => &[InvalidParameterValueResourcePrefixInvalid],
        TagError::ResourceId { .. } => &[InvalidParameterValueResourceIdInvalid],
        TagError::Region { .. } => &[InvalidParameterValueRegionInvalid],
        TagError::Token { .. } => &[InvalidParameterPaginationTokenInvalid],
        TagError::KeyEmpty { .. } => &[InvalidParameterValueTagKeyEmpty],
        TagError::KeyTooLong { .. } => &[InvalidParameterValueTagKeyLengthExceeded],
        TagError::ValueTooLong { .. } => &[InvalidParameterValueTagValueLengthExceeded],
        TagError::KeyTwice { .. } => &[InvalidParameterValueTagKeyDuplicate, InvalidParameterTag],
        TagError::KeyInBoth { .. } => &[InvalidParameterValueDeleteTagsParamError],
    }
}

const fn disk_backup(error: &DiskBackupError) -> &'static [ErrorCode] {
    match error {
        DiskBackupError::NotFound(_) => &[ResourceNotFoundNotFound],
        DiskBackupError::Creating(_) => &[ResourceUnavailableDiskBackupCreating, ResourceBusy, ResourceInUse],
        DiskBackupError::Busy { .. } => &[ResourceBusy, ResourceInUse],
        DiskBackupError::OfOtherDisk { .. } => &[InvalidParameterValue],
        DiskBackupError::Quota { .. } => &[ResourceInsufficientOverQuota],
    }
}

const fn share(error: &ShareError) -> &'static [ErrorCode] {
    match error {
        ShareError::WithOthers(_) => &[UnsupportedOperationSnapHasShared, UnsupportedOperation],
        ShareError::OfOtherAccount(_) => &[InvalidSnapshotNotSupported, InvalidParameterValue],
        ShareError::UnknownAccount(_) | ShareError::OwnAccount(_) => &[InvalidParameter],
        ShareError::Quota { .. } => &[ResourceInsufficientOverQuota],
    }
}

const fn copy(error: &CopyError) -> &'static [ErrorCode] {
    match error {
        CopyError::Conflict { .. } => &[ResourceInUseCopySnapshotConflict],
        CopyError::Encrypted(_) => &[UnsupportedOperationSnapshotNotSupportCopy],
        CopyError::UnderWay(_) => &[ResourceBusy, ResourceInUse],
        CopyError::Quota { .. } => &[InsufficientSnapshotQuota],
    }
}

const fn snapshot_group(error: &SnapshotGroupError) -> &'static [ErrorCode] {
    match error {
        SnapshotGroupError::NotFound(_) => &[InvalidSnapshotIdNotFound, InvalidParameter],
        SnapshotGroupError::State { .. } => &[UnsupportedOperationStateError],
        SnapshotGroupError::SeveralInstances(_) => {
            &[UnsupportedOperationSnapshotGroupDiskAttachMultiInstance]
        }
        SnapshotGroupError::NotOfGroup { .. } => &[InvalidParameter],
        SnapshotGroupError::Member { .. } => &[InvalidSnapshotNotSupported, UnsupportedOperation],
    }
}

const fn instance(error: &InstanceError) -> &'static [ErrorCode] {
    match error {
        InstanceError::NotFound(_) => &[InvalidInstanceIdNotFound, ResourceNotFoundNotFound],
        // Not `ResourceUnavailable.ZoneNotMatch`: no waiting moves a disk to another zone.
        InstanceError::ZoneMismatch { .. } => &[ResourceUnavailableNotSupported],
        InstanceError::DiskLimit { .. } => &[LimitExceededInstanceAttachedDisk],
        InstanceError::PowerNotSupported(_) => &[InvalidInstanceNotSupported, UnsupportedOperation],
        // The administrative commands alone meet these.
        InstanceError::HasDisks { .. }
        | InstanceError::Exists(_)
        | InstanceError::NoDisks(_)
        | InstanceError::Changing(_) => &[UnsupportedOperation],
    }
}

const fn lighthouse(error: &LighthouseError) -> &'static [ErrorCode] {
    match error {
        LighthouseError::InstanceNotFound(_) => &[ResourceNotFoundInstanceIdNotFound],
        LighthouseError::NoSystemDisk(_) => &[ResourceNotFoundDiskNotFound],
        LighthouseError::SnapshotNotFound(_) => &[ResourceNotFoundSnapshotIdNotFound],
        LighthouseError::InstanceCreating(_) => {
            &[OperationDeniedInstanceCreating, UnsupportedOperationInvalidInstanceState]
        }
        LighthouseError::InstanceRemoving(_) => &[UnsupportedOperationInvalidInstanceState],
        LighthouseError::DiskBusy { doing: DiskWork::Snapshot(_), .. } => {
            &[UnsupportedOperationDiskLatestOperationUnfinished]
        }
        LighthouseError::DiskBusy { doing: DiskWork::Other(_), .. } => &[UnsupportedOperationDiskBusy],
        LighthouseError::SnapshotBusy { state: SnapshotState::Normal, .. } => {
            &[UnsupportedOperationSnapshotBusy]
        }
        LighthouseError::SnapshotBusy { .. } => &[UnsupportedOperationInvalidSnapshotState],
        LighthouseError::SnapshotHeld { .. } => &[FailedOperationSnapshotOperationFailed],
        LighthouseError::Quota { .. } => &[LimitExceededSnapshotQuotaLimitExceeded],
    }
}

const fn quota(error: &QuotaError) -> &'static [ErrorCode] {
    match error {
        QuotaError::SnapshotsOfDisk { .. } => &[InsufficientSnapshotQuota],
        QuotaError::PoolFull { .. } => &[ResourceInsufficient],
        QuotaError::DiskConfig { .. } => &[InvalidParameterDiskConfigNotSupported],
        QuotaError::Images { .. } => &[ImageQuotaLimitExceeded],
        QuotaError::SnapshotPolicies { .. } => {
            &[LimitExceededAutoSnapshotPolicyOutOfQuota, ResourceInsufficientOverQuota]
        }
        QuotaError::Tags { .. } => {
            &[LimitExceededTagQuotaLimitExceeded, LimitExceededResourceAttachedTags, LimitExceeded]
        }
    }
}

const fn access(error: &AccessError) -> &'static [ErrorCode] {
    match error {
        AccessError::NotAuthorized { .. } => &[AuthFailureUnauthorizedOperation],
        AccessError::NetworkDenied(_) => &[IpInBlacklist],
        AccessError::NetworkNotAllowed(_) => &[IpNotInWhitelist],
        AccessError::CodeMissing => &[UnauthorizedOperationMFAExpired],
        AccessError::CodeWrong(_) => &[AuthFailureMFAFailure],
    }
}

/// The code of a refusal that comes before the action: the same for all of them.
pub(crate) const fn access_code(error: &AccessError) -> ErrorCode {
    match access(error) {
        [code, ..] => *code,
        [] => UnauthorizedOperation,
    }
}

const fn session(error: &SessionError) -> &'static [ErrorCode] {
    match error {
        SessionError::RoleNotFound(_) => &[ResourceNotFoundRoleNotFound],
        SessionError::NotTrusted(_) => &[UnauthorizedOperation],
        SessionError::Policy(_) => &[InvalidParameterStrategyFormatError],
        SessionError::PolicyTooLong(_) => &[InvalidParameterPolicyTooLong],
        SessionError::TooLong { .. } => &[InvalidParameterOverTimeError],
        SessionError::TemporaryKey => &[FailedOperationTempKeyNotAllowed],
    }
}

const fn job(kind: JobErrorKind) -> &'static [ErrorCode] {
    match kind {
        JobErrorKind::NoSpace => &[ResourceInsufficient],
        JobErrorKind::InUse | JobErrorKind::TimedOut => &[
            ResourceBusy,
            InvalidDiskBusy,
            UnsupportedOperationDiskBusy,
            UnsupportedOperationSnapshotBusy,
            ResourceInUse,
        ],
        JobErrorKind::StoreFailed => &[
            InternalErrorResourceOpFailed,
            InternalErrorComponentError,
            FailedOperationSnapshotOperationFailed,
            InternalError,
        ],
        JobErrorKind::Stopping => &[ServiceUnavailable],
    }
}

#[cfg(test)]
mod tests {
    use ashlar_api::cbs::CbsAction;
    use ashlar_control::JobError;

    use super::*;

    fn disk_id() -> ashlar_types::DiskId {
        "disk-00000001".parse().unwrap()
    }

    /// What clients take for "try again".
    fn invites_retry(code: ErrorCode) -> bool {
        let name = code.as_str();
        let retried =
            ["ResourceBusy", "ResourceInUse", "ResourceUnavailable", "ServiceUnavailable", "InternalError"];
        retried.contains(&name.split('.').next().unwrap())
            && code != ErrorCode::ResourceUnavailableNotSupported
    }

    #[test]
    fn permanent_refusals_never_invite_a_retry() {
        let instance = "ins-00000001".parse().unwrap();
        let other = "ins-00000002".parse().unwrap();
        let snapshot = "snap-00000001".parse().unwrap();
        let (here, there) = ("ap-guangzhou-1".parse().unwrap(), "ap-guangzhou-2".parse().unwrap());
        let permanent: [ControlError; 12] = [
            DiskError::NotFound(disk_id()).into(),
            DiskError::NotPortable(disk_id()).into(),
            DiskError::AttachedTo { disk: disk_id(), instance }.into(),
            DiskError::InstanceLimit { disk: disk_id(), at_most: 16 }.into(),
            DiskError::SeveralInstances { disk: disk_id(), count: 2 }.into(),
            DiskError::ShareableHasNoSnapshots(disk_id()).into(),
            DiskError::NotSupported { disk: disk_id(), state: DiskState::ToRecycle, why: "" }.into(),
            SnapshotError::NotFound(snapshot).into(),
            SnapshotError::NotSupported { snapshot, why: "" }.into(),
            InstanceError::ZoneMismatch { disk: disk_id(), disk_zone: here, instance, instance_zone: there }
                .into(),
            InstanceError::DiskLimit { instance: other, wanted: 21, at_most: 20 }.into(),
            QuotaError::SnapshotsOfDisk { disk: disk_id(), at_most: 64 }.into(),
        ];
        for error in permanent {
            let text = error.to_string();
            assert!(!invites_retry(answer(CbsAction::AttachDisks.into(), error).code), "{text}");
        }
    }

    #[test]
    fn passing_refusals_invite_one() {
        let passing: [ControlError; 5] = [
            DiskError::Busy { disk: disk_id(), state: DiskState::Expanding }.into(),
            DiskError::SnapshotCreating(disk_id()).into(),
            DiskError::Busy { disk: disk_id(), state: DiskState::Rollbacking }.into(),
            DiskError::Migrating(disk_id()).into(),
            JobError { kind: JobErrorKind::InUse, detail: String::new() }.into(),
        ];
        for error in passing {
            let text = error.to_string();
            assert!(invites_retry(answer(CbsAction::AttachDisks.into(), error).code), "{text}");
        }
    }

    #[test]
    fn each_action_answers_with_a_code_that_its_page_lists() {
        let busy = || ControlError::from(DiskError::Busy { disk: disk_id(), state: DiskState::Expanding });
        let creating = || ControlError::from(DiskError::SnapshotCreating(disk_id()));
        let failed =
            || ControlError::from(JobError { kind: JobErrorKind::StoreFailed, detail: String::new() });
        let too_many = || {
            let (parameter, given, at_most) = ("DiskIds", 101, 100);
            ControlError::from(ParameterError::LimitExceeded { parameter, given, at_most })
        };
        let project = || ControlError::from(ParameterError::ProjectNotFound(ashlar_types::ProjectId(7)));
        for (action, error, code) in [
            (CbsAction::AttachDisks, busy(), ResourceBusy),
            (CbsAction::ResizeDisk, busy(), InvalidDiskBusy),
            (CbsAction::ModifyDiskAttributes, busy(), ResourceInUse),
            (CbsAction::ApplySnapshot, creating(), ResourceUnavailableSnapshotCreating),
            (CbsAction::TerminateDisks, creating(), ResourceBusy),
            (CbsAction::CreateSnapshot, failed(), InternalErrorResourceOpFailed),
            (CbsAction::CreateDisks, failed(), InternalErrorComponentError),
            (CbsAction::DeleteSnapshots, failed(), InternalError),
            (CbsAction::AttachDisks, too_many(), InvalidParameterValueLimitExceeded),
            (CbsAction::DescribeDisks, too_many(), InvalidParameterValue),
            (CbsAction::CreateDisks, project(), InvalidParameterProjectIdNotExist),
            (CbsAction::ModifyDiskAttributes, project(), ResourceNotFoundNotFound),
            // No code of the page says it: the plain one stays.
            (CbsAction::TerminateDisks, DiskError::NotFound(disk_id()).into(), InvalidDiskIdNotFound),
        ] {
            let text = error.to_string();
            assert_eq!(answer(action.into(), error).code, code, "{action:?}: {text}");
        }
    }

    #[test]
    fn lighthouse_answers_with_codes_of_its_own() {
        use ashlar_api::lighthouse::LighthouseAction::{self, ApplyInstanceSnapshot, CreateInstanceSnapshot};
        let instance = "lhins-00000001".parse().unwrap();
        let snapshot = "lhsnap-00000001".parse().unwrap();
        let disk = "lhdisk-00000001".parse().unwrap();
        let busy = |state| LighthouseError::SnapshotBusy { snapshot, state };
        let disk_busy = |doing| LighthouseError::DiskBusy { disk, doing };
        let job = |kind| ControlError::from(JobError { kind, detail: String::new() });
        let table: [(LighthouseAction, ControlError, ErrorCode); 16] = [
            (
                CreateInstanceSnapshot,
                LighthouseError::NoSystemDisk(instance).into(),
                ResourceNotFoundDiskNotFound,
            ),
            (
                ApplyInstanceSnapshot,
                LighthouseError::InstanceCreating(instance).into(),
                OperationDeniedInstanceCreating,
            ),
            (
                ApplyInstanceSnapshot,
                disk_busy(DiskWork::Snapshot("")).into(),
                UnsupportedOperationDiskLatestOperationUnfinished,
            ),
            (
                CreateInstanceSnapshot,
                disk_busy(DiskWork::Other(DiskState::Expanding)).into(),
                UnsupportedOperationDiskBusy,
            ),
            (
                ApplyInstanceSnapshot,
                busy(SnapshotState::Creating).into(),
                UnsupportedOperationInvalidSnapshotState,
            ),
            (
                LighthouseAction::DeleteSnapshots,
                busy(SnapshotState::Rollbacking).into(),
                UnsupportedOperationInvalidSnapshotState,
            ),
            (
                LighthouseAction::DeleteSnapshots,
                busy(SnapshotState::Normal).into(),
                UnsupportedOperationSnapshotBusy,
            ),
            (
                LighthouseAction::DeleteSnapshots,
                LighthouseError::SnapshotHeld { snapshot, why: String::new() }.into(),
                FailedOperationSnapshotOperationFailed,
            ),
            (
                CreateInstanceSnapshot,
                LighthouseError::Quota { instance, at_most: 1 }.into(),
                LimitExceededSnapshotQuotaLimitExceeded,
            ),
            (ApplyInstanceSnapshot, job(JobErrorKind::InUse), UnsupportedOperationDiskBusy),
            (ApplyInstanceSnapshot, job(JobErrorKind::StoreFailed), FailedOperationSnapshotOperationFailed),
            (LighthouseAction::DeleteSnapshots, job(JobErrorKind::InUse), UnsupportedOperationSnapshotBusy),
            (
                LighthouseAction::DeleteSnapshots,
                job(JobErrorKind::StoreFailed),
                FailedOperationSnapshotOperationFailed,
            ),
            (CreateInstanceSnapshot, job(JobErrorKind::StoreFailed), InternalError),
            (
                CreateInstanceSnapshot,
                database(DbErrorKind::Busy),
                InternalErrorGetSnapshotAllocQuotaLockError,
            ),
            (ApplyInstanceSnapshot, database(DbErrorKind::Busy), InternalError),
        ];
        for (action, error, code) in table {
            let text = error.to_string();
            assert_eq!(answer(action.into(), error).code, code, "{action:?}: {text}");
        }
        let cwp = ashlar_api::cwp::CwpAction::DescribeMachineSnapshot;
        assert_eq!(answer(cwp.into(), database(DbErrorKind::Io)).code, InternalErrorMainDBFail);
        let failed = |action: CbsAction| answer(action.into(), database(DbErrorKind::Io)).code;
        assert_eq!(failed(CbsAction::CreateDisks), InternalErrorComponentError);
        assert_eq!(failed(CbsAction::TerminateDisks), InternalErrorFailQueryResource);
        assert_eq!(failed(CbsAction::DescribeDisks), InternalError);
    }

    fn database(kind: DbErrorKind) -> ControlError {
        ashlar_db::DbError::new(kind, "playing").into()
    }

    #[test]
    fn the_operators_detail_stays_with_the_operator() {
        let detail = "pools/ap-guangzhou/data: input/output error";
        let error = JobError { kind: JobErrorKind::StoreFailed, detail: detail.into() };
        let answer = answer(CbsAction::CreateSnapshot.into(), error.into());
        assert!(!answer.message.contains("pools"), "{}", answer.message);
        assert_eq!(answer.cause.unwrap().to_string(), detail);
    }
}

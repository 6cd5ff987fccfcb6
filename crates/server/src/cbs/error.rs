//! Which code on the wire a refusal of the rules becomes: the one table.
//!
//! Prefixes carry meaning: clients try again for minutes on `ResourceBusy`, `ResourceInUse.*` and
//! `ResourceUnavailable.*` (`.NotSupported` apart), so only what waiting can mend gets one of those.

use ashlar_api::{ApiError, ErrorCode};
use ashlar_control::{
    ControlError, DiskError, InstanceError, JobErrorKind, ParameterError, QuotaError, SnapshotError,
};

/// The answer to a refused or failed call. The text is the rules' own; the cause stays with the operator.
pub(crate) fn api_error(error: ControlError) -> ApiError {
    let code = match &error {
        ControlError::Parameter(error) => parameter(error),
        ControlError::Disk(error) => disk(error),
        ControlError::Snapshot(error) => snapshot(error),
        ControlError::Instance(error) => instance(error),
        ControlError::Quota(error) => quota(error),
        ControlError::Job(error) => job(error.kind),
        ControlError::Db(_) => ErrorCode::InternalError,
    };
    let answer = ApiError::new(code, error.to_string());
    match error {
        ControlError::Db(cause) => answer.with_cause(cause),
        ControlError::Job(cause) => answer.with_cause(cause.detail),
        _ => answer,
    }
}

const fn parameter(error: &ParameterError) -> ErrorCode {
    match error {
        ParameterError::Missing { .. } => ErrorCode::MissingParameter,
        ParameterError::Invalid { .. } | ParameterError::Excludes { .. } => ErrorCode::InvalidParameterValue,
        ParameterError::LimitExceeded { .. } => ErrorCode::InvalidParameterValueLimitExceeded,
        ParameterError::UnknownFilter { .. } => ErrorCode::InvalidFilter,
        ParameterError::NotOffered { .. } => ErrorCode::UnsupportedOperation,
        ParameterError::ClientTokenReused { .. } => ErrorCode::InvalidParameterInvalidClientToken,
        ParameterError::ProjectNotFound(_) => ErrorCode::InvalidParameterProjectIdNotExist,
    }
}

const fn disk(error: &DiskError) -> ErrorCode {
    match error {
        DiskError::NotFound(_) => ErrorCode::InvalidDiskIdNotFound,
        DiskError::Busy { .. } => ErrorCode::ResourceBusy,
        DiskError::SnapshotCreating(_) => ErrorCode::ResourceUnavailableSnapshotCreating,
        DiskError::RollingBack(_) => ErrorCode::ResourceInUseDiskRollbacking,
        DiskError::Migrating(_) => ErrorCode::ResourceInUseDiskMigrating,
        // `ResourceUnavailable.Attached` would make clients wait for a detach that nobody asked for.
        DiskError::AttachedTo { .. } | DiskError::NotSupported { .. } => {
            ErrorCode::ResourceUnavailableNotSupported
        }
        DiskError::NotPortable(_) => ErrorCode::InvalidDiskNotPortable,
    }
}

const fn snapshot(error: &SnapshotError) -> ErrorCode {
    match error {
        SnapshotError::NotFound(_) => ErrorCode::InvalidSnapshotIdNotFound,
        SnapshotError::Creating(_) => ErrorCode::ResourceUnavailableSnapshotCreating,
        SnapshotError::Busy { .. } => ErrorCode::ResourceBusy,
        SnapshotError::OfOtherDisk { .. } => ErrorCode::InvalidParameterValue,
        SnapshotError::SizeMismatch { .. } => ErrorCode::InvalidParameterDiskSizeNotMatch,
        SnapshotError::NotSupported { .. } => ErrorCode::InvalidSnapshotNotSupported,
    }
}

const fn instance(error: &InstanceError) -> ErrorCode {
    match error {
        InstanceError::NotFound(_) => ErrorCode::InvalidInstanceIdNotFound,
        // Not `ResourceUnavailable.ZoneNotMatch`: no waiting moves a disk to another zone.
        InstanceError::ZoneMismatch { .. } => ErrorCode::ResourceUnavailableNotSupported,
        InstanceError::DiskLimit { .. } => ErrorCode::LimitExceededInstanceAttachedDisk,
        InstanceError::PowerNotSupported(_) => ErrorCode::InvalidInstanceNotSupported,
        // The administrative commands alone meet these two.
        InstanceError::HasDisks { .. } | InstanceError::Exists(_) => ErrorCode::UnsupportedOperation,
    }
}

const fn quota(error: &QuotaError) -> ErrorCode {
    match error {
        QuotaError::SnapshotsOfDisk { .. } => ErrorCode::InsufficientSnapshotQuota,
        QuotaError::DiskConfig { .. } => ErrorCode::InvalidParameterDiskConfigNotSupported,
        QuotaError::Tags { .. } => ErrorCode::LimitExceededTagQuotaLimitExceeded,
    }
}

const fn job(kind: JobErrorKind) -> ErrorCode {
    match kind {
        JobErrorKind::NoSpace => ErrorCode::ResourceInsufficient,
        JobErrorKind::InUse | JobErrorKind::TimedOut => ErrorCode::ResourceBusy,
        JobErrorKind::StoreFailed => ErrorCode::InternalErrorResourceOpFailed,
        JobErrorKind::Stopping => ErrorCode::ServiceUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use ashlar_control::JobError;
    use ashlar_types::DiskState;

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
        let permanent: [ControlError; 9] = [
            DiskError::NotFound(disk_id()).into(),
            DiskError::NotPortable(disk_id()).into(),
            DiskError::AttachedTo { disk: disk_id(), instance }.into(),
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
            assert!(!invites_retry(api_error(error).code), "{text}");
        }
    }

    #[test]
    fn passing_refusals_invite_one() {
        let passing: [ControlError; 5] = [
            DiskError::Busy { disk: disk_id(), state: DiskState::Expanding }.into(),
            DiskError::SnapshotCreating(disk_id()).into(),
            DiskError::RollingBack(disk_id()).into(),
            DiskError::Migrating(disk_id()).into(),
            JobError { kind: JobErrorKind::InUse, detail: String::new() }.into(),
        ];
        for error in passing {
            let text = error.to_string();
            assert!(invites_retry(api_error(error).code), "{text}");
        }
    }

    #[test]
    fn the_operators_detail_stays_with_the_operator() {
        let detail = "pools/ap-guangzhou/data: input/output error";
        let error = JobError { kind: JobErrorKind::StoreFailed, detail: detail.into() };
        let answer = api_error(error.into());
        assert!(!answer.message.contains("pools"), "{}", answer.message);
        assert_eq!(answer.cause.unwrap().to_string(), detail);
    }
}

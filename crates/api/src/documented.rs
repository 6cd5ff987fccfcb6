//! Which error codes the reference lists for which action: an answer shall carry one of these, or one of the
//! common codes. The reference page lists what belongs to the business of an action; where a newer client library
//! has more, the library's list holds.

use crate::action::Action;
use crate::error_code::ErrorCode::{self, *};

/// Codes that every action may answer and that are not about signatures, rates or sizes. Source: reference
/// `cbs/error-codes`, "Common Error Codes".
const COMMON: &[ErrorCode] = &[
    FailedOperation,
    InternalError,
    InvalidParameter,
    InvalidParameterValue,
    LimitExceeded,
    MissingParameter,
    ResourceInUse,
    ResourceInsufficient,
    ResourceNotFound,
    ResourceUnavailable,
    ServiceUnavailable,
    UnauthorizedOperation,
    UnknownParameter,
    UnsupportedOperation,
];

impl Action {
    /// Whether the reference lists `code` for this action or for all.
    #[must_use]
    pub fn documents(self, code: ErrorCode) -> bool {
        COMMON.contains(&code) || self.error_codes().contains(&code)
    }

    /// The codes that the reference lists for this action, in the order of their names.
    #[must_use]
    pub const fn error_codes(self) -> &'static [ErrorCode] {
        match self {
            Self::CreateDisks => &[
                InternalErrorComponentError,
                InvalidAccountInsufficientBalance,
                InvalidInstanceIdNotFound,
                InvalidParameterDiskConfigNotSupported,
                InvalidParameterInvalidClientToken,
                InvalidParameterProjectIdNotExist,
                InvalidParameterValue,
                InvalidParameterValueLimitExceeded,
                InvalidSnapshotIdNotFound,
                LimitExceededInstanceAttachedDisk,
                LimitExceededTagQuotaLimitExceeded,
                MissingParameter,
                ResourceBusy,
                ResourceInsufficient,
                TradeDealConflict,
                UnauthorizedOperation,
                UnauthorizedOperationNotCertification,
                UnauthorizedOperationNotHavePaymentRight,
                UnauthorizedOperationRoleNotExists,
            ],
            Self::DescribeDisks => {
                &[InvalidFilter, InvalidParameterValue, MissingParameter, UnsupportedOperation]
            }
            Self::ModifyDiskAttributes => &[
                InternalErrorComponentError,
                InvalidAccountInsufficientBalance,
                InvalidDiskNotSupported,
                InvalidDiskIdNotFound,
                InvalidInstanceIdNotFound,
                InvalidParameterDiskConfigNotSupported,
                InvalidParameterValue,
                InvalidParameterValueLimitExceeded,
                MissingParameter,
                ResourceInUseDiskMigrating,
                ResourceInsufficient,
                ResourceInsufficientUpgradeServiceBusy,
                ResourceNotFoundNotFound,
                ResourceUnavailableNotSupported,
                TradeDealConflict,
            ],
            Self::ResizeDisk => &[
                InternalErrorComponentError,
                InvalidAccountInsufficientBalance,
                InvalidDiskBusy,
                InvalidDiskExpire,
                InvalidDiskNotSupported,
                InvalidDiskIdNotFound,
                InvalidParameterDiskConfigNotSupported,
                InvalidParameterValue,
                MissingParameter,
                ResourceInsufficient,
                ResourceNotFoundNotFound,
                ResourceUnavailableExpire,
                ResourceUnavailableNotSupported,
                ResourceUnavailableSnapshotCreating,
                TradeDealConflict,
                UnauthorizedOperationNotHavePaymentRight,
                UnsupportedOperationInstanceNotStopped,
            ],
            Self::AttachDisks => &[
                InternalErrorComponentError,
                InternalErrorResourceOpFailed,
                InvalidDiskNotPortable,
                InvalidDiskNotSupported,
                InvalidDiskTypeError,
                InvalidDiskIdNotFound,
                InvalidInstanceNotSupported,
                InvalidInstanceIdNotFound,
                InvalidParameterValue,
                InvalidParameterValueLimitExceeded,
                LimitExceededInstanceAttachedDisk,
                MissingParameter,
                ResourceBusy,
                ResourceInUseDiskMigrating,
                ResourceNotFoundNotFound,
                ResourceUnavailableAttached,
                ResourceUnavailableNotPortable,
                ResourceUnavailableNotSupported,
                ResourceUnavailableTypeError,
                ResourceUnavailableZoneNotMatch,
            ],
            Self::DetachDisks => &[
                InternalErrorComponentError,
                InternalErrorResourceOpFailed,
                InvalidDiskNotPortable,
                InvalidDiskNotSupported,
                InvalidDiskTypeError,
                InvalidDiskIdNotFound,
                InvalidInstanceNotSupported,
                InvalidInstanceIdNotFound,
                InvalidParameterValue,
                InvalidParameterValueLimitExceeded,
                MissingParameter,
                ResourceBusy,
                ResourceInUseDiskMigrating,
                ResourceNotFoundNotFound,
                ResourceUnavailableNotPortable,
                ResourceUnavailableNotSupported,
                ResourceUnavailableTypeError,
                UnauthorizedOperationMFAExpired,
                UnsupportedOperation,
                UnsupportedOperationDetachPod,
            ],
            Self::DescribeInstancesDiskNum => {
                &[InvalidDiskNotPortable, InvalidDiskIdNotFound, InvalidParameterValue, MissingParameter]
            }
            Self::DescribeDiskConfigQuota => &[InvalidParameterValue, MissingParameter, UnsupportedOperation],
            Self::InitializeDisks => &[InvalidParameterValueLimitExceeded, ResourceBusy],
            Self::TerminateDisks => &[
                InsufficientRefundQuota,
                InternalErrorFailQueryResource,
                InvalidDiskExpire,
                InvalidParameterValue,
                InvalidParameterValueLimitExceeded,
                MissingParameter,
                ResourceBusy,
                ResourceInsufficientOverRefundQuota,
                ResourceUnavailableExpire,
                ResourceUnavailableNotSupportRefund,
                ResourceUnavailableNotSupported,
                ResourceUnavailableRepeatRefund,
                TradeDealConflict,
                UnsupportedOperation,
            ],
            Self::CreateSnapshot => &[
                InsufficientSnapshotQuota,
                InternalErrorComponentError,
                InternalErrorResourceOpFailed,
                InvalidAccountInsufficientBalance,
                InvalidDiskBusy,
                InvalidDiskNotSupportSnapshot,
                InvalidDiskNotSupported,
                InvalidDiskSnapshotCreating,
                InvalidDiskTypeError,
                InvalidDiskIdNotFound,
                InvalidParameterInvalidClientToken,
                InvalidParameterProjectIdNotExist,
                LimitExceededInstanceAttachedDisk,
                MissingParameter,
                ResourceBusy,
                ResourceInUse,
                ResourceInUseDiskMigrating,
                ResourceInUseDiskRollbacking,
                ResourceInsufficientOverQuota,
                ResourceNotFoundNotFound,
                ResourceUnavailableDiskBackupCreating,
                ResourceUnavailableDiskSnapshotChainTooLarge,
                ResourceUnavailableNotSupported,
                ResourceUnavailableSnapshotCreating,
                ResourceUnavailableTooManyCreatingSnapshot,
                UnsupportedOperationDiskEncrypt,
            ],
            Self::DescribeSnapshots => {
                &[InvalidFilter, InvalidParameterValue, MissingParameter, UnsupportedOperation]
            }
            Self::ModifySnapshotAttribute => &[
                InvalidParameterValue,
                InvalidSnapshotNotSupported,
                InvalidSnapshotIdNotFound,
                MissingParameter,
                UnsupportedOperationSnapHasShared,
                UnsupportedOperationSnapshotHasBindedImage,
            ],
            Self::ApplySnapshot => &[
                InvalidDiskBusy,
                InvalidDiskNotSupported,
                InvalidDiskSnapshotCreating,
                InvalidDiskIdNotFound,
                InvalidInstanceNotSupported,
                InvalidInstanceIdNotFound,
                InvalidParameterDiskSizeNotMatch,
                InvalidParameterShouldConvertSnapshotToImage,
                InvalidParameterValue,
                InvalidSnapshotNotSupported,
                InvalidSnapshotIdNotFound,
                MissingParameter,
                ResourceBusy,
                ResourceInUseDiskRollbacking,
                ResourceInsufficient,
                ResourceNotFoundNotFound,
                ResourceUnavailableNotSupported,
                ResourceUnavailableSnapshotCreating,
                UnauthorizedOperationMFAExpired,
            ],
            Self::DeleteSnapshots => &[
                InvalidParameterValue,
                InvalidSnapshotNotSupported,
                InvalidSnapshotIdNotFound,
                MissingParameter,
                ResourceBusy,
                ResourceUnavailableSnapshotCreating,
                UnauthorizedOperationMFAExpired,
                UnsupportedOperation,
                UnsupportedOperationSnapHasShared,
                UnsupportedOperationSnapshotHasBindedImage,
            ],
            Self::GetSnapOverview => &[InvalidParameterValue, MissingParameter],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_codes_are_those_that_the_end_to_end_tests_look_for() {
        let text = include_str!("../../../tests/e2e/test_reference_errors.json");
        let reference: BTreeMap<String, Vec<String>> = serde_json::from_str(text).unwrap();
        let name = |code: &ErrorCode| code.as_str().to_owned();
        let ours: BTreeMap<String, Vec<String>> = Action::ALL
            .iter()
            .map(|action| (action.spec().name.to_owned(), action.error_codes().iter().map(name).collect()))
            .collect();
        assert_eq!(ours, reference);
    }
}

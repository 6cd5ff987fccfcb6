//! Every error code that an answer may carry: one list, taken from the reference.

/// Declares the codes with their names on the wire.
macro_rules! error_codes {
    ($($variant:ident = $text:literal,)+) => {
        /// A documented error code. Source: reference `cbs/error-codes`, `common/07-responses` and the newer
        /// client libraries of each product.
        ///
        /// Prefixes carry meaning: clients try again on `ResourceBusy`, `ResourceInUse.*`,
        /// `ResourceUnavailable.*` (`.NotSupported` apart) and `RequestLimitExceeded`, so a permanent mistake
        /// never gets one of those.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode { $(#[doc = concat!("`", $text, "`.")] $variant,)+ }

        impl ErrorCode {
            /// Every code, in the order of their names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code as it stands in `Response.Error.Code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

error_codes! {
    ActionOffline = "ActionOffline",
    AuthFailure = "AuthFailure",
    AuthFailureInvalidAuthorization = "AuthFailure.InvalidAuthorization",
    AuthFailureInvalidSecretId = "AuthFailure.InvalidSecretId",
    AuthFailureMFAFailure = "AuthFailure.MFAFailure",
    AuthFailureSecretIdNotFound = "AuthFailure.SecretIdNotFound",
    AuthFailureSignatureExpire = "AuthFailure.SignatureExpire",
    AuthFailureSignatureFailure = "AuthFailure.SignatureFailure",
    AuthFailureTokenFailure = "AuthFailure.TokenFailure",
    AuthFailureUnauthorizedOperation = "AuthFailure.UnauthorizedOperation",
    DryRunOperation = "DryRunOperation",
    FailedOperation = "FailedOperation",
    FailedOperationDescribeInstanceStatus = "FailedOperation.DescribeInstanceStatus",
    FailedOperationPolicyEnforcedInvalid = "FailedOperation.PolicyEnforcedInvalid",
    FailedOperationResourceTagProcessing = "FailedOperation.ResourceTagProcessing",
    FailedOperationSnapshotOperationFailed = "FailedOperation.SnapshotOperationFailed",
    FailedOperationTempKeyNotAllowed = "FailedOperation.TempKeyNotAllowed",
    ImageQuotaLimitExceeded = "ImageQuotaLimitExceeded",
    InsufficientRefundQuota = "InsufficientRefundQuota",
    InsufficientSnapshotQuota = "InsufficientSnapshotQuota",
    InternalError = "InternalError",
    InternalErrorComponentError = "InternalError.ComponentError",
    InternalErrorDescribeInstanceStatus = "InternalError.DescribeInstanceStatus",
    InternalErrorFailQueryResource = "InternalError.FailQueryResource",
    InternalErrorGetSnapshotAllocQuotaLockError = "InternalError.GetSnapshotAllocQuotaLockError",
    InternalErrorMainDBFail = "InternalError.MainDBFail",
    InternalErrorRequestError = "InternalError.RequestError",
    InternalErrorResourceOpFailed = "InternalError.ResourceOpFailed",
    InvalidAccountInsufficientBalance = "InvalidAccount.InsufficientBalance",
    InvalidAction = "InvalidAction",
    InvalidAutoSnapshotPolicyIdNotFound = "InvalidAutoSnapshotPolicyId.NotFound",
    InvalidDiskAlreadyBound = "InvalidDisk.AlreadyBound",
    InvalidDiskBusy = "InvalidDisk.Busy",
    InvalidDiskExpire = "InvalidDisk.Expire",
    InvalidDiskNotPortable = "InvalidDisk.NotPortable",
    InvalidDiskNotSupportSnapshot = "InvalidDisk.NotSupportSnapshot",
    InvalidDiskNotSupported = "InvalidDisk.NotSupported",
    InvalidDiskSnapshotCreating = "InvalidDisk.SnapshotCreating",
    InvalidDiskTypeError = "InvalidDisk.TypeError",
    InvalidDiskIdNotFound = "InvalidDiskId.NotFound",
    InvalidFilter = "InvalidFilter",
    InvalidImageIdNotFound = "InvalidImageId.NotFound",
    InvalidImageNameDuplicate = "InvalidImageName.Duplicate",
    InvalidInstanceNotSupported = "InvalidInstance.NotSupported",
    InvalidInstanceIdNotFound = "InvalidInstanceId.NotFound",
    InvalidParameter = "InvalidParameter",
    InvalidParameterDiskConfigNotSupported = "InvalidParameter.DiskConfigNotSupported",
    InvalidParameterDiskSizeNotMatch = "InvalidParameter.DiskSizeNotMatch",
    InvalidParameterDuplicateSystemSnapshots = "InvalidParameter.DuplicateSystemSnapshots",
    InvalidParameterFilterValueLimitExceeded = "InvalidParameter.FilterValueLimitExceeded",
    InvalidParameterInvalidClientToken = "InvalidParameter.InvalidClientToken",
    InvalidParameterInvalidFilter = "InvalidParameter.InvalidFilter",
    InvalidParameterInvalidFilterInvalidKey = "InvalidParameter.InvalidFilterInvalidKey",
    InvalidParameterInvalidFilterInvalidNameNotStr = "InvalidParameter.InvalidFilterInvalidNameNotStr",
    InvalidParameterInvalidFilterInvalidValuesNotList = "InvalidParameter.InvalidFilterInvalidValuesNotList",
    InvalidParameterInvalidFilterNotDict = "InvalidParameter.InvalidFilterNotDict",
    InvalidParameterInvalidFilterNotSupportedName = "InvalidParameter.InvalidFilterNotSupportedName",
    InvalidParameterInvalidFormat = "InvalidParameter.InvalidFormat",
    InvalidParameterInvalidParameterCoexistImageIdsFilters = "InvalidParameter.InvalidParameterCoexistImageIdsFilters",
    InvalidParameterMissingParameter = "InvalidParameter.MissingParameter",
    InvalidParameterOverTimeError = "InvalidParameter.OverTimeError",
    InvalidParameterPaginationTokenInvalid = "InvalidParameter.PaginationTokenInvalid",
    InvalidParameterParamError = "InvalidParameter.ParamError",
    InvalidParameterParameterConflict = "InvalidParameter.ParameterConflict",
    InvalidParameterPolicyTooLong = "InvalidParameter.PolicyTooLong",
    InvalidParameterProjectIdNotExist = "InvalidParameter.ProjectIdNotExist",
    InvalidParameterReservedTagKey = "InvalidParameter.ReservedTagKey",
    InvalidParameterShouldConvertSnapshotToImage = "InvalidParameter.ShouldConvertSnapshotToImage",
    InvalidParameterSnapshotNotFound = "InvalidParameter.SnapshotNotFound",
    InvalidParameterStrategyFormatError = "InvalidParameter.StrategyFormatError",
    InvalidParameterSystemSnapshotNotFound = "InvalidParameter.SystemSnapshotNotFound",
    InvalidParameterTag = "InvalidParameter.Tag",
    InvalidParameterValue = "InvalidParameterValue",
    InvalidParameterValueBindDiskLimitExceeded = "InvalidParameterValue.BindDiskLimitExceeded",
    InvalidParameterValueDeleteTagsParamError = "InvalidParameterValue.DeleteTagsParamError",
    InvalidParameterValueDiskSizeNotMatch = "InvalidParameterValue.DiskSizeNotMatch",
    InvalidParameterValueDuplicated = "InvalidParameterValue.Duplicated",
    InvalidParameterValueInstanceIdMalformed = "InvalidParameterValue.InstanceIdMalformed",
    InvalidParameterValueInvalidAction = "InvalidParameterValue.InvalidAction",
    InvalidParameterValueInvalidDiskIdMalformed = "InvalidParameterValue.InvalidDiskIdMalformed",
    InvalidParameterValueLimitExceeded = "InvalidParameterValue.LimitExceeded",
    InvalidParameterValueNegative = "InvalidParameterValue.Negative",
    InvalidParameterValueOutOfRange = "InvalidParameterValue.OutOfRange",
    InvalidParameterValueRegionInvalid = "InvalidParameterValue.RegionInvalid",
    InvalidParameterValueResourceDescriptionError = "InvalidParameterValue.ResourceDescriptionError",
    InvalidParameterValueResourceIdInvalid = "InvalidParameterValue.ResourceIdInvalid",
    InvalidParameterValueResourcePrefixInvalid = "InvalidParameterValue.ResourcePrefixInvalid",
    InvalidParameterValueServiceTypeInvalid = "InvalidParameterValue.ServiceTypeInvalid",
    InvalidParameterValueSnapshotIdMalformed = "InvalidParameterValue.SnapshotIdMalformed",
    InvalidParameterValueSnapshotNameTooLong = "InvalidParameterValue.SnapshotNameTooLong",
    InvalidParameterValueTagKeyCharacterIllegal = "InvalidParameterValue.TagKeyCharacterIllegal",
    InvalidParameterValueTagKeyDuplicate = "InvalidParameterValue.TagKeyDuplicate",
    InvalidParameterValueTagKeyEmpty = "InvalidParameterValue.TagKeyEmpty",
    InvalidParameterValueTagKeyLengthExceeded = "InvalidParameterValue.TagKeyLengthExceeded",
    InvalidParameterValueTagValueCharacterIllegal = "InvalidParameterValue.TagValueCharacterIllegal",
    InvalidParameterValueTagValueLengthExceeded = "InvalidParameterValue.TagValueLengthExceeded",
    InvalidParameterValueUinInvalid = "InvalidParameterValue.UinInvalid",
    InvalidRequest = "InvalidRequest",
    InvalidSnapshotNotSupported = "InvalidSnapshot.NotSupported",
    InvalidSnapshotIdNotFound = "InvalidSnapshotId.NotFound",
    IpInBlacklist = "IpInBlacklist",
    IpNotInWhitelist = "IpNotInWhitelist",
    LimitExceeded = "LimitExceeded",
    LimitExceededAutoSnapshotPolicyOutOfQuota = "LimitExceeded.AutoSnapshotPolicyOutOfQuota",
    LimitExceededInstanceAttachedDisk = "LimitExceeded.InstanceAttachedDisk",
    LimitExceededQuota = "LimitExceeded.Quota",
    LimitExceededResourceAttachedTags = "LimitExceeded.ResourceAttachedTags",
    LimitExceededResourceNumPerRequest = "LimitExceeded.ResourceNumPerRequest",
    LimitExceededSnapshotQuotaLimitExceeded = "LimitExceeded.SnapshotQuotaLimitExceeded",
    LimitExceededTagKey = "LimitExceeded.TagKey",
    LimitExceededTagNumPerRequest = "LimitExceeded.TagNumPerRequest",
    LimitExceededTagQuotaLimitExceeded = "LimitExceeded.TagQuotaLimitExceeded",
    LimitExceededTagValue = "LimitExceeded.TagValue",
    MissingParameter = "MissingParameter",
    NoSuchProduct = "NoSuchProduct",
    NoSuchVersion = "NoSuchVersion",
    OperationDeniedAccountSecurityRisk = "OperationDenied.AccountSecurityRisk",
    OperationDeniedInstanceCreating = "OperationDenied.InstanceCreating",
    OperationDeniedInstanceOperationInProgress = "OperationDenied.InstanceOperationInProgress",
    OperationDeniedOperationDeniedCreateSnapshot = "OperationDenied.OperationDeniedCreateSnapshot",
    OperationDeniedOperationDeniedCreateSnapshotForStorageBundle = "OperationDenied.OperationDeniedCreateSnapshotForStorageBundle",
    RequestLimitExceeded = "RequestLimitExceeded",
    RequestLimitExceededGlobalRegionUinLimitExceeded = "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
    RequestLimitExceededIPLimitExceeded = "RequestLimitExceeded.IPLimitExceeded",
    RequestLimitExceededUinLimitExceeded = "RequestLimitExceeded.UinLimitExceeded",
    RequestSizeLimitExceeded = "RequestSizeLimitExceeded",
    ResourceBusy = "ResourceBusy",
    ResourceInUse = "ResourceInUse",
    ResourceInUseCopySnapshotConflict = "ResourceInUse.CopySnapshotConflict",
    ResourceInUseDiskMigrating = "ResourceInUse.DiskMigrating",
    ResourceInUseDiskRollbacking = "ResourceInUse.DiskRollbacking",
    ResourceInsufficient = "ResourceInsufficient",
    ResourceInsufficientOverQuota = "ResourceInsufficient.OverQuota",
    ResourceInsufficientOverRefundQuota = "ResourceInsufficient.OverRefundQuota",
    ResourceInsufficientUpgradeServiceBusy = "ResourceInsufficient.UpgradeServiceBusy",
    ResourceNotFound = "ResourceNotFound",
    ResourceNotFoundBlueprintIdNotFound = "ResourceNotFound.BlueprintIdNotFound",
    ResourceNotFoundDiskNotFound = "ResourceNotFound.DiskNotFound",
    ResourceNotFoundInstanceIdNotFound = "ResourceNotFound.InstanceIdNotFound",
    ResourceNotFoundNotFound = "ResourceNotFound.NotFound",
    ResourceNotFoundRoleNotFound = "ResourceNotFound.RoleNotFound",
    ResourceNotFoundSnapshotIdNotFound = "ResourceNotFound.SnapshotIdNotFound",
    ResourceNotFoundSnapshotNotFound = "ResourceNotFound.SnapshotNotFound",
    ResourceUnavailable = "ResourceUnavailable",
    ResourceUnavailableAttached = "ResourceUnavailable.Attached",
    ResourceUnavailableDiskBackupCreating = "ResourceUnavailable.DiskBackupCreating",
    ResourceUnavailableDiskSnapshotChainTooLarge = "ResourceUnavailable.DiskSnapshotChainTooLarge",
    ResourceUnavailableExpire = "ResourceUnavailable.Expire",
    ResourceUnavailableNotPortable = "ResourceUnavailable.NotPortable",
    ResourceUnavailableNotSupportRefund = "ResourceUnavailable.NotSupportRefund",
    ResourceUnavailableNotSupportSnapshot = "ResourceUnavailable.NotSupportSnapshot",
    ResourceUnavailableNotSupported = "ResourceUnavailable.NotSupported",
    ResourceUnavailableRepeatRefund = "ResourceUnavailable.RepeatRefund",
    ResourceUnavailableSnapshotCreating = "ResourceUnavailable.SnapshotCreating",
    ResourceUnavailableTooManyCreatingSnapshot = "ResourceUnavailable.TooManyCreatingSnapshot",
    ResourceUnavailableTypeError = "ResourceUnavailable.TypeError",
    ResourceUnavailableZoneNotMatch = "ResourceUnavailable.ZoneNotMatch",
    ResponseSizeLimitExceeded = "ResponseSizeLimitExceeded",
    ServiceUnavailable = "ServiceUnavailable",
    TradeDealConflict = "TradeDealConflict",
    UnauthorizedOperation = "UnauthorizedOperation",
    UnauthorizedOperationAuthFailure = "UnauthorizedOperation.AuthFailure",
    UnauthorizedOperationInvalidToken = "UnauthorizedOperation.InvalidToken",
    UnauthorizedOperationMFAExpired = "UnauthorizedOperation.MFAExpired",
    UnauthorizedOperationNoPermission = "UnauthorizedOperation.NoPermission",
    UnauthorizedOperationNotCertification = "UnauthorizedOperation.NotCertification",
    UnauthorizedOperationNotHavePaymentRight = "UnauthorizedOperation.NotHavePaymentRight",
    UnauthorizedOperationRoleNotExists = "UnauthorizedOperation.RoleNotExists",
    UnknownParameter = "UnknownParameter",
    UnsupportedOperation = "UnsupportedOperation",
    UnsupportedOperationDetachPod = "UnsupportedOperation.DetachPod",
    UnsupportedOperationDiskBusy = "UnsupportedOperation.DiskBusy",
    UnsupportedOperationDiskEncrypt = "UnsupportedOperation.DiskEncrypt",
    UnsupportedOperationDiskLatestOperationUnfinished = "UnsupportedOperation.DiskLatestOperationUnfinished",
    UnsupportedOperationInstanceNotStopped = "UnsupportedOperation.InstanceNotStopped",
    UnsupportedOperationInvalidInstanceState = "UnsupportedOperation.InvalidInstanceState",
    UnsupportedOperationInvalidSnapshotState = "UnsupportedOperation.InvalidSnapshotState",
    UnsupportedOperationLatestOperationUnfinished = "UnsupportedOperation.LatestOperationUnfinished",
    UnsupportedOperationShareDiskNotSupportSnap = "UnsupportedOperation.ShareDiskNotSupportSnap",
    UnsupportedOperationSnapHasShared = "UnsupportedOperation.SnapHasShared",
    UnsupportedOperationSnapshotBusy = "UnsupportedOperation.SnapshotBusy",
    UnsupportedOperationSnapshotGroupDiskAttachMultiInstance = "UnsupportedOperation.SnapshotGroupDiskAttachMultiInstance",
    UnsupportedOperationSnapshotHasBindedImage = "UnsupportedOperation.SnapshotHasBindedImage",
    UnsupportedOperationSnapshotNotSupportCopy = "UnsupportedOperation.SnapshotNotSupportCopy",
    UnsupportedOperationStateError = "UnsupportedOperation.StateError",
    UnsupportedOperationSystemBusy = "UnsupportedOperation.SystemBusy",
    UnsupportedProtocol = "UnsupportedProtocol",
    UnsupportedRegion = "UnsupportedRegion",
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn the_codes_are_those_of_the_reference() {
        let reference: Vec<&str> = include_str!("../reference/error-codes.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(' ').next())
            .collect();
        let ours: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(ours, reference);
    }
}

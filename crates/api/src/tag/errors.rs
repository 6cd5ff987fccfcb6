//! Which error codes the service's client libraries list for which action.

use crate::error_code::ErrorCode::{self, *};

/// The codes of each action, both in the order of their names.
pub(super) const CODES: &[(&str, &[ErrorCode])] = &[
    ("DescribeProjects", &[AuthFailure, AuthFailureUnauthorizedOperation, FailedOperation, InvalidParameter]),
    (
        "DescribeResourceTagsByResourceIds",
        &[
            FailedOperation,
            InvalidParameterValueRegionInvalid,
            InvalidParameterValueResourceIdInvalid,
            InvalidParameterValueResourcePrefixInvalid,
            InvalidParameterValueServiceTypeInvalid,
            InvalidParameterValueUinInvalid,
            UnsupportedOperation,
        ],
    ),
    (
        "GetResources",
        &[
            AuthFailureUnauthorizedOperation,
            FailedOperation,
            FailedOperationResourceTagProcessing,
            InvalidParameter,
            InvalidParameterPaginationTokenInvalid,
            InvalidParameterReservedTagKey,
            InvalidParameterTag,
            InvalidParameterValueResourceDescriptionError,
            InvalidParameterValueTagKeyDuplicate,
            InvalidParameterValueTagKeyEmpty,
            InvalidParameterValueTagKeyLengthExceeded,
            InvalidParameterValueTagValueCharacterIllegal,
            InvalidParameterValueTagValueLengthExceeded,
            LimitExceededResourceNumPerRequest,
            LimitExceededTagNumPerRequest,
            LimitExceededTagValue,
        ],
    ),
    (
        "ModifyResourceTags",
        &[
            FailedOperation,
            FailedOperationPolicyEnforcedInvalid,
            InvalidParameterReservedTagKey,
            InvalidParameterTag,
            InvalidParameterValueDeleteTagsParamError,
            InvalidParameterValueResourceDescriptionError,
            InvalidParameterValueTagKeyCharacterIllegal,
            InvalidParameterValueTagKeyEmpty,
            InvalidParameterValueTagKeyLengthExceeded,
            InvalidParameterValueTagValueCharacterIllegal,
            InvalidParameterValueTagValueLengthExceeded,
            LimitExceededQuota,
            LimitExceededResourceAttachedTags,
            LimitExceededTagKey,
            LimitExceededTagValue,
        ],
    ),
];

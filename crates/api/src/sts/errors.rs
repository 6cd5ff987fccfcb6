//! Which error codes the service's client libraries list for which action. Codes for faults inside that service,
//! and for what it has and this one has not, are left out.

use crate::error_code::ErrorCode::{self, *};

/// The codes of each action, both in the order of their names.
pub(super) const CODES: &[(&str, &[ErrorCode])] = &[
    (
        "AssumeRole",
        &[
            InvalidParameterOverTimeError,
            InvalidParameterParamError,
            InvalidParameterPolicyTooLong,
            InvalidParameterStrategyFormatError,
            ResourceNotFoundRoleNotFound,
            UnauthorizedOperation,
        ],
    ),
    ("GetCallerIdentity", &[UnauthorizedOperation]),
    (
        "GetFederationToken",
        &[
            FailedOperationTempKeyNotAllowed,
            InvalidParameterOverTimeError,
            InvalidParameterParamError,
            InvalidParameterPolicyTooLong,
            InvalidParameterStrategyFormatError,
            UnauthorizedOperation,
        ],
    ),
];

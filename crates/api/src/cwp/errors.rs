//! Which error codes the reference lists for which action.

use crate::error_code::ErrorCode::{self, *};

/// The codes of each action, both in the order of their names.
pub(super) const CODES: &[(&str, &[ErrorCode])] = &[(
    "DescribeMachineSnapshot",
    &[
        InternalError,
        InternalErrorMainDBFail,
        InvalidParameter,
        InvalidParameterInvalidFormat,
        InvalidParameterMissingParameter,
        InvalidParameterValue,
        MissingParameter,
        UnauthorizedOperation,
    ],
)];

//! Which error codes the service's client libraries list for which action, as far as they speak of what is here.

use crate::error_code::ErrorCode::{self, *};

/// The codes of each action, both in the order of their names.
pub(super) const CODES: &[(&str, &[ErrorCode])] = &[
    (
        "CreateImage",
        &[
            ImageQuotaLimitExceeded,
            InvalidImageNameDuplicate,
            InvalidInstanceIdNotFound,
            InvalidParameterDuplicateSystemSnapshots,
            InvalidParameterSnapshotNotFound,
            InvalidParameterSystemSnapshotNotFound,
            InvalidParameterValue,
            MissingParameter,
            ResourceUnavailableSnapshotCreating,
        ],
    ),
    ("DeleteImages", &[InvalidImageIdNotFound, InvalidParameter, InvalidParameterValue, MissingParameter]),
    (
        "DescribeImages",
        &[InvalidFilter, InvalidParameterInvalidParameterCoexistImageIdsFilters, InvalidParameterValue],
    ),
    ("DescribeInstances", &[InvalidFilter, InvalidParameterValue]),
    ("DescribeInstancesStatus", &[InvalidParameterValue]),
    ("DescribeRegions", &[UnsupportedOperation]),
    ("DescribeZones", &[UnsupportedOperation]),
];

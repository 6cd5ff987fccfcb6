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
        COMMON.contains(&code) || self.spec().error_codes.contains(&code)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cbs::CbsAction;

    #[test]
    fn every_action_has_its_codes() {
        for action in Action::all() {
            assert!(
                !action.spec().error_codes.is_empty(),
                "{action:?}: no codes in the table of its product"
            );
        }
    }

    #[test]
    fn the_codes_are_those_that_the_end_to_end_tests_look_for() {
        let text = include_str!("../../../tests/e2e/test_reference_errors.json");
        let reference: BTreeMap<String, Vec<String>> = serde_json::from_str(text).unwrap();
        for action in CbsAction::ALL {
            let spec = action.spec();
            let ours: Vec<&str> = spec.error_codes.iter().map(|code| code.as_str()).collect();
            assert_eq!(reference.get(spec.name).unwrap(), &ours, "{}", spec.name);
        }
    }
}

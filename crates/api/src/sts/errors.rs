//! Which error codes the service's client libraries list for which action.

use crate::error_code::ErrorCode::{self, *};

/// The codes of each action, both in the order of their names.
pub(super) const CODES: &[(&str, &[ErrorCode])] = &[("GetCallerIdentity", &[UnauthorizedOperation])];

//! Who asks.

use ashlar_types::{AccountUin, Region};

/// The number that the gateway gave to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Who asks, where, and under which number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account that the key belongs to.
    pub account: AccountUin,
    /// The region that the call is for.
    pub region: Region,
    /// The request, for the log of operations.
    pub request_id: RequestId,
}

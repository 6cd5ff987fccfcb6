//! Who asks.

use ashlar_types::{AccountUin, Region, UserUin};

/// The number that the gateway gave to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Who asks, where, and under which number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account that the key belongs to.
    pub account: AccountUin,
    /// The account or the user whose key it is, for the log of operations.
    pub operator: UserUin,
    /// The region that the call is for.
    pub region: Region,
    /// The request, for the log of operations.
    pub request_id: RequestId,
}

impl Caller {
    /// The account itself, which something acts for.
    #[must_use]
    pub const fn owner(account: AccountUin, region: Region, request_id: RequestId) -> Self {
        Self { account, operator: UserUin(account.0), region, request_id }
    }
}

//! How often an account may call an action: so many times in each second of the clock.

use std::collections::{BTreeMap, HashMap};

use ashlar_types::{AccountUin, UnixMillis};
use parking_lot::Mutex;

use crate::action::Action;
use crate::error::ApiError;
use crate::error_code::ErrorCode;

/// What an operator decides about rates. All are per account, action and second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RateLimits {
    /// The documented rates.
    #[default]
    Documented,
    /// No limit.
    Off,
    /// The operator's own numbers.
    Custom {
        /// For every action that `actions` leaves out.
        requests_per_second: u32,
        /// For single actions.
        actions: BTreeMap<Action, u32>,
    },
}

/// The documented rate of most actions; requests for actions that do not exist share it.
const COMMON_REQUESTS_PER_SECOND: u32 = 20;

impl RateLimits {
    fn per_second(&self, action: Option<Action>) -> Option<u32> {
        match self {
            Self::Off => None,
            Self::Documented => {
                Some(action.map_or(COMMON_REQUESTS_PER_SECOND, |action| action.spec().requests_per_second))
            }
            Self::Custom { requests_per_second, actions } => {
                Some(action.and_then(|action| actions.get(&action).copied()).unwrap_or(*requests_per_second))
            }
        }
    }
}

/// Counts the requests of the current second. With the second all counts go, so that memory is bounded by the
/// accounts that are active within one.
#[derive(Debug)]
pub(super) struct RateLimiter {
    limits: RateLimits,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    second: i64,
    counts: HashMap<(AccountUin, Option<Action>), u32>,
}

impl RateLimiter {
    pub(super) fn new(limits: RateLimits) -> Self {
        Self { limits, window: Mutex::default() }
    }

    /// Counts one request, or refuses it. All requests for actions that do not exist count as one action.
    pub(super) fn admit(
        &self,
        account: AccountUin,
        action: Option<Action>,
        now: UnixMillis,
    ) -> Result<(), ApiError> {
        let Some(limit) = self.limits.per_second(action) else { return Ok(()) };
        let mut window = self.window.lock();
        if window.second != now.seconds() {
            window.second = now.seconds();
            window.counts.clear();
        }
        let count = window.counts.entry((account, action)).or_default();
        if *count >= limit {
            let text = format!(
                "More than {limit} requests in one second; the limit is for each account and action."
            );
            return Err(ApiError::new(ErrorCode::RequestLimitExceeded, text));
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbs::CbsAction;

    const CREATE: Action = Action::Cbs(CbsAction::CreateDisks);
    const DESCRIBE: Action = Action::Cbs(CbsAction::DescribeDisks);

    fn admitted(
        limiter: &RateLimiter,
        account: u64,
        action: Option<Action>,
        now_ms: i64,
        tries: usize,
    ) -> usize {
        let once = || limiter.admit(AccountUin(account), action, UnixMillis(now_ms)).is_ok();
        (0..tries).filter(|_| once()).count()
    }

    #[test]
    fn each_account_and_action_has_its_own_rate() {
        let limiter = RateLimiter::new(RateLimits::Documented);
        assert_eq!(admitted(&limiter, 1, Some(CREATE), 5_000, 30), 20);
        assert_eq!(admitted(&limiter, 1, Some(DESCRIBE), 5_500, 130), 100);
        assert_eq!(admitted(&limiter, 2, Some(CREATE), 5_999, 30), 20);
        assert_eq!(admitted(&limiter, 1, None, 5_999, 30), 20);
        assert_eq!(admitted(&limiter, 1, Some(CREATE), 5_999, 1), 0);
        assert_eq!(admitted(&limiter, 1, Some(CREATE), 6_000, 30), 20, "a new second");
        assert_eq!(admitted(&limiter, 1, Some(CREATE), 4_000, 1), 1, "a clock set back");
    }

    #[test]
    fn an_operator_may_set_or_drop_the_limits() {
        let limiter = RateLimiter::new(RateLimits::Off);
        assert_eq!(admitted(&limiter, 1, Some(CREATE), 0, 500), 500);
        let limiter = RateLimiter::new(RateLimits::Custom {
            requests_per_second: 3,
            actions: BTreeMap::from([(DESCRIBE, 7)]),
        });
        assert_eq!(admitted(&limiter, 1, Some(CREATE), 0, 50), 3);
        assert_eq!(admitted(&limiter, 1, Some(DESCRIBE), 0, 50), 7);
        assert_eq!(admitted(&limiter, 1, None, 0, 50), 3);
    }

    #[test]
    fn memory_is_that_of_one_second() {
        let limiter = RateLimiter::new(RateLimits::Documented);
        for account in 0..1_000 {
            admitted(&limiter, account, None, i64::try_from(account).unwrap() * 1_000, 1);
        }
        assert_eq!(limiter.window.lock().counts.len(), 1);
    }
}

//! Reading a request's body without letting a client pin memory or a connection.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a client may take to send one body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Bodies up to this size are read without asking for a share of the budget.
const SMALL_BODY_BYTES: usize = 64 << 10;

/// Memory for all larger bodies together.
const BUDGET_BYTES: usize = 64 << 20;

/// A share of the budget is counted in units of this size.
const BUDGET_UNIT_BYTES: usize = 64 << 10;

/// Of a body that is too long, so much is still read and thrown away: a client that is cut off while it
/// writes would see a broken connection instead of the answer that says why.
const DISCARD_BYTES_MAX: usize = 20 << 20;

/// Memory for the bodies of all connections.
#[derive(Debug, Clone)]
pub(super) struct BodyBudget(Arc<Semaphore>);

/// A body, or the first `limit + 1` bytes of one that is longer than the limit.
#[derive(Debug)]
pub(super) struct ReceivedBody {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// Gives the share of the budget back when the request is answered.
    pub(super) share: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// The client took longer than it may.
    TooSlow,
    /// The connection broke, or the framing did.
    Broken,
}

impl BodyBudget {
    /// The whole budget.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_BYTES / BUDGET_UNIT_BYTES)))
    }

    /// Reads a body. One that is longer than `limit_bytes` comes back as its first `limit_bytes + 1` bytes:
    /// enough for the gateway to see that it is too long.
    pub(super) async fn read<B>(&self, body: B, limit_bytes: usize) -> Result<ReceivedBody, BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        timeout(BODY_TIMEOUT, self.read_patiently(body, limit_bytes)).await.unwrap_or(Err(BodyError::TooSlow))
    }

    async fn read_patiently<B>(&self, mut body: B, limit_bytes: usize) -> Result<ReceivedBody, BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let hint = body.size_hint();
        let announced_bytes =
            hint.upper().map_or(limit_bytes, |bytes| usize::try_from(bytes).unwrap_or(limit_bytes));
        let share = self.share(announced_bytes.min(limit_bytes)).await?;
        let kept_bytes_max = limit_bytes + 1;
        let mut bytes = Vec::new();
        let mut received_bytes = 0_usize;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
            received_bytes = received_bytes.saturating_add(data.len());
            bytes.extend_from_slice(&data[..data.len().min(kept_bytes_max - bytes.len())]);
            if received_bytes > limit_bytes.max(DISCARD_BYTES_MAX) {
                break;
            }
        }
        Ok(ReceivedBody { bytes, share })
    }

    async fn share(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, BodyError> {
        if bytes <= SMALL_BODY_BYTES {
            return Ok(None);
        }
        let units = u32::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).map_err(|_| BodyError::Broken)?;
        self.0.clone().acquire_many_owned(units).await.map(Some).map_err(|_| BodyError::Broken)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn a_long_body_is_cut_just_past_the_limit() {
        let budget = BodyBudget::new();
        for (sent, kept) in [(0, 0), (99, 99), (100, 100), (101, 101), (5000, 101)] {
            let body = Full::new(Bytes::from(vec![7; sent]));
            assert_eq!(budget.read(body, 100).await.unwrap().bytes, vec![7; kept]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_their_share_and_give_it_back() {
        let budget = BodyBudget::new();
        let large = || Full::new(Bytes::from(vec![1; BUDGET_BYTES / 2]));
        let first = budget.read(large(), BUDGET_BYTES / 2).await.unwrap();
        let second = budget.read(large(), BUDGET_BYTES / 2).await.unwrap();
        assert!(first.share.is_some() && second.share.is_some());
        assert_eq!(
            budget.read(large(), BUDGET_BYTES / 2).await.expect_err("no share left"),
            BodyError::TooSlow
        );
        let small = Full::new(Bytes::from_static(b"{}"));
        assert_eq!(budget.read(small, BUDGET_BYTES).await.unwrap().bytes, b"{}");
        drop(first);
        assert!(budget.read(large(), BUDGET_BYTES / 2).await.is_ok());
    }
}

//! Charges and refunds: entries of the ledger that go into the transaction of the change they pay for.

use ashlar_db::{Disk, LedgerEntry, LedgerKind, Listed, Page, Transaction};
use ashlar_types::{AccountUin, Money, UnixMillis};

use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, MoneyError};
use crate::job::JobHold;
use crate::price::Quote;

/// What is charged.
pub(crate) struct Charge<'a> {
    pub(crate) kind: LedgerKind,
    pub(crate) disk: &'a Disk,
    pub(crate) quote: Quote,
    /// The time that is paid for.
    pub(crate) period: (UnixMillis, UnixMillis),
    /// The job with which it is paid back.
    pub(crate) job: Option<JobHold>,
}

impl Control {
    /// Takes what something costs from the account, or refuses when its balance does not reach. The caller's
    /// transaction holds the charge and the change together.
    pub(crate) async fn charge(
        &self,
        tx: &mut Transaction,
        request_id: &str,
        charge: Charge<'_>,
    ) -> Result<(), ControlError> {
        let amount = charge.quote.total().discounted;
        if amount <= Money::ZERO {
            return Ok(());
        }
        let account = charge.disk.account;
        let entry = LedgerEntry {
            account,
            project: Some(charge.disk.project),
            region: Some(charge.disk.zone.region()),
            resource: charge.disk.id.to_string(),
            kind: charge.kind,
            amount,
            period: Some(charge.period),
            job: charge.job,
            request_id: request_id.to_owned(),
            created: self.now(),
        };
        if tx.ledger().book(&entry).await? {
            return Ok(());
        }
        let balance = tx.ledger().balance(account).await?.unwrap_or_default();
        Err(MoneyError::InsufficientBalance { needed: amount, balance }.into())
    }

    /// Refuses when an account could not pay so much now: what is paid afterwards needs an hour's worth.
    pub(crate) async fn check_affords(
        &self,
        tx: &mut Transaction,
        account: AccountUin,
        quote: Quote,
    ) -> Result<(), ControlError> {
        let needed = quote.total().discounted;
        match tx.ledger().balance(account).await? {
            Some(balance) if balance < needed => {
                Err(MoneyError::InsufficientBalance { needed, balance }.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Pays back what was paid for time that a disk will not use: of each charge the share of its period that
    /// lies ahead, rounded down.
    pub(crate) async fn refund(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        disk: &Disk,
    ) -> Result<(), ControlError> {
        let (now, resource) = (self.now(), disk.id.to_string());
        let mut amount = Money::ZERO;
        for entry in tx.ledger().paying(&resource, now).await? {
            if let Some((from, until)) = entry.period {
                let ahead_ms = until.0 - now.0.max(from.0);
                amount = amount.plus(entry.amount.share(ahead_ms, until.0 - from.0));
            }
        }
        tx.ledger().close(&resource).await?;
        if amount <= Money::ZERO {
            return Ok(());
        }
        let entry = LedgerEntry {
            account: disk.account,
            project: Some(disk.project),
            region: Some(disk.zone.region()),
            resource,
            kind: LedgerKind::Refund,
            amount: amount.negated(),
            period: None,
            job: None,
            request_id: caller.request_id.0.clone(),
            created: now,
        };
        // What is paid back needs no balance.
        tx.ledger().book(&entry).await?;
        Ok(())
    }

    /// What an account has left; none when it has no limit.
    pub async fn balance(&self, account: AccountUin) -> Result<Option<Money>, ControlError> {
        let mut tx = self.db.read().await?;
        self.check_account(&mut tx, account).await?;
        Ok(tx.ledger().balance(account).await?)
    }

    /// Limits an account to a balance; none takes the limit away. Gives what the account has then.
    pub async fn set_balance(
        &self,
        account: AccountUin,
        balance: Option<Money>,
    ) -> Result<Option<Money>, ControlError> {
        let mut tx = self.db.write().await?;
        self.check_account(&mut tx, account).await?;
        tx.ledger().set_balance(account, balance, self.now()).await?;
        tx.commit().await?;
        self.wake_reconcilers();
        Ok(balance)
    }

    /// Adds to what an account has; one without a limit gets one of this much.
    pub async fn add_balance(
        &self,
        account: AccountUin,
        amount: Money,
    ) -> Result<Option<Money>, ControlError> {
        let mut tx = self.db.write().await?;
        self.check_account(&mut tx, account).await?;
        let balance = tx.ledger().balance(account).await?.unwrap_or_default().plus(amount);
        tx.ledger().set_balance(account, Some(balance), self.now()).await?;
        tx.commit().await?;
        self.wake_reconcilers();
        Ok(Some(balance))
    }

    /// A page of an account's ledger, newest first.
    pub async fn ledger(
        &self,
        account: AccountUin,
        offset: u64,
        limit: u64,
    ) -> Result<Listed<LedgerEntry>, ControlError> {
        let mut tx = self.db.read().await?;
        self.check_account(&mut tx, account).await?;
        Ok(tx.ledger().list(account, Page { offset, limit }).await?)
    }

    /// Refuses a number that is no account's.
    pub(crate) async fn check_account(
        &self,
        tx: &mut Transaction,
        account: AccountUin,
    ) -> Result<(), ControlError> {
        if tx.accounts().exists(account).await? {
            return Ok(());
        }
        Err(crate::filter::invalid("account", account.0, "the number of an account").into())
    }
}

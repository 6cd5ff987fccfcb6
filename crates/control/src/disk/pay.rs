//! How disks are paid: ModifyDisksChargeType, ModifyDisksRenewFlag, RenewDisk, and what prepaid periods mean.

use ashlar_db::{Disk, LedgerKind, Tagged};
use ashlar_types::{DiskChargeType, DiskId, DiskState, RenewFlag, UnixMillis};

use super::{DiskChargePrepaid, find, find_all, state, told_apart};
use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, DiskError, ParameterError};
use crate::filter::{check_ids, invalid};
use crate::money::Charge;
use crate::price::{Priced, Quote};
use crate::wire_time::{plus_months, wire_time};

/// Periods that can be paid in advance, in months. Reference: `DiskChargePrepaid.Period`.
const PERIODS: [u64; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 24, 36];

/// What ModifyDisksChargeType asks for; newer than the reference pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifyDisksChargeType {
    /// The disks: all of them, or none.
    pub disks: Vec<DiskId>,
    /// They are paid in advance from now on; excludes `postpaid`.
    pub prepaid: Option<DiskChargePrepaid>,
    /// They are paid by the hour from now on.
    pub postpaid: Option<bool>,
}

/// What ModifyDisksRenewFlag asks for; newer than the reference pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifyDisksRenewFlag {
    /// The disks: all of them, or none.
    pub disks: Vec<DiskId>,
    /// What happens at their deadline.
    pub renew_flag: RenewFlag,
    /// For how many months they renew themselves. Default: as they do.
    pub auto_renew_period_months: Option<u64>,
}

/// A longer paid time.
pub(crate) struct Renewal {
    /// Its end.
    pub(crate) until: UnixMillis,
    /// What it costs.
    pub(crate) quote: Quote,
}

impl Control {
    /// Changes how disks are paid: all of them, or none. Going to prepaid buys a period; going to postpaid pays
    /// back what is left of one.
    pub async fn modify_disks_charge_type(
        &self,
        caller: &Caller,
        wanted: ModifyDisksChargeType,
    ) -> Result<(), ControlError> {
        check_ids("DiskIds", &wanted.disks, self.limits_of(caller.account).ids_per_call)?;
        let prepaid = check_direction(&wanted)?;
        let mut tx = self.db.write().await?;
        for disk in find_all(&mut tx, caller, &wanted.disks).await? {
            if !disk.portable {
                return Err(DiskError::NotPortable(disk.id).into());
            }
            if let Err(error) = state::idle(&disk) {
                return Err(told_apart(&mut tx, error).await?);
            }
            check_not_recycled(&disk)?;
            let changed = match prepaid {
                Some(prepaid) => {
                    self.charge_rest(&mut tx, &disk).await?;
                    self.to_prepaid(disk, prepaid)?
                }
                None => to_postpaid(disk)?,
            };
            match (prepaid, changed.deadline) {
                (Some(prepaid), Some(deadline)) => {
                    let quote = self.purchase(&Priced::of(&changed), prepaid)?;
                    let (kind, period) = (LedgerKind::Purchase, (self.now(), deadline));
                    let charge = Charge { kind, disk: &changed, quote, period, job: None };
                    self.charge(&mut tx, &caller.request_id.0, charge).await?;
                }
                (Some(_) | None, _) => {
                    self.refund(&mut tx, caller, &changed).await?;
                    // Its use is charged from now on.
                    tx.usage().set_charged(changed.id, self.now()).await?;
                }
            }
            tx.disks().save(&changed).await?;
            let id = Tagged::Disk(changed.id);
            self.log_operation(&mut tx, caller, id, "ModifyDisksChargeType", None).await?;
        }
        tx.commit().await?;
        // What was paid back may have ended a debt, the rest of an hour may have made one.
        self.wake_reconcilers();
        Ok(())
    }

    fn to_prepaid(&self, mut disk: Disk, prepaid: &DiskChargePrepaid) -> Result<Disk, ControlError> {
        if disk.charge_type == DiskChargeType::Prepaid {
            return Err(unsupported(&disk, "it is prepaid already: make its time longer with RenewDisk"));
        }
        disk.charge_type = DiskChargeType::Prepaid;
        disk.renew_flag = Some(prepaid.renew_flag.unwrap_or(RenewFlag::NotifyAndManualRenew));
        disk.period_months = Some(prepaid.period_months);
        disk.deadline = Some(prepaid_deadline(prepaid, self.now())?);
        // What is paid in advance does not go with its instance.
        disk.delete_with_instance = false;
        Ok(disk)
    }

    /// Says what happens at the deadline of prepaid disks: all of them, or none.
    pub async fn modify_disks_renew_flag(
        &self,
        caller: &Caller,
        wanted: ModifyDisksRenewFlag,
    ) -> Result<(), ControlError> {
        check_ids("DiskIds", &wanted.disks, self.limits_of(caller.account).ids_per_call)?;
        if let Some(period) = wanted.auto_renew_period_months {
            check_period("AutoRenewPeriod", period)?;
        }
        let mut tx = self.db.write().await?;
        for mut disk in find_all(&mut tx, caller, &wanted.disks).await? {
            if disk.charge_type != DiskChargeType::Prepaid {
                let expected = "prepaid disks; others have no deadline";
                return Err(invalid("DiskIds", disk.id, expected).into());
            }
            disk.renew_flag = Some(wanted.renew_flag);
            disk.period_months = wanted.auto_renew_period_months.or(disk.period_months);
            tx.disks().save(&disk).await?;
            let id = Tagged::Disk(disk.id);
            self.log_operation(&mut tx, caller, id, "ModifyDisksRenewFlag", None).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Makes the paid time of a disk longer. An isolated disk comes back by it.
    pub async fn renew_disk(
        &self,
        caller: &Caller,
        id: DiskId,
        prepaid: DiskChargePrepaid,
    ) -> Result<(), ControlError> {
        check_period("DiskChargePrepaid.Period", prepaid.period_months)?;
        let mut tx = self.db.write().await?;
        let mut disk = find(&mut tx, caller, id).await?;
        if !disk.portable {
            return Err(DiskError::NotPortable(id).into());
        }
        if let Err(error) = state::idle(&disk) {
            return Err(told_apart(&mut tx, error).await?);
        }
        let from = self.paid_from(&disk, renewable(&disk)?);
        let renewal = self.renewal(&disk, from, &prepaid)?;
        disk.deadline = Some(renewal.until);
        disk.period_months = Some(prepaid.period_months);
        disk.renew_flag = prepaid.renew_flag.or(disk.renew_flag);
        if disk.state == DiskState::ToRecycle {
            disk.state = DiskState::Unattached;
        }
        let charge = Charge {
            kind: LedgerKind::Renewal,
            disk: &disk,
            quote: renewal.quote,
            period: (from, renewal.until),
            job: None,
        };
        self.charge(&mut tx, &caller.request_id.0, charge).await?;
        tx.disks().save(&disk).await?;
        self.log_operation(&mut tx, caller, Tagged::Disk(id), "RenewDisk", None).await?;
        Ok(tx.commit().await?)
    }

    /// What a renewal of a disk whose paid time ends at `deadline` comes to.
    pub(crate) fn renewal(
        &self,
        disk: &Disk,
        deadline: UnixMillis,
        prepaid: &DiskChargePrepaid,
    ) -> Result<Renewal, ControlError> {
        check_period("DiskChargePrepaid.Period", prepaid.period_months)?;
        let from = self.paid_from(disk, deadline);
        let (prices, priced) = (&self.settings.prices, Priced::of(disk));
        match prepaid.cur_instance_deadline {
            None => Ok(Renewal {
                until: plus_months(from, prepaid.period_months),
                quote: prices.months(&priced, prepaid.period_months),
            }),
            Some(instance_deadline) => {
                let until = plus_months(instance_deadline, prepaid.period_months);
                if until <= from {
                    let expected =
                        format!("one that, renewed, is later than the disk's deadline {}", wire_time(from));
                    let given = wire_time(instance_deadline);
                    let parameter = "DiskChargePrepaid.CurInstanceDeadline";
                    return Err(invalid(parameter, given, expected).into());
                }
                Ok(Renewal { until, quote: prices.span(&priced, until.0 - from.0) })
            }
        }
    }

    /// Where a new period begins: at the end of the old one; for a disk that was isolated, now.
    fn paid_from(&self, disk: &Disk, deadline: UnixMillis) -> UnixMillis {
        if disk.state == DiskState::ToRecycle { deadline.max(self.now()) } else { deadline }
    }
}

fn unsupported(disk: &Disk, why: &'static str) -> ControlError {
    DiskError::NotSupported { disk: disk.id, state: disk.state, why }.into()
}

fn to_postpaid(mut disk: Disk) -> Result<Disk, ControlError> {
    if disk.charge_type != DiskChargeType::Prepaid {
        return Err(unsupported(&disk, "it is not prepaid"));
    }
    disk.charge_type = DiskChargeType::PostpaidByHour;
    (disk.renew_flag, disk.period_months, disk.deadline) = (None, None, None);
    Ok(disk)
}

/// Which way the call wants to go; the period for prepaid.
fn check_direction(wanted: &ModifyDisksChargeType) -> Result<Option<&DiskChargePrepaid>, ParameterError> {
    match (&wanted.prepaid, wanted.postpaid) {
        (Some(_), Some(true)) => {
            Err(ParameterError::Excludes { parameter: "DiskChargePrepaid", other: "DiskChargePostpaid" })
        }
        (Some(prepaid), Some(false) | None) => {
            check_period("DiskChargePrepaid.Period", prepaid.period_months)?;
            Ok(Some(prepaid))
        }
        (None, Some(true)) => Ok(None),
        (None, Some(false) | None) => {
            let why = "give it, or DiskChargePostpaid";
            Err(ParameterError::Missing { parameter: "DiskChargePrepaid", why })
        }
    }
}

pub(crate) fn check_period(parameter: &'static str, months: u64) -> Result<(), ParameterError> {
    if PERIODS.contains(&months) {
        return Ok(());
    }
    Err(invalid(parameter, months, "1 to 12, 24 or 36 months"))
}

/// Checks how new disks shall be paid.
pub(crate) fn check_payment(
    charge_type: DiskChargeType,
    prepaid: Option<&DiskChargePrepaid>,
) -> Result<(), ParameterError> {
    match (charge_type, prepaid) {
        (DiskChargeType::Prepaid, None) => {
            let why = "a prepaid disk needs a period";
            Err(ParameterError::Missing { parameter: "DiskChargePrepaid", why })
        }
        (DiskChargeType::Prepaid, Some(prepaid)) => {
            check_period("DiskChargePrepaid.Period", prepaid.period_months)
        }
        (DiskChargeType::PostpaidByHour, Some(_)) => {
            Err(ParameterError::Excludes { parameter: "DiskChargePrepaid", other: "POSTPAID_BY_HOUR" })
        }
        (DiskChargeType::PostpaidByHour, None) => Ok(()),
        (DiskChargeType::CdcPaid, _) => Err(ParameterError::NotOffered {
            parameter: "DiskChargeType",
            value: charge_type.to_string(),
            why: "there are no dedicated clusters; use POSTPAID_BY_HOUR or PREPAID",
        }),
    }
}

/// When a period that begins now ends: with the instance that was named, where one was.
pub(crate) fn prepaid_deadline(
    prepaid: &DiskChargePrepaid,
    now: UnixMillis,
) -> Result<UnixMillis, ParameterError> {
    let Some(instance_deadline) = prepaid.cur_instance_deadline else {
        return Ok(plus_months(now, prepaid.period_months));
    };
    let until = plus_months(instance_deadline, prepaid.period_months);
    if until <= now {
        let given = wire_time(instance_deadline);
        let expected = "one that, renewed, lies in the future";
        return Err(invalid("DiskChargePrepaid.CurInstanceDeadline", given, expected));
    }
    Ok(until)
}

/// The deadline of a disk that can be renewed.
pub(crate) fn renewable(disk: &Disk) -> Result<UnixMillis, ControlError> {
    match (disk.charge_type, disk.deadline) {
        (DiskChargeType::Prepaid, Some(deadline)) => Ok(deadline),
        (DiskChargeType::Prepaid | DiskChargeType::PostpaidByHour | DiskChargeType::CdcPaid, _) => {
            Err(unsupported(disk, "only prepaid disks are renewed"))
        }
    }
}

/// Refuses a disk whose paid time is over.
pub(crate) fn check_still_paid(disk: &Disk, now: UnixMillis) -> Result<(), DiskError> {
    match disk.deadline {
        Some(deadline) if deadline <= now => Err(DiskError::Expired(disk.id)),
        Some(_) | None => Ok(()),
    }
}

/// Refuses a disk that was given back or has run out.
pub(crate) fn check_not_recycled(disk: &Disk) -> Result<(), DiskError> {
    if disk.state == DiskState::ToRecycle {
        let why = "it is isolated and only waits to be deleted";
        return Err(DiskError::NotSupported { disk: disk.id, state: disk.state, why });
    }
    Ok(())
}

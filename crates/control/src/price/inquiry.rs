//! The price inquiries. They change nothing and refuse what the call that they price would refuse.

use ashlar_db::{Disk, Transaction};
use ashlar_types::{DiskChargeType, DiskId, DiskType, ProjectId, UnixMillis};

use super::{Price, Priced, Quote};
use crate::caller::Caller;
use crate::control::Control;
use crate::disk::{
    self, DiskChargePrepaid, check_count, check_extra, check_size_of_type, check_still_paid, prepaid_deadline,
};
use crate::error::{ControlError, DiskError, ParameterError};
use crate::filter::{check_ids, invalid};
use crate::wire_time::wire_time;

/// What InquiryPriceCreateDisks asks for. Reference: `cbs/InquiryPriceCreateDisks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InquiryPriceCreateDisks {
    /// How the disks would be paid.
    pub charge_type: DiskChargeType,
    /// The medium.
    pub disk_type: DiskType,
    /// The size in GiB.
    pub size_gib: u64,
    /// The project; it has to exist.
    pub project: Option<ProjectId>,
    /// How many disks. Default: 1. The price is that of all.
    pub count: Option<u64>,
    /// Extra performance in MiB/s.
    pub throughput_performance_mib: Option<u64>,
    /// For prepaid disks, and only for them.
    pub prepaid: Option<DiskChargePrepaid>,
    /// How many backup points each disk may have.
    pub backup_quota: Option<u64>,
}

/// What InquiryPriceResizeDisk asks for. Reference: `cbs/InquiryPriceResizeDisk`; `DiskIds` is newer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InquiryPriceResizeDisk {
    /// The disk; excludes `disks`.
    pub disk: Option<DiskId>,
    /// The disks; the price is that of all.
    pub disks: Vec<DiskId>,
    /// The size afterwards in GiB.
    pub size_gib: u64,
    /// The project; it has to exist.
    pub project: Option<ProjectId>,
}

/// What InquirePriceModifyDiskExtraPerformance asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InquirePriceModifyDiskExtraPerformance {
    /// The disk.
    pub disk: DiskId,
    /// The extra performance afterwards in MiB/s.
    pub throughput_performance_mib: u64,
}

/// What InquirePriceModifyDiskBackupQuota asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InquirePriceModifyDiskBackupQuota {
    /// The disk.
    pub disk: DiskId,
    /// The quota afterwards.
    pub backup_quota: u64,
}

/// What InquiryPriceRenewDisks asks for; newer than the reference pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InquiryPriceRenewDisks {
    /// The disks.
    pub disks: Vec<DiskId>,
    /// For how long each of them; excludes `new_deadline`.
    pub prepaids: Vec<DiskChargePrepaid>,
    /// Until when all of them.
    pub new_deadline: Option<UnixMillis>,
    /// The project; it has to exist.
    pub project: Option<ProjectId>,
}

impl Control {
    /// What new disks cost.
    pub async fn inquiry_price_create_disks(
        &self,
        caller: &Caller,
        wanted: InquiryPriceCreateDisks,
    ) -> Result<Price, ControlError> {
        let limits = self.limits_of(caller.account);
        disk::check_payment(wanted.charge_type, wanted.prepaid.as_ref())?;
        let count = wanted.count.unwrap_or(1);
        check_count(count, &limits)?;
        let offered = self.settings.disk_types.of(wanted.disk_type);
        check_size_of_type(wanted.size_gib, wanted.disk_type.as_str(), offered)?;
        let extra_mib = wanted.throughput_performance_mib.unwrap_or(0);
        check_extra(extra_mib, wanted.size_gib, offered)?;
        let backup_quota = wanted.backup_quota.unwrap_or(0);
        disk::check_backup_quota(backup_quota, &limits)?;
        self.check_project(&mut self.db.read().await?, caller, wanted.project).await?;

        let priced =
            Priced { disk_type: wanted.disk_type, size_gib: wanted.size_gib, extra_mib, backup_quota };
        Ok(match wanted.prepaid {
            Some(prepaid) => Price::Prepaid(self.purchase(&priced, &prepaid)?.times(count)),
            None => Price::Hourly(self.settings.prices.hour(&priced).times(count)),
        })
    }

    /// What larger disks cost: for the rest of the paid time, or by the hour from then on.
    pub async fn inquiry_price_resize_disk(
        &self,
        caller: &Caller,
        wanted: InquiryPriceResizeDisk,
    ) -> Result<Price, ControlError> {
        let ids = match (wanted.disk, wanted.disks) {
            (Some(_), ids) if !ids.is_empty() => {
                return Err(ParameterError::Excludes { parameter: "DiskId", other: "DiskIds" }.into());
            }
            (Some(id), _) => vec![id],
            (None, ids) => ids,
        };
        let why = "name a disk by DiskId, or several by DiskIds";
        if ids.is_empty() {
            return Err(ParameterError::Missing { parameter: "DiskId", why }.into());
        }
        check_ids("DiskIds", &ids, self.limits_of(caller.account).ids_per_call)?;
        let mut tx = self.db.read().await?;
        self.check_project(&mut tx, caller, wanted.project).await?;
        let disks = disk::find_all(&mut tx, caller, &ids).await?;
        for disk in &disks {
            self.check_changeable(disk)?;
            let offered = self.settings.disk_types.of(disk.disk_type);
            check_size_of_type(wanted.size_gib, disk.disk_type.as_str(), offered)?;
            if wanted.size_gib < disk.size_gib {
                let expected = format!("at least the present {} GB", disk.size_gib);
                return Err(invalid("DiskSize", wanted.size_gib, expected).into());
            }
        }
        self.sum(&disks, |disk| {
            let after = Priced { size_gib: wanted.size_gib, ..Priced::of(disk) };
            self.change_price(disk, &after)
        })
    }

    /// What extra performance costs: for the rest of the paid time, or by the hour.
    pub async fn inquire_price_modify_disk_extra_performance(
        &self,
        caller: &Caller,
        wanted: InquirePriceModifyDiskExtraPerformance,
    ) -> Result<Price, ControlError> {
        let mut tx = self.db.read().await?;
        let disk = disk::find(&mut tx, caller, wanted.disk).await?;
        check_still_paid(&disk, self.now())?;
        disk::check_extra_of_disk(&disk, wanted.throughput_performance_mib, &self.settings.disk_types)?;
        let after = Priced { extra_mib: wanted.throughput_performance_mib, ..Priced::of(&disk) };
        Ok(match self.change_price(&disk, &after) {
            // By the hour it is the price of the extra performance alone: the disk's own does not change.
            Price::Hourly(quote) => {
                Price::Hourly(Quote { extra_performance: quote.extra_performance, ..Quote::default() })
            }
            prepaid @ Price::Prepaid(_) => prepaid,
        })
    }

    /// What a disk costs with another quota of backup points.
    pub async fn inquire_price_modify_disk_backup_quota(
        &self,
        caller: &Caller,
        wanted: InquirePriceModifyDiskBackupQuota,
    ) -> Result<Price, ControlError> {
        disk::check_backup_quota(wanted.backup_quota, &self.limits_of(caller.account))?;
        let mut tx = self.db.read().await?;
        let disk = disk::find(&mut tx, caller, wanted.disk).await?;
        disk::state::idle(&disk)?;
        disk::check_not_recycled(&disk)?;
        let after = Priced { backup_quota: wanted.backup_quota, ..Priced::of(&disk) };
        Ok(self.change_price(&disk, &after))
    }

    /// What it costs to make the paid time of disks longer.
    pub async fn inquiry_price_renew_disks(
        &self,
        caller: &Caller,
        wanted: InquiryPriceRenewDisks,
    ) -> Result<Price, ControlError> {
        check_ids("DiskIds", &wanted.disks, self.limits_of(caller.account).ids_per_call)?;
        match (wanted.new_deadline, wanted.prepaids.len()) {
            (None, 0) => {
                let why = "give it, or NewDeadline";
                return Err(ParameterError::Missing { parameter: "DiskChargePrepaids", why }.into());
            }
            (Some(_), 1..) => {
                let (parameter, other) = ("NewDeadline", "DiskChargePrepaids");
                return Err(ParameterError::Excludes { parameter, other }.into());
            }
            (None, given) if given != wanted.disks.len() => {
                let expected = format!("one for each of the {} disks", wanted.disks.len());
                return Err(invalid("DiskChargePrepaids", given, expected).into());
            }
            (None, _) | (Some(_), 0) => {}
        }
        let mut tx = self.db.read().await?;
        self.check_project(&mut tx, caller, wanted.project).await?;
        let disks = disk::find_all(&mut tx, caller, &wanted.disks).await?;
        let mut sum = Quote::default();
        for (at, disk) in disks.iter().enumerate() {
            // As RenewDisk refuses it.
            if !disk.portable {
                return Err(DiskError::NotPortable(disk.id).into());
            }
            let deadline = disk::renewable(disk)?;
            let quote = match (wanted.new_deadline, wanted.prepaids.get(at)) {
                (Some(until), _) if until <= deadline => {
                    let expected = format!("later than the deadline of `{}`", disk.id);
                    return Err(invalid("NewDeadline", wire_time(until), expected).into());
                }
                (Some(until), _) => self.settings.prices.span(&Priced::of(disk), until.0 - deadline.0),
                (None, Some(prepaid)) => self.renewal(disk, deadline, prepaid)?.quote,
                (None, None) => continue,
            };
            sum = sum.plus(quote);
        }
        Ok(Price::Prepaid(sum))
    }

    /// The price of new prepaid disks.
    pub(crate) fn purchase(
        &self,
        priced: &Priced,
        prepaid: &DiskChargePrepaid,
    ) -> Result<Quote, ControlError> {
        let until = prepaid_deadline(prepaid, self.now())?;
        Ok(match prepaid.cur_instance_deadline {
            None => self.settings.prices.months(priced, prepaid.period_months),
            Some(_) => self.settings.prices.span(priced, until.0 - self.now().0),
        })
    }

    /// What a disk costs after a change: the difference for the rest of the paid time, or all of it by the hour.
    pub(crate) fn change_price(&self, disk: &Disk, after: &Priced) -> Price {
        let prices = &self.settings.prices;
        match (disk.charge_type, disk.deadline) {
            (DiskChargeType::Prepaid, Some(deadline)) => {
                let rest_ms = deadline.0 - self.now().0;
                let (now, later) = (prices.span(&Priced::of(disk), rest_ms), prices.span(after, rest_ms));
                Price::Prepaid(now.up_to(later))
            }
            _ => Price::Hourly(prices.hour(after)),
        }
    }

    /// Adds up prices that must all be of one kind.
    fn sum(&self, disks: &[Disk], price: impl Fn(&Disk) -> Price) -> Result<Price, ControlError> {
        let mut sum: Option<Price> = None;
        for disk in disks {
            sum = Some(match (sum, price(disk)) {
                (None, price) => price,
                (Some(Price::Prepaid(one)), Price::Prepaid(other)) => Price::Prepaid(one.plus(other)),
                (Some(Price::Hourly(one)), Price::Hourly(other)) => Price::Hourly(one.plus(other)),
                (Some(_), _) => {
                    return Err(invalid("DiskIds", disk.id, "disks that are all paid in the same way").into());
                }
            });
        }
        let why = "name at least one";
        Ok(sum.ok_or(ParameterError::Missing { parameter: "DiskIds", why })?)
    }

    /// Refuses what ResizeDisk would refuse, apart from what passes by itself.
    fn check_changeable(&self, disk: &Disk) -> Result<(), ControlError> {
        if !disk.portable {
            return Err(DiskError::NotPortable(disk.id).into());
        }
        check_still_paid(disk, self.now())?;
        Ok(disk::check_not_recycled(disk)?)
    }

    /// Refuses a project that the account does not have.
    pub(crate) async fn check_project(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        project: Option<ProjectId>,
    ) -> Result<(), ControlError> {
        match project {
            Some(project) if !tx.accounts().has_project(caller.account, project).await? => {
                Err(ParameterError::ProjectNotFound(project).into())
            }
            Some(_) | None => Ok(()),
        }
    }
}

//! DescribeDisks.

use std::sync::Arc;

use ashlar_db::{DiskFilter, DiskListing, DiskQuery, Listed, Tagged};
use ashlar_types::{DiskChargeType, DiskId, DiskState, UnixMillis};

use super::cache::ListedDisk;
use super::{DescribeDisks, DiskView, ReturnFail};
use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, ParameterError};
use crate::filter::{at_most, disk_filters, disk_order_field, order, page};

const DAY_MS: i64 = 24 * 3600 * 1000;

impl Control {
    /// Shows the caller's disks of a region, newest first unless asked otherwise. Unknown ids are left out.
    pub async fn describe_disks(
        &self,
        caller: &Caller,
        wanted: DescribeDisks,
    ) -> Result<Listed<DiskView>, ControlError> {
        let query = self.disk_query(caller, &wanted)?;
        let with_policies = wanted.return_bind_auto_snapshot_policy == Some(true);

        let listed = self.listed_disks(&query, with_policies).await?;
        let now = self.now();
        let encryption_key = self.stores.encryption_key();
        let final_snapshot = self.settings.billing.final_snapshot;
        let view = |listed: &ListedDisk| {
            let mut view = view_of(listed.clone(), now);
            view.disk.error_prompt = self.error_prompt(&view.disk);
            view.backup_disk =
                final_snapshot && !view.disk.shareable && view.disk.charge_type == DiskChargeType::Prepaid;
            view.encryption_key = view.disk.encrypt_type.and_then(|_| encryption_key.clone());
            view
        };
        let items = listed.items.iter().map(view).collect();
        Ok(Listed { total_count: listed.total_count, items })
    }

    async fn listed_disks(
        &self,
        query: &DiskQuery,
        with_policies: bool,
    ) -> Result<Arc<Listed<ListedDisk>>, ControlError> {
        let key = format!("{query:?} {with_policies}");
        // Before the read: what is committed meanwhile makes the list old at once.
        let changes = self.db.change_count().await?;
        if let Some(known) = self.disk_lists.find(&key, changes) {
            return Ok(known);
        }
        let mut tx = self.db.read().await?;
        let listed = tx.disks().list(query).await?;
        let ids: Vec<Tagged> = listed.items.iter().map(|listing| Tagged::Disk(listing.disk.id)).collect();
        let mut tags = tx.tags().of(&ids).await?;
        let mut latest = tx.operations().latest(&ids).await?;
        let mut policies = match with_policies {
            true => {
                let disks: Vec<DiskId> = listed.items.iter().map(|listing| listing.disk.id).collect();
                Some(tx.snapshot_policies().of_disks(&disks).await?)
            }
            false => None,
        };
        let listed_disk = |listing: DiskListing| {
            let (disk, id) = (listing.disk.id, Tagged::Disk(listing.disk.id));
            ListedDisk {
                listing,
                tags: tags.remove(&id).unwrap_or_default(),
                latest: latest.remove(&id),
                policies: policies.as_mut().map(|policies| policies.remove(&disk).unwrap_or_default()),
            }
        };
        let items = listed.items.into_iter().map(listed_disk).collect();
        let list = Arc::new(Listed { total_count: listed.total_count, items });
        self.disk_lists.remember(key, changes, Arc::clone(&list));
        Ok(list)
    }

    fn disk_query(&self, caller: &Caller, wanted: &DescribeDisks) -> Result<DiskQuery, ControlError> {
        if !wanted.disks.is_empty() && !wanted.filters.is_empty() {
            return Err(ParameterError::Excludes { parameter: "DiskIds", other: "Filters" }.into());
        }
        at_most("DiskIds", wanted.disks.len(), self.limits().ids_per_call)?;
        let mut filters = disk_filters(&wanted.filters, self.limits())?;
        if !wanted.disks.is_empty() {
            filters.push(DiskFilter::Id(wanted.disks.clone()));
        }
        Ok(DiskQuery {
            account: caller.account,
            region: caller.region.clone(),
            filters,
            order_field: disk_order_field(wanted.order_field.as_deref())?,
            order: order(wanted.order.as_deref())?,
            page: page(wanted.offset, wanted.limit, self.limits())?,
        })
    }
}

fn view_of(listed: ListedDisk, now: UnixMillis) -> DiskView {
    let ListedDisk { listing, tags, latest: latest_operation, policies: snapshot_policies } = listed;
    let DiskListing { disk, project_name, snapshot_count, snapshot_bytes, backup_count } = listing;
    let days_to_deadline = disk.deadline.map(|deadline| (deadline.0 - now.0).div_euclid(DAY_MS));
    let return_fail = match (disk.charge_type, disk.state) {
        (DiskChargeType::PostpaidByHour | DiskChargeType::CdcPaid, _) => ReturnFail::NotPrepaid,
        (DiskChargeType::Prepaid, DiskState::ToRecycle) => ReturnFail::AlreadyReturned,
        (
            DiskChargeType::Prepaid,
            DiskState::Unattached
            | DiskState::Attaching
            | DiskState::Attached
            | DiskState::Detaching
            | DiskState::Expanding
            | DiskState::Rollbacking,
        ) if disk.deadline.is_some_and(|deadline| deadline <= now) => ReturnFail::Expired,
        (
            DiskChargeType::Prepaid,
            DiskState::Unattached
            | DiskState::Attaching
            | DiskState::Attached
            | DiskState::Detaching
            | DiskState::Expanding
            | DiskState::Rollbacking,
        ) => ReturnFail::Returnable,
    };
    DiskView {
        disk,
        project_name,
        tags,
        snapshot_count,
        snapshot_bytes,
        backup_count,
        latest_operation,
        days_to_deadline,
        encryption_key: None,
        return_fail,
        backup_disk: false,
        snapshot_policies,
    }
}

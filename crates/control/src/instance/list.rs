//! Instances, as the calls of their own product show them.

use ashlar_db::{
    Disk, DiskFilter, DiskOrderField, DiskQuery, InstanceFilter, InstanceQuery, Listed, Order, Page, Tag,
    Tagged,
};
use ashlar_types::{InstanceId, InstanceProduct};
use sha1::{Digest as _, Sha1};

use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, ParameterError};
use crate::filter::{Filter, at_most, instance_filters, page};

/// What DescribeInstances asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeInstances {
    /// These instances; excludes filters.
    pub instances: Vec<InstanceId>,
    /// Instances that meet all of these.
    pub filters: Vec<Filter>,
    /// How many to leave out. Default: 0.
    pub offset: Option<u64>,
    /// How many to show, 1 to 100. Default: 20.
    pub limit: Option<u64>,
}

/// An instance as DescribeInstances shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceView {
    /// The instance.
    pub instance: ashlar_db::Instance,
    /// Its disks, by age.
    pub disks: Vec<Disk>,
    /// Its tags, by key.
    pub tags: Vec<Tag>,
}

impl Control {
    /// Shows the caller's instances of a region, newest first. Unknown ids are left out.
    pub async fn describe_instances(
        &self,
        caller: &Caller,
        wanted: DescribeInstances,
    ) -> Result<Listed<InstanceView>, ControlError> {
        if !wanted.instances.is_empty() && !wanted.filters.is_empty() {
            return Err(ParameterError::Excludes { parameter: "InstanceIds", other: "Filters" }.into());
        }
        at_most("InstanceIds", wanted.instances.len(), self.limits().ids_per_call)?;
        let mut filters = instance_filters(&wanted.filters, self.limits())?;
        if !wanted.instances.is_empty() {
            filters.push(InstanceFilter::Id(wanted.instances));
        }
        let query = InstanceQuery {
            account: caller.account,
            region: caller.region.clone(),
            product: InstanceProduct::Cvm,
            filters,
            page: page(wanted.offset, wanted.limit, self.limits())?,
        };
        let mut tx = self.db.read().await?;
        let listed = tx.instances().page(&query).await?;
        let ids: Vec<InstanceId> = listed.items.iter().map(|listing| listing.instance.id).collect();
        let tagged: Vec<Tagged> = ids.iter().copied().map(Tagged::Instance).collect();
        let mut tags = tx.tags().of(&tagged).await?;
        let disks = tx.disks().list(&disks_in(caller, ids)).await?;
        let view = |listing: ashlar_db::InstanceListing| {
            let id = listing.instance.id;
            let inside = disks.items.iter().filter(|found| found.disk.instances().any(|inside| inside == id));
            InstanceView {
                disks: inside.map(|found| found.disk.clone()).collect(),
                tags: tags.remove(&Tagged::Instance(id)).unwrap_or_default(),
                instance: listing.instance,
            }
        };
        let items = listed.items.into_iter().map(view).collect();
        Ok(Listed { total_count: listed.total_count, items })
    }
}

/// All disks in some instances, by age.
pub(crate) fn disks_in(caller: &Caller, instances: Vec<InstanceId>) -> DiskQuery {
    DiskQuery {
        account: caller.account,
        region: caller.region.clone(),
        filters: vec![DiskFilter::Instance(instances)],
        order_field: DiskOrderField::CreateTime,
        order: Order::Ascending,
        // All of them: an instance has few disks.
        page: Page { offset: 0, limit: u64::from(u32::MAX) },
    }
}

/// The UUID of an instance, which some products know it by: made of its id, so that it never changes (RFC 9562,
/// version 5, with the zero UUID as the name space).
#[must_use]
pub fn instance_uuid(id: InstanceId) -> String {
    let digest = Sha1::new().chain_update([0; 16]).chain_update(id.to_string()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

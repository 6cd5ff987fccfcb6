//! What a cloud disk can be. Names and meanings: reference `cbs/data-types`, `Disk`.

use crate::wire_enum::wire_enum;

wire_enum! {
    /// Where a disk is in its life, as `Disk.DiskState` shows it.
    pub enum DiskState {
        /// Ready, in no machine.
        Unattached = "UNATTACHED",
        /// Being put into an instance.
        Attaching = "ATTACHING",
        /// In an instance.
        Attached = "ATTACHED",
        /// Being taken out of its instance.
        Detaching = "DETACHING",
        /// Being enlarged.
        Expanding = "EXPANDING",
        /// Being rolled back to a snapshot.
        Rollbacking = "ROLLBACKING",
        /// Isolated: kept for the recycle period, no I/O.
        ToRecycle = "TORECYCLE",
    }
}

wire_enum! {
    /// The medium that was asked for. Sizes and performance of each are configuration.
    pub enum DiskType {
        /// HDD cloud storage.
        CloudBasic = "CLOUD_BASIC",
        /// Premium cloud storage.
        CloudPremium = "CLOUD_PREMIUM",
        /// Balanced SSD.
        CloudBssd = "CLOUD_BSSD",
        /// SSD.
        CloudSsd = "CLOUD_SSD",
        /// Enhanced SSD.
        CloudHssd = "CLOUD_HSSD",
        /// ulTra SSD.
        CloudTssd = "CLOUD_TSSD",
    }
}

wire_enum! {
    /// What a disk is to its instance.
    pub enum DiskUsage {
        /// The disk an instance boots from.
        SystemDisk = "SYSTEM_DISK",
        /// Any other disk.
        DataDisk = "DATA_DISK",
    }
}

wire_enum! {
    /// How a disk is paid for.
    pub enum DiskChargeType {
        /// By the month, in advance.
        Prepaid = "PREPAID",
        /// By the hour, afterwards.
        PostpaidByHour = "POSTPAID_BY_HOUR",
        /// Together with the dedicated cluster it lies on.
        CdcPaid = "CDCPAID",
    }
}

wire_enum! {
    /// What happens when a prepaid period ends.
    pub enum RenewFlag {
        /// Tell the owner and renew.
        NotifyAndAutoRenew = "NOTIFY_AND_AUTO_RENEW",
        /// Tell the owner, do not renew.
        NotifyAndManualRenew = "NOTIFY_AND_MANUAL_RENEW",
        /// Neither tell nor renew.
        DisableNotifyAndManualRenew = "DISABLE_NOTIFY_AND_MANUAL_RENEW",
    }
}

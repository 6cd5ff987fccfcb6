//! Prices, and the inquiries that tell them.

use ashlar_types::{DiskChargeType, DiskId, DiskType, ProjectId};

use super::DISK_SIZE;
use super::disk::DiskChargePrepaid;
use super::pay::{BACKUP_QUOTA, THROUGHPUT};
use crate::model::model;
use crate::schema::Rules;
use crate::time::DateTime;

model! {
    /// Tells what new disks cost together. Reference: `cbs/InquiryPriceCreateDisks`.
    pub struct InquiryPriceCreateDisks("InquiryPriceCreateDisksRequest"): input {
        /// How the disks would be paid for.
        pub disk_charge_type: DiskChargeType = "DiskChargeType",
        /// The medium.
        pub disk_type: DiskType = "DiskType",
        /// The size in GB.
        pub disk_size: u64 = "DiskSize" => DISK_SIZE,
        /// The project that they would be counted to.
        pub project_id: Option<ProjectId> = "ProjectId",
        /// How many disks, at least 1. Default: 1.
        pub disk_count: Option<u64> = "DiskCount" => Rules::NONE.range(1, u32::MAX as i64),
        /// Extra performance in MB/s, for CLOUD_TSSD and CLOUD_HSSD.
        pub throughput_performance: Option<u64> = "ThroughputPerformance" => THROUGHPUT,
        /// Period and renewal; needed for prepaid disks, and only for them.
        pub disk_charge_prepaid: Option<DiskChargePrepaid> = "DiskChargePrepaid",
        /// How many backup points a disk may have.
        pub disk_backup_quota: Option<u64> = "DiskBackupQuota" => BACKUP_QUOTA,
    }

    /// The answer of [`InquiryPriceCreateDisks`].
    pub struct InquiryPriceCreateDisksResponse("InquiryPriceCreateDisksResponse"): output {
        /// What all of the disks cost.
        pub disk_price: Price = "DiskPrice",
    }

    /// Tells what larger disks cost. Reference: `cbs/InquiryPriceResizeDisk`; `DiskIds` is newer, and excludes
    /// `DiskId`.
    pub struct InquiryPriceResizeDisk("InquiryPriceResizeDiskRequest"): input {
        /// The size afterwards in GB; not smaller than the size that each disk has.
        pub disk_size: u64 = "DiskSize" => DISK_SIZE,
        /// The disk.
        pub disk_id: Option<DiskId> = "DiskId",
        /// The project that they are counted to.
        pub project_id: Option<ProjectId> = "ProjectId",
        /// The disks.
        pub disk_ids: Option<Vec<DiskId>> = "DiskIds",
    }

    /// The answer of [`InquiryPriceResizeDisk`].
    pub struct InquiryPriceResizeDiskResponse("InquiryPriceResizeDiskResponse"): output {
        /// What the change costs all of the disks.
        pub disk_price: PrepayPrice = "DiskPrice",
    }

    /// Tells what extra performance costs. Reference: `cbs/InquirePriceModifyDiskExtraPerformance`.
    pub struct InquirePriceModifyDiskExtraPerformance("InquirePriceModifyDiskExtraPerformanceRequest"): input {
        /// The disk.
        pub disk_id: DiskId = "DiskId",
        /// Extra performance afterwards in MB/s.
        pub throughput_performance: u64 = "ThroughputPerformance" => THROUGHPUT,
    }

    /// The answer of [`InquirePriceModifyDiskExtraPerformance`].
    pub struct InquirePriceModifyDiskExtraPerformanceResponse("InquirePriceModifyDiskExtraPerformanceResponse"): output {
        /// What it costs.
        pub disk_price: Price = "DiskPrice",
    }

    /// Tells what a disk costs with another quota of backup points. Reference:
    /// `cbs/InquirePriceModifyDiskBackupQuota`.
    pub struct InquirePriceModifyDiskBackupQuota("InquirePriceModifyDiskBackupQuotaRequest"): input {
        /// The disk.
        pub disk_id: DiskId = "DiskId",
        /// The quota afterwards.
        pub disk_backup_quota: u64 = "DiskBackupQuota" => BACKUP_QUOTA,
    }

    /// The answer of [`InquirePriceModifyDiskBackupQuota`].
    pub struct InquirePriceModifyDiskBackupQuotaResponse("InquirePriceModifyDiskBackupQuotaResponse"): output {
        /// What it costs.
        pub disk_price: Price = "DiskPrice",
    }

    /// Tells what it costs to renew prepaid disks. Newer than the reference pages. `NewDeadline` and
    /// `DiskChargePrepaids` exclude each other, and one of them is needed.
    pub struct InquiryPriceRenewDisks("InquiryPriceRenewDisksRequest"): input {
        /// The disks; at least one.
        pub disk_ids: Vec<DiskId> = "DiskIds",
        /// For how long, one for each of the disks.
        pub disk_charge_prepaids: Option<Vec<DiskChargePrepaid>> = "DiskChargePrepaids",
        /// Until when, for all of them.
        pub new_deadline: Option<DateTime> = "NewDeadline",
        /// The project that they are counted to.
        pub project_id: Option<ProjectId> = "ProjectId",
    }

    /// The answer of [`InquiryPriceRenewDisks`].
    pub struct InquiryPriceRenewDisksResponse("InquiryPriceRenewDisksResponse"): output {
        /// What it costs for all of the disks.
        pub disk_price: PrepayPrice = "DiskPrice",
    }

    /// A price in USD, prepaid or by the hour. Reference: `cbs/data-types`, `Price`. The plain numbers are rounded
    /// to cents, halves up.
    pub struct Price("Price"): output {
        /// Prepaid, before discount.
        pub original_price: Option<f64> = "OriginalPrice",
        /// Prepaid, after discount.
        pub discount_price: Option<f64> = "DiscountPrice",
        /// By the hour, before discount.
        pub unit_price: Option<f64> = "UnitPrice",
        /// `HOUR` for what is paid by the hour.
        pub charge_unit: Option<String> = "ChargeUnit",
        /// By the hour, after discount.
        pub unit_price_discount: Option<f64> = "UnitPriceDiscount",
        /// Prepaid, before discount, up to six decimal places.
        pub original_price_high: Option<String> = "OriginalPriceHigh",
        /// Prepaid, after discount, up to six decimal places.
        pub discount_price_high: Option<String> = "DiscountPriceHigh",
        /// By the hour, before discount, up to six decimal places.
        pub unit_price_high: Option<String> = "UnitPriceHigh",
        /// By the hour, after discount, up to six decimal places.
        pub unit_price_discount_high: Option<String> = "UnitPriceDiscountHigh",
    }

    /// The same with its parts. Reference: `cbs/data-types`, `PrepayPrice`; the parts are newer.
    pub struct PrepayPrice("PrepayPrice"): output {
        /// Prepaid, before discount.
        pub original_price: Option<f64> = "OriginalPrice",
        /// Prepaid, after discount.
        pub discount_price: Option<f64> = "DiscountPrice",
        /// By the hour, before discount.
        pub unit_price: Option<f64> = "UnitPrice",
        /// `HOUR` for what is paid by the hour.
        pub charge_unit: Option<String> = "ChargeUnit",
        /// By the hour, after discount.
        pub unit_price_discount: Option<f64> = "UnitPriceDiscount",
        /// Prepaid, before discount, up to six decimal places.
        pub original_price_high: Option<String> = "OriginalPriceHigh",
        /// Prepaid, after discount, up to six decimal places.
        pub discount_price_high: Option<String> = "DiscountPriceHigh",
        /// By the hour, before discount, up to six decimal places.
        pub unit_price_high: Option<String> = "UnitPriceHigh",
        /// By the hour, after discount, up to six decimal places.
        pub unit_price_discount_high: Option<String> = "UnitPriceDiscountHigh",
        /// Its parts.
        pub detail_prices: Vec<DetailPrice> = "DetailPrices",
    }

    /// One part of a price. Newer than the reference pages.
    pub struct DetailPrice("DetailPrice"): output {
        /// What it is for, to be shown to people.
        pub price_title: String = "PriceTitle",
        /// `DiskSpace`, `DiskExtraPerformance` or `DiskBackupQuota`.
        pub price_name: String = "PriceName",
        /// Prepaid, before discount.
        pub original_price: Option<f64> = "OriginalPrice",
        /// Prepaid, after discount.
        pub discount_price: Option<f64> = "DiscountPrice",
        /// By the hour, before discount.
        pub unit_price: Option<f64> = "UnitPrice",
        /// `HOUR` for what is paid by the hour.
        pub charge_unit: Option<String> = "ChargeUnit",
        /// By the hour, after discount.
        pub unit_price_discount: Option<f64> = "UnitPriceDiscount",
        /// Prepaid, before discount, up to six decimal places.
        pub original_price_high: Option<String> = "OriginalPriceHigh",
        /// Prepaid, after discount, up to six decimal places.
        pub discount_price_high: Option<String> = "DiscountPriceHigh",
        /// By the hour, before discount, up to six decimal places.
        pub unit_price_high: Option<String> = "UnitPriceHigh",
        /// By the hour, after discount, up to six decimal places.
        pub unit_price_discount_high: Option<String> = "UnitPriceDiscountHigh",
    }
}

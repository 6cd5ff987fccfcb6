//! What disks cost: the price book, and quotes from it. Pure; the calls are in `inquiry`.
//!
//! Arithmetic is exact. A rate has nine decimals; each part of a quote (space, extra performance, backup points)
//! of one disk is rounded once, to six decimals, halves up; the discount is taken before that. Sums and multiples
//! are made of rounded parts, so the parts of an answer add up to its total and ten disks cost ten times one.
//! Months are billed as months; a piece of time that is no whole number of months (the rest of a paid period,
//! a given day) is billed by the millisecond, a month being 30 days.

mod inquiry;
#[cfg(test)]
mod tests;

use ashlar_types::{DiskType, Money, Rate};
use serde::Deserialize;

use crate::settings::SettingsError;

pub use inquiry::{
    InquirePriceModifyDiskBackupQuota, InquirePriceModifyDiskExtraPerformance, InquiryPriceCreateDisks,
    InquiryPriceRenewDisks, InquiryPriceResizeDisk,
};

/// A month of a piece of time that is no whole number of months.
pub(crate) const MONTH_MS: i64 = 30 * 24 * 3600 * 1000;

/// What one type of disk costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TypePrices {
    /// A GiB for an hour.
    pub gib_hour: Rate,
    /// A GiB for a month, paid in advance.
    pub gib_month: Rate,
    /// A MiB/s of extra performance for an hour.
    pub extra_mib_hour: Rate,
    /// The same for a month, paid in advance.
    pub extra_mib_month: Rate,
    /// A GiB of one backup point of the quota for an hour.
    pub backup_gib_hour: Rate,
    /// The same for a month, paid in advance.
    pub backup_gib_month: Rate,
}

/// What everything costs. In a file, a key that is left out keeps its default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "BookOverlay")]
pub struct PriceBook {
    /// How much of the original price is paid by the hour, in percent.
    pub hourly_pay_percent: u64,
    /// How much of the original price is paid in advance, in percent.
    pub prepaid_pay_percent: u64,
    /// A GiB of snapshots beyond the free tier for an hour.
    pub snapshot_gib_hour: Rate,
    types: [TypePrices; DiskType::ALL.len()],
}

/// The defaults, in the order of [`TypePrices`]. Those of CLOUD_PREMIUM and CLOUD_TSSD give the amounts of the
/// reference's worked examples; the others are assumed.
const DEFAULTS: [(DiskType, [&str; 6]); DiskType::ALL.len()] = [
    (DiskType::CloudBasic, ["0.00021", "0.1", "0", "0", "0.00017", "0.08"]),
    (DiskType::CloudPremium, ["0.00042", "0.2", "0", "0", "0.00017", "0.08"]),
    (DiskType::CloudBssd, ["0.0006", "0.3", "0", "0", "0.00017", "0.08"]),
    (DiskType::CloudSsd, ["0.0009", "0.45", "0", "0", "0.00017", "0.08"]),
    (DiskType::CloudHssd, ["0.0018", "0.9", "0.006", "3", "0.00017", "0.08"]),
    (DiskType::CloudTssd, ["0.002", "1", "0.006", "3", "0.00017", "0.08"]),
];

/// What a GiB of snapshots costs for an hour: assumed, 0.02 for a month.
const SNAPSHOT_DEFAULT: &str = "0.000028";

const fn position(disk_type: DiskType) -> usize {
    match disk_type {
        DiskType::CloudBasic => 0,
        DiskType::CloudPremium => 1,
        DiskType::CloudBssd => 2,
        DiskType::CloudSsd => 3,
        DiskType::CloudHssd => 4,
        DiskType::CloudTssd => 5,
    }
}

impl Default for PriceBook {
    fn default() -> Self {
        let mut types = [TypePrices::default(); DiskType::ALL.len()];
        for (disk_type, texts) in DEFAULTS {
            // A test reads every one of them.
            let rate = |at: usize| texts[at].parse().unwrap_or_default();
            types[position(disk_type)] = TypePrices {
                gib_hour: rate(0),
                gib_month: rate(1),
                extra_mib_hour: rate(2),
                extra_mib_month: rate(3),
                backup_gib_hour: rate(4),
                backup_gib_month: rate(5),
            };
        }
        let snapshot_gib_hour = SNAPSHOT_DEFAULT.parse().unwrap_or_default();
        Self { hourly_pay_percent: 100, prepaid_pay_percent: 100, snapshot_gib_hour, types }
    }
}

impl PriceBook {
    /// What this type costs.
    #[must_use]
    pub const fn of(&self, disk_type: DiskType) -> &TypePrices {
        &self.types[position(disk_type)]
    }

    /// Refuses a book that would pay accounts for buying.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        for (key, value) in [
            ("hourly_pay_percent", self.hourly_pay_percent),
            ("prepaid_pay_percent", self.prepaid_pay_percent),
        ] {
            if value > 100 {
                let (key, expected) = (format!("prices.{key}"), "0 to 100".to_owned());
                return Err(SettingsError { key, value: value.to_string(), expected });
            }
        }
        Ok(())
    }

    /// What a disk costs for an hour.
    #[must_use]
    pub fn hour(&self, priced: &Priced) -> Quote {
        let prices = self.of(priced.disk_type);
        let rates = [prices.gib_hour, prices.extra_mib_hour, prices.backup_gib_hour];
        priced.quote(rates, (1, 1), self.hourly_pay_percent)
    }

    /// What a disk costs in advance for so many months.
    #[must_use]
    pub fn months(&self, priced: &Priced, months: u64) -> Quote {
        priced.quote(self.month_rates(priced), (i128::from(months), 1), self.prepaid_pay_percent)
    }

    /// What a disk costs in advance for a piece of time; nothing for one that is over.
    #[must_use]
    pub fn span(&self, priced: &Priced, span_ms: i64) -> Quote {
        let share = (i128::from(span_ms.max(0)), i128::from(MONTH_MS));
        priced.quote(self.month_rates(priced), share, self.prepaid_pay_percent)
    }

    fn month_rates(&self, priced: &Priced) -> [Rate; 3] {
        let prices = self.of(priced.disk_type);
        [prices.gib_month, prices.extra_mib_month, prices.backup_gib_month]
    }
}

/// What about a disk is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// The medium.
    pub disk_type: DiskType,
    /// Its size in GiB.
    pub size_gib: u64,
    /// Its extra performance in MiB/s.
    pub extra_mib: u64,
    /// How many backup points it may have.
    pub backup_quota: u64,
}

impl Priced {
    /// What is priced of a disk as it is.
    pub(crate) const fn of(disk: &ashlar_db::Disk) -> Self {
        Self {
            disk_type: disk.disk_type,
            size_gib: disk.size_gib,
            extra_mib: disk.throughput_performance_mib,
            backup_quota: disk.backup_quota,
        }
    }

    fn quote(&self, rates: [Rate; 3], (part, whole): (i128, i128), pay_percent: u64) -> Quote {
        let [space, extra, backup] = rates;
        let gib = i128::from(self.size_gib);
        let amount = |rate: Rate, quantity: i128| {
            let billionths = i128::from(rate.0).saturating_mul(quantity).saturating_mul(part);
            // The tenth decimal and those after it are below every rounding.
            let exact =
                |percent: i128| Money::from_billionths(billionths.saturating_mul(percent) / (100 * whole));
            Amount { original: exact(100), discounted: exact(i128::from(pay_percent)) }
        };
        Quote {
            space: amount(space, gib),
            extra_performance: amount(extra, i128::from(self.extra_mib)),
            backup_quota: amount(backup, gib.saturating_mul(i128::from(self.backup_quota))),
        }
    }
}

/// An amount before and after the discount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Before.
    pub original: Money,
    /// After: what is paid.
    pub discounted: Money,
}

impl Amount {
    const fn plus(self, other: Self) -> Self {
        Self {
            original: self.original.plus(other.original),
            discounted: self.discounted.plus(other.discounted),
        }
    }

    fn times(self, count: u64) -> Self {
        Self { original: self.original.times(count), discounted: self.discounted.times(count) }
    }

    /// What is missing to `later`; never less than nothing.
    fn up_to(self, later: Self) -> Self {
        let rest = |before: Money, after: Money| after.plus(before.negated()).max(Money::ZERO);
        Self {
            original: rest(self.original, later.original),
            discounted: rest(self.discounted, later.discounted),
        }
    }
}

/// What something costs, by its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quote {
    /// The space.
    pub space: Amount,
    /// The extra performance.
    pub extra_performance: Amount,
    /// The backup points.
    pub backup_quota: Amount,
}

impl Quote {
    /// All parts together.
    #[must_use]
    pub const fn total(&self) -> Amount {
        self.space.plus(self.extra_performance).plus(self.backup_quota)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            space: self.space.plus(other.space),
            extra_performance: self.extra_performance.plus(other.extra_performance),
            backup_quota: self.backup_quota.plus(other.backup_quota),
        }
    }

    /// So many times.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self {
            space: self.space.times(count),
            extra_performance: self.extra_performance.times(count),
            backup_quota: self.backup_quota.times(count),
        }
    }

    /// What has to be paid for `later` when this is paid already. A part that becomes cheaper is not paid back.
    #[must_use]
    pub fn up_to(self, later: Self) -> Self {
        Self {
            space: self.space.up_to(later.space),
            extra_performance: self.extra_performance.up_to(later.extra_performance),
            backup_quota: self.backup_quota.up_to(later.backup_quota),
        }
    }
}

/// A price as an inquiry answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    /// To be paid in advance.
    Prepaid(Quote),
    /// To be paid by the hour, afterwards.
    Hourly(Quote),
}

/// A rate as a file says it: text, because a number in the file would not be exact.
#[derive(Debug, Clone, Copy)]
struct RateText(Rate);

impl<'de> Deserialize<'de> for RateText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = RateText;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a price in quotation marks, such as \"0.00042\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RateText, E> {
                text.parse().map(RateText).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// One type of disk as a file says it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PricesOverlay {
    gib_hour: Option<RateText>,
    gib_month: Option<RateText>,
    extra_mib_hour: Option<RateText>,
    extra_mib_month: Option<RateText>,
    backup_gib_hour: Option<RateText>,
    backup_gib_month: Option<RateText>,
}

/// The book as a file says it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BookOverlay {
    hourly_pay_percent: Option<u64>,
    prepaid_pay_percent: Option<u64>,
    snapshot_gib_hour: Option<RateText>,
    #[serde(rename = "CLOUD_BASIC")]
    cloud_basic: PricesOverlay,
    #[serde(rename = "CLOUD_PREMIUM")]
    cloud_premium: PricesOverlay,
    #[serde(rename = "CLOUD_BSSD")]
    cloud_bssd: PricesOverlay,
    #[serde(rename = "CLOUD_SSD")]
    cloud_ssd: PricesOverlay,
    #[serde(rename = "CLOUD_HSSD")]
    cloud_hssd: PricesOverlay,
    #[serde(rename = "CLOUD_TSSD")]
    cloud_tssd: PricesOverlay,
}

impl From<BookOverlay> for PriceBook {
    fn from(overlay: BookOverlay) -> Self {
        let mut book = Self::default();
        book.hourly_pay_percent = overlay.hourly_pay_percent.unwrap_or(book.hourly_pay_percent);
        book.prepaid_pay_percent = overlay.prepaid_pay_percent.unwrap_or(book.prepaid_pay_percent);
        book.snapshot_gib_hour =
            overlay.snapshot_gib_hour.map_or(book.snapshot_gib_hour, |RateText(rate)| rate);
        let overlays = [
            overlay.cloud_basic,
            overlay.cloud_premium,
            overlay.cloud_bssd,
            overlay.cloud_ssd,
            overlay.cloud_hssd,
            overlay.cloud_tssd,
        ];
        for (prices, over) in book.types.iter_mut().zip(overlays) {
            let over_rate = |over: Option<RateText>, under| over.map_or(under, |RateText(rate)| rate);
            *prices = TypePrices {
                gib_hour: over_rate(over.gib_hour, prices.gib_hour),
                gib_month: over_rate(over.gib_month, prices.gib_month),
                extra_mib_hour: over_rate(over.extra_mib_hour, prices.extra_mib_hour),
                extra_mib_month: over_rate(over.extra_mib_month, prices.extra_mib_month),
                backup_gib_hour: over_rate(over.backup_gib_hour, prices.backup_gib_hour),
                backup_gib_month: over_rate(over.backup_gib_month, prices.backup_gib_month),
            };
        }
        book
    }
}

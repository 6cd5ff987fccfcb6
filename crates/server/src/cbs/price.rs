//! Prices: the inquiries, and how a price is shown.

use ashlar_api::cbs::{
    DetailPrice, InquirePriceModifyDiskBackupQuota, InquirePriceModifyDiskBackupQuotaResponse,
    InquirePriceModifyDiskExtraPerformance, InquirePriceModifyDiskExtraPerformanceResponse,
    InquiryPriceCreateDisks, InquiryPriceCreateDisksResponse, InquiryPriceRenewDisks,
    InquiryPriceRenewDisksResponse, InquiryPriceResizeDisk, InquiryPriceResizeDiskResponse, PrepayPrice,
    Price,
};
use ashlar_control::{Amount, Caller, Control, Quote};

use super::pay::prepaid;
use crate::service::{Handled, pack};

pub(super) async fn inquiry_price_create_disks(
    control: &Control,
    caller: &Caller,
    request: InquiryPriceCreateDisks,
) -> Handled<InquiryPriceCreateDisksResponse> {
    let wanted = ashlar_control::InquiryPriceCreateDisks {
        charge_type: request.disk_charge_type,
        disk_type: request.disk_type,
        size_gib: request.disk_size,
        project: request.project_id,
        count: request.disk_count,
        throughput_performance_mib: request.throughput_performance,
        prepaid: request.disk_charge_prepaid.map(prepaid),
        backup_quota: request.disk_backup_quota,
    };
    let found = control.inquiry_price_create_disks(caller, wanted).await?;
    Ok(InquiryPriceCreateDisksResponse { disk_price: price(found) })
}

pub(super) async fn inquiry_price_resize_disk(
    control: &Control,
    caller: &Caller,
    request: InquiryPriceResizeDisk,
) -> Handled<InquiryPriceResizeDiskResponse> {
    let wanted = ashlar_control::InquiryPriceResizeDisk {
        disk: request.disk_id,
        disks: request.disk_ids.unwrap_or_default(),
        size_gib: request.disk_size,
        project: request.project_id,
    };
    let found = control.inquiry_price_resize_disk(caller, wanted).await?;
    Ok(InquiryPriceResizeDiskResponse { disk_price: prepay_price(found) })
}

pub(super) async fn inquire_price_modify_disk_extra_performance(
    control: &Control,
    caller: &Caller,
    request: InquirePriceModifyDiskExtraPerformance,
) -> Handled<InquirePriceModifyDiskExtraPerformanceResponse> {
    let wanted = ashlar_control::InquirePriceModifyDiskExtraPerformance {
        disk: request.disk_id,
        throughput_performance_mib: request.throughput_performance,
    };
    let found = control.inquire_price_modify_disk_extra_performance(caller, wanted).await?;
    Ok(InquirePriceModifyDiskExtraPerformanceResponse { disk_price: price(found) })
}

pub(super) async fn inquire_price_modify_disk_backup_quota(
    control: &Control,
    caller: &Caller,
    request: InquirePriceModifyDiskBackupQuota,
) -> Handled<InquirePriceModifyDiskBackupQuotaResponse> {
    let wanted = ashlar_control::InquirePriceModifyDiskBackupQuota {
        disk: request.disk_id,
        backup_quota: request.disk_backup_quota,
    };
    let found = control.inquire_price_modify_disk_backup_quota(caller, wanted).await?;
    Ok(InquirePriceModifyDiskBackupQuotaResponse { disk_price: price(found) })
}

pub(super) async fn inquiry_price_renew_disks(
    control: &Control,
    caller: &Caller,
    request: InquiryPriceRenewDisks,
) -> Handled<InquiryPriceRenewDisksResponse> {
    let wanted = ashlar_control::InquiryPriceRenewDisks {
        disks: request.disk_ids,
        prepaids: request.disk_charge_prepaids.into_iter().flatten().map(prepaid).collect(),
        new_deadline: request.new_deadline.map(pack::unix_millis),
        project: request.project_id,
    };
    let found = control.inquiry_price_renew_disks(caller, wanted).await?;
    Ok(InquiryPriceRenewDisksResponse { disk_price: prepay_price(found) })
}

/// An amount that is paid in advance, or by the hour.
#[derive(Clone, Copy)]
enum Due {
    Prepaid(Amount),
    Hourly(Amount),
}

pub(super) fn price(price: ashlar_control::Price) -> Price {
    match price {
        ashlar_control::Price::Prepaid(quote) => flat(Due::Prepaid(quote.total())),
        ashlar_control::Price::Hourly(quote) => flat(Due::Hourly(quote.total())),
    }
}

fn flat(due: Due) -> Price {
    match due {
        Due::Prepaid(amount) => Price {
            original_price: Some(amount.original.hundredths()),
            discount_price: Some(amount.discounted.hundredths()),
            unit_price: None,
            charge_unit: None,
            unit_price_discount: None,
            original_price_high: Some(amount.original.to_string()),
            discount_price_high: Some(amount.discounted.to_string()),
            unit_price_high: None,
            unit_price_discount_high: None,
        },
        Due::Hourly(amount) => Price {
            original_price: None,
            discount_price: None,
            unit_price: Some(amount.original.hundredths()),
            charge_unit: Some("HOUR".to_owned()),
            unit_price_discount: Some(amount.discounted.hundredths()),
            original_price_high: None,
            discount_price_high: None,
            unit_price_high: Some(amount.original.to_string()),
            unit_price_discount_high: Some(amount.discounted.to_string()),
        },
    }
}

fn prepay_price(price: ashlar_control::Price) -> PrepayPrice {
    type Form = fn(Amount) -> Due;
    let (quote, due): (Quote, Form) = match price {
        ashlar_control::Price::Prepaid(quote) => (quote, Due::Prepaid),
        ashlar_control::Price::Hourly(quote) => (quote, Due::Hourly),
    };
    let total = flat(due(quote.total()));
    PrepayPrice {
        original_price: total.original_price,
        discount_price: total.discount_price,
        unit_price: total.unit_price,
        charge_unit: total.charge_unit,
        unit_price_discount: total.unit_price_discount,
        original_price_high: total.original_price_high,
        discount_price_high: total.discount_price_high,
        unit_price_high: total.unit_price_high,
        unit_price_discount_high: total.unit_price_discount_high,
        detail_prices: vec![
            detail("DiskSpace", "Disk space", due(quote.space)),
            detail("DiskExtraPerformance", "Disk extra performance", due(quote.extra_performance)),
            detail("DiskBackupQuota", "Disk backup point quota", due(quote.backup_quota)),
        ],
    }
}

fn detail(name: &str, title: &str, due: Due) -> DetailPrice {
    let price = flat(due);
    DetailPrice {
        price_title: title.to_owned(),
        price_name: name.to_owned(),
        original_price: price.original_price,
        discount_price: price.discount_price,
        unit_price: price.unit_price,
        charge_unit: price.charge_unit,
        unit_price_discount: price.unit_price_discount,
        original_price_high: price.original_price_high,
        discount_price_high: price.discount_price_high,
        unit_price_high: price.unit_price_high,
        unit_price_discount_high: price.unit_price_discount_high,
    }
}

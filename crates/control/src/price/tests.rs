//! The price book against the reference's worked examples and against arithmetic of its own.

use ashlar_types::{DiskType, Money, RandomSource as _, SeededRandom};

use super::*;

fn priced(disk_type: DiskType, size_gib: u64, extra_mib: u64, backup_quota: u64) -> Priced {
    Priced { disk_type, size_gib, extra_mib, backup_quota }
}

#[test]
fn the_worked_examples_come_out() {
    let book = PriceBook::default();
    let hour = book.hour(&priced(DiskType::CloudPremium, 100, 0, 0)).total().original;
    assert_eq!((hour.to_string().as_str(), hour.hundredths()), ("0.042", 0.04));
    let month = book.months(&priced(DiskType::CloudTssd, 500, 100, 0), 1).total().original;
    assert_eq!((month.to_string().as_str(), month.hundredths()), ("800", 800.0));
    // Two whose inputs the reference tells in part only.
    let resized = book.hour(&priced(DiskType::CloudSsd, 200, 0, 0)).total().original;
    assert_eq!(resized.to_string(), "0.18");
    let backed_up = book.hour(&priced(DiskType::CloudPremium, 100, 0, 1)).total().original;
    assert_eq!((backed_up.to_string().as_str(), backed_up.hundredths()), ("0.059", 0.06));
}

#[test]
fn every_default_is_a_price() {
    for (disk_type, texts) in DEFAULTS {
        for text in texts {
            assert!(text.parse::<Rate>().is_ok(), "{disk_type} {text}");
        }
        assert!(PriceBook::default().of(disk_type).gib_hour > Rate(0));
    }
    for disk_type in DiskType::ALL {
        assert_eq!(DEFAULTS[position(*disk_type)].0, *disk_type);
    }
}

/// Sums in text, digit by digit: the oracle that shares no arithmetic with the book.
fn decimal_product(rate: &str, factor: u64) -> String {
    let mut sum = String::from("0");
    let digits = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        digits.extend(std::iter::repeat_n(0, 9 - fraction.len()));
        digits
    };
    for _ in 0..factor {
        let (mut one, mut other) = (digits(&sum), digits(rate));
        let width = one.len().max(other.len()) + 1;
        one.splice(0..0, std::iter::repeat_n(0, width - one.len()));
        other.splice(0..0, std::iter::repeat_n(0, width - other.len()));
        let mut carry = 0;
        for at in (0..width).rev() {
            let digit = one[at] + other[at] + carry;
            one[at] = digit % 10;
            carry = digit / 10;
        }
        let text: String = one.iter().map(|digit| char::from(b'0' + digit)).collect();
        sum = format!("{}.{}", text[..width - 9].trim_start_matches('0'), &text[width - 9..]);
        if sum.starts_with('.') {
            sum.insert(0, '0');
        }
    }
    sum.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[test]
fn prices_are_exact() {
    let random = SeededRandom::new(4);
    let book = PriceBook::default();
    for _ in 0..200 {
        let (disk_type, texts) = DEFAULTS[random.below(6) as usize];
        let gib = 10 + random.below(300);
        let hour = book.hour(&priced(disk_type, gib, 0, 0)).total().original;
        assert_eq!(hour.to_string(), decimal_product(texts[0], gib), "{disk_type} {gib}");
    }
}

#[test]
fn parts_add_up_and_many_cost_many_times_one() {
    let book: PriceBook = toml::from_str("prepaid_pay_percent = 83\nhourly_pay_percent = 97").unwrap();
    let random = SeededRandom::new(5);
    for _ in 0..200 {
        let disk = priced(
            DiskType::ALL[random.below(6) as usize],
            1 + random.below(32_000),
            random.below(4_000),
            random.below(500),
        );
        for quote in
            [book.hour(&disk), book.months(&disk, 1 + random.below(36)), book.span(&disk, 12_345_678)]
        {
            let total = quote.total();
            let sum =
                quote.space.original.plus(quote.extra_performance.original).plus(quote.backup_quota.original);
            assert_eq!(total.original, sum);
            assert!(total.discounted <= total.original && total.discounted >= Money::ZERO);
            assert_eq!(quote.times(7).total().original, total.original.times(7));
            assert_eq!(quote.up_to(quote), Quote::default());
        }
    }
}

#[test]
fn a_whole_month_of_time_costs_a_month() {
    let book = PriceBook::default();
    let disk = priced(DiskType::CloudHssd, 501, 33, 2);
    assert_eq!(book.span(&disk, MONTH_MS), book.months(&disk, 1));
    assert_eq!(book.span(&disk, MONTH_MS * 12), book.months(&disk, 12));
    assert_eq!(book.span(&disk, -1), Quote::default());
}

#[test]
fn a_file_overlays_the_defaults_and_is_told_what_is_wrong() {
    let book: PriceBook = toml::from_str("[CLOUD_SSD]\ngib_hour = \"0.123456789\"").unwrap();
    assert_eq!(book.of(DiskType::CloudSsd).gib_hour, Rate(123_456_789));
    assert_eq!(book.of(DiskType::CloudSsd).gib_month, PriceBook::default().of(DiskType::CloudSsd).gib_month);
    for (wrong, told) in [
        ("[CLOUD_SSD]\ngib_hour = 0.1", "quotation marks"),
        ("[CLOUD_SSD]\ngib_hour = \"-1\"", "is no amount"),
        ("[CLOUD_SSD]\ngib_hour = \"0.1234567891\"", "at most 9 places"),
        ("[CLOUD_SSD]\ngib_week = \"1\"", "gib_week"),
        ("[CLOUD_FAST]\ngib_hour = \"1\"", "CLOUD_FAST"),
    ] {
        let error = toml::from_str::<PriceBook>(wrong).unwrap_err().to_string();
        assert!(error.contains(told), "{wrong}: {error}");
    }
    let dear: PriceBook = toml::from_str("hourly_pay_percent = 101").unwrap();
    assert_eq!(dear.check().unwrap_err().key, "prices.hourly_pay_percent");
}

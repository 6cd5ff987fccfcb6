//! Money and rates: exact decimals in integers, never floating point.

/// An amount of money in millionths of the currency's unit. Positive amounts are paid by an account, negative
/// ones are paid back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Money(pub i64);

/// What one unit of something costs, in billionths of the currency's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Rate(pub u64);

/// Text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoneyError {
    text: String,
    decimals: usize,
}

impl std::fmt::Display for MoneyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { text, decimals } = self;
        write!(f, "`{text}` is no amount: write a decimal number such as 12.5 with at most {decimals} places")
    }
}

impl std::error::Error for MoneyError {}

const MONEY_DECIMALS: usize = 6;
const RATE_DECIMALS: usize = 9;

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Billionths, rounded to the nearest millionth, halves away from zero. What no account can pay saturates.
    #[must_use]
    pub fn from_billionths(billionths: i128) -> Self {
        let half = if billionths < 0 { -500 } else { 500 };
        let millionths = (billionths.saturating_add(half)) / 1000;
        Self(i64::try_from(millionths).unwrap_or(if billionths < 0 { i64::MIN } else { i64::MAX }))
    }

    /// This much so many times (saturating).
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    /// Both together (saturating).
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The same, the other way round.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self(self.0.saturating_neg())
    }

    /// Rounded to hundredths, halves away from zero: the service's plain price fields.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "an amount that a double cannot hold exactly is shown nearly"
    )]
    pub fn hundredths(self) -> f64 {
        let half = if self.0 < 0 { -5_000 } else { 5_000 };
        (self.0.saturating_add(half) / 10_000) as f64 / 100.0
    }

    /// `part` of `whole` of it, rounded down. None of it when `whole` is nothing.
    #[must_use]
    pub fn share(self, part: i64, whole: i64) -> Self {
        if whole <= 0 {
            return Self::ZERO;
        }
        let share = i128::from(self.0) * i128::from(part.clamp(0, whole)) / i128::from(whole);
        Self(i64::try_from(share).unwrap_or(self.0))
    }
}

impl std::fmt::Display for Money {
    /// All its decimals, without zeros at the end: `800`, `0.042`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write_decimal(f, sign, self.0.unsigned_abs(), MONEY_DECIMALS)
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_decimal(f, "", self.0, RATE_DECIMALS)
    }
}

impl std::str::FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let refused = || MoneyError { text: text.to_owned(), decimals: MONEY_DECIMALS };
        let (digits, negative) = text.strip_prefix('-').map_or((text, false), |digits| (digits, true));
        let amount = parse_decimal(digits, MONEY_DECIMALS).ok_or_else(refused)?;
        let amount = i64::try_from(amount).map_err(|_| refused())?;
        Ok(Self(if negative { -amount } else { amount }))
    }
}

impl std::str::FromStr for Rate {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let refused = || MoneyError { text: text.to_owned(), decimals: RATE_DECIMALS };
        parse_decimal(text, RATE_DECIMALS).map(Self).ok_or_else(refused)
    }
}

fn write_decimal(
    f: &mut std::fmt::Formatter<'_>,
    sign: &str,
    amount: u64,
    decimals: usize,
) -> std::fmt::Result {
    let digits = format!("{amount:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    match fraction.trim_end_matches('0') {
        "" => write!(f, "{sign}{whole}"),
        fraction => write!(f, "{sign}{whole}.{fraction}"),
    }
}

/// Digits with at most so many decimals, as a whole number of the smallest unit.
fn parse_decimal(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > decimals {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_back_as_they_are_written() {
        for (text, millionths) in [("800", 800_000_000), ("0.042", 42_000), ("-0.000001", -1), ("0", 0)] {
            assert_eq!(text.parse(), Ok(Money(millionths)));
            assert_eq!(Money(millionths).to_string(), text);
        }
        assert_eq!("0.00042".parse(), Ok(Rate(420_000)));
        assert_eq!(Rate(420_000).to_string(), "0.00042");
        for text in ["", ".", "1.", ".5", "1.0000001", "1e3", "+1", "--1", "1,5", "99999999999999999999"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
        assert!("-1".parse::<Rate>().is_err());
    }

    #[test]
    fn halves_go_away_from_zero() {
        assert_eq!(Money::from_billionths(1_499), Money(1));
        assert_eq!(Money::from_billionths(1_500), Money(2));
        assert_eq!(Money::from_billionths(-1_500), Money(-2));
        assert_eq!(Money(42_000).hundredths().to_string(), "0.04");
        assert_eq!(Money(45_000).hundredths().to_string(), "0.05");
        assert_eq!(Money(59_000).hundredths().to_string(), "0.06");
    }

    #[test]
    fn a_share_is_never_more_than_the_whole() {
        assert_eq!(Money(100).share(1, 3), Money(33));
        assert_eq!(Money(100).share(5, 3), Money(100));
        assert_eq!(Money(100).share(-5, 3), Money(0));
        assert_eq!(Money(i64::MAX).share(i64::MAX, i64::MAX), Money(i64::MAX));
        assert_eq!(Money(100).share(1, 0), Money(0));
    }
}

//! What a scheduled snapshot policy can be. Names and meanings: reference `cbs/data-types`, `AutoSnapshotPolicy`
//! and `Policy`.

use std::fmt;

use crate::wire_enum::wire_enum;

wire_enum! {
    /// Whether a policy is at work, as `AutoSnapshotPolicy.AutoSnapshotPolicyState` shows it.
    pub enum SnapshotPolicyState {
        /// It is.
        Normal = "NORMAL",
        /// The operator has stopped it.
        Isolated = "ISOLATED",
    }
}

/// A number outside of what a [`NumberSet`] may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange {
    /// What was given.
    pub given: u64,
    /// The least that is allowed.
    pub min: u8,
    /// The most that is allowed.
    pub max: u8,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is outside of {} to {}", self.given, self.min, self.max)
    }
}

impl std::error::Error for OutOfRange {}

/// A set of numbers from `MIN` to `MAX`, which must be below 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NumberSet<const MIN: u8, const MAX: u8>(u32);

/// Hours of a day: 0 to 23.
pub type Hours = NumberSet<0, 23>;

/// Days of a week: 0 is Sunday, 6 is Saturday.
pub type Weekdays = NumberSet<0, 6>;

/// Days of a month: 1 to 31. A month that lacks a day leaves it out.
pub type MonthDays = NumberSet<1, 31>;

impl<const MIN: u8, const MAX: u8> NumberSet<MIN, MAX> {
    /// The set of these numbers; the same one twice counts once.
    pub fn new(numbers: impl IntoIterator<Item = u64>) -> Result<Self, OutOfRange> {
        let mut bits = 0;
        for given in numbers {
            if !(u64::from(MIN)..=u64::from(MAX)).contains(&given) {
                return Err(OutOfRange { given, min: MIN, max: MAX });
            }
            bits |= 1 << given;
        }
        Ok(Self(bits))
    }

    /// Whether the number is in the set.
    #[must_use]
    pub const fn contains(self, number: u8) -> bool {
        number <= MAX && self.0 >> number & 1 == 1
    }

    /// Whether no number is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers, smallest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (MIN..=MAX).filter(move |number| self.contains(*number))
    }

    /// The set as one number, bit n for the number n.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// On which days a rule is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyDays {
    /// On these days of each week.
    Week(Weekdays),
    /// On these days of each month.
    Month(MonthDays),
    /// On the first day and then once in so many days, 1 to 365.
    Interval(u16),
}

/// One rule of a policy: at these hours on these days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PolicyRule {
    /// The hours.
    pub hours: Hours,
    /// The days.
    pub days: PolicyDays,
}

/// How many of the snapshots of a policy are kept: the last one of each day, week, month and year, for so many of them.
/// Each number counts back from today, which is the first, 0 to 100. Weeks begin on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AdvancedRetention {
    /// Days of which the newest snapshot is kept.
    pub days: u64,
    /// Weeks of which the newest snapshot is kept.
    pub weeks: u64,
    /// Months of which the newest snapshot is kept.
    pub months: u64,
    /// Years of which the newest snapshot is kept.
    pub years: u64,
}

/// How long the snapshots of a policy are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retention {
    /// For ever.
    Permanent,
    /// For so many days.
    Days(u64),
    /// For so many months.
    Months(u64),
    /// The newest so many of each disk.
    Amount(u64),
    /// Some of each age.
    Advanced(AdvancedRetention),
}

/// The promise under which a policy took a snapshot, where it depends on the later ones of the same disk and policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SnapshotPromise {
    /// Kept while it is among so many newest.
    Newest(u64),
    /// Kept while it is the last of its day, week, month or year, for so many of them.
    Calendar(AdvancedRetention),
}

/// Text that is no promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPromise(String);

impl fmt::Display for NoPromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no promise", self.0)
    }
}

impl std::error::Error for NoPromise {}

/// `newest:N` or `calendar:DAYS,WEEKS,MONTHS,YEARS`.
impl fmt::Display for SnapshotPromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest(count) => write!(f, "newest:{count}"),
            Self::Calendar(AdvancedRetention { days, weeks, months, years }) => {
                write!(f, "calendar:{days},{weeks},{months},{years}")
            }
        }
    }
}

impl std::str::FromStr for SnapshotPromise {
    type Err = NoPromise;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NoPromise(text.to_owned());
        let (kind, numbers) = text.split_once(':').ok_or_else(wrong)?;
        let numbers: Vec<u64> =
            numbers.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        match (kind, numbers.as_slice()) {
            ("newest", [count]) => Ok(Self::Newest(*count)),
            ("calendar", [days, weeks, months, years]) => {
                let (days, weeks, months, years) = (*days, *weeks, *months, *years);
                Ok(Self::Calendar(AdvancedRetention { days, weeks, months, years }))
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let hours = Hours::new([23, 0, 7, 7]).unwrap();
        assert_eq!(hours.iter().collect::<Vec<_>>(), [0, 7, 23]);
        assert!(hours.contains(0) && hours.contains(23) && !hours.contains(8) && !hours.contains(99));
        assert_eq!(MonthDays::new([31]).unwrap().bits(), 1 << 31);
        assert!(Weekdays::new([]).unwrap().is_empty());
    }

    #[test]
    fn promises_are_read_as_they_are_written() {
        let calendar = AdvancedRetention { days: 7, weeks: 0, months: 12, years: 1 };
        for promise in [SnapshotPromise::Newest(3), SnapshotPromise::Calendar(calendar)] {
            assert_eq!(promise.to_string().parse(), Ok(promise));
        }
        for text in ["", "newest", "newest:", "newest:1,2", "calendar:1,2,3", "oldest:1", "newest:-1"] {
            assert!(text.parse::<SnapshotPromise>().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        assert_eq!(Hours::new([24]).unwrap_err().to_string(), "24 is outside of 0 to 23");
        assert_eq!(MonthDays::new([1, 0]).unwrap_err().given, 0);
        assert_eq!(Weekdays::new([u64::MAX]).unwrap_err().given, u64::MAX);
    }
}

//! From the words of a request to rules and a retention that cannot be wrong.

use ashlar_types::{AdvancedRetention, Hours, MonthDays, PolicyDays, PolicyRule, Retention, Weekdays};

use crate::error::ParameterError;
use crate::filter::{at_most, invalid};
use crate::settings::Limits;

/// How long snapshots are kept when nobody says. Source: `CreateAutoSnapshotPolicy.RetentionDays`.
const RETENTION_DAYS_DEFAULT: u64 = 7;

/// A rule as a request has it. Reference: `cbs/data-types`, `Policy`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRule {
    /// Hours, 0 to 23; at least one.
    pub hours: Vec<u64>,
    /// Days of a week, 0 to 6; 0 is Sunday.
    pub weekdays: Vec<u64>,
    /// Days of a month, 1 to 31.
    pub month_days: Vec<u64>,
    /// Days from one time to the next, 1 to 365.
    pub interval_days: Option<u64>,
}

/// How long snapshots shall be kept, as a request has it: at most one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionWish {
    /// For ever.
    pub permanent: Option<bool>,
    /// For so many days.
    pub days: Option<u64>,
    /// For so many months.
    pub months: Option<u64>,
    /// The newest so many of each disk.
    pub amount: Option<u64>,
    /// Some of each age.
    pub advanced: Option<AdvancedRetention>,
}

/// The rules of a request: at least one, each at some hours, on one kind of days.
pub(super) fn rules(wanted: &[NewRule], limits: &Limits) -> Result<Vec<PolicyRule>, ParameterError> {
    if wanted.is_empty() {
        return Err(ParameterError::Missing { parameter: "Policy", why: "give at least one rule" });
    }
    at_most("Policy", wanted.len(), limits.rules_per_policy)?;
    wanted.iter().map(rule).collect()
}

fn rule(wanted: &NewRule) -> Result<PolicyRule, ParameterError> {
    let hours = Hours::new(wanted.hours.iter().copied())
        .map_err(|error| invalid("Policy.Hour", error.given, "hours of 0 to 23"))?;
    if hours.is_empty() {
        return Err(ParameterError::Missing { parameter: "Policy.Hour", why: "give at least one hour" });
    }
    let excludes = |parameter, other| Err(ParameterError::Excludes { parameter, other });
    let days = match (wanted.weekdays.is_empty(), wanted.month_days.is_empty(), wanted.interval_days) {
        (false, false, _) => return excludes("Policy.DayOfWeek", "Policy.DayOfMonth"),
        (false, true, Some(_)) => return excludes("Policy.DayOfWeek", "Policy.IntervalDays"),
        (true, false, Some(_)) => return excludes("Policy.DayOfMonth", "Policy.IntervalDays"),
        (true, true, None) => {
            let why = "give it, or DayOfMonth, or IntervalDays";
            return Err(ParameterError::Missing { parameter: "Policy.DayOfWeek", why });
        }
        (false, true, None) => PolicyDays::Week(
            Weekdays::new(wanted.weekdays.iter().copied())
                .map_err(|error| invalid("Policy.DayOfWeek", error.given, "days of 0 (Sunday) to 6"))?,
        ),
        (true, false, None) => PolicyDays::Month(
            MonthDays::new(wanted.month_days.iter().copied())
                .map_err(|error| invalid("Policy.DayOfMonth", error.given, "days of 1 to 31"))?,
        ),
        (true, true, Some(days)) => {
            let fits = u16::try_from(days).ok().filter(|days| (1..=365).contains(days));
            PolicyDays::Interval(fits.ok_or_else(|| invalid("Policy.IntervalDays", days, "1 to 365 days"))?)
        }
    };
    Ok(PolicyRule { hours, days })
}

impl RetentionWish {
    /// Whether nothing is wished.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The retention of a new policy.
    pub(super) fn first(&self) -> Result<Retention, ParameterError> {
        self.after(Retention::Days(RETENTION_DAYS_DEFAULT))
    }

    /// The retention of a policy that had `now`.
    pub(super) fn after(&self, now: Retention) -> Result<Retention, ParameterError> {
        let wished: Vec<(&'static str, Retention)> = [
            self.days.map(|days| ("RetentionDays", Retention::Days(days))),
            self.months.map(|months| ("RetentionMonths", Retention::Months(months))),
            self.amount.map(|amount| ("RetentionAmount", Retention::Amount(amount))),
            self.advanced.map(|advanced| ("AdvancedRetentionPolicy", Retention::Advanced(advanced))),
        ]
        .into_iter()
        .flatten()
        .collect();
        match (self.permanent, wished.as_slice()) {
            (_, [(parameter, _), (other, _), ..]) => Err(ParameterError::Excludes { parameter, other }),
            (Some(true), [(parameter, _)]) => {
                Err(ParameterError::Excludes { parameter, other: "IsPermanent" })
            }
            (Some(true), []) => Ok(Retention::Permanent),
            // Documented: a number of days must not clash with what the policy is, or nothing is done.
            (None, [(parameter, wish)]) if now == Retention::Permanent => Err(ParameterError::Invalid {
                parameter,
                value: shown(*wish),
                expected: "IsPermanent FALSE beside it, because the policy keeps its snapshots for ever"
                    .to_owned(),
            }),
            (Some(false) | None, [(parameter, wish)]) => checked(parameter, *wish),
            (Some(false), []) if now == Retention::Permanent => Ok(Retention::Days(RETENTION_DAYS_DEFAULT)),
            (Some(false) | None, []) => Ok(now),
        }
    }
}

fn checked(parameter: &'static str, wish: Retention) -> Result<Retention, ParameterError> {
    /// Nobody keeps snapshots longer than the years that the wire can write.
    const NUMBER_MAX: u64 = 65_536;
    const ADVANCED_MAX: u64 = 100;
    let fits = match wish {
        Retention::Permanent => true,
        Retention::Days(number) | Retention::Months(number) | Retention::Amount(number) => {
            (1..=NUMBER_MAX).contains(&number)
        }
        Retention::Advanced(AdvancedRetention { days, weeks, months, years }) => {
            let numbers = [days, weeks, months, years];
            numbers.iter().all(|number| *number <= ADVANCED_MAX) && numbers.iter().any(|number| *number > 0)
        }
    };
    let expected = match wish {
        Retention::Advanced(_) => format!("numbers of 0 to {ADVANCED_MAX}, at least one above 0"),
        Retention::Permanent | Retention::Days(_) | Retention::Months(_) | Retention::Amount(_) => {
            format!("1 to {NUMBER_MAX}")
        }
    };
    if fits { Ok(wish) } else { Err(invalid(parameter, shown(wish), expected)) }
}

fn shown(wish: Retention) -> String {
    match wish {
        Retention::Permanent => "TRUE".to_owned(),
        Retention::Days(number) | Retention::Months(number) | Retention::Amount(number) => number.to_string(),
        Retention::Advanced(AdvancedRetention { days, weeks, months, years }) => {
            format!("Days {days}, Weeks {weeks}, Months {months}, Years {years}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(rule: NewRule) -> String {
        rules(&[rule], &Limits::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_rule_has_hours_and_one_kind_of_days() {
        let base = || NewRule { hours: vec![1], ..NewRule::default() };
        for (rule, names) in [
            (NewRule { hours: vec![], weekdays: vec![1], ..base() }, vec!["Policy.Hour"]),
            (NewRule { hours: vec![24], weekdays: vec![1], ..base() }, vec!["Policy.Hour", "24"]),
            (base(), vec!["Policy.DayOfWeek", "IntervalDays"]),
            (NewRule { weekdays: vec![7], ..base() }, vec!["Policy.DayOfWeek", "7"]),
            (NewRule { month_days: vec![0], ..base() }, vec!["Policy.DayOfMonth", "0"]),
            (NewRule { month_days: vec![32], ..base() }, vec!["Policy.DayOfMonth", "32"]),
            (NewRule { interval_days: Some(0), ..base() }, vec!["Policy.IntervalDays", "0"]),
            (NewRule { interval_days: Some(366), ..base() }, vec!["Policy.IntervalDays", "366"]),
            (
                NewRule { weekdays: vec![1], month_days: vec![1], ..base() },
                vec!["Policy.DayOfWeek", "Policy.DayOfMonth"],
            ),
            (
                NewRule { weekdays: vec![1], interval_days: Some(1), ..base() },
                vec!["Policy.DayOfWeek", "Policy.IntervalDays"],
            ),
            (
                NewRule { month_days: vec![1], interval_days: Some(1), ..base() },
                vec!["Policy.DayOfMonth", "Policy.IntervalDays"],
            ),
        ] {
            let text = refused(rule);
            assert!(names.iter().all(|name| text.contains(name)), "{text}");
        }
        assert!(rules(&[], &Limits::default()).is_err());
        let edges = NewRule { hours: vec![0, 23], interval_days: Some(365), ..NewRule::default() };
        assert_eq!(rules(&[edges], &Limits::default()).unwrap()[0].days, PolicyDays::Interval(365));
    }

    #[test]
    fn a_retention_is_one_of_its_kinds() {
        let advanced = AdvancedRetention { days: 7, weeks: 4, months: 12, years: 0 };
        let wish = |days, permanent| RetentionWish { days, permanent, ..RetentionWish::default() };
        let week = Retention::Days(7);
        for (wish, now, then) in [
            (RetentionWish::default(), week, Ok(week)),
            (wish(Some(3), None), week, Ok(Retention::Days(3))),
            (wish(Some(3), Some(false)), Retention::Permanent, Ok(Retention::Days(3))),
            (wish(None, Some(false)), Retention::Permanent, Ok(week)),
            (wish(None, Some(false)), Retention::Months(2), Ok(Retention::Months(2))),
            (wish(None, Some(true)), week, Ok(Retention::Permanent)),
            (wish(Some(3), Some(true)), week, Err(())),
            (wish(Some(3), None), Retention::Permanent, Err(())),
            (wish(Some(0), None), week, Err(())),
            (wish(Some(65_537), None), week, Err(())),
            (
                RetentionWish { advanced: Some(advanced), ..RetentionWish::default() },
                week,
                Ok(Retention::Advanced(advanced)),
            ),
            (
                RetentionWish {
                    advanced: Some(AdvancedRetention { days: 101, ..advanced }),
                    ..RetentionWish::default()
                },
                week,
                Err(()),
            ),
            (RetentionWish { months: Some(1), amount: Some(1), ..RetentionWish::default() }, week, Err(())),
        ] {
            assert_eq!(wish.after(now).map_err(drop), then, "{wish:?}");
        }
        assert_eq!(RetentionWish::default().first(), Ok(week));
    }
}

//! The clock of a server that runs with `--test-clock`.

use clap::Subcommand;

use super::AdminFlags;

/// What can be done with the clock.
#[derive(Debug, Subcommand)]
pub(crate) enum ClockCommand {
    /// Show the time that the server's rules go by.
    Show {
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Move the clock, then do what is due by then.
    Advance {
        /// How far: 90s, 15m, 3h, 45d, or -3h for back
        #[arg(value_parser = duration_ms, allow_hyphen_values = true)]
        duration: i64,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Set the clock, then do what is due by then.
    Set {
        /// The time in ISO 8601 with an offset, 2027-01-01T03:00:00+08:00
        time: String,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}

/// Reads a duration as milliseconds.
fn duration_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}`: write a whole number and s, m, h or d, such as 45d or -3h");
    let unit_ms = match text.bytes().last() {
        Some(b's') => 1_000,
        Some(b'm') => 60_000,
        Some(b'h') => 3_600_000,
        Some(b'd') => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit_ms).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, expected) in
            [("90s", 90_000), ("15m", 900_000), ("-3h", -10_800_000), ("45d", 3_888_000_000)]
        {
            assert_eq!(duration_ms(text), Ok(expected), "{text}");
        }
        for text in ["", "3", "h", "3 h", "1.5h", "9223372036854775807d", "3ö"] {
            assert!(duration_ms(text).unwrap_err().contains(text), "{text}");
        }
    }
}

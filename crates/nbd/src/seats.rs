//! How many sessions each export has.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::exports::{OpenError, OpenErrorKind};

/// Counts the sessions of each export, and refuses one too many. Clones count together.
#[derive(Clone)]
pub(crate) struct Seats {
    seats_max: usize,
    taken: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

/// A session's place among those of its export, given up when dropped.
pub(crate) struct Seat {
    export: Arc<str>,
    seats: Seats,
}

impl Seats {
    pub(crate) fn new(seats_max: usize) -> Self {
        Self { seats_max, taken: Arc::default() }
    }

    /// A place for one more session of `export`; `Unavailable` when all are taken.
    pub(crate) fn take(&self, export: &str) -> Result<Seat, OpenError> {
        let export: Arc<str> = export.into();
        let mut taken = self.taken.lock();
        let count = taken.entry(Arc::clone(&export)).or_insert(0);
        if *count >= self.seats_max {
            return Err(OpenError::new(
                OpenErrorKind::Unavailable,
                format!("{count} connections use the export already, which is the most at one time"),
            ));
        }
        *count += 1;
        drop(taken);
        Ok(Seat { export, seats: self.clone() })
    }

    /// How many are taken of each export that has some, by name.
    pub(crate) fn counts(&self) -> Vec<(String, usize)> {
        let taken = self.taken.lock();
        let mut counts: Vec<_> = taken.iter().map(|(export, count)| (export.to_string(), *count)).collect();
        counts.sort();
        counts
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        if let Some(count) = taken.get_mut(&self.export) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.export);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_by_export_and_come_back() {
        let seats = Seats::new(2);
        let (first, _second) = (seats.take("a").unwrap(), seats.take("a").unwrap());
        let refused = seats.take("a").err().unwrap();
        assert_eq!(refused.kind(), OpenErrorKind::Unavailable);
        let other = seats.take("b").unwrap();
        assert_eq!(seats.counts(), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        drop(first);
        let _third = seats.take("a").unwrap();
        assert!(seats.take("a").is_err());
        drop(other);
        assert_eq!(seats.taken.lock().len(), 1, "an export without sessions takes nothing");
    }
}

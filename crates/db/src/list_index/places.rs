//! A set of places in a block.

use crate::{DbError, DbErrorKind};

/// How many rows a block has room for.
pub(crate) const PLACES: usize = 4096;

const WORDS: usize = PLACES / 64;
const SET_BYTES: usize = PLACES / 8;
/// Up to so many places are kept as a list of their numbers, which is shorter than the set and never as long.
const LISTED_MAX: usize = SET_BYTES / 2 - 1;

/// Some of the places of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places([u64; WORDS]);

impl Places {
    pub(crate) const NONE: Places = Places([0; WORDS]);

    pub(crate) fn insert(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    pub(crate) fn remove(&mut self, place: usize) {
        self.0[place / 64] &= !(1 << (place % 64));
    }

    pub(crate) fn contains(&self, place: usize) -> bool {
        self.0[place / 64] & 1 << (place % 64) != 0
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == Self::NONE.0
    }

    pub(crate) fn add(&mut self, other: &Places) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn keep(&mut self, other: &Places) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
    }

    pub(crate) fn leave_out(&mut self, other: &Places) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// The first place of the first `room` that is not of the set.
    pub(crate) fn first_free(&self, room: usize) -> Option<usize> {
        let at = self.0.iter().position(|word| *word != u64::MAX)?;
        let place = at * 64 + self.0[at].trailing_ones() as usize;
        (place < room).then_some(place)
    }

    /// One byte a place, 1 for those of the set: what SQL can look into.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        (0..PLACES).map(|place| u8::from(self.contains(place))).collect()
    }

    /// As the database keeps it: a list of numbers, or the set where that is shorter.
    pub(crate) fn encode(&self) -> Vec<u8> {
        if self.count() <= LISTED_MAX as u64 {
            // A place is below 4096, so nothing is cut off.
            return self.iter().flat_map(|place| (place as u16).to_le_bytes()).collect();
        }
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DbError> {
        let mut places = Self::NONE;
        if bytes.len() == SET_BYTES {
            for (word, bytes) in places.0.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            return Ok(places);
        }
        let (numbers, rest) = bytes.as_chunks::<2>();
        let mut numbers = numbers.iter().map(|bytes| usize::from(u16::from_le_bytes(*bytes)));
        let all_are_places = numbers.all(|place| {
            let is_place = place < PLACES;
            if is_place {
                places.insert(place);
            }
            is_place
        });
        if !all_are_places || !rest.is_empty() {
            return Err(DbError::new(DbErrorKind::Corrupt, "a set of places in the index of lists"));
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use ashlar_types::{RandomSource as _, SeededRandom};

    use super::*;

    #[test]
    fn sets_of_any_size_are_read_as_they_were_written() {
        let random = SeededRandom::new(3);
        for count in [0, 1, 2, 200, LISTED_MAX, LISTED_MAX + 1, 1000, PLACES] {
            let mut places = Places::NONE;
            let mut model = std::collections::BTreeSet::new();
            while model.len() < count {
                let place = random.below(PLACES as u64) as usize;
                places.insert(place);
                model.insert(place);
            }
            assert!(places.iter().eq(model.iter().copied()));
            assert_eq!(places.count(), count as u64);
            assert_eq!(places.first_free(PLACES), (0..PLACES).find(|place| !model.contains(place)));
            let bytes = places.encode();
            assert!(bytes.len() <= SET_BYTES);
            assert_eq!(Places::decode(&bytes).unwrap(), places);
            let marked = places.bytes();
            assert!(marked.iter().enumerate().all(|(at, byte)| (*byte == 1) == model.contains(&at)));
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for bytes in [vec![1], vec![0, 16], vec![1; SET_BYTES + 1]] {
            assert_eq!(Places::decode(&bytes).unwrap_err().kind(), DbErrorKind::Corrupt);
        }
    }
}

//! How long a session looks for the next request before it sleeps.
//!
//! A client that has one request out at a time sends the next a few microseconds after a reply. To sleep and be woken
//! takes longer than that, most of all on a virtual machine, where a processor that went idle must be
//! called back. So a session whose last looks paid off looks some more; one that looked in vain sleeps at once.
//! Measured with one 4 KiB request out at a time: 47 thousand reads a second instead of 22, with 20 us of processor
//! time for each instead of 18; two requests out: 187 thousand instead of 39, 5 us instead of 11.
//!
//! Where it takes long to call a processor back, the client itself answers late: its thread has slept, too. Who gives up shortly
//! before adds a second call to the first. Measured on such a machine, with looks for up to 25, 50 and 150 us: 17, 27 and
//! 32 thousand reads a second, 28, 29 and 30 us of processor time for each.
//!
//! Between two looks it gives the processor to whoever wants it, so that looking never delays another thread; and only one session
//! of a server looks for long.

use std::sync::atomic::{AtomicBool, Ordering};

/// The most looks before sleeping that any session may make: some tens of microseconds.
const LOOKS_SHORT: u32 = 64;
/// The most looks of the session that is on the lookout: somewhat more than 100 us.
const LOOKS_LONG: u32 = 320;
/// A session that gave up looking tries it again after so many sleeps: its client may have changed. After each try in vain it
/// waits twice as long.
const SLEEPS_UNTIL_NEXT_TRY: u32 = 32;
/// The most sleeps until the next try.
const SLEEPS_UNTIL_NEXT_TRY_MAX: u32 = 1024;

/// The place of the one session that may look for long. With several on it they would take the processor from each other and
/// from their clients.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    is_taken: AtomicBool,
}

impl Lookout {
    fn take(&self) -> Option<Place<'_>> {
        (!self.is_taken.swap(true, Ordering::Relaxed)).then_some(Place(self))
    }
}

/// Given up when dropped.
struct Place<'a>(&'a Lookout);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.is_taken.store(false, Ordering::Relaxed);
    }
}

/// Decides how often to look.
#[derive(Debug)]
pub(crate) struct Patience {
    looks: u32,
    sleeps: u32,
    sleeps_until_next_try: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { looks: LOOKS_LONG, sleeps: 0, sleeps_until_next_try: SLEEPS_UNTIL_NEXT_TRY }
    }
}

impl Patience {
    /// Looks as often as it seems worth it; `None`: nothing came, sleep.
    pub(crate) fn wait<T, E>(
        &mut self,
        lookout: &Lookout,
        mut look: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        if let Some(found) = self.look(lookout, &mut look)? {
            self.looks = LOOKS_LONG;
            self.sleeps = 0;
            self.sleeps_until_next_try = SLEEPS_UNTIL_NEXT_TRY;
            return Ok(Some(found));
        }
        self.looks /= 2;
        self.sleeps += 1;
        if self.sleeps >= self.sleeps_until_next_try {
            self.looks = LOOKS_LONG;
            self.sleeps = 0;
            self.sleeps_until_next_try = (self.sleeps_until_next_try * 2).min(SLEEPS_UNTIL_NEXT_TRY_MAX);
        }
        Ok(None)
    }

    fn look<T, E>(
        &self,
        lookout: &Lookout,
        look: &mut impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let mut place = None;
        for done in 0..self.looks {
            if done == LOOKS_SHORT {
                place = lookout.take();
                if place.is_none() {
                    break;
                }
            }
            if let Some(found) = look()? {
                return Ok(Some(found));
            }
            std::thread::yield_now();
        }
        drop(place);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Waits in vain and says how often it looked.
    fn looks_in_vain(patience: &mut Patience) -> u32 {
        looks_in_vain_beside(patience, &Lookout::default())
    }

    fn looks_in_vain_beside(patience: &mut Patience, lookout: &Lookout) -> u32 {
        let mut looks = 0;
        let found = patience.wait(lookout, || {
            looks += 1;
            Ok::<_, io::Error>(None::<()>)
        });
        assert!(found.unwrap().is_none());
        looks
    }

    #[test]
    fn who_looks_in_vain_soon_sleeps_at_once() {
        let mut patience = Patience::default();
        let looks: Vec<u32> = (0..11).map(|_| looks_in_vain(&mut patience)).collect();
        assert_eq!(looks, [320, 160, 80, 40, 20, 10, 5, 2, 1, 0, 0]);
    }

    #[test]
    fn who_gave_up_tries_again_after_a_while_that_doubles() {
        let mut patience = Patience::default();
        let mut tries = Vec::new();
        for wait in 0..6000 {
            if looks_in_vain(&mut patience) == LOOKS_LONG {
                tries.push(wait);
            }
        }
        assert_eq!(tries, [0, 32, 96, 224, 480, 992, 2016, 3040, 4064, 5088]);
    }

    #[test]
    fn what_comes_is_taken_and_restores_the_patience() {
        let mut patience = Patience::default();
        (0..100).for_each(|_| {
            looks_in_vain(&mut patience);
        });
        while looks_in_vain(&mut patience) != LOOKS_LONG {}
        let mut answers = vec![Some(7), None, None];
        assert_eq!(
            patience.wait(&Lookout::default(), || Ok::<_, io::Error>(answers.pop().flatten())).unwrap(),
            Some(7)
        );
        assert_eq!(looks_in_vain(&mut patience), LOOKS_LONG);
        let again: Vec<u32> = (0..32).map(|_| looks_in_vain(&mut patience)).collect();
        assert_eq!(again[31], LOOKS_LONG, "the next try is early again");
    }

    #[test]
    fn one_session_at_a_time_looks_for_long() {
        let lookout = Lookout::default();
        let (mut first, mut second) = (Patience::default(), Patience::default());
        let mut looks = 0;
        let mut looks_of_second = 0;
        let found = first.wait(&lookout, || {
            looks += 1;
            if looks == LOOKS_SHORT + 1 {
                looks_of_second = looks_in_vain_beside(&mut second, &lookout);
            }
            Ok::<_, io::Error>((looks == LOOKS_LONG).then_some(()))
        });
        assert!(found.unwrap().is_some());
        assert_eq!(looks_of_second, LOOKS_SHORT, "the place is taken");
        assert_eq!(looks_in_vain_beside(&mut Patience::default(), &lookout), LOOKS_LONG, "it was given up");
    }

    #[test]
    fn an_error_ends_the_looking() {
        let broken = || Err::<Option<()>, io::Error>(io::ErrorKind::ConnectionReset.into());
        let failed = Patience::default().wait(&Lookout::default(), broken);
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}

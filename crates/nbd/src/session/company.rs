//! Whether a client has one request out at a time.
//!
//! Such a client gains nothing from a session that stays free while a worker waits for the medium: nothing else will come.
//! To hand its request over, and be woken when it is done, costs two switches of threads, which on a virtual machine
//! take as long as the medium of a fast host.

/// So many requests have to come alone, one after the other, before the next is taken to have no company. A client that has several
/// out shows it sooner: whatever it sent while the session waited arrives together.
const ALONE_MIN: u32 = 16;

/// Watches how requests come.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// Requests in a row that came when no other was waiting, with none behind them.
    alone: u32,
    /// Requests of this turn.
    in_turn: u32,
}

impl Company {
    /// A request comes: `is_alone` if none is waiting and none has been received behind it. Answers whether it may be waited for.
    pub(super) fn note(&mut self, is_alone: bool) -> bool {
        self.in_turn = self.in_turn.saturating_add(1);
        if !is_alone || self.in_turn > 1 {
            self.alone = 0;
            return false;
        }
        self.alone = self.alone.saturating_add(1);
        self.alone > ALONE_MIN
    }

    /// The session looks for more input.
    pub(super) const fn end_turn(&mut self) {
        self.in_turn = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is answered to a request that comes alone in its turn.
    fn single(company: &mut Company) -> bool {
        let answer = company.note(true);
        company.end_turn();
        answer
    }

    #[test]
    fn a_client_without_company_is_waited_for_after_a_while() {
        let mut company = Company::default();
        let answers: Vec<bool> = (0..20).map(|_| single(&mut company)).collect();
        assert_eq!(answers.iter().position(|waited_for| *waited_for), Some(16));
        assert!(answers[16..].iter().all(|waited_for| *waited_for));
    }

    #[test]
    fn one_request_beside_another_ends_it() {
        let mut company = Company::default();
        assert!((0..40).any(|_| single(&mut company)));
        assert!(company.note(true));
        assert!(!company.note(true), "the second of a turn has company");
        company.end_turn();
        (0..16).for_each(|_| assert!(!single(&mut company)));
        assert!(single(&mut company));
        assert!(!company.note(false), "another waits, or lies behind it");
        company.end_turn();
        assert!(!single(&mut company), "the count begins anew");
    }
}

//! What the tests of lists of many rows share: accounts and places, times, and that no statement walks over all rows.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use ashlar_types::{AccountUin, AppId, ProjectId, UnixMillis};

use crate::listing::Builder;
use crate::{Account, Db, Transaction};

/// The account whose rows are listed; account 8 has some too.
pub(crate) const ACCOUNT: AccountUin = AccountUin(7);

/// What a page may take at most where times are measured.
const LIMIT: Duration = Duration::from_millis(50);

thread_local! {
    static STATEMENTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Remembers a statement, so that its plan can be looked at.
pub(crate) fn note(sql: &Builder) {
    let text = sql.sql().as_str().to_owned();
    STATEMENTS.with(|statements| statements.borrow_mut().push(text));
}

/// Seven zones and two accounts with three projects each; then the rows that these statements make, and their index.
pub(crate) async fn fill(db: &Db, statements: &[&str]) {
    let mut tx = db.write().await.unwrap();
    let region = "ap-guangzhou".parse().unwrap();
    tx.places().insert_region(&region, 0).await.unwrap();
    for number in 1..=7 {
        tx.places().insert_zone(&format!("ap-guangzhou-{number}").parse().unwrap(), number).await.unwrap();
    }
    for uin in [7, 8] {
        let account = Account {
            uin: AccountUin(uin),
            app_id: AppId(uin),
            name: String::new(),
            created: UnixMillis(0),
            enabled: true,
        };
        tx.accounts().insert(&account).await.unwrap();
        for project in 0..3 {
            tx.accounts().insert_project(AccountUin(uin), ProjectId(project), "p").await.unwrap();
        }
    }
    for sql in statements {
        tx.run(sql).await.unwrap();
    }
    tx.run("UPDATE counters SET value = 0 WHERE name = 'list_index'").await.unwrap();
    let begin = now();
    tx.build_list_index().await.unwrap();
    println!("the index was built in {:?}", begin.elapsed());
    tx.commit().await.unwrap();
}

/// The first page, one in the middle, the last, and one beyond.
pub(crate) fn pages(total: u64) -> [u64; 4] {
    [0, total / 2, total.saturating_sub(20), total + 7]
}

#[expect(clippy::disallowed_methods, reason = "this measures")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// What a list must not do: look at each row, or sort more of them than a block has.
pub(crate) async fn check_plans(tx: &mut Transaction) {
    for sql in STATEMENTS.with(RefCell::take) {
        let plan = tx.plan(&sql).await.unwrap();
        assert!(!plan.split("; ").any(|line| line.starts_with("SCAN")), "{sql}\n{plan}");
        let is_walk = sql.contains("LIMIT");
        assert!(
            !is_walk || (plan.contains("COVERING INDEX") && !plan.contains("TEMP B-TREE")),
            "{sql}\n{plan}"
        );
    }
}

/// How many rows a test has: so many where a variable of the environment says so, and then pages are timed.
pub(crate) struct Measure {
    pub(crate) count: i64,
    is_timed: bool,
    worst: (Duration, String),
}

impl Measure {
    #[expect(clippy::disallowed_methods, reason = "how many is the tester's choice")]
    pub(crate) fn of(variable: &str) -> Self {
        let wanted = std::env::var(variable).ok().and_then(|text| text.parse().ok());
        let worst = (Duration::ZERO, String::new());
        Self { count: wanted.unwrap_or(30_000), is_timed: wanted.is_some(), worst }
    }

    /// How often a page that took so long is tried again.
    pub(crate) fn more_tries(&self, took: Duration) -> u32 {
        if self.is_timed && took > Duration::from_millis(20) { 4 } else { 0 }
    }

    pub(crate) fn add(&mut self, took: Duration, what: String) {
        if self.is_timed && took > Duration::from_millis(20) {
            println!("{took:?} {what}");
        }
        if took > self.worst.0 {
            self.worst = (took, what);
        }
    }

    pub(crate) fn end(self) {
        println!("{} rows: the slowest page took {:?}: {}", self.count, self.worst.0, self.worst.1);
        assert!(!self.is_timed || self.worst.0 <= LIMIT, "{:?}", self.worst);
    }
}

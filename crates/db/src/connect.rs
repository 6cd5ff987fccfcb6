//! Opening the database and its transactions.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::column::signed;
use crate::{
    Access, Accounts, Attachments, AutoMounts, ClientTokens, DbError, DiskBackups, Disks, FixSnapshots,
    Images, Instances, Jobs, Leases, Ledger, LimitOverrides, Operations, Places, Schedules, SnapshotCopies,
    SnapshotGroups, SnapshotPolicies, SnapshotShares, Snapshots, Tags, Usage, Users,
};

/// The one place that names the database in use.
pub(crate) type Engine = sqlx::Sqlite;
pub(crate) type Connection = sqlx::SqliteConnection;
pub(crate) type Row = sqlx::sqlite::SqliteRow;

/// How long a transaction waits for its turn before it is [`Busy`](crate::DbErrorKind::Busy).
const TURN_WAIT: Duration = Duration::from_secs(20);

/// Readers never wait for the writer (WAL), so a few connections serve all describe calls.
const READERS_MAX: u32 = 4;

/// What a reader keeps of the file, in KiB with a minus: the index of lists of a million disks, read again and again.
const READER_CACHE: &str = "-8192";

/// The control database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    writer: SqlitePool,
    readers: SqlitePool,
    /// One connection that stays the same and only watches: see [`change_count`](Db::change_count).
    watcher: SqlitePool,
}

impl Db {
    /// Opens the SQLite file at `path`, makes it if it is missing, and brings its schema up to date.
    /// `Corrupt` if the file is none of ours or of a newer version; `Io`.
    pub async fn open(path: &Path) -> Result<Self, DbError> {
        // FULL: a transaction that was answered survives a power cut.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(TURN_WAIT);
        // SQLite has one writer at a time: one connection makes the others queue fairly here instead of
        // polling the file lock.
        // A connection to a file does not go away: nobody has to ask whether it is still there.
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .acquire_timeout(TURN_WAIT)
            .connect_with(options.clone())
            .await?;
        sqlx::migrate!("./migrations").run(&writer).await?;
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        crate::list_index::build(&mut tx).await?;
        tx.commit().await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .test_before_acquire(false)
            .acquire_timeout(TURN_WAIT)
            .connect_with(options.clone().pragma("query_only", "true").pragma("cache_size", READER_CACHE))
            .await?;
        let watcher = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(TURN_WAIT)
            .connect_with(options.pragma("query_only", "true"))
            .await?;
        Ok(Self { writer, readers, watcher })
    }

    /// Begins a transaction that sees one state of the database and changes nothing.
    pub async fn read(&self) -> Result<Transaction, DbError> {
        Ok(Transaction(Held::Transaction(self.readers.begin().await?)))
    }

    /// For one statement that changes nothing: it sees one state of the database by itself, and costs a third of a
    /// transaction. A second statement may see a later state.
    pub async fn look(&self) -> Result<Transaction, DbError> {
        Ok(Transaction(Held::Connection(self.readers.acquire().await?)))
    }

    /// Begins a transaction that may change things. Only one runs at a time; dropped without
    /// [`commit`](Transaction::commit), it has changed nothing.
    pub async fn write(&self) -> Result<Transaction, DbError> {
        Ok(Transaction(Held::Transaction(self.writer.begin_with("BEGIN IMMEDIATE").await?)))
    }

    /// A number that changes whenever anybody commits a change, here or in another process. What was read after it
    /// was asked for still holds as long as it stays.
    pub async fn change_count(&self) -> Result<i64, DbError> {
        Ok(sqlx::query_scalar("PRAGMA data_version").fetch_one(&self.watcher).await?)
    }

    /// Waits for the transactions under way and closes the file.
    pub async fn close(&self) {
        self.watcher.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A transaction. Each noun's queries hang on its accessor.
#[derive(Debug)]
pub struct Transaction(Held);

/// What the statements run on.
#[derive(Debug)]
enum Held {
    Transaction(sqlx::Transaction<'static, Engine>),
    /// Each statement by itself.
    Connection(PoolConnection<Engine>),
}

impl Deref for Held {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match self {
            Self::Transaction(transaction) => transaction,
            Self::Connection(connection) => connection,
        }
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Connection {
        match self {
            Self::Transaction(transaction) => transaction,
            Self::Connection(connection) => connection,
        }
    }
}

impl Transaction {
    /// Makes the changes durable.
    pub async fn commit(self) -> Result<(), DbError> {
        match self.0 {
            Held::Transaction(transaction) => Ok(transaction.commit().await?),
            // It has changed nothing.
            Held::Connection(_) => Ok(()),
        }
    }

    /// Runs a statement as it is.
    #[cfg(test)]
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), DbError> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::query(sql).execute(&mut *self.0).await?;
        Ok(())
    }

    /// Puts what was written past the queries into the index of lists.
    #[cfg(test)]
    pub(crate) async fn build_list_index(&mut self) -> Result<(), DbError> {
        crate::list_index::build(&mut self.0).await
    }

    /// A number that a statement gives.
    #[cfg(test)]
    pub(crate) async fn count(&mut self, sql: &str) -> Result<i64, DbError> {
        Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut *self.0).await?)
    }

    /// How SQLite would run a statement.
    #[cfg(test)]
    pub(crate) async fn plan(&mut self, sql: &str) -> Result<String, DbError> {
        use sqlx::Row as _;
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(sql).fetch_all(&mut *self.0).await?;
        let lines: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get("detail")).collect();
        Ok(lines?.join("; "))
    }

    /// Accounts, their keys and projects.
    pub fn accounts(&mut self) -> Accounts<'_> {
        Accounts(&mut self.0)
    }

    /// Users, roles and policies.
    pub fn users(&mut self) -> Users<'_> {
        Users(&mut self.0)
    }

    /// Temporary keys, networks and devices for one-time codes.
    pub fn access(&mut self) -> Access<'_> {
        Access(&mut self.0)
    }

    /// Regions and zones.
    pub fn places(&mut self) -> Places<'_> {
        Places(&mut self.0)
    }

    /// Snapshots that fixes took.
    pub fn fix_snapshots(&mut self) -> FixSnapshots<'_> {
        FixSnapshots(&mut self.0)
    }

    /// Images.
    pub fn images(&mut self) -> Images<'_> {
        Images(&mut self.0)
    }

    /// Instances.
    pub fn instances(&mut self) -> Instances<'_> {
        Instances(&mut self.0)
    }

    /// Which machines disks are in.
    pub fn attachments(&mut self) -> Attachments<'_> {
        Attachments(&mut self.0)
    }

    /// Disks.
    pub fn disks(&mut self) -> Disks<'_> {
        Disks(&mut self.0)
    }

    /// Snapshots.
    pub fn snapshots(&mut self) -> Snapshots<'_> {
        Snapshots(&mut self.0)
    }

    /// Scheduled snapshot policies.
    pub fn snapshot_policies(&mut self) -> SnapshotPolicies<'_> {
        SnapshotPolicies(&mut self.0)
    }

    /// With whom snapshots are shared.
    pub fn snapshot_shares(&mut self) -> SnapshotShares<'_> {
        SnapshotShares(&mut self.0)
    }

    /// Copies of snapshots between regions.
    pub fn snapshot_copies(&mut self) -> SnapshotCopies<'_> {
        SnapshotCopies(&mut self.0)
    }

    /// Groups of snapshots.
    pub fn snapshot_groups(&mut self) -> SnapshotGroups<'_> {
        SnapshotGroups(&mut self.0)
    }

    /// Backup points.
    pub fn disk_backups(&mut self) -> DiskBackups<'_> {
        DiskBackups(&mut self.0)
    }

    /// Tags of disks and snapshots.
    pub fn tags(&mut self) -> Tags<'_> {
        Tags(&mut self.0)
    }

    /// Client tokens of create calls.
    pub fn client_tokens(&mut self) -> ClientTokens<'_> {
        ClientTokens(&mut self.0)
    }

    /// The journal of jobs.
    pub fn jobs(&mut self) -> Jobs<'_> {
        Jobs(&mut self.0)
    }

    /// What scheduled snapshot policies have coming.
    pub fn schedules(&mut self) -> Schedules<'_> {
        Schedules(&mut self.0)
    }

    /// What is paid afterwards.
    pub fn usage(&mut self) -> Usage<'_> {
        Usage(&mut self.0)
    }

    /// What one server of several does alone.
    pub fn leases(&mut self) -> Leases<'_> {
        Leases(&mut self.0)
    }

    /// The ledger and balances.
    pub fn ledger(&mut self) -> Ledger<'_> {
        Ledger(&mut self.0)
    }

    /// Limits of single accounts.
    pub fn limit_overrides(&mut self) -> LimitOverrides<'_> {
        LimitOverrides(&mut self.0)
    }

    /// What new disks are to be mounted on.
    pub fn auto_mounts(&mut self) -> AutoMounts<'_> {
        AutoMounts(&mut self.0)
    }

    /// The log of operations.
    pub fn operations(&mut self) -> Operations<'_> {
        Operations(&mut self.0)
    }
}

/// The next number of the sequence that orders what was made in the same millisecond.
pub(crate) async fn next_sequence(connection: &mut Connection) -> Result<i64, DbError> {
    next_sequences(connection, 1).await
}

/// So many of its next numbers: the last of them.
pub(crate) async fn next_sequences(connection: &mut Connection, count: usize) -> Result<i64, DbError> {
    let sql = "UPDATE counters SET value = value + $1 WHERE name = 'sequence' RETURNING value";
    Ok(sqlx::query_scalar(sql).bind(signed(count as u64)).fetch_one(connection).await?)
}

//! What can go wrong between the rules and the database.

use std::fmt;

/// What the caller has to know. Each kind says what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DbErrorKind {
    /// A row with this key exists, or a row that is needed is missing. Draw another id, or refuse.
    Conflict,
    /// The row that was to be changed is gone.
    NotFound,
    /// Another transaction holds the database longer than the wait allows. Try again.
    Busy,
    /// The file holds what this build cannot read: damaged, or of a newer version.
    Corrupt,
    /// The operating system refused an I/O, or the medium is full.
    Io,
}

/// An error of the database.
#[derive(Debug)]
pub struct DbError {
    kind: DbErrorKind,
    context: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl DbError {
    /// An error of `kind`; `context` says what was being done.
    #[must_use]
    pub fn new(kind: DbErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    pub(crate) fn corrupt(
        context: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { kind: DbErrorKind::Corrupt, context: context.into(), source: Some(Box::new(source)) }
    }

    /// What the caller has to know.
    #[must_use]
    pub const fn kind(&self) -> DbErrorKind {
        self.kind
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl std::error::Error for DbError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// SQLite's primary result codes that have a kind of their own (sqlite.org/rescode.html).
fn kind_of_sqlite_code(code: u32) -> DbErrorKind {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const CORRUPT: u32 = 11;
    const NOT_A_DATABASE: u32 = 26;
    match code & 0xff {
        BUSY | LOCKED => DbErrorKind::Busy,
        CORRUPT | NOT_A_DATABASE => DbErrorKind::Corrupt,
        _ => DbErrorKind::Io,
    }
}

fn kind_of(error: &sqlx::Error) -> DbErrorKind {
    match error {
        sqlx::Error::Database(database)
            if database.is_unique_violation() || database.is_foreign_key_violation() =>
        {
            DbErrorKind::Conflict
        }
        sqlx::Error::Database(database) => {
            database.code().and_then(|code| code.parse().ok()).map_or(DbErrorKind::Io, kind_of_sqlite_code)
        }
        sqlx::Error::RowNotFound => DbErrorKind::NotFound,
        sqlx::Error::PoolTimedOut => DbErrorKind::Busy,
        sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::Migrate(_) => DbErrorKind::Corrupt,
        // The library's list is open: what it may add is an I/O error until it is named here.
        _ => DbErrorKind::Io,
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        Self { kind: kind_of(&error), context: "control database".to_owned(), source: Some(Box::new(error)) }
    }
}

impl From<sqlx::migrate::MigrateError> for DbError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::corrupt("the schema of the control database does not fit this build", error)
    }
}

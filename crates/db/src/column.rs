//! From columns to typed values and back. A value that does not parse is `Corrupt`: only this crate writes them.

use std::fmt::Display;
use std::str::FromStr;

use ashlar_types::UnixMillis;
use sqlx::Row as _;

use crate::DbError;
use crate::connect::Row;

/// Reads the columns of one row by name.
pub(crate) struct Columns<'r>(pub(crate) &'r Row);

impl Columns<'_> {
    pub(crate) fn text(&self, name: &str) -> Result<String, DbError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn text_if_any(&self, name: &str) -> Result<Option<String>, DbError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, DbError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64, DbError> {
        unsigned(name, self.0.try_get(name)?)
    }

    /// A number that may be negative.
    pub(crate) fn signed(&self, name: &str) -> Result<i64, DbError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn signed_if_any(&self, name: &str) -> Result<Option<i64>, DbError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, DbError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn bytes_if_any(&self, name: &str) -> Result<Option<Vec<u8>>, DbError> {
        Ok(self.0.try_get(name)?)
    }

    pub(crate) fn number_if_any(&self, name: &str) -> Result<Option<u64>, DbError> {
        self.0.try_get::<Option<i64>, _>(name)?.map(|value| unsigned(name, value)).transpose()
    }

    pub(crate) fn time(&self, name: &str) -> Result<UnixMillis, DbError> {
        Ok(UnixMillis(self.0.try_get(name)?))
    }

    pub(crate) fn time_if_any(&self, name: &str) -> Result<Option<UnixMillis>, DbError> {
        Ok(self.0.try_get::<Option<i64>, _>(name)?.map(UnixMillis))
    }

    pub(crate) fn word<T: FromStr>(&self, name: &str) -> Result<T, DbError>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let text: String = self.0.try_get(name)?;
        parsed(name, &text)
    }

    pub(crate) fn word_if_any<T: FromStr>(&self, name: &str) -> Result<Option<T>, DbError>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        self.0.try_get::<Option<String>, _>(name)?.map(|text| parsed(name, &text)).transpose()
    }
}

fn unsigned(name: &str, value: i64) -> Result<u64, DbError> {
    u64::try_from(value).map_err(|error| DbError::corrupt(format!("column {name} holds {value}"), error))
}

pub(crate) fn parsed<T: FromStr>(name: &str, text: &str) -> Result<T, DbError>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| DbError::corrupt(format!("column {name}"), error))
}

/// A number as the database keeps it. Numbers beyond 2^63 do not occur: they are ids and sizes that were
/// checked at the edge, and saturate rather than wrap.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn text_if_any<T: Display>(value: Option<&T>) -> Option<String> {
    value.map(ToString::to_string)
}

/// Declares an enumeration that only the database and the rules know, with its words in the tables.
macro_rules! stored_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// The word in the tables.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::DbError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok($name::$variant),)+
                    _ => Err($crate::DbError::new(
                        $crate::DbErrorKind::Corrupt,
                        format!("`{text}` is no {}", stringify!($name)),
                    )),
                }
            }
        }
    };
}

pub(crate) use stored_enum;

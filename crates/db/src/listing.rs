//! What all lists share: pages, directions and conditions.

use sqlx::QueryBuilder;

use crate::connect::Engine;

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many matches to leave out.
    pub offset: u64,
    /// How many to give at most.
    pub limit: u64,
}

/// The direction of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest or oldest first.
    Ascending,
    /// Largest or newest first.
    Descending,
}

impl Order {
    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Order::Ascending => " ASC",
            Order::Descending => " DESC",
        }
    }
}

/// A page of a list and the number of all matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// How many there are in all.
    pub total_count: u64,
    /// Those of the page.
    pub items: Vec<T>,
}

pub(crate) type Builder = QueryBuilder<Engine>;

/// Appends `AND <expression> IN (...)`. An empty list of values matches nothing.
pub(crate) fn push_in<T>(builder: &mut Builder, expression: &str, values: &[T], text: impl Fn(&T) -> String) {
    if values.is_empty() {
        builder.push(" AND 1 = 0");
        return;
    }
    builder.push(" AND ").push(expression).push(" IN (");
    let mut list = builder.separated(", ");
    for value in values {
        list.push_bind(text(value));
    }
    builder.push(")");
}

/// The same for values that are numbers in the database.
pub(crate) fn push_in_numbers<T>(
    builder: &mut Builder,
    expression: &str,
    values: &[T],
    number: impl Fn(&T) -> i64,
) {
    if values.is_empty() {
        builder.push(" AND 1 = 0");
        return;
    }
    builder.push(" AND ").push(expression).push(" IN (");
    let mut list = builder.separated(", ");
    for value in values {
        list.push_bind(number(value));
    }
    builder.push(")");
}

pub(crate) fn push_page(builder: &mut Builder, page: Page) {
    builder.push(" LIMIT ").push_bind(crate::column::signed(page.limit));
    builder.push(" OFFSET ").push_bind(crate::column::signed(page.offset));
}

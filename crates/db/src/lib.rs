//! All SQL: schema, migrations, queries, job journal

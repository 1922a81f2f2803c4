//! What the databases word differently, and why.
//!
//! A query is one text for both. SQLite has one writer at a time, so what it selects nobody else
//! takes; in PostgreSQL several servers take from one table: each locks what it takes, and passes
//! over what others have locked where any row will do. Such words stand in a comment of their own,
//! `/*! FOR UPDATE SKIP LOCKED */`, which PostgreSQL's driver opens and SQLite passes over.

use std::borrow::Cow;

/// Where words for PostgreSQL alone begin.
const OPEN: &str = "/*!";
/// Where they end.
const CLOSE: &str = "*/";

/// A query in PostgreSQL's words.
pub(crate) fn for_postgres(sql: &str) -> Cow<'_, str> {
    if sql.contains(OPEN) { sql.replace(OPEN, "").replace(CLOSE, "").into() } else { sql.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_postgresql_alone_are_opened_for_it() {
        let sql = "SELECT a FROM t LIMIT $1 /*! FOR UPDATE SKIP LOCKED */";
        assert_eq!(
            for_postgres(sql).trim_end(),
            "SELECT a FROM t LIMIT $1  FOR UPDATE SKIP LOCKED"
        );
        assert!(matches!(for_postgres("SELECT 1"), Cow::Borrowed("SELECT 1")));
    }
}

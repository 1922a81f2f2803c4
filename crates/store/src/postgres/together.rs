//! One statement for many rows: an `INSERT`, `UPDATE` or `DELETE` of one row, said of a list.

use tokio_postgres::types::Type;

/// What a statement of one row is, as far as many of it can be said at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Rows are added; their order is kept.
    Insert,
    /// Rows are found by the parameters from this one on (counted from 0); each may be named once.
    Keyed(usize),
    /// It can only be said of one.
    Single,
}

impl Shape {
    /// The shape of `sql`, which has `parameters` of them.
    pub(super) fn of(sql: &str, parameters: usize) -> Self {
        if parameters == 0 || sql.contains(" RETURNING ") {
            return Self::Single;
        }
        if sql.starts_with("INSERT INTO ") {
            // Of rows that meet in a conflict each must see what the one before it did.
            let plain = sql.contains(" VALUES (") && !sql.contains(" ON CONFLICT ");
            return if plain { Self::Insert } else { Self::Single };
        }
        let Some((head, _)) = sql.split_once(" WHERE ") else {
            return Self::Single;
        };
        if sql.contains("SELECT") || !(head.starts_with("UPDATE ") || head.starts_with("DELETE ")) {
            return Self::Single;
        }
        Self::Keyed(highest_parameter(head))
    }
}

/// The same statement for a list of rows, each parameter an array; `None` where there is no such.
pub(super) fn for_many(sql: &str, types: &[Type]) -> Option<String> {
    let names: Vec<&str> = types.iter().map(name).collect::<Option<_>>()?;
    let columns: Vec<String> = (1..=names.len()).map(|nth| format!("c{nth}")).collect();
    let arrays: Vec<String> =
        names.iter().zip(1..).map(|(name, nth)| format!("${nth}::{name}[]")).collect();
    let list = format!("unnest({}) AS many ({})", arrays.join(", "), columns.join(", "));
    match Shape::of(sql, types.len()) {
        Shape::Insert => {
            let (head, values) = sql.split_once(" VALUES (")?;
            let values = values.trim_end().strip_suffix(')')?;
            Some(format!("{head} SELECT {} FROM {list}", of_list(values)))
        }
        Shape::Keyed(_) => {
            let (head, keys) = sql.split_once(" WHERE ")?;
            if head.starts_with("DELETE ")
                && let ([name], Some(key)) =
                    (names.as_slice(), keys.trim_end().strip_suffix(" = $1"))
            {
                // One look at the table at most, where a join might be one for each of the list: of
                // a table that was empty when it was last looked at, PostgreSQL believes anything.
                return Some(format!("{head} WHERE {key} = ANY ($1::{name}[])"));
            }
            let from = if head.starts_with("UPDATE ") { "FROM" } else { "USING" };
            Some(format!("{} {from} {list} WHERE {}", of_list(head), of_list(keys)))
        }
        Shape::Single => None,
    }
}

/// The text with each `$n` as a column of the list.
fn of_list(text: &str) -> String {
    text.replace('$', "many.c")
}

fn highest_parameter(text: &str) -> usize {
    let numbers = text.split('$').skip(1).filter_map(|part| {
        let digits = part.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(part.len());
        part[..digits].parse().ok()
    });
    numbers.max().unwrap_or(0)
}

fn name(ty: &Type) -> Option<&'static str> {
    match *ty {
        Type::BYTEA => Some("bytea"),
        Type::INT8 => Some("int8"),
        Type::TEXT => Some("text"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_takes_its_rows_from_a_list() {
        let many =
            for_many("INSERT INTO t (a, b, c) VALUES ($1, 'x', $2)", &[Type::INT8, Type::TEXT]);
        assert_eq!(
            many.unwrap(),
            "INSERT INTO t (a, b, c) SELECT many.c1, 'x', many.c2 \
             FROM unnest($1::int8[], $2::text[]) AS many (c1, c2)"
        );
    }

    #[test]
    fn update_and_delete_find_their_rows_in_a_list() {
        let types = [Type::INT8, Type::INT8];
        let many = for_many("UPDATE t SET a = a + $1 WHERE id = $2", &types).unwrap();
        assert_eq!(
            many,
            "UPDATE t SET a = a + many.c1 FROM unnest($1::int8[], $2::int8[]) AS many (c1, c2) \
             WHERE id = many.c2"
        );
        let many = for_many("DELETE FROM t WHERE a = $1 AND b = $2", &types).unwrap();
        assert_eq!(
            many,
            "DELETE FROM t USING unnest($1::int8[], $2::int8[]) AS many (c1, c2) \
             WHERE a = many.c1 AND b = many.c2"
        );
    }

    #[test]
    fn delete_by_one_key_names_all_of_them() {
        let many = for_many("DELETE FROM t WHERE a = $1", &[Type::INT8]);
        assert_eq!(many.unwrap(), "DELETE FROM t WHERE a = ANY ($1::int8[])");
    }

    #[test]
    fn what_must_be_said_one_by_one_is_left_alone() {
        let single = [
            "BEGIN",
            "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = b + 1",
            "INSERT INTO t (a) SELECT a FROM u WHERE b = $1",
            "UPDATE t SET a = $1",
            "UPDATE t SET a = 1 WHERE id IN (SELECT id FROM u WHERE b = $1)",
            "UPDATE t SET a = $1 WHERE id = $2 RETURNING a",
            "SELECT a FROM t WHERE b = $1",
        ];
        for sql in single {
            assert_eq!(Shape::of(sql, 1), Shape::Single, "{sql}");
        }
        assert_eq!(Shape::of("UPDATE t SET a = $1, b = $1 WHERE id = $2", 2), Shape::Keyed(1));
    }
}

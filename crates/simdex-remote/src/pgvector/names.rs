//! Names of tables, of what belongs to them, and how they are quoted.

use crate::error::{Error, Fault, Result};

/// The longest name of a table, so that names made from it stay within Postgres's 63 bytes.
const LONGEST: usize = 44;

/// A table, in a schema or in the first of the search path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    schema: Option<String>,
    table: String,
}

impl Name {
    /// Reads `table` or `schema.table`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (schema, table) = match text.split_once('.') {
            Some((schema, table)) => (Some(schema.to_owned()), table.to_owned()),
            None => (None, text.to_owned()),
        };
        let sound = |name: &str| !name.is_empty() && !name.chars().any(char::is_control);
        if sound(&table) && table.len() <= LONGEST && schema.as_deref().is_none_or(sound) {
            return Ok(Self { schema, table });
        }
        Err(Error::new(Fault::Invalid, format!("{text:?} can't be the name of a table"))
            .hint(format!("use up to {LONGEST} letters, digits and underscores")))
    }

    /// The table, in SQL.
    pub(super) fn sql(&self) -> String {
        self.beside(&self.table)
    }

    /// The index of its vectors.
    pub(super) fn index(&self) -> String {
        quoted(&format!("{}_embedding", self.table))
    }

    /// One of its partitions, on the server: a foreign table. The server may be a node as well, so
    /// it can't have the name of the table on the node.
    pub(super) fn foreign(&self, number: usize) -> Self {
        Self { schema: self.schema.clone(), table: self.server(number) }
    }

    /// The table on a node with the rows of a partition.
    pub(super) fn partition(&self, number: usize) -> Self {
        Self { schema: self.schema.clone(), table: format!("{}_p{number}", self.table) }
    }

    /// The schema and the table, as they are.
    pub(super) fn parts(&self) -> (Option<&str>, &str) {
        (self.schema.as_deref(), &self.table)
    }

    /// The foreign server of a partition.
    pub(super) fn server(&self, number: usize) -> String {
        format!("{}_node{number}", self.table)
    }

    fn beside(&self, table: &str) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(table)),
            None => quoted(table),
        }
    }
}

/// A name in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in SQL, where no parameter can stand.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(Name::parse("a\"b").unwrap().sql(), "\"a\"\"b\"");
        assert_eq!(Name::parse("s.t").unwrap().sql(), "\"s\".\"t\"");
        assert_eq!(Name::parse("s.t").unwrap().partition(1).sql(), "\"s\".\"t_p1\"");
        assert_eq!(Name::parse("s.t").unwrap().index(), "\"t_embedding\"");
        assert_eq!(literal(r"it's \ it"), r"E'it\'s \\ it'");
        for bad in ["", ".t", "s.", "a\0b", &"a".repeat(45)] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
    }
}

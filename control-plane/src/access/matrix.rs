//! The table of what every role may do on every route.

use super::Role;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Text of the table.
const TABLE: &str = include_str!("matrix.txt");

/// Which grants count on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that hold in the request's project.
    Project,
    /// Those that hold in every project.
    Instance,
    /// All: the handler looks at what the request names.
    Any,
}

/// What a role may do on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// Nothing: 403.
    No,
    /// What leaves the config that edges serve as it is; anything else is 403 `needs_publisher`.
    Unserved,
    /// Everything.
    Yes,
}

/// One line: a route and its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Upper-case method.
    pub method: &'static str,
    /// Path with its parameters in braces, as in the API's description.
    pub path: &'static str,
    /// Which grants count.
    pub scope: Scope,
    /// One cell for each of [`Role::ALL`].
    pub cells: [Cell; 5],
}

impl Row {
    /// What a role may do here.
    pub fn cell(&self, role: Role) -> Cell {
        Role::ALL
            .iter()
            .zip(self.cells)
            .find(|(known, _)| **known == role)
            .map_or(Cell::No, |(_, cell)| cell)
    }
}

static ROWS: LazyLock<BTreeMap<(&'static str, &'static str), Row>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter_map(parse);
    lines.map(|row| ((row.path, row.method), row)).collect()
});

/// Every line, sorted by path and method.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.values()
}

/// The line of a route.
pub(crate) fn find(method: &str, path: &str) -> Option<&'static Row> {
    let method = if method == "HEAD" { "GET" } else { method };
    rows().find(|row| row.path == path && row.method == method)
}

/// A line of the table; `None` for a comment, an empty line, or one that is not of the form, which
/// opens nothing.
fn parse(line: &'static str) -> Option<Row> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let (method, path) = (words.next()?, words.next()?);
    let scope = match words.next()? {
        "project" => Scope::Project,
        "instance" => Scope::Instance,
        "any" => Scope::Any,
        _ => return None,
    };
    let mut cells = [Cell::No; 5];
    for cell in &mut cells {
        *cell = match words.next()? {
            "yes" => Cell::Yes,
            "unserved" => Cell::Unserved,
            "no" => Cell::No,
            _ => return None,
        };
    }
    words.next().is_none().then_some(Row { method, path, scope, cells })
}

#[cfg(test)]
mod tests {
    use super::{TABLE, rows};

    #[test]
    fn every_line_of_the_table_is_read() {
        let written =
            TABLE.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
        assert_eq!(rows().count(), written);
    }
}

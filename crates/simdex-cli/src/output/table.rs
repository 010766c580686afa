//! Tables and facts for people.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use num_format::{Locale, ToFormattedString as _};

/// How the text of a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Columns under their names, with no lines around them.
pub(crate) fn table(columns: &[(&str, Align)], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    // One line a row: cells that are cut or wrapped can't be copied.
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(name, _)| *name));
    table.add_rows(
        rows.into_iter().map(|row| row.iter().map(|cell| visible(cell)).collect::<Vec<_>>()),
    );
    for (column, (_, align)) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        column.set_cell_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
    }
    trimmed(&table)
}

/// `label: value` lines with the values in one column.
pub(crate) fn facts(facts: &[(String, String)]) -> String {
    let widest = facts.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let lines = facts.iter().map(|(label, value)| {
        format!("{:<width$}  {}", format!("{label}:"), visible(value), width = widest + 1)
    });
    lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A count with commas.
pub(crate) fn count(number: u64) -> String {
    number.to_formatted_string(&Locale::en)
}

/// `1 row`, `2 rows`.
pub(crate) fn rows(number: u64) -> String {
    format!("{} row{}", count(number), if number == 1 { "" } else { "s" })
}

/// A size in the unit that fits.
pub(crate) fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}

/// A time in the unit that fits.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.0995 => format!("{:.1} ms", s * 1e3),
        s if s < 0.9995 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.2} s"),
        s => format!("{:.1} min", s / 60.0),
    }
}

/// Cells hold the user's data, which must not steer the terminal or break the lines.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows =
            vec![vec!["posts".to_owned(), "12".to_owned()], vec!["é".to_owned(), "3".to_owned()]];
        assert_eq!(
            table(&[("name", Align::Left), ("rows", Align::Right)], rows),
            "name   rows\nposts    12\né         3"
        );
    }

    #[test]
    fn facts_share_a_column() {
        let list = [("a".to_owned(), "1".to_owned()), ("long".to_owned(), "2\u{1b}".to_owned())];
        assert_eq!(facts(&list), "a:     1\nlong:  2\u{fffd}");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            [count(0), count(999), count(1000), count(1234567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([rows(1), rows(2)], ["1 row", "2 rows"]);
        assert_eq!(
            [seconds(0.0004), seconds(0.25), seconds(2.5), seconds(600.0)],
            ["0.4 ms", "250 ms", "2.50 s", "10.0 min"]
        );
    }
}

//! Plain tables for the terminal.

/// Columns padded to their widest cell, two blanks between them, no blanks at line ends.
pub fn render(head: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, title)| width(title, column, rows))
        .collect();
    let head: Vec<String> = head.iter().map(|title| (*title).to_owned()).collect();
    std::iter::once(&head)
        .chain(rows)
        .map(|row| line(row, &widths))
        .collect::<Vec<_>>()
        .join("\n")
}

fn width(title: &str, column: usize, rows: &[Vec<String>]) -> usize {
    let cells = rows
        .iter()
        .filter_map(|row| row.get(column))
        .map(|cell| cell.chars().count());
    cells.chain([title.chars().count()]).max().unwrap_or(0)
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:<width$}"))
        .collect();
    cells.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec!["a".to_owned(), "bcd".to_owned()],
            vec!["efgh".to_owned(), "i".to_owned()],
        ];
        assert_eq!(render(&["ID", "NAME"], &rows), "ID    NAME\na     bcd\nefgh  i");
    }
}

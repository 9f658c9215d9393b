//! Draws a QR with half blocks. Two modules stand in one character cell, which is about twice as high as wide.

use fast_qr::{QRBuilder, QRCode};

/// Light modules around the code, which cameras need.
const QUIET: usize = 2;

/// Black on white whatever the colours of the terminal: most cameras refuse an inverted code.
const BLACK_ON_WHITE: &str = "\x1b[30;107m";
const RESET: &str = "\x1b[0m";

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Colours are set by escape sequences.
    Coloured,
    /// Plain characters, for files and pipes.
    Plain,
}

/// The QR of `text` as lines of half blocks; `None` when the text does not fit a QR.
pub fn draw_qr(text: &str, ink: Ink) -> Option<String> {
    let code = QRBuilder::new(text).ecl(fast_qr::ECL::L).build().ok()?;
    let span = code.size + 2 * QUIET;
    let lines = (0..span).step_by(2).map(|row| line(&code, row, span));
    Some(match ink {
        Ink::Plain => lines.map(|line| line + "\n").collect(),
        Ink::Coloured => lines.map(|line| format!("{BLACK_ON_WHITE}{line}{RESET}\n")).collect(),
    })
}

fn line(code: &QRCode, row: usize, span: usize) -> String {
    (0..span)
        .map(|column| half_block(is_dark(code, row, column), is_dark(code, row + 1, column)))
        .collect()
}

fn half_block(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

fn is_dark(code: &QRCode, row: usize, column: usize) -> bool {
    let inside = QUIET..QUIET + code.size;
    inside.contains(&row) && inside.contains(&column) && code[row - QUIET][column - QUIET].value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_square_and_has_a_quiet_zone() {
        let drawn = draw_qr("2@abc,def", Ink::Plain).unwrap();
        let lines: Vec<_> = drawn.lines().collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width));
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(lines[0].chars().all(|cell| cell == ' '));
    }

    #[test]
    fn a_text_too_long_is_not_drawn() {
        assert!(draw_qr(&"x".repeat(8000), Ink::Plain).is_none());
    }
}

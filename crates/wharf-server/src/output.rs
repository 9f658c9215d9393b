//! Owns what a command says. Promises that stdout carries only what was asked for, and everything else goes to stderr.
//! Never panics when the reader is gone: a closed pipe is the reader's right.

use std::io::{self, IsTerminal, Write};

/// Writes what was asked for.
pub fn answer(text: &str) {
    let mut out = io::stdout().lock();
    // A closed pipe (`wharf sessions | head -1`) is not a fault of ours.
    let _closed = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Tells a person something that is not the answer.
pub fn tell(text: &str) {
    let mut err = io::stderr().lock();
    let _closed = writeln!(err, "{text}");
}

/// Whether a person reads stdout.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person reads stderr.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

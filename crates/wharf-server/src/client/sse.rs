//! Reads server-sent events off an answer. Commands read what is new from the session itself, so that an event only
//! says that there is something to read.

use std::collections::VecDeque;

use anyhow::{Context, Result};
use reqwest::Response;

/// A stream that sends nothing but an endless line is cut off here.
const MAX_LINE: usize = 1 << 20;

/// Events as they come.
#[derive(Debug)]
pub struct EventStream {
    answer: Response,
    parser: Parser,
}

impl EventStream {
    pub(super) fn new(answer: Response) -> Self {
        Self {
            answer,
            parser: Parser::default(),
        }
    }

    /// The name of the next event; `None` when the server ended the stream.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn next(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(event) = self.parser.ready.pop_front() {
                return Ok(Some(event));
            }
            match self
                .answer
                .chunk()
                .await
                .context("the connection to the server broke")?
            {
                Some(chunk) => self.parser.feed(&chunk)?,
                None => return Ok(None),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    name: String,
    has_data: bool,
    ready: VecDeque<String>,
}

impl Parser {
    fn feed(&mut self, chunk: &[u8]) -> Result<()> {
        for &byte in chunk {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.take_line(String::from_utf8_lossy(&line).trim_end_matches('\r'));
            } else {
                self.line.push(byte);
            }
        }
        anyhow::ensure!(self.line.len() <= MAX_LINE, "the server sent an event without an end");
        Ok(())
    }

    fn take_line(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        match field {
            "" if line.is_empty() => self.finish(),
            "event" => value.strip_prefix(' ').unwrap_or(value).clone_into(&mut self.name),
            "data" => self.has_data = true,
            _ => {}
        }
    }

    /// An event without data is none.
    fn finish(&mut self) {
        let name = std::mem::take(&mut self.name);
        if std::mem::take(&mut self.has_data) {
            self.ready
                .push_back(if name.is_empty() { "message".to_owned() } else { name });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_events_that_arrive_in_pieces() {
        let mut parser = Parser::default();
        for piece in [
            "event: st",
            "atus\r\nda",
            "ta: a\ndata: b\n",
            ": comment\n\nid: 7\n\n",
            "data: c\n\n",
        ] {
            parser.feed(piece.as_bytes()).unwrap();
        }
        assert_eq!(parser.ready, ["status", "message"]);
    }
}

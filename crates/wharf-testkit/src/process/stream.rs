//! Server-sent events, read as they come.

use serde_json::Value;

use super::error::ProcessError;

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamEvent {
    /// Its place, where it has one.
    pub id: Option<String>,
    /// Its type; `message` where it names none.
    pub event: Option<String>,
    /// Its data as text.
    pub data: String,
}

impl StreamEvent {
    /// Its data as JSON; `null` when it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }
}

/// An open stream. Dropping it closes its connection.
#[derive(Debug)]
pub struct EventStream {
    call: String,
    answer: reqwest::Response,
    parser: Parser,
}

impl EventStream {
    pub(super) fn new(call: String, answer: reqwest::Response) -> Self {
        Self {
            call,
            answer,
            parser: Parser::default(),
        }
    }

    /// The next event that holds data; `None` when the server ended the stream.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<StreamEvent>, ProcessError> {
        loop {
            if let Some(event) = self.parser.next() {
                return Ok(Some(event));
            }
            let chunk = self.answer.chunk().await;
            let chunk = chunk.map_err(|source| ProcessError::NoAnswer {
                call: self.call.clone(),
                source,
            })?;
            match chunk {
                Some(bytes) => self.parser.feed(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// Lines into events. Bytes are kept until their line is whole: a chunk may end inside a character.
#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
    /// How much of `bytes` is read.
    read: usize,
    event: StreamEvent,
    has_data: bool,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<StreamEvent> {
        while let Some(length) = self.bytes[self.read..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.bytes[self.read..self.read + length]).into_owned();
            self.read += length + 1;
            if let Some(event) = self.line(line.trim_end_matches('\r')) {
                return Some(event);
            }
        }
        None
    }

    fn line(&mut self, line: &str) -> Option<StreamEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => self.event.event = Some(value.to_owned()),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            // Comments and fields that nobody here needs.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_however_their_bytes_arrive() {
        let text =
            ": hello\n\nid: 7\n\nid: 8\nevent: message.sent\ndata: {\"a\":\"ü\"}\n\ndata: one\ndata: two\r\n\r\n";
        for size in [1, 2, 7, 1000] {
            let mut parser = Parser::default();
            let mut seen = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                parser.feed(chunk);
                while let Some(event) = parser.next() {
                    seen.push(event);
                }
            }
            assert_eq!(seen.len(), 2, "chunks of {size}");
            assert_eq!(seen[0].id.as_deref(), Some("8"));
            assert_eq!(seen[0].event.as_deref(), Some("message.sent"));
            assert_eq!(seen[0].json()["a"], "ü");
            assert_eq!(seen[1].data, "one\ntwo");
        }
    }
}

//! One kept HTTP/1.1 connection: writes bytes as they are, reads one answer with a known length.

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const READ: usize = 8 * 1024;

/// An answer. Its body lives until the next call.
pub struct Answer<'a> {
    status: u16,
    body: &'a [u8],
}

impl Answer<'_> {
    /// An error unless it has this status.
    pub fn require(&self, status: u16) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        Err(self.unwanted())
    }

    fn unwanted(&self) -> anyhow::Error {
        let body = String::from_utf8_lossy(self.body);
        anyhow!("answered with {}: {body}", self.status)
    }

    /// The text of a field of the body, found without reading the whole as JSON.
    pub fn field(&self, name: &str) -> Result<&str> {
        field(self.body, name).with_context(|| format!("no `{name}` in {}", String::from_utf8_lossy(self.body)))
    }
}

/// The text behind `"name":"`, as long as nothing in it is escaped.
pub fn field<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(json).ok()?;
    let start = text.find(&format!("\"{name}\":\""))? + name.len() + 4;
    text[start..].split_once('"').map(|(value, _)| value)
}

pub struct Connection {
    stream: TcpStream,
    /// What was read of the answer, and what of it is in use.
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(READ),
        })
    }

    /// Sends a request and waits for its answer; anything but success is an error.
    pub async fn call(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        let answer = self.ask(request).await?;
        if !(200..300).contains(&answer.status) {
            return Err(answer.unwanted());
        }
        Ok(answer)
    }

    /// Sends a request and waits for its answer, whatever its status.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        let (status, start, end) = self.answer().await?;
        let body = &self.buffer[start..end];
        Ok(Answer { status, body })
    }

    /// Sends a request whose answer never ends, and gives the connection to whoever reads it.
    pub async fn stream(mut self, request: &[u8]) -> Result<TcpStream> {
        self.stream.write_all(request).await?;
        Ok(self.stream)
    }

    /// Status, and where the body stands in the buffer.
    async fn answer(&mut self) -> Result<(u16, usize, usize)> {
        self.buffer.clear();
        loop {
            self.read().await?;
            let Some(start) = end_of_head(&self.buffer) else {
                continue;
            };
            let (status, length) = head(&self.buffer[..start])?;
            while self.buffer.len() < start + length {
                self.read().await?;
            }
            return Ok((status, start, start + length));
        }
    }

    async fn read(&mut self) -> Result<()> {
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => bail!("the connection was closed"),
            _ => Ok(()),
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn head(bytes: &[u8]) -> Result<(u16, usize)> {
    let text = std::str::from_utf8(bytes)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse())
    });
    match (status, length) {
        (Some(status), Some(Ok(length))) => Ok((status, length)),
        _ => Err(anyhow!("an answer without status or length: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_tells_status_and_length() {
        let bytes = b"HTTP/1.1 202 Accepted\r\ncontent-type: x\r\nContent-Length: 12\r\n\r\n{\"id\":\"a\"}";
        let end = end_of_head(bytes).unwrap();
        assert_eq!(head(&bytes[..end]).unwrap(), (202, 12));
        assert_eq!(field(&bytes[end..], "id"), Some("a"));
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_field_is_not_found_inside_a_longer_name() {
        assert_eq!(field(br#"{"session_id":"s","id":"m"}"#, "id"), Some("m"));
        assert_eq!(field(br#"{"session_id":"s"}"#, "id"), None);
    }
}

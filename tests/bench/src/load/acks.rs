//! Who waits for which message, woken by the event stream: the way a client of Wharf learns that WhatsApp's server has
//! a message.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::connection::field;

/// A receipt that overtakes the acknowledgement says that the server has the message, too; there is no `message.sent` then.
pub const TYPES: &str = "message.sent,message.delivered,message.failed";

#[derive(Default)]
struct Table {
    /// What is settled, and whether it failed: the event can overtake the answer to the request.
    settled: HashMap<String, bool>,
    waiting: HashMap<String, oneshot::Sender<Result<()>>>,
    ended: bool,
}

/// Reads the stream `GET /api/events?types=…` ([`TYPES`]) in a task of its own.
#[derive(Clone)]
pub struct Acks {
    table: Rc<RefCell<Table>>,
    reader: Rc<Reader>,
}

struct Reader(AbortHandle);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Acks {
    pub fn read(stream: TcpStream) -> Self {
        let table = Rc::new(RefCell::new(Table::default()));
        let task = tokio::task::spawn_local(follow(BufReader::new(stream), Rc::clone(&table)));
        Self {
            table,
            reader: Rc::new(Reader(task.abort_handle())),
        }
    }

    /// Waits until the server has acknowledged a message; an error when it never will.
    pub async fn wait(&self, message: &str) -> Result<()> {
        let Some(acknowledged) = self.expect(message)? else {
            return Ok(());
        };
        acknowledged.await.context("the event stream ended")?
    }

    fn expect(&self, message: &str) -> Result<Option<oneshot::Receiver<Result<()>>>> {
        let mut table = self.table.borrow_mut();
        if let Some(failed) = table.settled.get(message) {
            ensure!(!failed, "{message} failed");
            return Ok(None);
        }
        if table.ended || self.reader.0.is_finished() {
            return Err(anyhow!("the event stream ended"));
        }
        let (tell, told) = oneshot::channel();
        table.waiting.insert(message.to_owned(), tell);
        Ok(Some(told))
    }
}

/// Every event is a chunk of its own, so that its lines are whole lines; lengths of chunks are lines that mean nothing.
async fn follow(mut stream: BufReader<TcpStream>, table: Rc<RefCell<Table>>) {
    let (mut line, mut failed) = (Vec::new(), false);
    while stream.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
        if let Some(kind) = line.strip_prefix(b"event:") {
            failed = kind.trim_ascii() == b"message.failed";
        } else if line.starts_with(b"data:")
            && let Some(message) = field(&line, "message_id")
        {
            settle(&mut table.borrow_mut(), message, failed);
        }
        line.clear();
    }
    let mut table = table.borrow_mut();
    table.ended = true;
    table.waiting.clear();
}

fn settle(table: &mut Table, message: &str, failed: bool) {
    let outcome = if failed {
        Err(anyhow!("{message} failed"))
    } else {
        Ok(())
    };
    if let Some(waiting) = table.waiting.remove(message) {
        // A caller that gave up waiting has nobody to tell.
        let _ = waiting.send(outcome);
    }
    table.settled.insert(message.to_owned(), failed);
}

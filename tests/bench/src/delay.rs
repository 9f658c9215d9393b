//! Distance: a TCP proxy that hands every byte on in order, a fixed time after it came, however many there are.
//! Threads and not timers of the runtime, which count whole milliseconds.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::load::spread::Spread;

const PINGS: usize = 50;

/// A listening proxy. It stays until the program ends.
pub struct Delay {
    pub address: SocketAddr,
}

impl Delay {
    /// In front of `target`, with this delay each way.
    pub fn in_front_of(target: SocketAddr, each_way: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is gone closes the client's connection, as the real one does.
                let _ = TcpStream::connect(target).and_then(|server| join(&client, &server, each_way));
            }
        });
        Ok(Self { address })
    }
}

/// Seconds that a byte takes there and back, in the median: what the delay really is on this machine.
pub fn round_trip(each_way: Duration) -> Result<f64> {
    let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let delay = Delay::in_front_of(echo.local_addr()?, each_way)?;
    let echoing = thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = echo.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte)? > 0 {
            stream.write_all(&byte)?;
        }
        Ok(())
    });
    let mut stream = TcpStream::connect(delay.address)?;
    stream.set_nodelay(true)?;
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let (started, mut byte) = (Instant::now(), [0]);
        stream.write_all(&[1])?;
        stream.read_exact(&mut byte)?;
        times.push(started.elapsed());
    }
    drop(stream);
    let echoed = echoing.join().ok().context("the echo panicked")?;
    echoed?;
    Ok(times.into_iter().collect::<Spread>().percentile(50))
}

fn join(client: &TcpStream, server: &TcpStream, each_way: Duration) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    carry(client.try_clone()?, server.try_clone()?, each_way);
    carry(server.try_clone()?, client.try_clone()?, each_way);
    Ok(())
}

/// One direction: a thread that notes when bytes came, and one that waits until each may go on.
fn carry(from: TcpStream, to: TcpStream, delay: Duration) {
    let (sender, receiver) = channel();
    thread::spawn(move || read(from, delay, &sender));
    thread::spawn(move || write(to, &receiver));
}

fn read(mut from: TcpStream, delay: Duration, sender: &Sender<(Instant, Vec<u8>)>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        let due = Instant::now() + delay;
        if count == 0 || sender.send((due, buffer[..count].to_vec())).is_err() {
            break;
        }
    }
}

fn write(mut to: TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, bytes)) = receiver.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // The end travels like everything else; a side that is closed already has no need of it.
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_takes_as_long_as_it_should() {
        let seconds = round_trip(Duration::from_millis(5)).unwrap();
        assert!(seconds >= 0.01, "{seconds}");
    }
}

//! Length-prefixed frames over a byte stream that pays no attention to WebSocket message boundaries, plus the bytes
//! a client sends before its first frame (protocol brief, section 1).

use bytes::{Buf, BytesMut};

use super::noise::INTRO;

const LENGTH_BYTES: usize = 3;
/// The protocol allows 16 MiB. Nothing the sandbox understands comes near this cap, and it bounds what one client
/// can make the server hold.
pub(crate) const MAX_FRAME: usize = 4 * 1024 * 1024;
/// Marks the optional routing data in front of the intro.
const ROUTING: [u8; 4] = [0x45, 0x44, 0, 1];
const MAX_ROUTING: usize = 4096;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FrameFault {
    #[error("the client did not introduce itself")]
    Intro,
    #[error("a frame of {0} bytes is too large")]
    TooLarge(usize),
}

/// Cuts frames out of what a client sends.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
    introduced: bool,
}

impl FrameReader {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, or `None` until more bytes arrive.
    pub(crate) fn next_frame(&mut self) -> Result<Option<BytesMut>, FrameFault> {
        if !self.introduced && !self.read_intro()? {
            return Ok(None);
        }
        let Some(length) = read_length(&self.buffer) else {
            return Ok(None);
        };
        if length > MAX_FRAME {
            return Err(FrameFault::TooLarge(length));
        }
        if self.buffer.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        Ok(Some(self.buffer.split_to(length)))
    }

    fn read_intro(&mut self) -> Result<bool, FrameFault> {
        let skip = match self.routing_length()? {
            Routing::Incomplete => return Ok(false),
            Routing::Length(length) => length,
        };
        let Some(intro) = self.buffer.get(skip..skip + INTRO.len()) else {
            return Ok(false);
        };
        if intro != INTRO {
            return Err(FrameFault::Intro);
        }
        self.buffer.advance(skip + INTRO.len());
        self.introduced = true;
        Ok(true)
    }

    fn routing_length(&self) -> Result<Routing, FrameFault> {
        let Some(start) = self.buffer.get(..ROUTING.len()) else {
            return Ok(Routing::Incomplete);
        };
        if start != ROUTING {
            return Ok(Routing::Length(0));
        }
        match self.buffer.get(ROUTING.len()..).and_then(read_length) {
            Some(length) if length > MAX_ROUTING => Err(FrameFault::TooLarge(length)),
            Some(length) => Ok(Routing::Length(ROUTING.len() + LENGTH_BYTES + length)),
            None => Ok(Routing::Incomplete),
        }
    }
}

enum Routing {
    Incomplete,
    Length(usize),
}

fn read_length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [a, b, c, ..] => Some(usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c)),
        _ => None,
    }
}

/// Appends one frame to a batch that goes out as a single WebSocket message. Frames are never split across
/// messages: whatsmeow cannot put them together again (protocol brief, section 20).
pub(crate) fn append_frame(out: &mut Vec<u8>, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> FrameReader {
        let mut reader = FrameReader::default();
        reader.feed(bytes);
        reader
    }

    #[test]
    fn a_frame_split_over_many_reads_is_put_together() {
        let mut reader = FrameReader::default();
        for byte in [&INTRO[..], &[0, 0, 2, 7, 8]].concat() {
            assert_eq!(reader.next_frame(), Ok(None));
            reader.feed(&[byte]);
        }
        assert_eq!(reader.next_frame(), Ok(Some(BytesMut::from(&[7, 8][..]))));
    }

    #[test]
    fn two_frames_in_one_read_come_out_in_order() {
        let mut reader = reader(&[&INTRO[..], &[0, 0, 1, 7, 0, 0, 1, 8]].concat());
        assert_eq!(reader.next_frame(), Ok(Some(BytesMut::from(&[7][..]))));
        assert_eq!(reader.next_frame(), Ok(Some(BytesMut::from(&[8][..]))));
    }

    #[test]
    fn routing_data_before_the_intro_is_skipped() {
        let mut reader = reader(&[&ROUTING[..], &[0, 0, 2, 1, 2], &INTRO, &[0, 0, 1, 9]].concat());
        assert_eq!(reader.next_frame(), Ok(Some(BytesMut::from(&[9][..]))));
    }

    #[test]
    fn a_stranger_is_refused() {
        assert_eq!(reader(b"GET / HTTP/1.1").next_frame(), Err(FrameFault::Intro));
    }

    #[test]
    fn an_oversized_frame_is_refused_before_its_bytes_arrive() {
        let mut reader = reader(&[&INTRO[..], &[0xff, 0xff, 0xff]].concat());
        assert_eq!(reader.next_frame(), Err(FrameFault::TooLarge(0xff_ffff)));
    }

    #[test]
    fn oversized_routing_data_is_refused() {
        let mut reader = reader(&[&ROUTING[..], &[0xff, 0, 0]].concat());
        assert_eq!(reader.next_frame(), Err(FrameFault::TooLarge(0xff_0000)));
    }
}

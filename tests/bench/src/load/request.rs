//! A POST, built once and sent many times.

/// Digits of an idempotency key; every key is as long as every other, so that it can be written over.
const DIGITS: usize = 16;

/// What stands in a body where [`Request::fill`] puts a number: as wide as every number that it puts there.
pub const NUMBER: &str = "#######";
const WIDTH: usize = NUMBER.len();

/// The bytes of a request, and where its idempotency key and the number in its body stand.
#[derive(Clone)]
pub struct Request {
    bytes: Vec<u8>,
    key: Option<usize>,
    place: Option<usize>,
}

impl Request {
    /// A POST with a JSON body; `authorization` is a whole header value.
    pub fn post(address: &str, path: &str, authorization: Option<&str>, body: &str) -> Self {
        Self::build(address, path, authorization, "", body)
    }

    /// The same with an `Idempotency-Key` that [`Self::number`] sets.
    pub fn post_once(address: &str, path: &str, authorization: Option<&str>, body: &str) -> Self {
        let header = format!("idempotency-key: {:0DIGITS$}\r\n", 0);
        let mut request = Self::build(address, path, authorization, &header, body);
        let start = position(&request.bytes, &header);
        request.key = start.map(|start| start + header.len() - 2 - DIGITS);
        request
    }

    fn build(address: &str, path: &str, authorization: Option<&str>, more: &str, body: &str) -> Self {
        let authorization = authorization.map_or(String::new(), |value| format!("authorization: {value}\r\n"));
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\n{authorization}content-type: application/json\r\n\
             {more}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let bytes = text.into_bytes();
        Self {
            place: position(&bytes, NUMBER),
            bytes,
            key: None,
        }
    }

    /// Gives the request another idempotency key.
    pub fn number(&mut self, number: u64) {
        if let Some(at) = self.key {
            let digits = format!("{number:0DIGITS$}");
            self.bytes[at..at + DIGITS].copy_from_slice(&digits.as_bytes()[..DIGITS]);
        }
    }

    /// Puts a number, of seven digits at most, where [`NUMBER`] stood in the body.
    pub fn fill(&mut self, number: u64) {
        if let Some(at) = self.place {
            let digits = format!("{number:0WIDTH$}");
            self.bytes[at..at + WIDTH].copy_from_slice(&digits.as_bytes()[..WIDTH]);
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn position(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|part| part == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_replaces_the_key_and_nothing_else() {
        let mut request = Request::post_once("h:1", "/p", Some("Bearer k"), "{}");
        let before = String::from_utf8(request.bytes().to_vec()).unwrap();
        request.number(42);
        let after = String::from_utf8(request.bytes().to_vec()).unwrap();
        assert_eq!(after, before.replace("key: 0000000000000000", "key: 0000000000000042"));
        assert!(after.ends_with("content-length: 2\r\n\r\n{}"));
    }

    #[test]
    fn a_number_fills_its_place_in_the_body_and_nothing_else() {
        let mut request = Request::post_once("h:1", "/p", None, &format!("{{\"to\":\"+1{NUMBER}\"}}"));
        let before = String::from_utf8(request.bytes().to_vec()).unwrap();
        // A second number takes the place of the first.
        for (number, digits) in [(1_234_567, "1234567"), (42, "0000042")] {
            request.fill(number);
            let after = String::from_utf8(request.bytes().to_vec()).unwrap();
            assert_eq!(after, before.replace(NUMBER, digits));
        }
    }
}

//! What the engine says when a send fails, sorted by whether trying again can help. Its texts name addresses and are
//! not passed on as they are.

use std::fmt;

use wharf_session::port::SendError;
use whatsapp_rust::{ClientError, ContactError, IqError, SendError as EngineSendError};

/// The engine's error as text, without the numbers in it.
struct EngineFault(String);

impl EngineFault {
    fn boxed(error: &dyn std::error::Error) -> SendError {
        SendError::Engine(Box::new(Self(without_numbers(&error.to_string()))))
    }
}

impl fmt::Display for EngineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EngineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EngineFault {}

/// A failed send.
pub(crate) fn send_error(error: EngineSendError) -> SendError {
    match error {
        EngineSendError::NotLoggedIn => SendError::NotConnected,
        EngineSendError::Client(error) => client_error(&error),
        EngineSendError::Iq(error) => iq_error(&error),
        EngineSendError::InvalidRequest(text) => SendError::Unsendable(without_numbers(&text)),
        error => EngineFault::boxed(&error),
    }
}

/// A failed question about a number.
pub(crate) fn contact_error(error: ContactError) -> SendError {
    match error {
        ContactError::Iq(error) => iq_error(&error),
        error => EngineFault::boxed(&error),
    }
}

fn client_error(error: &ClientError) -> SendError {
    match error {
        ClientError::NotConnected | ClientError::NotLoggedIn | ClientError::Socket(_) | ClientError::EncryptSend(_) => {
            SendError::NotConnected
        }
        ClientError::Iq(error) => iq_error(error),
        error => EngineFault::boxed(error),
    }
}

fn iq_error(error: &IqError) -> SendError {
    match error {
        IqError::NotConnected | IqError::Disconnected(_) | IqError::InternalChannelClosed => SendError::NotConnected,
        error => EngineFault::boxed(error),
    }
}

/// Runs of five digits and more are numbers of people.
fn without_numbers(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut digits = String::new();
    for character in text.chars().chain(std::iter::once('\0')) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        clean.push_str(if digits.len() < 5 { &digits } else { "***" });
        digits.clear();
        clean.push(character);
    }
    clean.pop();
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_people_do_not_pass() {
        assert_eq!(
            without_numbers("no session with 15550000001:12@lid (463)"),
            "no session with ***:12@lid (463)"
        );
        assert_eq!(without_numbers("15550000001"), "***");
    }

    #[test]
    fn a_lost_connection_is_not_a_fault_of_the_message() {
        let lost = send_error(EngineSendError::Iq(IqError::NotConnected));
        assert!(matches!(lost, SendError::NotConnected));
        let invalid = send_error(EngineSendError::InvalidRequest("15550000001 is a channel".to_owned()));
        assert!(matches!(invalid, SendError::Unsendable(text) if text == "*** is a channel"));
    }
}

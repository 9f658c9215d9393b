//! What a linked device calls itself.

use std::fmt;
use std::str::FromStr;

/// The longest name of an operating system, in characters.
pub const MAX_OS: usize = 40;

/// The browsers that a companion may present itself as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// Google Chrome.
    Chrome,
    /// Mozilla Firefox.
    Firefox,
    /// Apple Safari.
    Safari,
    /// Microsoft Edge.
    Edge,
}

impl Browser {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Chrome, Self::Firefox, Self::Safari, Self::Edge];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Firefox => "firefox",
            Self::Safari => "safari",
            Self::Edge => "edge",
        }
    }
}

impl fmt::Display for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a device cannot be presented like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No such browser.
    #[error("a browser is chrome, firefox, safari or edge")]
    Browser,
    /// Empty, longer than [`MAX_OS`], or with control characters.
    #[error("the name of an operating system has 1 to 40 characters, none of them a control character")]
    Os,
}

impl FromStr for Browser {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let found = Self::ALL.into_iter().find(|browser| browser.as_str() == text);
        found.ok_or(DeviceError::Browser)
    }
}

/// What the phone's list of linked devices shows. It is told to WhatsApp when the account is linked, and stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    os: String,
    browser: Browser,
}

impl Device {
    /// A device of this name.
    ///
    /// # Errors
    /// [`DeviceError::Os`].
    pub fn new(os: &str, browser: Browser) -> Result<Self, DeviceError> {
        let length = os.chars().count();
        if os.trim().is_empty() || length > MAX_OS || os.chars().any(char::is_control) {
            return Err(DeviceError::Os);
        }
        let os = os.to_owned();
        Ok(Self { os, browser })
    }

    /// The operating system.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The browser.
    pub const fn browser(&self) -> Browser {
        self.browser
    }
}

/// A plausible desktop browser.
impl Default for Device {
    fn default() -> Self {
        Self {
            os: "Mac OS".to_owned(),
            browser: Browser::Chrome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for browser in Browser::ALL {
            assert_eq!(browser.to_string().parse(), Ok(browser));
        }
        assert_eq!("lynx".parse::<Browser>(), Err(DeviceError::Browser));
    }

    #[test]
    fn a_name_that_a_list_cannot_show_is_refused() {
        assert_eq!(Device::new("Windows", Browser::Edge).unwrap().os(), "Windows");
        for os in ["", "  ", "a\nb", &"x".repeat(MAX_OS + 1)] {
            assert_eq!(Device::new(os, Browser::Chrome), Err(DeviceError::Os), "{os:?}");
        }
    }
}

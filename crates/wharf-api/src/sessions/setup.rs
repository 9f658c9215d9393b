//! How a session connects and what it calls itself, as requests give and answers show it.

use garde::Validate;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wharf_model::{Browser, Device, DeviceError, Proxy, ProxyError};

use crate::error::ApiError;
use crate::rules;

/// What the phone's list of linked devices shows.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Device)]
pub(crate) struct DeviceBody {
    /// The operating system.
    #[garde(custom(rules::text(1, 40)), custom(is_os))]
    #[schema(min_length = 1, max_length = 40, pattern = "^[^\\u0000]*$", example = "Mac OS")]
    os: String,
    /// The browser.
    #[garde(skip)]
    browser: BrowserText,
}

/// The browsers that a session may present itself as.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Browser)]
enum BrowserText {
    Chrome,
    Firefox,
    Safari,
    Edge,
}

impl From<BrowserText> for Browser {
    fn from(text: BrowserText) -> Self {
        match text {
            BrowserText::Chrome => Self::Chrome,
            BrowserText::Firefox => Self::Firefox,
            BrowserText::Safari => Self::Safari,
            BrowserText::Edge => Self::Edge,
        }
    }
}

impl From<Browser> for BrowserText {
    fn from(browser: Browser) -> Self {
        match browser {
            Browser::Chrome => Self::Chrome,
            Browser::Firefox => Self::Firefox,
            Browser::Safari => Self::Safari,
            Browser::Edge => Self::Edge,
        }
    }
}

impl From<Device> for DeviceBody {
    fn from(device: Device) -> Self {
        Self {
            os: device.os().to_owned(),
            browser: device.browser().into(),
        }
    }
}

fn is_os(os: &str, (): &()) -> Result<(), garde::Error> {
    let device = Device::new(os, Browser::Chrome);
    device.map(drop).map_err(|error| rules::fault("invalid_os", error))
}

/// The device that a request asks for.
pub(super) fn device(body: Option<DeviceBody>) -> Result<Option<Device>, ApiError> {
    let device = body.map(|body| Device::new(&body.os, body.browser.into()));
    let refused = |error: DeviceError| ApiError::invalid_field("/device/os", "invalid_os", error.to_string());
    device.transpose().map_err(refused)
}

/// The rule of a proxy's text.
pub(super) fn is_proxy(text: &SecretString, (): &()) -> Result<(), garde::Error> {
    let proxy = text.expose_secret().parse::<Proxy>();
    proxy.map(drop).map_err(|error| rules::fault("invalid_proxy", error))
}

/// The proxy that a request asks for.
pub(super) fn proxy(text: Option<&SecretString>) -> Result<Option<Proxy>, ApiError> {
    let proxy = text.map(|text| text.expose_secret().parse());
    let refused = |error: ProxyError| ApiError::invalid_field("/proxy", "invalid_proxy", error.to_string());
    proxy.transpose().map_err(refused)
}

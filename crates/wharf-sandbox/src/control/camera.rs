//! Reads a QR code out of a picture, for the camera of a phone on a page.

use std::io::Cursor;

use axum::Json;
use axum::body::Bytes;
use http::StatusCode;
use png::{ColorType, Decoder, Limits, Transformations};
use rqrr::PreparedImage;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;

/// Memory that decoding a picture may take.
const MAX_DECODED: usize = 128 * 1024 * 1024;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReadQr {
    qr: String,
}

/// Read a QR code out of a picture
///
/// The body is a PNG.
#[utoipa::path(post, path = "/sandbox/api/read-qr", tag = "Linking",
    request_body(content = Vec<u8>, content_type = "image/png"),
    responses((status = 200, description = "What it says", body = ReadQr)))]
pub(super) async fn read_qr(picture: Bytes) -> Result<Json<ReadQr>, Problem> {
    let read = tokio::task::spawn_blocking(move || read(&picture)).await;
    match read.ok().flatten() {
        Some(qr) => Ok(Json(ReadQr { qr })),
        None => Err(Problem {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "no_qr_found",
            detail: "there is no QR code that can be read in this picture, or it is no PNG".to_owned(),
        }),
    }
}

fn read(picture: &[u8]) -> Option<String> {
    let grey = Grey::decode(picture)?;
    let mut image = PreparedImage::prepare_from_greyscale(grey.width, grey.height, |x, y| grey.at(x, y));
    let grids = image.detect_grids();
    grids.iter().find_map(|grid| Some(grid.decode().ok()?.1))
}

/// A picture without its colours.
struct Grey {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    /// Bytes from one pixel to the next.
    step: usize,
}

impl Grey {
    fn decode(picture: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new_with_limits(Cursor::new(picture), Limits { bytes: MAX_DECODED });
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().ok()?;
        let length = reader.output_buffer_size().filter(|&length| length <= MAX_DECODED)?;
        let mut pixels = vec![0; length];
        let info = reader.next_frame(&mut pixels).ok()?;
        let step = match info.color_type {
            ColorType::Grayscale => 1,
            ColorType::GrayscaleAlpha => 2,
            ColorType::Rgb => 3,
            ColorType::Rgba => 4,
            ColorType::Indexed => return None,
        };
        Some(Self {
            width: usize::try_from(info.width).ok()?,
            height: usize::try_from(info.height).ok()?,
            pixels,
            step,
        })
    }

    /// Green says enough about how bright a pixel is. What is transparent is taken for white, as pages are.
    fn at(&self, x: usize, y: usize) -> u8 {
        let start = (y * self.width + x) * self.step;
        let Some(pixel) = self.pixels.get(start..start + self.step) else {
            return u8::MAX;
        };
        match *pixel {
            [grey] => grey,
            [_, 0] | [_, _, _, 0] => u8::MAX,
            [grey, _] => grey,
            [_, green, _] | [_, green, _, _] => green,
            _ => u8::MAX,
        }
    }
}

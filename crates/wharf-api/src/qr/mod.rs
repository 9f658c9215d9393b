//! Draws QRs: as PNG, as SVG, as text for a terminal. Promises the quiet zone that scanners need and sharp edges.
//! Pure; the text it is given contains a link's secret, and nothing here logs or keeps it.

use fast_qr::{ECL, QRBuilder, QRCode};

/// The light border that the standard asks for.
const QUIET_ZONE: usize = 4;
/// How many pixels a module is wide in the PNG.
const PIXELS: usize = 8;

/// A QR could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    /// More text than a QR holds.
    #[error("the text does not fit into a QR")]
    TooLong,
    /// The image could not be written.
    #[error("the image could not be encoded")]
    Png(#[from] png::EncodingError),
}

/// A QR as a square of dark and light modules, quiet zone included.
pub struct QrImage {
    code: Box<QRCode>,
}

impl std::fmt::Debug for QrImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QrImage(***)")
    }
}

impl QrImage {
    /// Computes the QR of a text.
    ///
    /// # Errors
    /// [`QrError::TooLong`] for more than a QR holds.
    pub fn new(text: &str) -> Result<Self, QrError> {
        // Level L: linking texts are long, and a screen is clean; fewer modules scan from further away.
        let code = QRBuilder::new(text).ecl(ECL::L).build();
        let code = Box::new(code.map_err(|_| QrError::TooLong)?);
        Ok(Self { code })
    }

    /// How many modules a side has.
    pub fn side(&self) -> usize {
        self.code.size + 2 * QUIET_ZONE
    }

    /// Whether a module is dark.
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = QUIET_ZONE..QUIET_ZONE + self.code.size;
        inside.contains(&x) && inside.contains(&y) && self.code[y - QUIET_ZONE][x - QUIET_ZONE].value()
    }

    /// As a PNG of one bit a pixel.
    ///
    /// # Errors
    /// [`QrError::Png`] when the encoder refuses.
    pub fn png(&self) -> Result<Vec<u8>, QrError> {
        let side = self.side() * PIXELS;
        let width = u32::try_from(side).map_err(|_| QrError::TooLong)?;
        let mut image = Vec::new();
        let mut encoder = png::Encoder::new(&mut image, width, width);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.bits(side))?;
        writer.finish()?;
        Ok(image)
    }

    /// Rows of pixels, eight to a byte; a set bit is light.
    fn bits(&self, side: usize) -> Vec<u8> {
        let stride = side.div_ceil(8);
        let mut bits = Vec::with_capacity(stride * side);
        for y in 0..side {
            for byte in 0..stride {
                let pixel = |bit: usize| u8::from(!self.is_dark((byte * 8 + bit) / PIXELS, y / PIXELS));
                bits.push((0..8).fold(0, |packed, bit| packed << 1 | pixel(bit)));
            }
        }
        bits
    }

    /// As an SVG that scales.
    pub fn svg(&self) -> String {
        let side = self.side();
        let mut path = String::new();
        for y in 0..side {
            for x in (0..side).filter(|x| self.is_dark(*x, y)) {
                path.push_str(&format!("M{x} {y}h1v1h-1z"));
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
             <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>\n"
        )
    }

    /// As half blocks for a terminal with light letters on a dark ground, two modules to a character.
    pub fn terminal(&self) -> String {
        let mut text = String::new();
        for y in (0..self.side()).step_by(2) {
            for x in 0..self.side() {
                text.push(match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
                    (false, false) => '█',
                    (false, true) => '▀',
                    (true, false) => '▄',
                    (true, true) => ' ',
                });
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "2@abcdefghijklmnopqrstuvwxyz,ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=,1234567890,9876543210";

    fn read(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
        let scale = 4;
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side * scale, side * scale, |x, y| {
            if is_dark(x / scale, y / scale) { 0 } else { 255 }
        });
        let grids = image.detect_grids();
        grids.first().expect("a QR is found").decode().expect("it reads").1
    }

    #[test]
    fn the_png_reads_back() {
        let png = QrImage::new(TEXT).unwrap().png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let side = info.width as usize;
        let stride = info.line_size;
        let read = read(side, |x, y| pixels[y * stride + x / 8] >> (7 - x % 8) & 1 == 0);
        assert_eq!(read, TEXT);
    }

    #[test]
    fn the_terminal_text_reads_back() {
        let text = QrImage::new(TEXT).unwrap().terminal();
        let rows: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        let read = read(rows[0].len(), |x, y| match rows.get(y / 2).map(|row| row[x]) {
            Some('▀') => y % 2 == 1,
            Some('▄') => y % 2 == 0,
            Some(' ') => true,
            _ => false,
        });
        assert_eq!(read, TEXT);
    }

    #[test]
    fn the_svg_draws_every_dark_module() {
        let image = QrImage::new(TEXT).unwrap();
        let dark = (0..image.side())
            .flat_map(|y| (0..image.side()).map(move |x| (x, y)))
            .filter(|(x, y)| image.is_dark(*x, *y))
            .count();
        assert_eq!(image.svg().matches("h1v1h-1z").count(), dark);
    }

    #[test]
    fn too_much_text_is_an_error() {
        assert!(matches!(QrImage::new(&"x".repeat(4000)), Err(QrError::TooLong)));
    }
}

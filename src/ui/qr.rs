//! A text as a QR code of block characters, for a screen with a dark background: telephones read the other kind as well.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The rows of the code, all of one width; none for a text that is too long for one.
///
/// Of capitals and digits alone it has far fewer dots.
pub fn rows(text: &str) -> Vec<String> {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::L) else { return Vec::new() };
    let drawn = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    drawn.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_rectangle_of_blocks() {
        let rows = rows("P2P1ABC");
        assert!(rows.len() >= 12);
        assert!(rows.iter().all(|row| row.chars().count() == rows[0].chars().count()));
        assert!(rows.iter().flat_map(|row| row.chars()).all(|c| matches!(c, ' ' | '█' | '▀' | '▄')));
        assert!(super::rows(&"x".repeat(10_000)).is_empty());
    }
}

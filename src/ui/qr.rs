//! A QR code of blocks, two of its rows in each line, for a camera in front of a screen of light text on dark.

use qrcode::{Color, EcLevel, QrCode};

/// Modules of quiet around the code, as its standard asks.
const QUIET: usize = 2;

/// The lines; none for more than a code can hold.
pub fn blocks(text: &str) -> Vec<String> {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::L) else { return Vec::new() };
    let (width, colors) = (code.width(), code.to_colors());
    let side = width + 2 * QUIET;
    // Light modules are drawn, since the screen is dark; what lies outside is light, too.
    let light = |x: usize, y: usize| match (x.checked_sub(QUIET), y.checked_sub(QUIET)) {
        (Some(x), Some(y)) if x < width && y < width => colors[y * width + x] == Color::Light,
        _ => y < side,
    };
    let cell = |x: usize, y: usize| match (light(x, y), light(x, y + 1)) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    };
    (0..side).step_by(2).map(|y| (0..side).map(|x| cell(x, y)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_square_of_half_blocks_with_quiet_around() {
        let lines = blocks("p2pchat join lobby --server chat.example");
        let columns: Vec<usize> = lines.iter().map(|line| line.chars().count()).collect();
        assert!(columns.iter().all(|width| *width == columns[0]) && lines.len() == columns[0].div_ceil(2));
        assert!(lines[0].chars().all(|c| c == '█'), "{}", lines[0]);
        let (last, others) = lines.split_last().unwrap();
        assert!(others.iter().all(|line| line.starts_with("██") && line.ends_with("██")));
        assert!(last.starts_with("▀▀") && last.ends_with("▀▀"), "an odd number of rows ends in the middle of a line");
        assert!(lines.iter().flat_map(|line| line.chars()).all(|c| "█▀▄ ".contains(c)));
        assert!(blocks(&"x".repeat(10_000)).is_empty());
    }
}

//! The pictures of the README, made of the real screens: `cargo run --example screens` writes them to `pictures/`.

use std::fmt::Write as _;

use p2pchat::ui::tui::scenes;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

fn main() -> std::io::Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/pictures");
    std::fs::create_dir_all(folder)?;
    let pictures =
        [("chat", scenes::evening(100, 24)), ("review", scenes::review(80, 18)), ("small", scenes::evening(40, 12))];
    for (name, mut scene) in pictures {
        let svg = anstyle_svg::Term::new().min_width_px(0).render_svg(&ansi(&scene.draw()));
        let file = format!("{folder}/{name}.svg");
        std::fs::write(&file, svg)?;
        println!("{file}");
    }
    Ok(())
}

/// The screen as a terminal is told it.
fn ansi(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut covered = 0;
        for x in 0..buffer.area.width {
            if covered > 0 {
                covered -= 1;
                continue;
            }
            let cell = &buffer[(x, y)];
            covered = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            let mut codes = vec![0];
            for (modifier, code) in [(Modifier::BOLD, 1), (Modifier::DIM, 2), (Modifier::REVERSED, 7)] {
                codes.extend(cell.modifier.contains(modifier).then_some(code));
            }
            codes.extend(colour(cell.fg));
            let codes = codes.iter().map(u8::to_string).collect::<Vec<_>>().join(";");
            let _ = write!(out, "\u{1b}[{codes}m{}", cell.symbol());
        }
        out.push_str("\u{1b}[0m\n");
    }
    out
}

fn colour(colour: Color) -> Option<u8> {
    match colour {
        Color::Red => Some(31),
        Color::Green => Some(32),
        Color::Yellow => Some(33),
        Color::Blue => Some(34),
        Color::Magenta => Some(35),
        Color::Cyan => Some(36),
        _ => None,
    }
}

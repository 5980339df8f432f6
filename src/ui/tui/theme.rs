//! How parts of the screen look. Colour only underlines what words and signs say already, so without it nothing is lost.
//! Only the sixteen colours that every terminal has, and never one for a background.

use ratatui::style::{Color, Modifier, Style};

use super::rows::Role;
use crate::peer::api::PeerId;

/// Colours that names may have: those that are readable on black and on white.
const NAMES: [Color; 6] = [Color::Cyan, Color::Green, Color::Yellow, Color::Blue, Color::Magenta, Color::Red];

/// The looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Whether there are colours.
    pub colour: bool,
}

impl Theme {
    /// The look of a part of a line.
    pub fn of(self, role: Role) -> Style {
        let style = Style::default();
        match role {
            Role::Text => style,
            Role::Mention => style.add_modifier(Modifier::BOLD),
            // By the key: who takes another's name doesn't get their colour.
            Role::Author(key) => self.colour(Self::of_key(&key)).add_modifier(Modifier::BOLD),
            Role::Dim | Role::Rule => style.add_modifier(Modifier::DIM),
            Role::Notice => self.colour(Color::Cyan),
            Role::Warning => self.colour(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    /// The bars around the messages.
    pub fn bar(self) -> Style {
        Style::default().add_modifier(Modifier::REVERSED)
    }

    /// What wants an answer.
    pub fn banner(self) -> Style {
        self.colour(Color::Yellow).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    fn colour(self, colour: Color) -> Style {
        if self.colour { Style::default().fg(colour) } else { Style::default() }
    }

    fn of_key(key: &PeerId) -> Color {
        NAMES[usize::from(key.0[0]) % NAMES.len()]
    }
}

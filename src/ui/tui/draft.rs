//! The line that is being typed, of one or more rows, and what was typed before it.
//!
//! An editor's state and nothing else: what is drawn of it is decided in the view, and nothing in here ever sends.

use std::collections::VecDeque;

use ratatui_textarea::{CursorMove, TextArea};

use crate::peer::api::limits::{DRAFT_BYTES_MAX, TYPED_LINES_REMEMBERED_MAX};

/// One room's draft.
#[derive(Debug, Default)]
pub struct Draft {
    area: TextArea<'static>,
    /// What was entered, the newest last.
    typed: VecDeque<String>,
    /// Which of them is shown, and what was being typed before.
    recalled: Option<(usize, String)>,
}

/// What a key does to a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// To the beginning of the row.
    Head,
    /// To its end.
    End,
    /// One character on.
    Forward,
    /// One character back.
    Back,
    /// One word on.
    WordForward,
    /// One word back.
    WordBack,
    /// Takes away the character before the cursor.
    DeleteBack,
    /// Takes away the character at the cursor.
    DeleteForward,
    /// Takes away the word before the cursor.
    DeleteWordBack,
    /// Takes away the word after the cursor.
    DeleteWordForward,
    /// Takes away all to the end of the row.
    KillEnd,
    /// Takes away all to the beginning of the row.
    KillHead,
    /// Puts in what was taken away last.
    Yank,
    /// Swaps the two characters around the cursor.
    Transpose,
    /// Takes back the last change.
    Undo,
    /// A new row.
    NewRow,
}

impl Draft {
    /// The rows.
    pub fn rows(&self) -> &[String] {
        self.area.lines()
    }

    /// The row and the character at which the cursor stands.
    pub fn cursor(&self) -> (usize, usize) {
        let cursor = self.area.cursor();
        (cursor.0, cursor.1)
    }

    /// The whole text.
    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    /// Whether nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// Puts a character in.
    pub fn insert(&mut self, c: char) {
        if self.text().len() + c.len_utf8() <= DRAFT_BYTES_MAX {
            self.area.insert_char(c);
        }
    }

    /// Puts a pasted text in; gives back how many rows it has. Terminals end pasted rows in their own ways; tabs stay as they
    /// are, and what acts is shown as what it is when it is drawn. `false` if it is more than a draft may hold.
    pub fn paste(&mut self, text: &str) -> bool {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        if self.text().len() + text.len() > DRAFT_BYTES_MAX {
            return false;
        }
        self.area.insert_str(text);
        true
    }

    /// Does what a key says.
    pub fn edit(&mut self, edit: Edit) {
        let area = &mut self.area;
        match edit {
            Edit::Head => area.move_cursor(CursorMove::Head),
            Edit::End => area.move_cursor(CursorMove::End),
            Edit::Forward => area.move_cursor(CursorMove::Forward),
            Edit::Back => area.move_cursor(CursorMove::Back),
            Edit::WordForward => area.move_cursor(CursorMove::WordForward),
            Edit::WordBack => area.move_cursor(CursorMove::WordBack),
            Edit::DeleteBack => drop(area.delete_char()),
            Edit::DeleteForward => drop(area.delete_next_char()),
            Edit::DeleteWordBack => drop(area.delete_word()),
            Edit::DeleteWordForward => drop(area.delete_next_word()),
            Edit::KillEnd => drop(area.delete_line_by_end()),
            Edit::KillHead => drop(area.delete_line_by_head()),
            Edit::Yank => drop(area.paste()),
            Edit::Undo => drop(area.undo()),
            Edit::NewRow => area.insert_newline(),
            Edit::Transpose => self.transpose(),
        }
    }

    fn transpose(&mut self) {
        let (row, column) = self.cursor();
        let chars: Vec<char> = self.rows().get(row).map(|row| row.chars().collect()).unwrap_or_default();
        if chars.len() < 2 || column == 0 {
            return;
        }
        let at = column.min(chars.len() - 1);
        for _ in at..column {
            self.area.move_cursor(CursorMove::Back);
        }
        self.area.delete_char();
        self.area.delete_next_char();
        self.area.insert_char(chars[at]);
        self.area.insert_char(chars[at - 1]);
    }

    /// One row up; `false` on the first.
    pub fn row_up(&mut self) -> bool {
        let up = self.cursor().0 > 0;
        self.area.move_cursor(CursorMove::Up);
        up
    }

    /// One row down; `false` on the last.
    pub fn row_down(&mut self) -> bool {
        let down = self.cursor().0 + 1 < self.rows().len();
        self.area.move_cursor(CursorMove::Down);
        down
    }

    /// What was typed before what is shown; the draft is kept.
    pub fn earlier(&mut self) {
        let at = match &self.recalled {
            Some((at, _)) => at.checked_sub(1),
            None => self.typed.len().checked_sub(1),
        };
        let Some(at) = at else { return };
        let draft = self.recalled.take().map_or_else(|| self.text(), |(_, draft)| draft);
        self.show(&self.typed[at].clone());
        self.recalled = Some((at, draft));
    }

    /// What was typed after what is shown, and at last the draft.
    pub fn later(&mut self) {
        let Some((at, draft)) = self.recalled.take() else { return };
        match self.typed.get(at + 1).cloned() {
            Some(next) => {
                self.show(&next);
                self.recalled = Some((at + 1, draft));
            }
            None => self.show(&draft),
        }
    }

    /// The text, which is entered now and remembered.
    pub fn enter(&mut self) -> String {
        let text = self.text();
        if !text.trim().is_empty() && self.typed.back() != Some(&text) {
            if self.typed.len() == TYPED_LINES_REMEMBERED_MAX {
                self.typed.pop_front();
            }
            self.typed.push_back(text.clone());
        }
        self.clear();
        text
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.show("");
        self.recalled = None;
    }

    /// Replaces it, with the cursor at the end.
    pub fn show(&mut self, text: &str) {
        let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        area.set_yank_text(self.area.yank_text());
        area.move_cursor(CursorMove::Bottom);
        area.move_cursor(CursorMove::End);
        self.area = area;
    }

    /// What stands in the cursor's row before the cursor.
    pub fn before_cursor(&self) -> String {
        let (row, column) = self.cursor();
        self.rows().get(row).map(|row| row.chars().take(column).collect()).unwrap_or_default()
    }

    /// Replaces so many characters before the cursor.
    pub fn replace_before(&mut self, chars: usize, with: &str) {
        for _ in 0..chars {
            self.area.delete_char();
        }
        self.area.insert_str(with);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Draft {
        let mut draft = Draft::default();
        text.chars().for_each(|c| draft.insert(c));
        draft
    }

    #[test]
    fn a_paste_keeps_its_rows_whatever_ends_them() {
        for text in ["a\rb\rc", "a\r\nb\r\nc", "a\nb\nc"] {
            let mut draft = Draft::default();
            assert!(draft.paste(text));
            assert_eq!(draft.rows(), ["a", "b", "c"], "{text:?}");
        }
        assert!(!Draft::default().paste(&"x".repeat(DRAFT_BYTES_MAX + 1)));
    }

    #[test]
    fn keys_edit_as_readline_does() {
        let mut draft = typed("one two three");
        draft.edit(Edit::DeleteWordBack);
        assert_eq!(draft.text(), "one two ");
        draft.edit(Edit::Yank);
        assert_eq!(draft.text(), "one two three");
        draft.edit(Edit::Head);
        draft.edit(Edit::KillEnd);
        assert!(draft.is_empty());
        draft.edit(Edit::Undo);
        assert_eq!(draft.text(), "one two three");
        let mut draft = typed("teh");
        draft.edit(Edit::Transpose);
        assert_eq!(draft.text(), "the");
        draft.edit(Edit::Back);
        draft.edit(Edit::Transpose);
        assert_eq!(draft.text(), "teh");
    }

    #[test]
    fn looking_back_keeps_the_draft() {
        let mut draft = typed("first");
        assert_eq!(draft.enter(), "first");
        "second".chars().for_each(|c| draft.insert(c));
        draft.enter();
        "half a".chars().for_each(|c| draft.insert(c));
        draft.earlier();
        draft.earlier();
        draft.earlier();
        assert_eq!(draft.text(), "first");
        draft.later();
        assert_eq!(draft.text(), "second");
        draft.later();
        assert_eq!(draft.text(), "half a");
        draft.later();
        assert_eq!(draft.text(), "half a");
    }
}

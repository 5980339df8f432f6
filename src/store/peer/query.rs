//! What a person types to find a text, as what the index understands.
//!
//! Every word has to be there, in any order; `"two words"` stand together, and `word*` begins one. Nothing that is typed is
//! ever read as the index's own language.

use crate::core::event::BadSearch;
use crate::limits::{SEARCH_BYTES_MAX, SEARCH_WORDS_MAX};

/// The expression for the index.
///
/// # Errors
/// [`BadSearch`] says what is wrong with what was typed.
pub(super) fn expression(typed: &str) -> Result<String, BadSearch> {
    if typed.len() > SEARCH_BYTES_MAX {
        return Err(BadSearch::TooLong);
    }
    let mut terms = Vec::new();
    let mut rest = typed.trim_start_matches(is_blank);
    while !rest.is_empty() {
        let (term, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (phrase, after) = quoted.split_once('"').ok_or(BadSearch::OpenQuote)?;
                (phrase, after)
            }
            None => rest.split_at(rest.find(|c| is_blank(c) || c == '"' || c == '*').unwrap_or(rest.len())),
        };
        let begins = after.starts_with('*');
        rest = after.trim_start_matches('*').trim_start_matches(is_blank);
        let words: String = term.chars().map(|c| if is_blank(c) { ' ' } else { c }).collect();
        // The index knows letters and digits only; a term without any would be lost without a word.
        if words.chars().any(char::is_alphanumeric) {
            terms.push(format!("\"{words}\"{}", if begins { " *" } else { "" }));
        }
        if terms.len() > SEARCH_WORDS_MAX {
            return Err(BadSearch::TooLong);
        }
    }
    if terms.is_empty() { Err(BadSearch::NothingToFind) } else { Ok(terms.join(" AND ")) }
}

/// What parts words; the index's language ends at a zero byte.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_words_phrases_and_beginnings() {
        for (typed, expected) in [
            ("hello", "\"hello\""),
            ("  hello   world ", "\"hello\" AND \"world\""),
            ("\"hello world\" again", "\"hello world\" AND \"again\""),
            ("hel* wor", "\"hel\" * AND \"wor\""),
            ("\"hello wor\"*", "\"hello wor\" *"),
            ("a\"b c\"d", "\"a\" AND \"b c\" AND \"d\""),
            ("NEAR(a b) OR NOT text:x", "\"NEAR(a\" AND \"b)\" AND \"OR\" AND \"NOT\" AND \"text:x\""),
            ("don't - stop", "\"don't\" AND \"stop\""),
            ("zero\0byte", "\"zero\" AND \"byte\""),
            ("日本*", "\"日本\" *"),
        ] {
            assert_eq!(expression(typed).as_deref(), Ok(expected), "{typed:?}");
        }
    }

    #[test]
    fn what_finds_nothing_by_its_form_is_told() {
        for typed in ["", "   ", "*", "...", "\"\"", "- * -"] {
            assert_eq!(expression(typed), Err(BadSearch::NothingToFind), "{typed:?}");
        }
        assert_eq!(expression("say \"hello"), Err(BadSearch::OpenQuote));
        assert_eq!(expression(&"x".repeat(SEARCH_BYTES_MAX + 1)), Err(BadSearch::TooLong));
        assert_eq!(expression(&"x ".repeat(SEARCH_WORDS_MAX + 1)), Err(BadSearch::TooLong));
    }
}

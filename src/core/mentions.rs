//! Whether a text speaks to somebody by name.

/// Whether `name` stands in `text` as a word of its own, in upper or lower case. A genitive (`ann's`) is one; a longer name
/// that begins or ends alike (`ann-marie`, `joanna`) is none.
pub fn mentions(text: &str, name: &str) -> bool {
    // Nearly every line of a busy room says nobody's name, and none of it has to be copied to see that.
    let said = !(text.is_ascii() && name.is_ascii()) || has_without_case(text.as_bytes(), name.as_bytes());
    said && stands_apart(text, name)
}

/// Whether `name` stands anywhere in an ASCII text.
fn has_without_case(text: &[u8], name: &[u8]) -> bool {
    let [first, ..] = *name else { return false };
    // Upper and lower case of a letter differ in this bit only. Some other characters do, too, but these two are only where to look.
    let like_first = |byte: u8| (byte ^ first) & !0x20 == 0;
    let begins = |at: usize| text[at..].get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name));
    let mut from = 0;
    for part in text.chunks(32) {
        // Thirty-two at once, where the processor can.
        if part.iter().fold(false, |any, byte| any | like_first(*byte)) {
            let mut at = part.iter().enumerate().filter(|(_, byte)| like_first(**byte));
            if at.any(|(at, _)| begins(from + at)) {
                return true;
            }
        }
        from += part.len();
    }
    false
}

/// Whether it stands there as a word of its own.
fn stands_apart(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    if name.is_empty() {
        return false;
    }
    let mut from = 0;
    while let Some(at) = text[from..].find(&name).map(|at| from + at) {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        if ends_before(before) && begins_after(after) {
            return true;
        }
        from = at + name.chars().next().map_or(1, char::len_utf8);
    }
    false
}

/// Whether no word goes on to the end of what stands before.
fn ends_before(before: &str) -> bool {
    let mut backwards = before.chars().rev();
    match backwards.next() {
        None => true,
        Some(c) if joins(c) => !backwards.next().is_some_and(char::is_alphanumeric),
        Some(c) => !c.is_alphanumeric(),
    }
}

/// Whether no word goes on from the beginning of what stands behind.
fn begins_after(after: &str) -> bool {
    let mut forwards = after.chars();
    match forwards.next() {
        None => true,
        Some(c) if joins(c) => !forwards.next().is_some_and(char::is_alphanumeric),
        Some(c) => !c.is_alphanumeric(),
    }
}

/// What may stand inside of a name.
fn joins(c: char) -> bool {
    matches!(c, '-' | '.' | '_')
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_name_is_mentioned_as_a_word_of_its_own() {
        for (text, name, expected) in [
            ("ann: are you there?", "ann", true),
            ("hello ANN", "ann", true),
            ("@Ann, look", "ann", true),
            ("that is ann's", "ann", true),
            ("ask (ann).", "ann", true),
            ("so says ann.", "ann", true),
            ("joanna said so", "ann", false),
            ("anna said so", "ann", false),
            ("ann-marie said so", "ann", false),
            ("mary-ann said so", "ann", false),
            ("ann.lee said so", "ann", false),
            ("ann2 said so", "ann", false),
            ("anna and ann", "ann", true),
            ("grüße an ZOË!", "Zoë", true),
            ("", "ann", false),
            ("李雷,你好", "李雷", true),
        ] {
            assert_eq!(mentions(text, name), expected, "{text:?} of {name:?}");
        }
    }
}

//! Text of a guest on its way to people and tables.
//!
//! Must never let a control character through: terminals obey them.

/// The text on one line, without control characters, cut at `most` bytes (of UTF-8, at a character).
pub fn tidy(text: &str, most: usize) -> String {
    let mut tidied = String::with_capacity(text.len().min(most + 3));
    for c in text.trim().chars() {
        if tidied.len() + c.len_utf8() > most {
            tidied.push_str("...");
            break;
        }
        tidied.push(if c.is_control() { ' ' } else { c });
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn text_is_cut_at_a_character_and_cannot_move_the_cursor() {
        assert_eq!(tidy(" a\x1b[2Jb\nc ", 80), "a [2Jb c");
        assert_eq!(tidy("aéé", 3), "aé...");
        assert_eq!(tidy("abc", 3), "abc");
    }
}

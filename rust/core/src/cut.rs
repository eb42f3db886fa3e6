//! Texts that may be too long to be shown.

/// Cut `text` to at most `max_bytes`, between two characters. (`str::floor_char_boundary` is newer than our Rust.)
pub fn cut(text: &mut String, max_bytes: usize) {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

//! Choices by their index: what a stream, a merged answer and kept turns know of each.

/// What is known of one choice.
pub trait Indexed {
    /// Nothing yet, of the choice with this index.
    fn at(index: u64) -> Self;

    /// The choice's index.
    fn index(&self) -> u64;
}

/// The position of the choice with this index; a new one is appended. They are few, and nearly always one.
pub(crate) fn position<T: Indexed>(choices: &mut Vec<T>, index: u64) -> usize {
    choices.iter().position(|choice| choice.index() == index).unwrap_or_else(|| {
        choices.push(T::at(index));
        choices.len() - 1
    })
}

//! Choices by their index: what a stream, a merged answer and kept turns know of each.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use super::bounds::Excess;

/// What is known of one choice.
pub trait Indexed {
    /// Nothing yet, of the choice with this index.
    fn at(index: u64) -> Self;

    /// The choice's index.
    fn index(&self) -> u64;
}

/// The choices of one answer, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Choices<T> {
    items: Vec<T>,
    limit: usize,
    /// Where the choice of each index is, but for the first one: nearly always there is no other.
    places: BTreeMap<u64, usize>,
}

impl<T: Indexed> Choices<T> {
    /// None yet, and no more than `limit`.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { items: Vec::new(), limit, places: BTreeMap::new() }
    }

    /// The place of the choice with this index; a new one is appended.
    ///
    /// # Errors
    /// [`Excess::Choices`], where there is no room for a new one.
    pub(crate) fn place(&mut self, index: u64) -> Result<usize, Excess> {
        if self.items.first().is_some_and(|choice| choice.index() == index) {
            return Ok(0);
        }
        if let Some(&place) = self.places.get(&index) {
            return Ok(place);
        }
        let place = self.items.len();
        if place == self.limit {
            return Err(Excess::Choices { limit: self.limit });
        }
        self.items.push(T::at(index));
        if place > 0 {
            self.places.insert(index, place);
        }
        Ok(place)
    }

    pub(crate) fn into_vec(self) -> Vec<T> {
        self.items
    }
}

impl<T> Deref for Choices<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> DerefMut for Choices<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Indexed for u64 {
        fn at(index: u64) -> Self {
            index
        }

        fn index(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn each_index_has_one_place() {
        let mut choices = Choices::<u64>::new(3);
        for (index, place) in [(7, 0), (0, 1), (7, 0), (u64::MAX, 2), (0, 1), (u64::MAX, 2)] {
            assert_eq!(choices.place(index), Ok(place), "{index}");
        }
        assert_eq!(choices.into_vec(), [7, 0, u64::MAX]);
    }

    #[test]
    fn one_more_than_there_is_room_for() {
        let mut choices = Choices::<u64>::new(2);
        assert_eq!((choices.place(5), choices.place(6)), (Ok(0), Ok(1)));
        assert_eq!(choices.place(7), Err(Excess::Choices { limit: 2 }));
        assert_eq!(choices.place(6), Ok(1), "known ones still have their place");
    }
}

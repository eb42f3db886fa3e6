//! The directory against a map of the standard library, with workers that are killed in the middle of a change.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::gcra;
use crate::layout::MAX_ENTRIES;
use crate::mapped::Words;

const SHAPE: Shape = Shape { entries: 16, slots: 2 };
const NOW: u64 = 10 * IDLE_NS;

fn memory(shape: Shape) -> Words {
    let words = Words::of_process(shape.words()).unwrap();
    shape.write(&words);
    Header::SlotsHigh.of(&words).store(shape.slots as u64, SeqCst);
    words
}

/// Keys that begin at the same place of the index, or at a neighbour's.
fn key(number: u64) -> u64 {
    1 + number % 3 + (number << 32)
}

#[derive(Clone, Debug)]
enum Op {
    Make(u64),
    /// Make everything that nobody has touched for an hour free.
    Free,
    Touch(u64),
    /// Somebody was killed in the middle of a change: index, free list or count are as bad as can be.
    Spoil(usize, u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..24_u64).prop_map(Op::Make),
        1 => Just(Op::Free),
        3 => (0..24_u64).prop_map(Op::Touch),
        1 => (0..64_usize, 0..300_u64).prop_map(|(at, word)| Op::Spoil(at, word)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_is_a_map_of_so_many_keys(ops in prop::collection::vec(op(), 1..80)) {
        let words = memory(SHAPE);
        let mut model: HashMap<u64, usize> = HashMap::new();
        let mut now = NOW;
        for op in ops {
            let directory = Directory::new(&words, SHAPE, None);
            match op {
                Op::Make(number) => {
                    let full = model.len() == SHAPE.entries && !model.contains_key(&key(number));
                    let row = directory.find_or_make(key(number), now, false);
                    prop_assert_eq!(row.is_none(), full);
                    if let Some(row) = row {
                        let known = *model.entry(key(number)).or_insert(row);
                        prop_assert_eq!(known, row);
                        prop_assert_eq!(model.values().filter(|other| **other == row).count(), 1);
                    }
                }
                Op::Touch(number) => {
                    prop_assert_eq!(directory.find(key(number)), model.get(&key(number)).copied());
                    if let Some(row) = model.get(&key(number)) {
                        rate::owe(SHAPE.row(&words, *row), Some(key(number)), now, 1);
                    }
                }
                Op::Free => {
                    now += IDLE_NS / 2;
                    let busy = |row: &usize| {
                        let row = SHAPE.row(&words, *row);
                        rate::empty_at(row) + IDLE_NS >= now || row.keep_until().load(SeqCst) >= now
                    };
                    let before = model.len();
                    model.retain(|_, row| busy(row));
                    // It goes on where it stopped, so twice is once around.
                    let freed = directory.free_idle(now) + directory.free_idle(now);
                    prop_assert_eq!(freed, before - model.len());
                }
                Op::Spoil(at, word) => {
                    Header::Changing.of(&words).store(1, SeqCst);
                    let index = SHAPE.index(&words);
                    index[at % index.len()].store(word, SeqCst);
                    Header::FreeHead.of(&words).store(word, SeqCst);
                    Header::Used.of(&words).store(word, SeqCst);
                }
            }
            let directory = Directory::new(&words, SHAPE, None);
            prop_assert_eq!(directory.number(Header::Used), model.len());
            for (key, row) in &model {
                prop_assert_eq!(directory.find(*key), Some(*row));
            }
        }
    }
}

#[test]
fn users_leave_an_eighth_to_others() {
    let words = memory(SHAPE);
    let directory = Directory::new(&words, SHAPE, None);
    let made =
        (0..SHAPE.entries as u64).filter(|user| directory.find_or_make(key(*user), NOW, true).is_some());
    assert_eq!(made.count(), SHAPE.entries - SHAPE.entries / KEPT_FROM_USERS);
    assert_eq!(Header::Overflowed.of(&words).load(SeqCst), 2);
    assert!(directory.find_or_make(key(100), NOW, false).is_some());
}

#[test]
fn a_row_is_kept_while_anything_is_in_it() {
    for (name, spoil) in [
        ("a rate that has not drained for an hour", 0),
        ("a hold", 1),
        ("one that is about to take", 2),
        ("one that is to be kept", 3),
    ] {
        let words = memory(SHAPE);
        let directory = Directory::new(&words, SHAPE, None);
        let number = directory.find_or_make(7, 0, false).unwrap();
        let row = SHAPE.row(&words, number);
        let word = [row.charged(), row.held(1), row.pending(1), row.keep_until()][spoil];
        word.store(NOW, SeqCst);
        assert_eq!(directory.free_idle(NOW), 0, "{name}");
        assert_eq!(directory.find(7), Some(number), "{name}");
        word.store(0, SeqCst);
        assert_eq!(directory.free_idle(NOW), 1, "{name}");
        assert_eq!((directory.find(7), row.key().load(SeqCst)), (None, 0), "{name}");
        assert_eq!(directory.find_or_make(8, NOW, false), Some(number), "{name}: used again");
    }
}

#[test]
fn who_was_slow_charges_nobody_elses_row() {
    let words = memory(SHAPE);
    let directory = Directory::new(&words, SHAPE, None);
    let number = directory.find_or_make(7, 0, false).unwrap();
    let row = SHAPE.row(&words, number);
    let before = row.charged().load(SeqCst);
    assert_eq!(directory.free_idle(NOW), 1);
    // Read before it was freed, compared after.
    assert!(row.charged().compare_exchange(before, before + 5, SeqCst, SeqCst).is_err());
    assert_eq!(directory.find_or_make(8, NOW, false), Some(number));
    assert_eq!(rate::charge(row, Some(7), NOW, gcra::PERIOD_NS), rate::Charge::Moved);
    assert!(matches!(rate::charge(row, Some(8), NOW, gcra::PERIOD_NS), rate::Charge::Granted { .. }));
}

#[test]
fn a_search_for_idle_rows_looks_at_some_and_goes_on_there() {
    let entries = MAX_ROWS_PER_SWEEP + 10;
    let shape = Shape::checked(entries, 1).unwrap();
    let words = memory(shape);
    let directory = Directory::new(&words, shape, None);
    for number in 0..entries as u64 {
        directory.find_or_make(key(number), 0, false).unwrap();
    }
    let freed: Vec<usize> = (0..3).map(|_| directory.free_idle(NOW)).collect();
    assert_eq!(freed, [MAX_ROWS_PER_SWEEP, 10, 0]);
    assert!(entries < MAX_ENTRIES);
}

#[test]
fn a_disk_without_space_leaves_the_table_as_full_as_it_is() {
    let shape = Shape::checked(2 * ROWS_PER_WRITE, 2).unwrap();
    let words = memory(shape);
    let file = tempfile::tempfile().unwrap();
    // What may only be read refuses like a disk that is full.
    let path = std::env::temp_dir().join(format!("llmgw-directory-{}", std::process::id()));
    std::fs::write(&path, "").unwrap();
    let full = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let make = |file, number| Directory::new(&words, shape, Some(file)).find_or_make(key(number), NOW, false);
    let count = |file, numbers: std::ops::Range<usize>| {
        numbers.filter(|number| make(file, *number as u64).is_some()).count()
    };
    assert_eq!(count(&full, 0..10), 0);
    assert_eq!(count(&file, 0..10), 10);
    assert_eq!(file.metadata().unwrap().len(), shape.bytes_of(&(0..ROWS_PER_WRITE)).end);
    assert_eq!(count(&full, 0..ROWS_PER_WRITE + 5), ROWS_PER_WRITE);
    assert_eq!(count(&file, 0..ROWS_PER_WRITE + 5), ROWS_PER_WRITE + 5);
    assert_eq!(Header::Overflowed.of(&words).load(SeqCst), 15);
}

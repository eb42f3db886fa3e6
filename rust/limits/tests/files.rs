//! The table in files: opened twice, damaged, full, of another shape, of another boot.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use llmgw_limits::{
    Base, Decision, Estimate, Hold, HoldUnit, OpenError, Plan, Rate, RateUnit, Reservation, Table,
};
use proptest::prelude::*;
use tempfile::TempDir;

const NOW: u64 = 10_000 * 1_000_000_000;
const PLACE: &str = "concurrent:key:1";

fn open(folder: &Path) -> Result<Arc<Table>, OpenError> {
    Table::open(folder, 64, 4).map(Arc::new)
}

fn take(table: &Arc<Table>) -> Reservation {
    let hold = Hold { descriptor: PLACE.into(), unit: HoldUnit::Requests, limit: 10, keep_until_ns: None };
    let plan = Arc::new(Plan::new(Arc::clone(table), &[], &[hold]));
    match plan.reserve(NOW, &Estimate::default()) {
        Decision::Granted(reservation) => reservation,
        Decision::Refused(refusal) => panic!("{refusal:?}"),
    }
}

/// The one folder that is in it.
fn boot(folder: &Path) -> PathBuf {
    let mut folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let boot = folders.next().unwrap();
    assert!(folders.next().is_none());
    boot
}

/// Write over a word of the header.
fn overwrite(folder: &Path, word: u64, value: u64) {
    let file = OpenOptions::new().write(true).open(boot(folder).join("table")).unwrap();
    file.write_all_at(&value.to_ne_bytes(), word * 8).unwrap();
}

#[test]
fn all_who_open_a_folder_share_what_is_in_it_and_each_has_a_slot() {
    let folder = TempDir::new().unwrap();
    let tables: Vec<_> = (0..4).map(|_| open(folder.path()).unwrap()).collect();
    assert_eq!(tables.iter().map(|table| table.slot()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let kept: Vec<_> = tables.iter().map(take).collect();
    assert!(tables.iter().all(|table| table.usage(PLACE).unwrap().held == 4));
    drop(kept);
    assert_eq!(tables[0].usage(PLACE).unwrap().held, 0);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(boot(folder.path())), 0o700);
    assert_eq!(mode(boot(folder.path()).join("table")), 0o600);
}

#[test]
fn who_opens_a_new_folder_at_once_shares_it_all_the_same() {
    for _ in 0..20 {
        let folder = TempDir::new().unwrap();
        let tables: Vec<_> = thread::scope(|scope| {
            let opening: Vec<_> = (0..4).map(|_| scope.spawn(|| open(folder.path()).unwrap())).collect();
            opening.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut slots: Vec<_> = tables.iter().map(|table| table.slot()).collect();
        slots.sort_unstable();
        assert_eq!(slots, [0, 1, 2, 3]);
        let _kept: Vec<_> = tables.iter().map(take).collect();
        assert!(tables.iter().all(|table| table.usage(PLACE).unwrap().held == 4));
    }
}

#[test]
fn a_slot_is_free_again_when_its_worker_is_gone_and_not_before() {
    let folder = TempDir::new().unwrap();
    let mut tables: Vec<_> = (0..4).map(|_| open(folder.path()).unwrap()).collect();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::SlotsTaken { slots: 4 }), "{error}");
    assert_eq!(error.to_string(), "all 4 slots are taken by live workers");
    let left = take(&tables[2]);
    tables[2].abandon();
    assert_eq!(tables[0].usage(PLACE).unwrap().held, 1);
    // Claimed before anybody has swept it: cleared all the same.
    tables.push(open(folder.path()).unwrap());
    assert_eq!((tables[4].slot(), tables[0].usage(PLACE).unwrap().held), (2, 0));
    let ours = take(&tables[4]);
    drop(left);
    assert_eq!(
        tables[0].usage(PLACE).unwrap().held,
        1,
        "what the dead one had is not given back from the living one's"
    );
    drop(ours);
    assert_eq!(tables[0].sweep(None).unwrap(), 0);
}

#[test]
fn a_sweep_frees_the_slots_of_the_dead_only() {
    let folder = TempDir::new().unwrap();
    let tables: Vec<_> = (0..4).map(|_| open(folder.path()).unwrap()).collect();
    let kept: Vec<_> = tables.iter().map(take).collect();
    tables[1].abandon();
    tables[3].abandon();
    assert_eq!((tables[0].sweep(None).unwrap(), tables[0].usage(PLACE).unwrap().held), (2, 2));
    assert_eq!(tables[2].sweep(Some(NOW)).unwrap(), 0);
    drop(kept);
    assert_eq!(tables[0].usage(PLACE).unwrap().held, 0);
}

#[test]
fn rates_outlive_a_restart_and_the_shape_that_is_there_counts() {
    let folder = TempDir::new().unwrap();
    let table = open(folder.path()).unwrap();
    table.fill_rate("rpm:key:1", 7, 1_000).unwrap();
    table.raise_base("budget:1:0", 5, None).unwrap();
    drop(table);
    let again = Table::open(folder.path(), 4096, 64).unwrap();
    assert_eq!((again.entries(), again.slots()), (64, 4));
    assert_eq!(again.usage("rpm:key:1").unwrap().empty_at_ns, 1_007);
    assert_eq!(again.usage("budget:1:0").unwrap().base, 0, "the database may say less by now");
}

#[test]
fn what_is_damaged_is_made_anew_unless_somebody_uses_it() {
    for (name, word, value) in [
        ("no magic", 0, 0),
        ("another version", 1, 2),
        ("no entries", 2, 0),
        ("more entries than we would map", 2, 1 << 40),
        ("more entries than the file has", 2, 1 << 19),
        ("no slots", 3, 0),
        ("more slots than there can be", 3, 257),
    ] {
        let folder = TempDir::new().unwrap();
        let table = open(folder.path()).unwrap();
        let kept = take(&table);
        overwrite(folder.path(), word, value);
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, OpenError::Unusable { .. }), "{name}: {error}");
        drop((kept, table));
        let anew = open(folder.path()).unwrap();
        assert_eq!((anew.entries(), anew.slots(), anew.entries_used()), (64, 4, 0), "{name}");
    }
}

#[test]
fn a_file_that_was_cut_is_made_anew_beside_those_who_have_it_mapped() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()).unwrap());
    for length in [0, 1, 511, 512, 4096] {
        File::options().write(true).open(boot(folder.path()).join("table")).unwrap().set_len(length).unwrap();
        let table = open(folder.path()).unwrap();
        drop(take(&table));
        assert_eq!(table.slot(), 0);
    }
}

#[test]
fn numbers_out_of_range_in_a_damaged_file_break_nothing() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()).unwrap());
    // Slots and rows ever used, free list, a change under way, rows used, where the search goes on.
    for word in [4, 5, 6, 7, 8, 11] {
        overwrite(folder.path(), word, u64::MAX);
    }
    let table = open(folder.path()).unwrap();
    drop(take(&table));
    table.sweep(Some(NOW)).unwrap();
    assert_eq!(table.usage(PLACE).unwrap().held, 0);
}

#[test]
fn older_boots_are_removed_unless_somebody_lives_there() {
    let folder = TempDir::new().unwrap();
    for name in ["old", "alive"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        for file in ["directory.lock", "slot-0.lock", "table"] {
            File::create(folder.path().join(name).join(file)).unwrap();
        }
    }
    fs::create_dir(folder.path().join("not ours")).unwrap();
    let alive = File::open(folder.path().join("alive/slot-0.lock")).unwrap();
    alive.lock().unwrap();
    let _table = open(folder.path()).unwrap();
    let there = |name| folder.path().join(name).exists();
    assert_eq!(["old", "alive", "not ours"].map(there), [false, true, true]);
}

#[test]
fn what_cannot_be_opened_says_which_path() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    File::create(&file).unwrap();
    let error = open(&file.join("limits")).unwrap_err();
    let OpenError::Io { path, .. } = &error else { panic!("{error}") };
    assert_eq!(path, &file.join("limits"));
    assert!(error.to_string().starts_with(&*path.to_string_lossy()), "{error}");
    for (entries, slots) in [(0, 1), (1, 0), (1 << 21, 1), (1, 257)] {
        assert!(matches!(Table::open(folder.path(), entries, slots), Err(OpenError::Shape)));
    }
}

#[test]
fn a_full_table_shares_and_lets_nobody_have_more() {
    let folder = TempDir::new().unwrap();
    let table = Arc::new(Table::open(folder.path(), 8, 2).unwrap());
    let place = |name: &str| {
        let hold = Hold { descriptor: name.into(), unit: HoldUnit::Requests, limit: 1, keep_until_ns: None };
        Arc::new(Plan::new(Arc::clone(&table), &[], &[hold]))
    };
    let granted = |plan: &Arc<Plan>| match plan.reserve(NOW, &Estimate::default()) {
        Decision::Granted(reservation) => Some(reservation),
        Decision::Refused(_) => None,
    };
    let users: Vec<_> = (0..9).map(|user| place(&format!("concurrent:key:1:user:{user}"))).collect();
    let kept: Vec<_> = users.iter().map(granted).collect();
    // Seven have entries of their own, the eighth entry is kept for others, and the last two share one.
    assert_eq!(
        kept.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, true, true, true, true, true, true, true, false]
    );
    assert_eq!((table.entries_used(), table.overflowed()), (7, 2));
    assert!(granted(&place("concurrent:key:1")).is_some());
    drop(kept);
    // An hour later rows are free, and who shared gets one.
    table.sweep(Some(NOW + 3 * 3_600_000_000_000)).unwrap();
    let again: Vec<_> = users[7..].iter().map(granted).collect();
    assert_eq!(again.iter().flatten().count(), 2);
    assert_eq!(table.overflowed(), 2);
}

#[test]
fn only_rows_that_were_handed_out_take_space() {
    use std::os::unix::fs::MetadataExt;

    let folder = TempDir::new().unwrap();
    let table = Table::open(folder.path(), 65_536, 64).unwrap();
    let on_disk = || fs::metadata(boot(folder.path()).join("table")).unwrap().blocks() * 512;
    let before = on_disk();
    for number in 0..1000 {
        table.raise_base(&format!("budget:{number}:0"), 1, None).unwrap();
    }
    assert_eq!(table.overflowed(), 0);
    let (after, row_bytes) = (on_disk(), 8 * (8 + 2 * 64));
    assert!(before < 2 << 20, "{before} bytes");
    assert!((before + 1000 * row_bytes..before + 1100 * row_bytes).contains(&after), "{before} {after}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_word_of_a_damaged_file_breaks_anything(
        damage in prop::collection::vec(
            (
                // The header behind the shape; slots and index; the rows that are in use.
                prop_oneof![4..16_u64, 64..88_u64, 4184..4312_u64],
                prop_oneof![Just(0), Just(1), Just(u64::MAX), 0..300_u64, any::<u64>()],
            ),
            1..40,
        ),
    ) {
        let folder = TempDir::new().unwrap();
        let table = Arc::new(Table::open(folder.path(), 8, 2).unwrap());
        let rate = |name: &str| Rate { descriptor: name.into(), unit: RateUnit::Tokens, limit_per_minute: 100 };
        let hold = |name: &str| Hold { descriptor: name.into(), unit: HoldUnit::Nano, limit: 100, keep_until_ns: None };
        let plan = Arc::new(Plan::new(Arc::clone(&table), &[rate("a"), rate("b")], &[hold("c"), hold("d")]));
        let estimate = Estimate { input_tokens: 3, output_tokens: 0, cost_nano: 3 };
        for (word, value) in damage {
            overwrite(folder.path(), word, value);
            if let Decision::Granted(mut reservation) = plan.reserve(NOW, &estimate) {
                reservation.settle(NOW, 2, 2);
                let base = Base { descriptor: "c", spent: 2, keep_until_ns: Some(0) };
                table.store(&[base], &mut [&mut reservation]).unwrap();
            }
            table.raise_base("e", 1, Some(0)).unwrap();
            table.sweep(Some(NOW)).unwrap();
            let _ = (table.usage("c"), table.entries_used(), plan.strictest(NOW));
            drop(Table::open(folder.path(), 8, 2));
        }
    }
}

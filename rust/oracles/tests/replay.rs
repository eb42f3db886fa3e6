//! Every target on the saved corpus: what `make fuzz` has found worth keeping, and the quirks of providers' streams.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

use llmgw_oracles::{Counting, TARGETS};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus")
}

/// The files of a folder, whose names end so.
fn files(folder: &Path, suffix: &str) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { panic!("no folder {}", folder.display()) };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.to_str().unwrap().ends_with(suffix))
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn every_target_holds_on_its_saved_corpus() {
    for (name, holds) in TARGETS {
        let files = files(&corpus().join("fuzz").join(name), "");
        assert!(files.len() >= 20, "the corpus of {name} has shrunk");
        for (file, input) in files {
            eprintln!("{file}");
            holds(&input);
        }
    }
}

#[test]
fn every_target_holds_on_the_quirks() {
    for (name, input) in files(&corpus().join("quirks"), ".sse") {
        eprintln!("{name}");
        for (_, holds) in TARGETS {
            holds(&input);
        }
    }
    for (name, input) in files(&corpus().join("quirks"), ".merged.json") {
        eprintln!("{name}");
        llmgw_oracles::clean(&input);
    }
}

#[test]
fn every_oracle_is_a_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (name, _) in TARGETS {
        let target = std::fs::read_to_string(fuzz.join("targets").join(format!("{name}.rs"))).unwrap();
        assert!(target.contains(&format!("llmgw_oracles::{name}(input)")), "{name}");
        assert_eq!(fuzz.join("dictionaries").join(name).is_file(), name != "deltas", "{name}");
    }
    assert_eq!(files(&fuzz.join("targets"), ".rs").len(), TARGETS.len());
}

//! Every case in `tests/corpus/quirks` (its README says what each is): transformer and merger at every cut.
//!
//! `LLMGW_BLESS=1 cargo test -p llmgw-core --test quirks` writes what comes out into the expected files. Read the diff
//! before you commit it.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use llmgw_core::answer::context::AnswerContext;
use llmgw_core::answer::stream::StreamState;
use llmgw_core::answer::think::ReasoningTags;
use llmgw_oracles::rules::{check_rules, context, merge_for, payloads, transform_for};
use serde_json::{Value, json};

struct Case {
    name: String,
}

impl Case {
    fn file(&self, kind: &str) -> PathBuf {
        folder().join(self.name.clone() + kind)
    }

    fn input(&self) -> Vec<u8> {
        fs::read(self.file(".in.sse")).unwrap()
    }

    fn context(&self) -> AnswerContext {
        let inline = self.name.starts_with("think-");
        let reasoning_tags = if inline { ReasoningTags::Think } else { ReasoningTags::None };
        AnswerContext { reasoning_tags, ..context() }
    }

    /// What these pieces merge into: the file's kind, and its content.
    fn merged(&self, pieces: &[&[u8]]) -> (&'static str, Vec<u8>) {
        let (kind, mut content) = match merge_for(self.context(), pieces.iter().copied()) {
            Ok(completion) => (".merged.json", completion),
            Err(error) => {
                let (kind, status, message) = (error.kind.as_str(), error.status, error.message);
                let error = json!({"kind": kind, "status": status, "message": message});
                (".merged.error", error.to_string().into_bytes())
            }
        };
        content.push(b'\n');
        (kind, content)
    }

    /// Compare with the file, or write it.
    fn expect(&self, kind: &str, found: &[u8]) {
        let file = self.file(kind);
        if blessing() {
            fs::write(&file, found).unwrap();
        }
        let expected = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(String::from_utf8_lossy(found), String::from_utf8_lossy(&expected), "{}", file.display());
        assert_eq!(found, expected);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/quirks")
}

fn blessing() -> bool {
    std::env::var_os("LLMGW_BLESS").is_some()
}

fn files() -> BTreeSet<String> {
    let files = fs::read_dir(folder()).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn cases() -> Vec<Case> {
    let files = files();
    let names = files.iter().filter_map(|file| file.strip_suffix(".in.sse"));
    let cases: Vec<Case> = names.map(|name| Case { name: name.to_owned() }).collect();
    assert!(cases.len() > 100, "the corpus has shrunk");
    cases
}

#[test]
fn a_case_comes_out_as_its_files_say_however_it_is_cut() {
    for case in cases() {
        let input = case.input();
        let whole = transform_for(case.context(), [&input[..]], true);
        case.expect(".out.sse", &whole.output);
        let merged = case.merged(&[&input]);
        case.expect(merged.0, &merged.1);
        for cut in 0..=input.len() {
            let (left, right) = input.split_at(cut);
            let outcome = transform_for(case.context(), [left, right], true);
            assert_eq!(outcome, whole, "{}, cut at {cut}", case.name);
            assert_eq!(case.merged(&[left, right]), merged, "{}, merged, cut at {cut}", case.name);
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(transform_for(case.context(), bytes.iter().copied(), true), whole, "{}", case.name);
        assert_eq!(case.merged(&bytes), merged, "{}", case.name);
    }
}

#[test]
fn what_comes_out_keeps_the_rules() {
    for case in cases() {
        eprintln!("{}", case.name);
        let with = transform_for(case.context(), [&case.input()[..]], true);
        check_rules(&with, true);
        let without = transform_for(case.context(), [&case.input()[..]], false);
        check_rules(&without, false);
        let mut expected = payloads(&with.output);
        expected.retain(|payload| !is_usage_chunk(payload));
        assert_eq!(payloads(&without.output), expected, "usage changes nothing else");
        // What has once been put right stays as it is; tags in what is left are text.
        if with.state == StreamState::Done {
            let again = transform_for(context(), [&with.output[..]], true);
            assert_eq!(again.output, with.output, "{}", case.name);
        }
    }
}

fn is_usage_chunk(payload: &str) -> bool {
    serde_json::from_str(payload).is_ok_and(|chunk: Value| chunk["usage"].is_object())
}

#[test]
fn each_case_is_three_files_and_there_are_no_others() {
    if blessing() {
        return;
    }
    let mut expected = BTreeSet::new();
    for case in cases() {
        let merged = case.merged(&[&case.input()]).0;
        expected.extend([".in.sse", ".out.sse", merged].map(|kind| case.name.clone() + kind));
    }
    let found: BTreeSet<String> = files().into_iter().filter(|file| file != "README.md").collect();
    let strays: Vec<&String> = found.symmetric_difference(&expected).collect();
    assert!(strays.is_empty(), "a case has in.sse, out.sse, and merged.json or merged.error: {strays:?}");
}

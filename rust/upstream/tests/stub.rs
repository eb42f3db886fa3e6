//! The names that `_core.pyi` promises to Python's type checker are the ones that Rust has.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::BTreeSet;

use llmgw_core::answer::context::AnswerMode;
use llmgw_core::answer::think::ReasoningTags;
use llmgw_core::answer::usage::UsageSource;
use llmgw_core::api::native::Native;
use llmgw_core::dialect::Dialect;
use llmgw_core::request::UpstreamStream;
use llmgw_core::request::error::RequestErrorCode;
use llmgw_core::request::media::Modality;
use llmgw_core::request::refused::Refused;
use llmgw_upstream::{Cause, ErrorKind};

const STUB: &str = include_str!("../../../python/llmgw/_core.pyi");

/// The values of a `Literal`, by the name of its alias.
fn literal(alias: &str) -> BTreeSet<&'static str> {
    let head = format!("\n{alias}: TypeAlias = Literal[");
    let (_, rest) = STUB.split_once(&head).unwrap_or_else(|| panic!("no alias {alias}"));
    let (values, _) = rest.split_once(']').unwrap();
    values.split(',').map(|value| value.trim().trim_matches('"')).filter(|value| !value.is_empty()).collect()
}

#[test]
fn every_name_is_in_the_stub_and_no_other() {
    let modes = [AnswerMode::Stream { include_usage: false }, AnswerMode::Merged, AnswerMode::Plain];
    for mode in modes {
        // A mode more: the list above wants it too.
        match mode {
            AnswerMode::Stream { .. } | AnswerMode::Merged | AnswerMode::Plain => {}
        }
    }
    for (alias, names) in [
        ("_ErrorKind", ErrorKind::ALL.map(ErrorKind::as_str).to_vec()),
        ("_Cause", Cause::ALL.map(Cause::as_str).to_vec()),
        ("_RequestErrorCode", RequestErrorCode::ALL.map(RequestErrorCode::as_str).to_vec()),
        ("_Mode", modes.map(AnswerMode::as_str).to_vec()),
        ("_NativeApi", Native::ALL.map(Native::as_str).to_vec()),
        ("_Dialect", Dialect::ALL.map(Dialect::as_str).to_vec()),
        ("_UpstreamStream", UpstreamStream::ALL.map(UpstreamStream::as_str).to_vec()),
        ("_Modality", Modality::ALL.map(Modality::as_str).to_vec()),
        ("_Refused", Refused::ALL.map(Refused::as_str).to_vec()),
        ("_UsageSource", UsageSource::ALL.map(UsageSource::as_str).to_vec()),
        // Python's None is Rust's.
        (
            "_ReasoningTags",
            ReasoningTags::ALL
                .into_iter()
                .filter(|tags| *tags != ReasoningTags::None)
                .map(ReasoningTags::as_str)
                .collect(),
        ),
    ] {
        assert_eq!(literal(alias), names.into_iter().collect(), "{alias}");
    }
}

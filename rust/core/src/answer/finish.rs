//! Finish reasons: how upstreams spell them, and what a client gets ("Finish reasons" in the contract).
//!
//! Every API has its own words, and servers write the same word in several ways: `MAX_TOKENS`, `max_tokens`,
//! `maxTokens`, `FINISH_REASON_MAX_TOKENS`, `max-tokens`. So a reason is looked up by its letters alone, without
//! what follows a colon (Gemini's `content_filter: RECITATION`).

/// No known reason has more letters than this, so a longer one is not looked up.
const MAX_KNOWN_LETTERS: usize = 64;

/// How an upstream's finish reason comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Unchanged: OpenAI's own spelling, or one that is unknown.
    AsIs,
    /// In OpenAI's spelling.
    Translated(&'static str),
    /// It says that there is none yet.
    NotYet,
    /// Not at all: the generation broke off.
    Error,
}

use super::completion::Called;

use Reason::{Error, NotYet, Translated};

/// OpenAI's reason of an answer that calls tools.
pub(crate) const CALLS: &str = "tool_calls";
/// OpenAI's reason of an answer that came to its end by itself.
pub(crate) const STOP: &str = "stop";

/// The reason of a choice that holds what it holds, where the upstream's does not fit: clients differ in whether they go by
/// the reason or by the calls, and where the two disagree, some stop with a call that nobody has run, others ask again
/// for ever. Only `stop` gives way to calls: arguments that were cut off by a limit or a filter are not to be run.
pub(crate) fn fitting(reason: &str, called: Called) -> Option<&'static str> {
    match (reason, called) {
        (STOP, Called::Something) => Some(CALLS),
        (CALLS, Called::Nothing) => Some(STOP),
        _ => None,
    }
}

const LENGTH: Reason = Translated("length");
const CONTENT_FILTER: Reason = Translated("content_filter");

/// Every known reason, by its letters.
#[rustfmt::skip]
const KNOWN: &[(Reason, &[&str])] = &[
    (Translated(STOP), &[
        "stop",
        // Anthropic, Bedrock; `pauseturn` asks to be continued, which nobody can do through this API.
        "endturn", "stopsequence", "pauseturn",
        // text-generation-inference, Together; Cohere; AI21 and Titan; llama.cpp's own API; SGLang; ERNIE; Responses.
        "eos", "eostoken", "complete", "finish", "finished", "endoftext", "word", "matchedstop", "normal", "completed",
        // Ollama, where a request only loaded or unloaded the model.
        "load", "unload",
    ]),
    (LENGTH, &[
        "length",
        // Anthropic, Gemini; Responses; Mistral; GLM, Anthropic; MiniMax; llama.cpp's own API; watsonx; xAI; Cohere.
        "maxtokens", "maxoutputtokens", "modellength", "modelcontextwindowexceeded", "maxoutput", "limit", "tokenlimit",
        "maxlen", "maxlength", "maxcontext", "errorlimit", "contextlength", "contextlengthexceeded", "incomplete",
        // Anthropic: the conversation was shortened.
        "compaction",
    ]),
    (Translated(CALLS), &["toolcalls", "tooluse", "toolcall"]),
    (CONTENT_FILTER, &[
        "contentfilter", "contentfiltered",
        // GLM, Hunyuan; Anthropic; Bedrock; Cohere.
        "sensitive", "refusal", "guardrailintervened", "errortoxic",
        // Gemini. Its `OTHER` comes where it withholds an answer without saying why.
        "safety", "recitation", "language", "blocklist", "prohibitedcontent", "spii", "other", "modelarmor",
        "imagesafety", "imageprohibitedcontent", "imagerecitation", "imageother", "noimage",
    ]),
    // DashScope's own API says `"null"` in a string.
    (NotYet, &["", "null", "none", "notfinished", "unspecified"]),
    (Error, &[
        // OpenRouter, vLLM, Mistral, Cohere; GLM; vLLM, SGLang; DeepSeek.
        "error", "networkerror", "abort", "aborted", "insufficientsystemresource",
        // Cohere, watsonx, TensorRT-LLM, xAI.
        "timeout", "timelimit", "usercancel", "cancelled", "canceled",
        // Gemini and Bedrock, where the model made a call that could not be read.
        "malformedfunctioncall", "malformedresponse", "unexpectedtoolcall", "toomanytoolcalls", "functioncallfilter",
        "missingthoughtsignature", "malformedtooluse", "malformedmodeloutput",
    ]),
];

/// In front of the word itself, in enumerations of some SDKs.
const PREFIXES: [&str; 2] = ["finishreason", "reason"];

/// What becomes of a reason that is not empty.
pub(crate) fn translate(reason: &str) -> Reason {
    let head = reason.split(':').next().unwrap_or_default();
    if head.len() > 2 * MAX_KNOWN_LETTERS {
        return Reason::AsIs;
    }
    let letters =
        head.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| char::from(byte.to_ascii_lowercase()));
    let letters: String = letters.take(MAX_KNOWN_LETTERS + 1).collect();
    let word = PREFIXES.iter().find_map(|prefix| letters.strip_prefix(prefix)).unwrap_or(&letters);
    // Only punctuation, or a word in another script: nothing that we know.
    if word.is_empty() && letters.is_empty() && !head.trim().is_empty() {
        return Reason::AsIs;
    }
    let known =
        KNOWN.iter().find(|(_, words)| words.contains(&word)).map_or(Reason::AsIs, |(known, _)| *known);
    match known {
        Translated(to) if to == reason => Reason::AsIs,
        known => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_family_is_known() {
        for (expected, reasons) in [
            (Reason::AsIs, &["stop", "length", "tool_calls", "content_filter", "function_call"][..]),
            (
                Translated(STOP),
                &[
                    "STOP",
                    "Stop",
                    "end_turn",
                    "endTurn",
                    "FinishReason.STOP",
                    "FINISH_REASON_STOP",
                    "stop: <|im_end|>",
                    "pause_turn",
                    "COMPLETE",
                    "eos_token",
                    "load",
                    "unload",
                    "REASON_STOP",
                ],
            ),
            (
                LENGTH,
                &[
                    "LENGTH",
                    "MAX_TOKENS",
                    "max-tokens",
                    "maxTokens",
                    "model_length",
                    "model_context_window_exceeded",
                    "length: max_tokens",
                    "max_output_tokens",
                    "ERROR_LIMIT",
                    "TOKEN_LIMIT",
                ],
            ),
            (
                Translated(CALLS),
                &["tool_use", "tool-calls", "toolUse", "TOOL_CALL", "Tool_Calls", "tool_calls: 2"],
            ),
            (
                CONTENT_FILTER,
                &[
                    "content_filter: RECITATION",
                    "content_filter:X",
                    "CONTENT_FILTER",
                    "content-filter",
                    "contentFilter",
                    "sensitive",
                    "SAFETY",
                    "PROHIBITED_CONTENT",
                    "refusal",
                    "guardrail_intervened",
                    "IMAGE_SAFETY",
                    "OTHER",
                    "SPII",
                ],
            ),
            (NotYet, &["null", "NULL", " ", "FINISH_REASON_UNSPECIFIED", "not_finished"]),
            (
                Error,
                &[
                    "error",
                    "ERROR",
                    "network_error",
                    "abort",
                    "insufficient_system_resource",
                    "function_call_filter: MALFORMED_FUNCTION_CALL",
                    "MALFORMED_FUNCTION_CALL",
                    "USER_CANCEL",
                    "error: out of memory",
                ],
            ),
            (Reason::AsIs, &["of_tomorrow", "stopped_by_a_cosmic_ray", "???", "完成", "stops"]),
        ] {
            for reason in reasons {
                assert_eq!(translate(reason), expected, "{reason}");
            }
        }
        assert_eq!(translate(&"stop".repeat(100)), Reason::AsIs, "not looked up");
    }

    #[test]
    fn no_word_is_listed_twice() {
        let mut words: Vec<_> = KNOWN.iter().flat_map(|(_, words)| *words).collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
        assert!(words.iter().all(|word| word.len() <= MAX_KNOWN_LETTERS));
    }

    #[test]
    fn a_reason_fits_what_the_choice_holds() {
        use Called::{None, Nothing, Something};
        for (reason, called, expected) in [
            ("stop", Something, Some("tool_calls")),
            ("stop", Nothing, Option::None),
            ("stop", None, Option::None),
            ("tool_calls", Something, Option::None),
            ("tool_calls", Nothing, Some("stop")),
            ("tool_calls", None, Option::None),
            ("length", Something, Option::None),
            ("content_filter", Something, Option::None),
            ("function_call", Something, Option::None),
            ("", Something, Option::None),
        ] {
            assert_eq!(fitting(reason, called), expected, "{reason} {called:?}");
        }
    }
}

//! Usage as upstreams spell it, as an account has it, and as a client sees it.

use super::*;

#[test]
fn counts_are_read_under_every_name() {
    for (name, usage, prompt, completion, reasoning, cached) in [
        (
            "OpenAI",
            r#"{"prompt_tokens":10,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":5}}"#,
            Some(10),
            Some(20),
            Some(5),
            Some(3),
        ),
        (
            "Responses",
            r#"{"input_tokens":10,"output_tokens":20,"input_tokens_details":{"cached_tokens":3},"output_tokens_details":{"reasoning_tokens":5}}"#,
            Some(10),
            Some(20),
            Some(5),
            Some(3),
        ),
        (
            "Anthropic: the cache apart",
            r#"{"input_tokens":10,"cache_read_input_tokens":3,"cache_creation_input_tokens":4,"output_tokens":20}"#,
            Some(17),
            Some(20),
            None,
            Some(3),
        ),
        (
            "Anthropic's beside OpenAI's",
            r#"{"prompt_tokens":17,"completion_tokens":20,"input_tokens":10,"cache_read_input_tokens":3}"#,
            Some(17),
            Some(20),
            None,
            Some(3),
        ),
        (
            "both sets, one of zeros",
            r#"{"prompt_tokens":10,"completion_tokens":20,"input_tokens":0,"output_tokens":0}"#,
            Some(10),
            Some(20),
            None,
            None,
        ),
        (
            "the other one of zeros",
            r#"{"prompt_tokens":0,"completion_tokens":0,"input_tokens":10,"output_tokens":20}"#,
            Some(10),
            Some(20),
            None,
            None,
        ),
        (
            "floats that are whole",
            r#"{"prompt_tokens":10.0,"completion_tokens":2e1,"completion_tokens_details":{"reasoning_tokens":5.00}}"#,
            Some(10),
            Some(20),
            Some(5),
            None,
        ),
        (
            "no counts",
            r#"{"prompt_tokens":10.5,"completion_tokens":-1,"reasoning_tokens":"5","cached_tokens":1e300}"#,
            None,
            None,
            None,
            None,
        ),
        ("an escaped name", r#"{"prompt_tokens":10}"#, Some(10), None, None, None),
    ] {
        let value = Scanner::new(usage.as_bytes()).value().unwrap();
        let expected = Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            reasoning_tokens: reasoning,
            cached_tokens: cached,
            ..Usage::default()
        };
        assert_eq!(
            Usage { cache_write_tokens: None, ..read_usage(usage.as_bytes(), value) },
            expected,
            "{name}"
        );
    }
}

/// As the account has them: prompt, completion, reasoning, cached, written to a cache.
fn parts(usage: Usage) -> [Option<u64>; 5] {
    let Usage {
        prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cache_write_tokens, ..
    } = usage.in_parts();
    [prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cache_write_tokens]
}

/// Usage that comes in these objects, one after the other.
fn merged(objects: &[&str]) -> Usage {
    let mut names = Names::default();
    for usage in objects {
        names.go_on(Names::of(usage.as_bytes(), Scanner::new(usage.as_bytes()).value().unwrap()));
    }
    names.usage()
}

#[test]
fn field_b3_caches_are_parts_of_the_prompt_whoever_counts() {
    for (name, usage, expected) in [
        (
            "Anthropic",
            r#"{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"output_tokens":20,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":0}}"#,
            [Some(17), Some(20), None, Some(3), Some(4)],
        ),
        (
            "MiniMax, in OpenAI's names",
            r#"{"total_tokens":47,"prompt_tokens":17,"completion_tokens":30,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":20}}"#,
            [Some(17), Some(30), Some(20), Some(3), None],
        ),
        (
            "MiniMax, in Anthropic's",
            r#"{"input_tokens":10,"output_tokens":30,"cache_creation_input_tokens":0,"cache_read_input_tokens":7}"#,
            [Some(17), Some(30), None, Some(7), Some(0)],
        ),
        (
            "DashScope, a cache that was asked for",
            r#"{"prompt_tokens":17,"completion_tokens":20,"total_tokens":37,"prompt_tokens_details":{"cached_tokens":3,"cache_creation_input_tokens":4,"cache_type":"ephemeral"}}"#,
            [Some(17), Some(20), None, Some(3), Some(4)],
        ),
        (
            "OpenRouter",
            r#"{"prompt_tokens":17,"completion_tokens":20,"total_tokens":37,"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":4}}"#,
            [Some(17), Some(20), None, Some(3), Some(4)],
        ),
        (
            "both names of a proxy",
            r#"{"prompt_tokens":17,"completion_tokens":20,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"prompt_tokens_details":{"cached_tokens":3,"cache_creation_input_tokens":4}}"#,
            [Some(17), Some(20), None, Some(3), Some(4)],
        ),
        (
            "more cached than there is (Mistral's blocks)",
            r#"{"prompt_tokens":10,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":5}}"#,
            [Some(10), Some(20), None, Some(10), Some(0)],
        ),
        ("only parts", r#"{"cached_tokens":3,"reasoning_tokens":4}"#, [None, None, Some(4), Some(3), None]),
    ] {
        assert_eq!(parts(merged(&[usage])), expected, "{name}");
    }
}

#[test]
fn field_b3_reasoning_is_a_part_of_the_completion_once() {
    for (name, usage, told, expected) in [
        (
            "inside, as most have it",
            r#"{"prompt_tokens":12,"completion_tokens":342,"total_tokens":354,"completion_tokens_details":{"reasoning_tokens":340}}"#,
            342,
            (342, 340),
        ),
        (
            "apart (xAI)",
            r#"{"prompt_tokens":12,"completion_tokens":2,"total_tokens":354,"completion_tokens_details":{"reasoning_tokens":340}}"#,
            2,
            (342, 340),
        ),
        (
            "apart, in the names of Responses",
            r#"{"input_tokens":12,"output_tokens":2,"total_tokens":354,"output_tokens_details":{"reasoning_tokens":340}}"#,
            2,
            (342, 340),
        ),
        (
            "a total that does not tell",
            r#"{"prompt_tokens":12,"completion_tokens":20,"total_tokens":40,"completion_tokens_details":{"reasoning_tokens":5}}"#,
            20,
            (20, 5),
        ),
        (
            "no total",
            r#"{"prompt_tokens":12,"completion_tokens":20,"completion_tokens_details":{"reasoning_tokens":5}}"#,
            20,
            (20, 5),
        ),
        (
            "none",
            r#"{"prompt_tokens":12,"completion_tokens":20,"total_tokens":32,"completion_tokens_details":{"reasoning_tokens":0}}"#,
            20,
            (20, 0),
        ),
        (
            "more than all of it (OpenRouter's own count)",
            r#"{"prompt_tokens":43,"completion_tokens":10,"total_tokens":53,"completion_tokens_details":{"reasoning_tokens":11}}"#,
            10,
            (10, 10),
        ),
    ] {
        let usage = merged(&[usage]);
        assert_eq!(usage.completion_tokens, Some(told), "{name}: what the client is shown");
        let [_, completion, reasoning, ..] = parts(usage);
        assert_eq!((completion, reasoning), (Some(expected.0), Some(expected.1)), "{name}");
    }
}

#[test]
fn usage_in_several_events_is_put_together_by_name() {
    let start = r#"{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"output_tokens":1}"#;
    for (name, objects, expected) in [
        (
            "all at the start",
            &[start, r#"{"output_tokens":20}"#][..],
            [Some(17), Some(20), None, Some(3), Some(4)],
        ),
        (
            "the same again",
            &[
                start,
                r#"{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"output_tokens":20}"#,
            ],
            [Some(17), Some(20), None, Some(3), Some(4)],
        ),
        (
            "the input again, without the caches",
            &[start, r#"{"input_tokens":10,"output_tokens":20}"#],
            [Some(17), Some(20), None, Some(3), Some(4)],
        ),
        (
            "zeros first (MiniMax)",
            &[
                r#"{"input_tokens":0,"output_tokens":0}"#,
                r#"{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":7,"output_tokens":20}"#,
            ],
            [Some(17), Some(20), None, Some(7), Some(0)],
        ),
        (
            "zeros last",
            &[start, r#"{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}"#],
            [Some(17), Some(1), None, Some(3), Some(4)],
        ),
        (
            "an estimate first",
            &[
                r#"{"input_tokens":19,"output_tokens":0}"#,
                r#"{"input_tokens":10,"cache_read_input_tokens":7,"output_tokens":20}"#,
            ],
            [Some(17), Some(20), None, Some(7), None],
        ),
        ("nothing", &["{}", "{}"], [None; 5]),
    ] {
        assert_eq!(parts(merged(objects)), expected, "{name}");
    }
}

#[test]
fn a_client_finds_openai_s_names() {
    for (usage, expected) in [
        (
            r#"{"input_tokens":1,"output_tokens":2}"#,
            Some(
                r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"input_tokens":1,"output_tokens":2}"#,
            ),
        ),
        (
            r#"{ "input_tokens":1,"output_tokens":2.0,"total_tokens":3 }"#,
            Some(
                r#"{"prompt_tokens":1,"completion_tokens":2, "input_tokens":1,"output_tokens":2.0,"total_tokens":3 }"#,
            ),
        ),
        (r#"{"prompt_tokens":1,"output_tokens":2}"#, None),
        (r#"{"input_tokens":1}"#, None),
        (r#"{"input_tokens":"1","output_tokens":2}"#, None),
    ] {
        let value = Scanner::new(usage.as_bytes()).value().unwrap();
        let found = with_openai_names(usage.as_bytes(), value).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(found.as_deref(), expected, "{usage}");
    }
}

//! Reasoning inside of content: deltas ⇒ deltas, cut at every byte.

use super::*;
use crate::answer::think::ReasoningTags;

/// Deltas ⇒ deltas, where reasoning stands inline.
fn check_inline(name: &str, input: &[&str], expected: &[&str]) {
    let frames = |deltas: &[&str], finish: &str| {
        let first = delta(r#"{"role":"assistant","content":""}"#);
        let finish = frame(&FINISH.replace("\"delta\":{}", &format!("\"delta\":{finish}")));
        let deltas: String = deltas.iter().map(|text| delta(text)).collect();
        [first, deltas, finish, DONE.to_owned()].concat()
    };
    let ([input @ .., input_finish], [expected @ .., expected_finish]) = (input, expected) else {
        panic!("{name}")
    };
    let input = frames(input, input_finish);
    let expected = frames(expected, expected_finish);
    let run = |chunks: &[&[u8]]| {
        let context = AnswerContext { reasoning_tags: ReasoningTags::Think, ..context() };
        let mut transformer = Transformer::new(context, false, SseLimits::default());
        let mut output = Vec::new();
        for chunk in chunks {
            transformer.feed(chunk, &mut output);
        }
        transformer.finish(&mut output);
        String::from_utf8(output).unwrap()
    };
    assert_eq!(run(&[input.as_bytes()]), expected, "{name}");
    for cut in 0..input.len() {
        let (left, right) = input.as_bytes().split_at(cut);
        assert_eq!(run(&[left, right]), expected, "{name}, cut at {cut}");
    }
}

#[test]
fn inline_reasoning() {
    let content = r#"{"content":"a"}"#;
    check_inline("none", &[content, "{}"], &[content, "{}"]);
    check_inline("with a sign in it", &[r#"{"content":"1 < 2"}"#, "{}"], &[r#"{"content":"1 < 2"}"#, "{}"]);
    check_inline(
        "tags of their own chunks",
        &[
            r#"{"content":"<think>"}"#,
            r#"{"content":"\u4f60"}"#,
            r#"{"content":"x\n"}"#,
            r#"{"content":"</think>"}"#,
            content,
            "{}",
        ],
        &[
            r#"{"content":""}"#,
            r#"{"reasoning_content":"\u4f60"}"#,
            r#"{"reasoning_content":"x\n"}"#,
            r#"{"content":""}"#,
            content,
            "{}",
        ],
    );
    check_inline(
        "the bytes of what is inside stay",
        &[
            r#"{"content":"<think>"}"#,
            r#"{ "content" : "x\/" , "y" : 1.0 }"#,
            r#"{ "content" : "z\/" , "y" : 1.0 }"#,
            "{}",
        ],
        &[
            r#"{"content":""}"#,
            r#"{ "reasoning_content" : "x\/" , "y" : 1.0 }"#,
            r#"{ "reasoning_content" : "z\/" , "y" : 1.0 }"#,
            "{}",
        ],
    );
    check_inline(
        "a tag cut between chunks, escaped as Go does",
        &[
            r#"{"content":"\u003cthi"}"#,
            r#"{"content":"nk\u003ehm\u003c/t"}"#,
            r#"{"content":"hink\u003ea"}"#,
            "{}",
        ],
        &[r#"{"content":""}"#, r#"{"content":"","reasoning_content":"hm"}"#, r#"{"content":"a"}"#, "{}"],
    );
    check_inline(
        "both in one chunk",
        &[r#"{"content":"<think>hm</think>a"}"#, content, "{}"],
        &[r#"{"content":"a","reasoning_content":"hm"}"#, content, "{}"],
    );
    check_inline(
        "no tag after all",
        &[r#"{"content":"a<"}"#, r#"{"content":"b"}"#, "{}"],
        &[content, r#"{"content":"<b"}"#, "{}"],
    );
    check_inline(
        "one sign behind another",
        &[r#"{"content":"<"}"#, r#"{"content":"<"}"#, r#"{"content":"a"}"#, r#"{"content":"b"}"#, "{}"],
        &[r#"{"content":""}"#, r#"{"content":"<"}"#, r#"{"content":"<a"}"#, r#"{"content":"b"}"#, "{}"],
    );
    check_inline(
        "half a tag at the finish",
        &[r#"{"content":"a<thi"}"#, "{}"],
        &[content, r#"{"content":"<thi"}"#],
    );
    check_inline("half a tag in the finish", &[r#"{"content":"a</thi"}"#], &[r#"{"content":"a</thi"}"#]);
    check_inline(
        "beside a null",
        &[
            r#"{"content":"<think>","reasoning_content":null}"#,
            r#"{"content":"x","reasoning_content":null}"#,
            "{}",
        ],
        &[r#"{"content":"","reasoning_content":null}"#, r#"{"reasoning_content":"x"}"#, "{}"],
    );
    check_inline(
        "never closed",
        &[r#"{"content":"<think>x"}"#, "{}"],
        &[r#"{"content":"","reasoning_content":"x"}"#, "{}"],
    );
    check_inline(
        "escapes stay, halves of a pair of surrogates meet",
        &[r#"{"content":"<think>\u4f60\ud83d"}"#, r#"{"content":"\ude00</think>\u00e9"}"#, "{}"],
        &[
            r#"{"content":"","reasoning_content":"\u4f60\ud83d"}"#,
            r#"{"content":"\u00e9","reasoning_content":"\ude00"}"#,
            "{}",
        ],
    );
}

#[test]
fn inline_reasoning_beside_other_kinds() {
    check_inline(
        "in a list of parts",
        &[
            r#"{"content":[{"type":"text","text":"<think>x</th"}]}"#,
            r#"{"content":[{"type":"thinking","thinking":"y"},{"type":"text","text":"ink>a"}]}"#,
            "{}",
        ],
        &[r#"{"content":"","reasoning_content":"x"}"#, r#"{"content":"a","reasoning_content":"y"}"#, "{}"],
    );
    check_inline(
        "beside reasoning under its own name",
        &[
            r#"{"content":"<th","reasoning":"x"}"#,
            r#"{"content":"ink>y</think>a","reasoning_content":"z"}"#,
            "{}",
        ],
        &[r#"{"content":"","reasoning_content":"x"}"#, r#"{"content":"a","reasoning_content":"zy"}"#, "{}"],
    );
}

#[test]
fn half_a_tag_where_the_text_ends() {
    let reasoning = r#"{"content":"","reasoning_content":"b<"}"#;
    for (name, first, last, expected, expected_behind) in [
        (
            "no delta",
            r#"{"role":"assistant","content":"a<thi"}"#,
            "null",
            r#"{"content":"<thi"}"#,
            r#"{"content":"b<"}"#,
        ),
        (
            "no delta, reasoning",
            r#"{"role":"assistant","content":"<think>a</"}"#,
            "null",
            r#"{"reasoning_content":"</"}"#,
            reasoning,
        ),
        (
            "reasoning under its own name",
            r#"{"role":"assistant","content":"<think>a</"}"#,
            r#"{"reasoning":"b"}"#,
            r#"{"reasoning_content":"b</"}"#,
            reasoning,
        ),
    ] {
        let context = AnswerContext { reasoning_tags: ReasoningTags::Think, ..context() };
        let mut transformer = Transformer::new(context, false, SseLimits::default());
        let mut output = Vec::new();
        let last = choices(&format!(r#"[{{"index":0,"delta":{last},"finish_reason":"stop"}}]"#));
        let behind = delta(r#"{"content":"b<"}"#);
        transformer.feed([delta(first), last, behind].concat().as_bytes(), &mut output);
        assert_eq!(transformer.finish(&mut output), StreamState::Done);
        let output = String::from_utf8(output).unwrap();
        let rest = output.split_once("\n\n").unwrap().1;
        let expected = [delta(expected), delta(expected_behind), frame(FINISH), DONE.to_owned()];
        assert_eq!(rest, expected.concat(), "{name}");
    }
}

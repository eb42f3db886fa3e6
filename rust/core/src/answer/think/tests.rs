//! Rows: a text ⇒ content and reasoning, in whatever pieces it comes; and the account of every byte.

use proptest::prelude::*;

use super::*;

fn in_pieces(pieces: &[&str]) -> Split {
    let (mut splitter, mut split) = (Splitter::default(), Split::default());
    for piece in pieces {
        splitter.push(piece.as_bytes(), &mut split);
    }
    splitter.finish(&mut split);
    split
}

/// Whether an escape is cut here: the inside of a JSON string never ends so.
fn cuts_an_escape(text: &str, at: usize) -> bool {
    let mut begin = 0;
    while begin < at {
        begin += character(&text.as_bytes()[begin..]).1;
    }
    begin > at
}

#[test]
fn tags_are_found_however_the_text_is_cut() {
    for (name, text, content, reasoning) in [
        ("none", "a < b", "a < b", ""),
        ("one", r"<think>\nhm\n</think>\n\na", r"\n\na", r"\nhm\n"),
        ("in the middle", "a<think>hm</think>b", "ab", "hm"),
        ("two", "<think>x</think>a<think>y</think>b", "ab", "xy"),
        ("nested", "<think>x<think>y</think>z</think>a", "a", "xyz"),
        ("never closed", "a<think>hm", "a", "hm"),
        ("never opened", "hm</think>a", "hma", ""),
        ("closed twice, opened again", "<think>x</think></think>a<think>y</think>b", "ab", "xy"),
        ("empty", "<think></think>", "", ""),
        ("no tags", "<thinking> </ think> <Think> <b>", "<thinking> </ think> <Think> <b>", ""),
        ("a tag behind a sign", "<<think>x<</think>>", "<>", "x<"),
        ("half a tag at the end", "a</thin", "a</thin", ""),
        ("half a tag inside", "<think>x</thin", "", "x</thin"),
        ("other letters", "é<think>你</think>😀", "é😀", "你"),
        ("escaped", r"\u003cthink\u003ehm\u003C\/think\u003Ea", "a", "hm"),
        ("escaped in part", r"<thi\u006Ek>hm<\/think>a", "a", "hm"),
        ("escapes stay", r"<think>\u4f60\/</think>\u00e9\u003d\\", r"\u00e9\u003d\\", r"\u4f60\/"),
        ("half a pair of surrogates", r"<think>\ud83d</think>\ude00", r"\ude00", r"\ud83d"),
        ("an escaped backslash", r"\\u003cthink>a", r"\\u003cthink>a", ""),
        ("half a tag, escaped", r"a\u003c\/thin", r"a\u003c\/thin", ""),
    ] {
        let expected = Split { content: content.into(), reasoning: reasoning.into() };
        assert_eq!(split(text.as_bytes()), expected, "{name}");
        let cuts: Vec<usize> =
            (0..=text.len()).filter(|&at| text.is_char_boundary(at) && !cuts_an_escape(text, at)).collect();
        for &first in &cuts {
            for &second in cuts.iter().filter(|&&second| second >= first) {
                let split = in_pieces(&[&text[..first], &text[first..second], &text[second..]]);
                assert_eq!(split, expected, "{name}, cut at {first} and {second}");
            }
        }
    }
}

/// Pieces out of which tags and their likes come together.
fn piece() -> impl Strategy<Value = String> {
    let parts = [
        "<think>", "</think>", "<", ">", "/", "th", "ink", "<thi", "nk>", "</", r"\u003c", r"\u003E", r"\/",
        r"\\", r"\n", r"\ud83d", "a", "你", " ",
    ];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_byte_is_accounted_for(pieces in prop::collection::vec(piece(), 0..8)) {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let text = pieces.concat();
        let split = in_pieces(&pieces);
        // The tags in the text, found in another way: all of their spellings, each put down as one sign.
        let mut marked = text.replace(r"\\", "\u{1}");
        for (from, to) in [(r"\u003c", "\u{2}"), (r"\u003E", "\u{3}"), (r"\/", "\u{4}")] {
            marked = marked.replace(from, to);
        }
        let chars: Vec<char> = marked.chars().collect();
        let plain: Vec<char> = chars
            .iter()
            .map(|&sign| match sign { '\u{2}' => '<', '\u{3}' => '>', '\u{4}' => '/', sign => sign })
            .collect();
        let (mut content, mut reasoning, mut depth, mut at) = (String::new(), String::new(), 0_usize, 0);
        while at < chars.len() {
            if plain[at..].starts_with(&['<', 't', 'h', 'i', 'n', 'k', '>']) {
                (depth, at) = (depth + 1, at + 7);
            } else if plain[at..].starts_with(&['<', '/', 't', 'h', 'i', 'n', 'k', '>']) {
                (depth, at) = (depth.saturating_sub(1), at + 8);
            } else {
                if depth > 0 { &mut reasoning } else { &mut content }.push(chars[at]);
                at += 1;
            }
        }
        let unmarked = |marked: String| {
            let signs = [("\u{1}", r"\\"), ("\u{2}", r"\u003c"), ("\u{3}", r"\u003E"), ("\u{4}", r"\/")];
            signs.iter().fold(marked, |text, (from, to)| text.replace(from, to)).into_bytes()
        };
        prop_assert_eq!(split, Split { content: unmarked(content), reasoning: unmarked(reasoning) });
    }
}

//! The log probabilities of an answer that came whole: vLLM lists the tokens of the reasoning before those of the
//! content, and a client is not shown the former.

use crate::answer::chunk::Choice;
use crate::answer::reasoning;
use crate::json::edit::Edits;
use crate::json::text::Text;
use crate::json::{JsonError, Kind, Member, Scanner, Value};

/// Collect the edits that take reasoning out. `content` is the text that the client gets, still escaped; none where the
/// answer did not reason.
///
/// Where its tokens can't be told from those of the reasoning, none are left.
pub(super) fn clean_logprobs(choice: &Choice, content: Option<&[u8]>, input: &[u8], edits: &mut Edits) {
    let Some(logprobs) = choice.logprobs.filter(|logprobs| logprobs.value.kind == Kind::Object) else {
        return;
    };
    let (mut count, mut removed, mut tokens) = (0, Vec::new(), None);
    // It has been scanned before, so it can't fail now.
    let _ = Scanner::of(input, logprobs.value).object(|scanner, key| {
        count += 1;
        let member = scanner.member(&key)?;
        let key = key.text.key();
        if reasoning::name_of(&key).is_some() {
            removed.push(member);
        } else if *key == *b"content" && member.value.kind == Kind::Array {
            tokens = Some(member.value);
        }
        Ok::<_, JsonError>(())
    });
    if !removed.is_empty() {
        edits.members(input, logprobs.value.span, count, &mut removed, &[], ",");
    }
    if let (Some(tokens), Some(content)) = (tokens, content) {
        keep_those_of(&Text::new(content).decode(), tokens, input, edits);
    }
}

fn keep_those_of(content: &str, tokens: Value, input: &[u8], edits: &mut Edits) {
    let (mut items, mut spelled) = (Vec::new(), Vec::new());
    let _ = Scanner::of(input, tokens).array(|scanner, ordinal| {
        let value = scanner.value()?;
        items.push(Member { ordinal, span: value.span, value });
        spelled.push(spelling(input, value));
        Ok::<_, JsonError>(())
    });
    let count = items.len();
    items.truncate(first_of(&spelled, content.trim_ascii_end()));
    if !items.is_empty() {
        edits.members(input, tokens.span, count, &mut items, &[], ",");
    }
}

/// What a token adds to the text.
fn spelling(input: &[u8], token: Value) -> String {
    let mut text = String::new();
    if token.kind == Kind::Object {
        let _ = Scanner::of(input, token).object(|scanner, key| {
            let value = scanner.value()?;
            if key.text.is("token")
                && let Some(token) = value.as_text(input)
            {
                text = token.decode().into_owned();
            }
            Ok::<_, JsonError>(())
        });
    }
    text
}

/// The first of the last tokens that together are this text, but for white space and special tokens at its end; their
/// number where there are none.
fn first_of(tokens: &[String], text: &str) -> usize {
    let mut rest = text;
    let mut begun = false;
    for (place, token) in tokens.iter().enumerate().rev() {
        if rest.is_empty() {
            break;
        }
        let is_behind = !begun && (token.trim_ascii().is_empty() || is_special(token));
        let told = if begun { token.as_str() } else { token.trim_ascii_end() };
        if is_behind {
            continue;
        }
        // The first token may begin with the white space that a server has taken off its text.
        match rest.strip_suffix(told) {
            Some(shorter) => rest = shorter,
            None if rest == told.trim_ascii_start() => rest = "",
            None => return tokens.len(),
        }
        begun = true;
        if rest.is_empty() {
            return place;
        }
    }
    tokens.len()
}

fn is_special(token: &str) -> bool {
    token.starts_with("<|") && token.ends_with("|>") || token.starts_with("</") && token.ends_with('>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tokens_of_the_content_are_the_last_ones() {
        for (tokens, text, expected) in [
            (&["I", " weigh", "</think>", "\n\n", "Yes", "."][..], "Yes.", 4),
            (&["I", "</think>", "Yes", "."], "Yes.", 2),
            (&["I", "</think>", "Yes", ".", "<|im_end|>"], "Yes.", 2),
            (&["I", " Yes", ".", " "], "Yes.", 1),
            (&["Yes", "."], "Yes.", 0),
            (&["I", "Yes."], "\n\nYes.", 2),
            (&["\n\n", "Yes."], "\n\nYes.", 0),
            (&["I", "weigh"], "Yes.", 2),
            (&["I"], "", 1),
            (&[], "Yes.", 0),
        ] {
            let tokens: Vec<String> = tokens.iter().map(|&token| token.to_owned()).collect();
            assert_eq!(first_of(&tokens, text), expected, "{tokens:?} of {text}");
        }
    }
}

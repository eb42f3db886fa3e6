//! What a conversion leaves out, by name.

/// So many kinds are named; what else there is, is `others`. Their names go into a response header.
const MAX_DROPPED: usize = 32;

/// Longer names are cut.
const MAX_DROPPED_NAME_BYTES: usize = 64;

const OTHERS: &str = "others";

/// The kinds so far, each once, in the order of appearance.
#[derive(Debug, Default)]
pub(super) struct Dropped(Vec<String>);

impl Dropped {
    /// Something of this kind is left out. `name` may be the client's own word, still escaped.
    pub(super) fn add(&mut self, place: &str, name: &[u8]) {
        if self.0.len() > MAX_DROPPED {
            return;
        }
        let name = &name[..name.len().min(MAX_DROPPED_NAME_BYTES)];
        let point = if place.is_empty() || name.is_empty() { "" } else { "." };
        let letters = name.iter().map(|&byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => char::from(byte),
            _ => '_',
        });
        let kind = place.chars().chain(point.chars()).chain(letters).collect::<String>();
        if self.0.contains(&kind) {
            return;
        }
        self.0.push(if self.0.len() == MAX_DROPPED { OTHERS.to_owned() } else { kind });
    }

    /// All of them.
    pub(super) fn into_kinds(self) -> Vec<String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_once_and_not_too_many() {
        let mut dropped = Dropped::default();
        dropped.add("tools", b"web_search_20250305");
        dropped.add("", b"container");
        dropped.add("tools", b"web_search_20250305");
        dropped.add("metadata", "a b\r\n,é".as_bytes());
        dropped.add("input", b"");
        dropped.add("x", &[b'y'; 100]);
        let expected = [
            "tools.web_search_20250305",
            "container",
            "metadata.a_b_____",
            "input",
            &format!("x.{}", "y".repeat(64)),
        ];
        assert_eq!(dropped.0, expected);
        for number in 0..100 {
            dropped.add("x", number.to_string().as_bytes());
        }
        let kinds = dropped.into_kinds();
        assert_eq!((kinds.len(), kinds.last().unwrap().as_str()), (MAX_DROPPED + 1, OTHERS));
    }
}

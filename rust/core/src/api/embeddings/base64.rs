//! Base64 (RFC 4648, section 4): with its padding out; in, the padding may be missing.

const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PADDING: u8 = b'=';
/// What a byte that is no sign stands for.
const NO_SIGN: u8 = 0xff;

/// By each byte, the six bits that it stands for.
const BITS: [u8; 256] = {
    let mut bits = [NO_SIGN; 256];
    let mut index = 0;
    while index < SIGNS.len() {
        #[allow(clippy::cast_possible_truncation, reason = "there are 64")]
        let value = index as u8;
        bits[SIGNS[index] as usize] = value;
        index += 1;
    }
    bits
};

/// Append the base64 of `bytes`.
pub(super) fn encode(bytes: &[u8], output: &mut Vec<u8>) {
    output.reserve(bytes.len().div_ceil(3) * 4);
    let (groups, rest) = bytes.as_chunks::<3>();
    for &[one, two, three] in groups {
        output.extend_from_slice(&signs([one, two, three]));
    }
    match *rest {
        [one] => {
            let [first, second, ..] = signs([one, 0, 0]);
            output.extend_from_slice(&[first, second, PADDING, PADDING]);
        }
        [one, two] => {
            let [first, second, third, _] = signs([one, two, 0]);
            output.extend_from_slice(&[first, second, third, PADDING]);
        }
        _ => {}
    }
}

fn signs([one, two, three]: [u8; 3]) -> [u8; 4] {
    let group = u32::from_be_bytes([0, one, two, three]);
    [18, 12, 6, 0].map(|shift| SIGNS[(group >> shift & 63) as usize])
}

/// Append what this base64 stands for; none where it is none.
pub(super) fn decode(text: &[u8], output: &mut Vec<u8>) -> Option<()> {
    let padding = text.iter().rev().take_while(|&&sign| sign == PADDING).count();
    if padding > 0 && (padding > 2 || !text.len().is_multiple_of(4)) {
        return None;
    }
    let signs = &text[..text.len() - padding];
    output.reserve(signs.len() / 4 * 3 + 2);
    let (groups, rest) = signs.as_chunks::<4>();
    for group in groups {
        output.extend_from_slice(&bytes(*group)?);
    }
    match *rest {
        [] => {}
        // Bits that stand for nothing are let through, as most readers do.
        [first, second] => output.push(bytes([first, second, b'A', b'A'])?[0]),
        [first, second, third] => output.extend_from_slice(&bytes([first, second, third, b'A'])?[..2]),
        _ => return None,
    }
    Some(())
}

fn bytes(group: [u8; 4]) -> Option<[u8; 3]> {
    let bits = group.map(|sign| BITS[sign as usize]);
    // Only of a byte that is no sign are the highest bits set.
    if bits.iter().any(|&bits| bits > 63) {
        return None;
    }
    let [first, second, third, fourth] = bits.map(u32::from);
    let [_, one, two, three] = (first << 18 | second << 12 | third << 6 | fourth).to_be_bytes();
    Some([one, two, three])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10, and texts that are none.
    #[test]
    fn rows() {
        let rows = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in rows {
            let mut output = Vec::new();
            encode(bytes.as_bytes(), &mut output);
            assert_eq!(output, text.as_bytes());
            for text in [text, text.trim_end_matches('=')] {
                let mut output = Vec::new();
                assert_eq!(decode(text.as_bytes(), &mut output), Some(()), "{text}");
                assert_eq!(output, bytes.as_bytes(), "{text}");
            }
        }
        for text in
            ["Z", "Zg=", "Zg===", "=", "====", "Zm9vY", "Zm-v", "Zm_v", "Zm9v Zm9v", "Zg==Zg==", "Zmé"]
        {
            assert_eq!(decode(text.as_bytes(), &mut Vec::new()), None, "{text}");
        }
    }
}

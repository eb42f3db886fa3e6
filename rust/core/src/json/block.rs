//! 64 bytes of a string at once: a bit for each byte, the lowest for the first.

use wide::u8x16;

pub(super) const BLOCK_BYTES: usize = 64;
pub(super) type Block = [u8; BLOCK_BYTES];

const LANE: usize = 16;
const FIRST_PLAIN: u8 = 0x20;

/// Which bytes can't stand in a string by themselves: quotes, backslashes, control characters.
#[inline]
pub(super) fn special_bits(block: &Block) -> u64 {
    bits(block, special)
}

/// The same of a quarter of a block.
#[inline]
pub(super) fn special_bits_of_lane(lane: &[u8; LANE]) -> u32 {
    special(u8x16::new(*lane)).to_bitmask()
}

/// Where the block has this byte.
#[inline]
pub(super) fn bits_of(block: &Block, byte: u8) -> u64 {
    bits(block, |lane| equal(lane, byte))
}

/// Where the block has control characters.
#[inline]
pub(super) fn control_bits(block: &Block) -> u64 {
    bits(block, control)
}

/// Which bytes follow a backslash that is none itself, block after block.
#[derive(Default)]
pub(super) struct Escapes {
    /// The last block ended in a backslash that escapes the first byte of the next one.
    pub(super) open: bool,
}

impl Escapes {
    /// Of the next block, where its backslashes are: which bytes are escaped.
    ///
    /// Runs of backslashes begin at odd or at even places; an addition carries each run's beginning to its end, and tells
    /// whether its length is odd. See Langdale and Lemire, "Parsing Gigabytes of JSON per Second", section 3.1.1,
    /// <https://arxiv.org/abs/1902.08318>.
    #[inline]
    pub(super) const fn escaped(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let first = self.open as u64;
        let escaping = backslashes & !first;
        let follows = escaping << 1 | first;
        let odd_starts = escaping & !EVEN & !follows;
        let (even_runs, open) = odd_starts.overflowing_add(escaping);
        self.open = open;
        (EVEN ^ (even_runs << 1)) & follows
    }
}

#[inline]
fn bits(block: &Block, matches: impl Fn(u8x16) -> u8x16) -> u64 {
    let mut bits = 0;
    for (index, lane) in block.as_chunks::<LANE>().0.iter().enumerate() {
        bits |= u64::from(matches(u8x16::new(*lane)).to_bitmask()) << (LANE * index);
    }
    bits
}

#[inline]
fn special(lane: u8x16) -> u8x16 {
    equal(lane, b'"') | equal(lane, b'\\') | control(lane)
}

#[inline]
fn equal(lane: u8x16, byte: u8) -> u8x16 {
    lane.simd_eq(u8x16::splat(byte))
}

#[inline]
fn control(lane: u8x16) -> u8x16 {
    lane.min(u8x16::splat(FIRST_PLAIN - 1)).simd_eq(lane)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_byte_of_a_block_has_its_bit() {
        for byte in 0..=u8::MAX {
            let is_control = byte < b' ';
            let is_special = is_control || byte == b'"' || byte == b'\\';
            for at in 0..BLOCK_BYTES {
                let mut block = [if byte == b'a' { b'b' } else { b'a' }; BLOCK_BYTES];
                block[at] = byte;
                assert_eq!(special_bits(&block), u64::from(is_special) << at, "{byte:#x} at {at}");
                assert_eq!(control_bits(&block), u64::from(is_control) << at, "{byte:#x} at {at}");
                assert_eq!(bits_of(&block, byte), 1 << at, "{byte:#x} at {at}");
            }
            let block = [byte; BLOCK_BYTES];
            assert_eq!(special_bits(&block), if is_special { u64::MAX } else { 0 });
            assert_eq!(bits_of(&block, byte), u64::MAX);
        }
    }

    proptest! {
        #[test]
        fn backslashes_escape_what_follows_them(runs in prop::collection::vec((0_usize..70, 0_usize..70), 0..8)) {
            let mut text: Vec<u8> = Vec::new();
            for (plain, backslashes) in runs {
                text.resize(text.len() + plain, b'a');
                text.resize(text.len() + backslashes, b'\\');
            }
            text.resize(text.len().next_multiple_of(BLOCK_BYTES), b'a');
            let mut escapes = Escapes::default();
            let mut open = false;
            for block in text.as_chunks::<BLOCK_BYTES>().0 {
                let escaped = escapes.escaped(bits_of(block, b'\\'));
                for (at, &byte) in block.iter().enumerate() {
                    prop_assert_eq!(escaped >> at & 1 == 1, open);
                    open = byte == b'\\' && !open;
                }
                prop_assert_eq!(escapes.open, open);
            }
        }
    }
}

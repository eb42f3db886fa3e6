//! A request on its way out.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Head and body, in pieces that are never joined: over a plain socket one system call writes several. Clones share them.
#[derive(Clone)]
pub(crate) struct Outgoing {
    /// None of them is empty.
    pieces: VecDeque<Bytes>,
}

impl Outgoing {
    pub(crate) fn new(head: Bytes, body: Vec<Bytes>) -> Self {
        Self { pieces: std::iter::once(head).chain(body).filter(|piece| !piece.is_empty()).collect() }
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.pieces.iter().zip(slices);
        pieces.map(|(piece, slice)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let Some(piece) = self.pieces.front_mut() else {
                debug_assert_eq!(count, 0, "more than there was");
                return;
            };
            let taken = count.min(piece.len());
            piece.advance(taken);
            count -= taken;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_go_out_in_order_however_much_is_taken_at_once() {
        let body = [&b"one"[..], b"", b"two", b"three"].map(Bytes::from_static).to_vec();
        let whole = Outgoing::new(Bytes::from_static(b"head "), body);
        for step in 1..=whole.remaining() {
            let mut rest = whole.clone();
            let mut out = Vec::new();
            while rest.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 3];
                let count = rest.chunks_vectored(&mut slices);
                let seen =
                    slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>();
                assert_eq!(rest.chunk(), &*slices[0]);
                let taken = step.min(seen.len());
                out.extend_from_slice(&seen[..taken]);
                rest.advance(taken);
            }
            assert_eq!(out, b"head onetwothree", "{step}");
        }
    }
}

//! Buffers that are used again, from event to event.

/// What is left allocated of one for the next time.
pub(crate) const MAX_SPARE_BYTES: usize = 64 * 1024;

/// Empty it, and keep its memory unless it is much: one large event must not cost its size until the stream ends.
pub(crate) fn clear(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > MAX_SPARE_BYTES {
        *buffer = Vec::new();
    }
}

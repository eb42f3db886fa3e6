//! The frames of OpenAI's events: `event: NAME`, `data: {"type":"NAME",…,"sequence_number":N}` and a blank line.

/// Appends events and numbers them. Where one body is to come, there are none.
#[derive(Debug)]
pub(super) struct Events {
    are_sent: bool,
    next: u64,
}

impl Events {
    pub(super) const fn new(are_sent: bool) -> Self {
        Self { are_sent, next: 0 }
    }

    /// One event with these pieces between its type and its number: members with the commas between them.
    pub(super) fn write(&mut self, name: &str, pieces: &[&[u8]], output: &mut Vec<u8>) {
        self.write_with(name, output, |output| {
            for piece in pieces {
                output.extend_from_slice(piece);
            }
        });
    }

    /// One event with the members that `members` appends.
    pub(super) fn write_with(
        &mut self,
        name: &str,
        output: &mut Vec<u8>,
        members: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.are_sent {
            write_head(name, output);
            members(output);
            self.end(output);
        }
    }

    /// One event whose beginning was made before (see [`delta_head`]), with `text` in its string, and `tail` behind that.
    #[inline]
    pub(super) fn delta(&mut self, head: &[u8], text: &[u8], tail: &[u8], output: &mut Vec<u8>) {
        if self.are_sent {
            output.reserve(head.len() + text.len() + tail.len() + 48);
            output.extend_from_slice(head);
            output.extend_from_slice(text);
            output.extend_from_slice(tail);
            self.end(output);
        }
    }

    fn end(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(b",\"sequence_number\":");
        write_number(self.next, output);
        output.extend_from_slice(b"}\n\n");
        self.next += 1;
    }
}

/// The beginning of an item's delta events, up to the quote that opens their text; `place` are the members that say where
/// it belongs.
pub(super) fn delta_head(name: &str, place: &[&[u8]]) -> Vec<u8> {
    let mut head = Vec::new();
    write_head(name, &mut head);
    for piece in place {
        head.extend_from_slice(piece);
    }
    head.extend_from_slice(b",\"delta\":\"");
    head
}

fn write_head(name: &str, output: &mut Vec<u8>) {
    for piece in ["event: ", name, "\ndata: {\"type\":\"", name, "\","] {
        output.extend_from_slice(piece.as_bytes());
    }
}

/// Append a number in decimal digits.
pub(super) fn write_number(mut number: u64, output: &mut Vec<u8>) {
    /// `u64::MAX` has so many.
    const DIGITS: usize = 20;
    let mut digits = [b'0'; DIGITS];
    let mut start = DIGITS;
    loop {
        start -= 1;
        digits[start] += (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return output.extend_from_slice(&digits[start..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX] {
            let mut output = Vec::new();
            write_number(number, &mut output);
            assert_eq!(output, number.to_string().into_bytes());
        }
    }

    #[test]
    fn events_are_numbered_and_none_come_where_a_body_is_wanted() {
        let mut output = Vec::new();
        let mut events = Events::new(true);
        let head = delta_head("b", &[b"\"at\":7"]);
        events.write("a", &[b"\"x\":", b"1"], &mut output);
        events.delta(&head, b"t\\n", b"\"", &mut output);
        let expected = "event: a\ndata: {\"type\":\"a\",\"x\":1,\"sequence_number\":0}\n\n\
                        event: b\ndata: {\"type\":\"b\",\"at\":7,\"delta\":\"t\\n\",\"sequence_number\":1}\n\n";
        assert_eq!(String::from_utf8(output).unwrap(), expected);

        let mut output = Vec::new();
        let mut events = Events::new(false);
        events.write("a", &[b"\"x\":1"], &mut output);
        events.delta(&head, b"t", b"\"", &mut output);
        assert_eq!(output, b"");
    }
}

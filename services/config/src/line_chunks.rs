//! Lines out of a stream of bytes, put together to chunks of a bounded size. A line that is too long is left
//! out and said so; the numbers of the others stay.

/// Longest line of an import, bytes.
pub(crate) const MAX_LINE_BYTES: usize = 512 * 1024;
/// A chunk ends with the line with which it has this many bytes,
const CHUNK_BYTES: usize = 256 * 1024;
/// or this many lines.
const CHUNK_LINES: u64 = 1_000;

/// Lines that follow one another, each with its line feed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The number of the first, from 1.
    pub(crate) first_line: u64,
    /// How many.
    pub(crate) lines: u64,
    /// Those of them that are too long; they are empty here.
    pub(crate) too_long: Vec<u64>,
    /// The bytes.
    pub(crate) body: Vec<u8>,
}

/// Takes bytes in and gives chunks. It holds one of them and one line at most.
#[derive(Debug, Default)]
pub(crate) struct LineChunks {
    /// Whole lines, with an unfinished one behind them from `line_start` on.
    body: Vec<u8>,
    line_start: usize,
    /// The unfinished line is too long, and its bytes are thrown away.
    skipping: bool,
    /// Lines before this chunk.
    before: u64,
    lines: u64,
    too_long: Vec<u64>,
}

impl LineChunks {
    /// Takes bytes in, as they come; gives the chunks that they complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(&bytes[..at]);
            chunks.extend(self.end_line());
            bytes = &bytes[at + 1..];
        }
        self.add(bytes);
        chunks
    }

    /// The last lines; the last one may lack its line feed.
    pub(crate) fn finish(mut self) -> Option<Chunk> {
        if self.body.len() > self.line_start || self.skipping {
            let last = self.end_line();
            return last.or_else(|| self.cut());
        }
        self.cut()
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.skipping {
            return;
        }
        if self.body.len() - self.line_start + bytes.len() > MAX_LINE_BYTES {
            self.body.truncate(self.line_start);
            self.skipping = true;
            return;
        }
        self.body.extend_from_slice(bytes);
    }

    fn end_line(&mut self) -> Option<Chunk> {
        self.lines += 1;
        if std::mem::take(&mut self.skipping) {
            self.too_long.push(self.before + self.lines);
        }
        self.body.push(b'\n');
        self.line_start = self.body.len();
        let is_full = self.body.len() >= CHUNK_BYTES || self.lines == CHUNK_LINES;
        is_full.then(|| self.cut()).flatten()
    }

    fn cut(&mut self) -> Option<Chunk> {
        if self.lines == 0 {
            return None;
        }
        let chunk = Chunk {
            first_line: self.before + 1,
            lines: self.lines,
            too_long: std::mem::take(&mut self.too_long),
            body: std::mem::take(&mut self.body),
        };
        self.before += self.lines;
        (self.lines, self.line_start) = (0, 0);
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chunks of a stream that comes in pieces of `piece` bytes.
    fn chunks(stream: &[u8], piece: usize) -> Vec<Chunk> {
        let mut lines = LineChunks::default();
        let mut found: Vec<Chunk> = stream.chunks(piece).flat_map(|bytes| lines.push(bytes)).collect();
        found.extend(lines.finish());
        found
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_come() {
        let stream = b"{\"a\":1}\n\r\n\n{\"b\":2}\r\n{\"c\":3}";
        for piece in [1, 2, 7, 100] {
            let found = chunks(stream, piece);
            let bodies: Vec<u8> = found.iter().flat_map(|chunk| chunk.body.clone()).collect();
            assert_eq!(bodies, [stream.as_slice(), b"\n"].concat(), "{piece}");
            let lines: u64 = found.iter().map(|chunk| chunk.lines).sum();
            assert_eq!((lines, found[0].first_line), (5, 1));
        }
        assert_eq!(chunks(b"", 1), []);
        assert_eq!(chunks(b"{}\n", 1).len(), 1);
    }

    #[test]
    fn chunks_are_bounded_and_lines_numbered_through() {
        let many = "{}\n".repeat(2_500);
        let found = chunks(many.as_bytes(), 1000);
        let numbers: Vec<(u64, u64)> = found
            .iter()
            .map(|chunk| (chunk.first_line, chunk.lines))
            .collect();
        assert_eq!(numbers, [(1, 1_000), (1_001, 1_000), (2_001, 500)]);
        let wide = format!("{}\n", "x".repeat(200_000)).repeat(5);
        let found = chunks(wide.as_bytes(), 65_536);
        assert!(
            found
                .iter()
                .all(|chunk| chunk.body.len() <= CHUNK_BYTES + 200_001)
        );
        assert_eq!(
            found.iter().map(|chunk| chunk.lines).collect::<Vec<_>>(),
            [2, 2, 1]
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_left_empty() {
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        let fits = "y".repeat(MAX_LINE_BYTES);
        let found = chunks(format!("a\n{long}\nb\n{fits}\n{long}").as_bytes(), 10_000);
        let too_long: Vec<u64> = found.iter().flat_map(|chunk| chunk.too_long.clone()).collect();
        assert_eq!(too_long, [2, 5]);
        let body: Vec<u8> = found.into_iter().flat_map(|chunk| chunk.body).collect();
        assert_eq!(body, format!("a\n\nb\n{fits}\n\n").into_bytes());
    }
}

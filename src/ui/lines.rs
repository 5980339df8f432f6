//! Lines of standard input, each of them bounded before memory is taken.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// Reads lines of at most `max` bytes.
pub struct Lines<R> {
    from: R,
    max: usize,
    line: Vec<u8>,
    too_long: bool,
    number: u64,
    anything: bool,
}

/// One line, without its line break.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Which, counted from 1.
    pub number: u64,
    /// Its text, or why it is none.
    pub text: Result<String, BadLine>,
}

/// Why a line is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLine {
    /// More than the limit.
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// Not UTF-8.
    NotUtf8,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Lines of `from`.
    pub fn new(from: R, max: usize) -> Self {
        Lines { from, max, line: Vec::new(), too_long: false, number: 0, anything: false }
    }

    /// Whether a single byte was read so far.
    pub fn read_anything(&self) -> bool {
        self.anything
    }

    /// The next line, `None` at the end. The last needs no line break. Losing the future loses nothing.
    ///
    /// # Errors
    /// Those of the reader.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let bytes = self.from.fill_buf().await?;
            if bytes.is_empty() {
                let unfinished = self.too_long || !self.line.is_empty();
                return Ok(unfinished.then(|| self.take()));
            }
            self.anything = true;
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > self.max {
                self.too_long = true;
                self.line.clear();
            } else if !self.too_long {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        self.number += 1;
        let bytes = std::mem::take(&mut self.line);
        let text = if std::mem::take(&mut self.too_long) {
            Err(BadLine::TooLong { max: self.max })
        } else {
            String::from_utf8(bytes).map_err(|_| BadLine::NotUtf8)
        };
        Line { number: self.number, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(bytes: &[u8], max: usize) -> Vec<Result<String, BadLine>> {
        // A buffer of three bytes makes lines arrive in pieces.
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(3, bytes), max);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line.text);
            assert_eq!(line.number, all.len() as u64);
        }
        assert_eq!(lines.read_anything(), !bytes.is_empty());
        all
    }

    #[tokio::test]
    async fn lines_come_exactly_as_they_are() {
        assert!(all(b"", 9).await.is_empty());
        assert_eq!(all(b"one\n\n  two \r\nlast", 9).await, ["one", "", "  two \r", "last"].map(|l| Ok(l.into())));
    }

    #[tokio::test]
    async fn a_long_or_broken_line_spoils_only_itself() {
        let too_long = Err(BadLine::TooLong { max: 4 });
        let lines = all(b"four\nfive5\nok\n\xff\xfe\nend__", 4).await;
        assert_eq!(lines, [Ok("four".into()), too_long.clone(), Ok("ok".into()), Err(BadLine::NotUtf8), too_long]);
    }
}

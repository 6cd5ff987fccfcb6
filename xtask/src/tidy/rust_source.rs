//! Splits Rust source into code, comments and literals, so that a rule looks only where it means to.

/// What a piece of source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    Code,
    Comment,
    /// The inside of a string literal of any kind, escapes as written.
    Literal,
}

/// A run of source of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) kind: PieceKind,
    pub(super) text: &'a str,
    /// The line, from 1, that the piece begins on.
    pub(super) line: usize,
}

impl<'a> Piece<'a> {
    /// The places of `word` in this piece as whole words, as line numbers.
    pub(super) fn lines_with_word(&self, word: &'a str) -> impl Iterator<Item = usize> + use<'a> {
        let Self { text, line, .. } = *self;
        text.match_indices(word)
            .filter(move |(at, _)| stands_alone(text, *at, word.len()))
            .map(move |(at, _)| line + newlines(&text[..at]))
    }
}

/// Whether no letter, digit or `_` touches the `length` bytes at `at`.
pub(super) fn stands_alone(text: &str, at: usize, length: usize) -> bool {
    let of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    !text[..at].chars().next_back().is_some_and(of_a_word)
        && !text[at + length..].chars().next().is_some_and(of_a_word)
}

pub(super) fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// All pieces of a file in order. Quotes and their prefixes belong to the code around a literal.
pub(super) fn pieces(source: &str) -> Vec<Piece<'_>> {
    let mut splitter = Splitter { source, pieces: Vec::new(), code_start: 0, at: 0, line: 1 };
    while splitter.at < source.len() {
        splitter.step();
    }
    splitter.close_code();
    splitter.pieces
}

struct Splitter<'a> {
    source: &'a str,
    pieces: Vec<Piece<'a>>,
    code_start: usize,
    at: usize,
    line: usize,
}

impl<'a> Splitter<'a> {
    fn step(&mut self) {
        let rest = &self.source[self.at..];
        if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            self.emit(PieceKind::Comment, 0, length, 0);
        } else if rest.starts_with("/*") {
            self.emit(PieceKind::Comment, 0, block_comment_length(rest), 0);
        } else if let Some((open, close)) = self.raw_string(rest) {
            let end = rest[open..].find(&close).map_or(rest.len(), |at| open + at);
            let close_length = close.len().min(rest.len() - end);
            self.emit(PieceKind::Literal, open, end, close_length);
        } else if rest.starts_with('"') {
            let end = string_end(rest);
            self.emit(PieceKind::Literal, 1, end, usize::from(end < rest.len()));
        } else if rest.starts_with('\'') {
            self.at += char_or_lifetime_length(rest);
        } else {
            self.at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }

    /// The length of a raw string's opening and the text that closes it, if one begins here.
    fn raw_string(&self, rest: &str) -> Option<(usize, String)> {
        let after_r = rest.strip_prefix('r')?;
        let before = self.source[..self.at].chars().next_back();
        let prefixed = before.is_some_and(|c| c.is_alphanumeric() && c != 'b' && c != 'c' || c == '_');
        let hashes = after_r.bytes().take_while(|byte| *byte == b'#').count();
        (!prefixed && after_r[hashes..].starts_with('"'))
            .then(|| (hashes + 2, format!("\"{}", "#".repeat(hashes))))
    }

    /// Ends the code before this point and adds the piece from `start` to `end`; `close` bytes of it follow.
    fn emit(&mut self, kind: PieceKind, start: usize, end: usize, close: usize) {
        let base = self.at;
        self.at = base + start;
        self.close_code();
        let text = &self.source[base + start..base + end];
        self.pieces.push(Piece { kind, text, line: self.line });
        self.line += newlines(text);
        self.at = base + end + close;
        self.code_start = base + end;
    }

    fn close_code(&mut self) {
        let text = &self.source[self.code_start..self.at];
        if !text.is_empty() {
            self.pieces.push(Piece { kind: PieceKind::Code, text, line: self.line });
            self.line += newlines(text);
        }
        self.code_start = self.at;
    }
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Where the closing quote of the string that begins at 0 stands.
fn string_end(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    rest.len()
}

/// `'a'`, `'\''` and `'"'` are skipped whole; of a lifetime only the tick is.
fn char_or_lifetime_length(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((escaped, c))) => {
            let after = escaped + c.len_utf8();
            rest[after..].find('\'').map_or(rest.len(), |at| after + at + 1)
        }
        (Some(_), Some((close, '\''))) => close + 1,
        _ => 1,
    }
}

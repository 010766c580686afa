//! Plain text: `llm similar --plain` byte for byte.

use std::io::{self, Write};

use super::python_json::{is_falsy, repr};
use super::{Column, Format, Metadata, Row, Rows, Shape};

/// `id (score)`, then the content and the metadata, indented.
#[derive(Debug)]
pub(crate) struct Plain;

impl Format for Plain {
    fn write(&self, shape: Shape, rows: &mut Rows<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
        for row in rows {
            write_row(shape, &row, out)?;
        }
        Ok(())
    }
}

fn write_row(shape: Shape, row: &Row<'_>, out: &mut dyn Write) -> io::Result<()> {
    let id = without_ansi(&row.found.id.to_string());
    if shape.collection == Column::Shown {
        write!(out, "{}/", without_ansi(&row.found.source))?;
    }
    write!(out, "{id} ({})\n\n", repr(row.found.score))?;
    if shape.content == Column::Left {
        return Ok(());
    }
    if let Some(content) = row.found.content.as_deref().filter(|text| !text.is_empty()) {
        writeln!(out, "{}", without_ansi(&indent(content)))?;
    }
    match &row.metadata {
        Metadata::Json(json) | Metadata::NotJson(json) if !is_falsy(json) => {
            writeln!(out, "{}", indent(json))?;
        }
        _ => {}
    }
    writeln!(out)
}

/// `textwrap.indent(text, "  ")`: every line that is not only space gets two spaces.
fn indent(text: &str) -> String {
    let mut indented = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(line_length(rest));
        if !line.chars().all(is_python_space) {
            indented.push_str("  ");
        }
        indented.push_str(line);
        rest = after;
    }
    indented
}

/// Bytes of the first line and its end, as `str.splitlines(True)` cuts.
fn line_length(text: &str) -> usize {
    let is_end = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    match text.char_indices().find(|(_, c)| is_end(*c)) {
        Some((at, '\r')) if text[at + 1..].starts_with('\n') => at + 2,
        Some((at, end)) => at + end.len_utf8(),
        None => text.len(),
    }
}

/// `str.isspace`, which counts the four separators of ASCII too.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Without control sequences of terminals, which llm's printing removes unless it prints to a
/// terminal. Here they are removed there too: stored text must not steer the user's terminal.
fn without_ansi(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        clean.push_str(&rest[..at]);
        let sequence = &rest[at..];
        let length = sequence_length(&sequence.as_bytes()[2..]);
        // What only begins like a sequence is text.
        let kept = if length.is_some() { 0 } else { 2 };
        clean.push_str(&sequence[..kept]);
        rest = &sequence[2 + length.unwrap_or(0)..];
    }
    clean.push_str(rest);
    clean
}

/// Bytes of `[0-?]*[ -/]*[@-~]` at the start of `bytes`.
fn sequence_length(bytes: &[u8]) -> Option<usize> {
    let span = |from: usize, low: u8, high: u8| {
        bytes[from..].iter().take_while(|byte| (low..=high).contains(byte)).count()
    };
    let parameters = span(0, b'0', b'?');
    let end = parameters + span(parameters, b' ', b'/');
    matches!(bytes.get(end), Some(b'@'..=b'~')).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{SEARCH, SIMILAR, found, text};
    use super::*;
    use proptest::prelude::*;
    use simdex::store::Id;
    use std::process::{Command, Stdio};

    #[test]
    fn text_is_llms() {
        let rows = [
            found(Id::text("a"), 0.5, Some("two\n\n  \nlines\n"), Some(r#"{"a":1}"#)),
            found(Id::text("b"), 1.0, Some(""), Some("{}")),
            found(Id::Integer(3), 1e-7, None, Some("not json")),
        ];
        assert_eq!(
            text(&Plain, SIMILAR, &rows),
            "a (0.5)\n\n  two\n\n  \n  lines\n\n  {\"a\": 1}\n\n\
             b (1.0)\n\n\n\
             3 (1e-07)\n\n  \"not json\"\n\n"
        );
    }

    #[test]
    fn search_names_the_collection() {
        let rows = [found(Id::text("a"), 0.25, Some("unseen"), None)];
        assert_eq!(text(&Plain, SEARCH, &rows), "posts/a (0.25)\n\n");
    }

    #[test]
    fn terminal_sequences_go() {
        assert_eq!(without_ansi("a\u{1b}[31mred\u{1b}[0m b\u{1b}[2J"), "ared b");
        assert_eq!(without_ansi("\u{1b}[é \u{1b}["), "\u{1b}[é \u{1b}[");
        assert_eq!(without_ansi("\u{1b}[1\u{1b}[0mx"), "\u{1b}[1x");
    }

    /// JSON strings in, JSON strings out.
    const INDENT: &str = "
import json, re, sys, textwrap
ansi = re.compile(r'\\033\\[[0-?]*[ -/]*[@-~]')
for line in sys.stdin: print(json.dumps(ansi.sub('', textwrap.indent(json.loads(line), '  '))))
";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn indent_agrees_with_python(texts in prop::collection::vec(
            prop_oneof![
                any::<String>(),
                prop::collection::vec(prop::sample::select(vec![
                    "a", " ", "\n", "\r", "\r\n", "\t", "\u{b}", "\u{c}", "\u{1c}", "\u{1d}",
                    "\u{1e}", "\u{1f}", "\u{85}", "\u{a0}", "\u{2028}", "\u{2029}", "\u{3000}",
                    "\u{1b}[", "1;", "m", "/", "é",
                ]), 0..12).prop_map(|pieces| pieces.concat()),
            ], 100)
        ) {
            let Ok(mut child) = Command::new("python3").args(["-c", INDENT])
                .stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else { return Ok(()) };
            let input: String =
                texts.iter().map(|text| serde_json::to_string(text).unwrap() + "\n").collect();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
            for (text, expected) in texts.iter().zip(output.lines()) {
                let expected: String = serde_json::from_str(expected).unwrap();
                prop_assert_eq!(without_ansi(&indent(text)), expected, "{:?}", text);
            }
        }
    }
}
